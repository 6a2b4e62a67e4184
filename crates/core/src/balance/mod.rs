//! Which of the usable targets comes next: one algorithm, one file.

mod round_robin;

pub use round_robin::RoundRobin;
