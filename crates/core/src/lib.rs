//! The pure decisions of Pylos: what a message says, which route it takes, what a table means.
//!
//! No socket, clock, task or Python in here: time and randomness are arguments. In reading order:
//!
//! - [`message`]: the parts of a message that need judgement (path, host, forwarding fields, dates);
//! - [`http1`]: the HTTP/1.1 codec;
//! - [`websocket`]: where the frames of a WebSocket end;
//! - [`tls`]: whom a client of TLS asks for, and who answers by which name;
//! - [`address`]: sets of networks;
//! - [`facts`]: what conditions may ask about a request;
//! - [`condition`]: expressions over it, for the `if` of a policy;
//! - [`verdict`]: what a policy in Python says about a request;
//! - [`limit`]: how many requests may come, and who has taken how many;
//! - [`table`]: what the file said, compiled into types that cannot be wrong;
//! - [`route`]: which route a request takes;
//! - [`balance`] and [`health`]: which target answers, and which one is out.
#![forbid(unsafe_code)]

pub mod message;
pub mod http1;
pub mod websocket;
pub mod tls;
pub mod address;
pub mod facts;
pub mod condition;
pub mod verdict;
pub mod limit;
pub mod table;
pub mod route;
pub mod balance;
pub mod health;
