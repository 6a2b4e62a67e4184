//! What is told about the traffic: counters, one log line a request, events. Nothing here waits for anyone.

pub(crate) mod names;
pub(crate) mod cells;
pub(crate) mod registry;
pub(crate) mod exposition;
pub(crate) mod json;
pub(crate) mod log_writer;
pub(crate) mod access_log;
pub(crate) mod events;
pub(crate) mod admin;
