//! Policies in Python run in processes of their own, the lanes. A worker reaches one by shared memory.

mod breaker;
mod lanes;
mod line;
mod link;
mod memory;

pub(crate) use lanes::{Lanes, Silence, fits};
pub(crate) use line::Line;
pub use link::{Answer, Asking, Ends, Link, Unanswered};
pub(crate) use memory::Memory;
