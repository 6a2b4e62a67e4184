//! How many requests may come: rates, and who has taken how many of them.

mod rate;
mod shard;
mod buckets;

pub use buckets::{Buckets, MOST_KEYS, Taken};
pub use rate::{Left, Rate};
