//! What is decided about TLS before a byte is decrypted: which name a client asks for, and who answers by it.

mod client_hello;
mod names;

pub use client_hello::{ClientHello, NotTls, peek};
pub use names::Names;
