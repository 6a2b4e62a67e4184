//! TLS (RFC 8446, RFC 5246) by rustls: who answers for which name, the handshake, and a stream over a socket that holds
//! no buffer while nothing moves.

mod clients;
mod config;
mod expiry;
mod flow;
mod handshake;
mod keys;
mod rules;
mod session;
mod shown;
mod tickets;
mod upstream;

pub(crate) use config::{Configs, challenge_config};
pub(crate) use expiry::Expiry;
pub(crate) use handshake::{Failure, handshake};
pub(crate) use keys::TicketKeys;
pub(crate) use rules::Agreed;
pub(crate) use session::{HandshakeError, Socket, TlsStream};
pub(crate) use upstream::{Failed, Secure};
