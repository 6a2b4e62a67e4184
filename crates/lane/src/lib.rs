//! What gateway and lanes say to each other, and the shared memory that they say it in.
//!
//! A lane is a process with code of users in it: it may die, hang, or write what it likes into the memory that it
//! shares. The gateway therefore copies what it reads before it looks at it, keeps its own positions to itself, and
//! takes a position that cannot be for the end of the lane.
//!
//! For Linux alone: elsewhere there is no memory that nobody can make smaller, and policies in Python do not run.
#![cfg(target_os = "linux")]

mod memory;
mod ring;
mod job;
mod wake;

pub use job::Job;
pub use memory::Memory;
pub use ring::{Broken, NotPushed, Reader, Writer, memory_of};
pub use wake::Bell;
