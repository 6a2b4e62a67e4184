//! The parts of a message that need judgement, free of any protocol version.

pub mod names;
pub mod head;
pub mod path;
pub mod host;
pub mod forwarded;
pub mod date;
pub mod location;
