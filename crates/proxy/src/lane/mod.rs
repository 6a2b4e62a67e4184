//! Policies in Python run in processes of their own, the lanes. A worker reaches one by shared memory.

mod link;

pub use link::{Answer, Ends, Link, Unanswered};
