//! Which targets are out: by active checks ([`FallRise`]) or by what is seen of their answers ([`Ejection`]).

mod fall_rise;
mod ejection;
mod seen;

pub use ejection::Ejection;
pub use fall_rise::{Change, FallRise};
pub use seen::{seen, too_many};
