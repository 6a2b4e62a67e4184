//! The way of a connection: accepted, then requests one after another, then perhaps a tunnel, then the end.

pub(crate) mod accept;
pub(crate) mod client;
pub(crate) mod serve_h1;
pub(crate) mod tunnel;
pub(crate) mod linger;

pub(crate) use client::Client;
