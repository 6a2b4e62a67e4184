//! The other side: which target, which connection to it, and the exchange on it.

pub(crate) mod target;
pub(crate) mod balancer;
pub(crate) mod resolve;
pub(crate) mod pool;
pub(crate) mod connect;
pub(crate) mod upload_h1;
pub(crate) mod answer_h1;
pub(crate) mod relay_h1;
pub(crate) mod exchange_h1;
pub(crate) mod probe;
mod asking;
