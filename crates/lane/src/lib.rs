//! What gateway and lanes say to each other, and the shared memory that they say it in.
//!
//! A lane is a process with code of users in it: it may die, hang, or write what it likes into the memory that it
//! shares. The gateway therefore copies what it reads before it looks at it, keeps its own positions to itself, and
//! takes a position that cannot be for the end of the lane.
//!
//! But for the records, for Linux alone: elsewhere there is no memory that nobody can make smaller, and policies in
//! Python do not run.

#[cfg(target_os = "linux")]
mod memory;
#[cfg(target_os = "linux")]
mod ring;
mod job;
#[cfg(target_os = "linux")]
mod wake;

pub use job::Job;
#[cfg(target_os = "linux")]
pub use memory::Memory;
#[cfg(target_os = "linux")]
pub use ring::{Broken, NotPushed, Reader, Writer, memory_of};
#[cfg(target_os = "linux")]
pub use wake::Bell;
