//! Who the client is, when proxies in front may say so (`X-Forwarded-For`).
//!
//! Nothing that a client says about itself is believed: the header counts only from a trusted peer, and is read
//! from the right, where the nearest proxy wrote. Everything left of the first untrusted address is hearsay.

use crate::address::IpSet;
use smallvec::SmallVec;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};

/// The peers whose forwarding fields are believed.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies {
    networks: IpSet,
    unix: bool,
}

impl TrustedProxies {
    /// `unix`: whether peers on Unix sockets are trusted.
    pub fn new(networks: IpSet, unix: bool) -> Self {
        TrustedProxies { networks, unix }
    }

    pub fn trusts(&self, address: IpAddr) -> bool {
        self.networks.contains(address)
    }

    pub fn trusts_unix(&self) -> bool {
        self.unix
    }

    /// `None` is a peer on a Unix socket.
    pub fn trusts_peer(&self, peer: Option<IpAddr>) -> bool {
        peer.map_or(self.unix, |address| self.trusts(address))
    }
}

/// The client, and how it was reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientAddress {
    /// `None`: a peer on a Unix socket that said nothing, or nothing to be believed.
    pub ip: Option<IpAddr>,
    /// Whether the peer is trusted, and with it its `X-Forwarded-Proto`, `-Host` and `-Port`.
    pub peer_trusted: bool,
    /// The believed entries from the client to the peer's own client; empty when the header says nothing.
    pub hops: SmallVec<[IpAddr; 2]>,
}

impl ClientAddress {
    /// Appends the value of the one `X-Forwarded-For` line for the upstream: the believed entries, then `peer`.
    pub fn write_forwarded_for(&self, peer: Option<IpAddr>, out: &mut Vec<u8>) {
        let base = out.len();
        for address in self.hops.iter().copied().chain(peer.map(|peer| peer.to_canonical())) {
            if out.len() > base {
                out.extend_from_slice(b", ");
            }
            write!(out, "{address}").expect("a Vec takes every byte");
        }
    }
}

/// Finds the client. `xff_values` are the values of all `X-Forwarded-For` lines, in the order of arrival.
///
/// From a trusted peer the entries are walked from the right to the first untrusted address; when all are
/// trusted, the leftmost is the client; an entry that is no address ends the walk at the last one that was.
pub fn client_address<'a>(
    peer: Option<IpAddr>, trusted: &TrustedProxies, xff_values: impl DoubleEndedIterator<Item = &'a [u8]>,
) -> ClientAddress {
    let peer_trusted = trusted.trusts_peer(peer);
    let mut hops = SmallVec::new();
    if peer_trusted {
        let entries = xff_values.rev().flat_map(|value| value.rsplit(|&byte| byte == b','));
        for entry in entries.map(<[u8]>::trim_ascii).filter(|entry| !entry.is_empty()) {
            let Some(address) = parse_entry(entry) else { break };
            hops.push(address);
            if !trusted.trusts(address) {
                break;
            }
        }
        hops.reverse();
    }
    let ip = hops.first().copied().or(peer).map(|address| address.to_canonical());
    ClientAddress { ip, peer_trusted, hops }
}

/// `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:443`.
fn parse_entry(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?;
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    if let Some(bare) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return bare.parse::<std::net::Ipv6Addr>().ok().map(|address| IpAddr::from(address).to_canonical());
    }
    if text.contains('%') {
        return None; // a zone means something on the sender's machine alone
    }
    text.parse::<SocketAddr>().ok().map(|address| address.ip().to_canonical())
}

#[cfg(test)]
mod tests;
