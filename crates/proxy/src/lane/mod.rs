//! Policies in Python run in processes of their own, the lanes. A worker reaches one by shared memory.

mod breaker;
#[cfg(target_os = "linux")]
mod calls;
mod choice;
#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod join;
mod lanes;
#[cfg(target_os = "linux")]
mod lateness;
#[cfg(target_os = "linux")]
mod line;
#[cfg(target_os = "linux")]
mod link;
mod memory;
#[cfg(target_os = "linux")]
mod pace;

pub use choice::choose;
#[cfg(not(target_os = "linux"))]
use elsewhere::join;
#[cfg(not(target_os = "linux"))]
pub(crate) use elsewhere::{Answer, Asking, Line, Link, Unanswered};
#[cfg(target_os = "linux")]
use join::join;
pub(crate) use lanes::{Lanes, Silence, Waiting, fits};
#[cfg(target_os = "linux")]
pub(crate) use line::Line;
#[cfg(target_os = "linux")]
pub use link::{Answer, Asking, Ends, Link, Unanswered, now_us};
pub(crate) use memory::Memory;
