//! The data plane. Knows no Python: it is told what to do over a socket, and serves.
//!
//! `server` (the process) starts `worker`s (a thread each); a worker accepts `connection`s, and each brings
//! requests, whose way is told in `request`. `upstream` is the other side, `telemetry` what is told about it all.

mod server;
mod control;
mod given;
mod handover;
mod orphan;
mod shared;
mod worker;
mod snapshot;
mod connection;
mod explain;
mod request;
mod policy;
#[doc(hidden)]
pub mod lane;
mod upstream;
mod telemetry;
mod admin;
mod error;
mod bounds;
mod memory;
mod stream;
mod tls;
mod socket;
mod timer;
mod buffer;
mod challenges;
mod clock;

pub use explain::{Explanation, Question, explain};
pub use memory::RELEASE;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// How long the last events may take to be written out at the end.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Runs the gateway process until it is told to end; `control` is its end of the supervisor's socket. Gives the
/// exit code.
pub fn run(control: OwnedFd) -> i32 {
    telemetry::events::begin();
    let code = server::Server::new(control).run();
    telemetry::events::finish(LAST_WORDS);
    code
}
