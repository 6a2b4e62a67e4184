//! What an upstream's answer says about itself, told for the client: its addresses and names become the public
//! ones, and its paths the ones before `strip` or `rewrite` (the fields: RFC 9110 10.2.2, 8.7; RFC 8288; RFC 6265).

use super::host;
use super::path::decode_escape;
use std::net::IpAddr;

/// A field that can name the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Location,
    ContentLocation,
    /// `5; url=…`
    Refresh,
    /// `<…>; rel=next, <…>`
    Link,
    /// Its `Domain` alone; everything else is the application's.
    SetCookie,
}

/// How to tell it.
pub struct MapBack<'a> {
    /// Hosts (lower case, IPv6 in brackets) and ports of the upstream.
    pub hidden: &'a [(Box<str>, u16)],
    pub public_scheme: &'a [u8],
    /// `host[:port]` as the client knows it; empty when it named none: then references become relative.
    pub public_authority: &'a [u8],
    /// The public path for a path of the upstream; `None` leaves it.
    pub path: &'a dyn Fn(&[u8]) -> Option<Vec<u8>>,
}

/// The value for the client, or `None` to leave it as it is. Afterwards neither an address nor a name of the
/// upstream is in the value, but where the public authority has the same host.
pub fn map(kind: Kind, value: &[u8], map: &MapBack<'_>) -> Option<Vec<u8>> {
    let mapped = match kind {
        Kind::Location | Kind::ContentLocation => map.reference(value),
        Kind::Refresh => map.refresh(value),
        Kind::Link => map.link(value),
        Kind::SetCookie => return map.set_cookie(value),
    };
    let scrubbed = map.scrub(mapped.as_deref().unwrap_or(value));
    scrubbed.or(mapped)
}

impl MapBack<'_> {
    /// A URI reference (RFC 3986 4.1).
    fn reference(&self, reference: &[u8]) -> Option<Vec<u8>> {
        let Some((scheme, authority, rest)) = split_authority(reference) else {
            return self.relative(reference);
        };
        let public = authority.eq_ignore_ascii_case(self.public_authority) && !authority.is_empty();
        if !public && !self.hides(authority) {
            return None;
        }
        let (path, tail) = split_path(rest);
        let path = if path.is_empty() { b"/" } else { path };
        let mapped = (self.path)(path);
        if public {
            let mapped = mapped?;
            return Some([&reference[..reference.len() - rest.len()], &mapped, tail].concat());
        }
        let mut out = Vec::with_capacity(reference.len() + self.public_authority.len());
        if !self.public_authority.is_empty() {
            if !scheme.is_empty() {
                out.extend_from_slice(self.public_scheme);
                out.push(b':');
            }
            out.extend_from_slice(b"//");
            out.extend_from_slice(self.public_authority);
        }
        out.extend_from_slice(mapped.as_deref().unwrap_or(path));
        out.extend_from_slice(tail);
        Some(out)
    }

    /// Only an absolute path can be mapped; others are relative to a public URL already.
    fn relative(&self, reference: &[u8]) -> Option<Vec<u8>> {
        if reference.first() != Some(&b'/') {
            return None;
        }
        let (path, tail) = split_path(reference);
        let mut mapped = (self.path)(path)?;
        mapped.extend_from_slice(tail);
        Some(mapped)
    }

    fn refresh(&self, value: &[u8]) -> Option<Vec<u8>> {
        let equals = memchr::memchr(b'=', value)?;
        let name = value[..equals].trim_ascii_end();
        let before = &name[..name.len().checked_sub(3)?];
        if !name.ends_with_ignore_case(b"url") || !before.last().is_none_or(|byte| b" \t;,".contains(byte)) {
            return None;
        }
        let quotes: &[u8] = b"\"' \t";
        let start = value[equals + 1..].iter().position(|byte| !quotes.contains(byte))? + equals + 1;
        let end =
            value[start..].iter().position(|byte| quotes.contains(byte)).map_or(value.len(), |n| start + n);
        let mapped = self.reference(&value[start..end])?;
        Some([&value[..start], &mapped, &value[end..]].concat())
    }

    fn link(&self, value: &[u8]) -> Option<Vec<u8>> {
        let (mut out, mut at, mut changed) = (Vec::with_capacity(value.len()), 0, false);
        while let Some(open) = memchr::memchr(b'<', &value[at..]) {
            let start = at + open + 1;
            let Some(length) = memchr::memchr(b'>', &value[start..]) else { break };
            let end = start + length;
            out.extend_from_slice(&value[at..start]);
            match self.reference(&value[start..end]) {
                Some(mapped) => {
                    changed = true;
                    out.extend_from_slice(&mapped);
                }
                None => out.extend_from_slice(&value[start..end]),
            }
            at = end;
        }
        out.extend_from_slice(&value[at..]);
        changed.then_some(out)
    }

    /// A cookie for the upstream's own name (or for a domain above it that is not above the public host) would be
    /// refused by the client: without a Domain it belongs to the public host.
    fn set_cookie(&self, value: &[u8]) -> Option<Vec<u8>> {
        let mut kept: Vec<&[u8]> = Vec::new();
        let mut changed = false;
        for (index, attribute) in value.split(|&byte| byte == b';').enumerate() {
            if index > 0 && self.is_hidden_domain(attribute) {
                changed = true;
            } else {
                kept.push(attribute);
            }
        }
        changed.then(|| kept.join(&b';'))
    }

    fn is_hidden_domain(&self, attribute: &[u8]) -> bool {
        let Some(equals) = memchr::memchr(b'=', attribute) else { return false };
        if !attribute[..equals].trim_ascii().eq_ignore_ascii_case(b"domain") {
            return false;
        }
        let domain = attribute[equals + 1..].trim_ascii().to_ascii_lowercase();
        let domain = domain.strip_prefix(b".").unwrap_or(&domain);
        let below = |host: &[u8]| {
            host.strip_suffix(domain).is_some_and(|left| left.is_empty() || left.ends_with(b"."))
        };
        if domain.is_empty() || self.public_name().is_some_and(|public| below(&public)) {
            return false;
        }
        self.hidden.iter().any(|(host, _)| below(host.as_bytes()) || same_address(host.as_bytes(), domain))
    }

    fn public_name(&self) -> Option<Vec<u8>> {
        let host = host::parse(self.public_authority).ok()?;
        Some(host.name.to_ascii_lowercase())
    }

    /// Whether an authority is the upstream's. Where gateway and upstream share a host, the port decides.
    fn hides(&self, authority: &[u8]) -> bool {
        let after_user = memchr::memrchr(b'@', authority).map_or(authority, |at| &authority[at + 1..]);
        let decoded = decode(after_user);
        let (name, port) = split_port(&decoded);
        let name = name.to_ascii_lowercase();
        let name = name.strip_suffix(b".").unwrap_or(&name);
        let shared = self.public_name().is_some_and(|public| same_host(&public, name));
        self.hidden
            .iter()
            .filter(|(host, _)| same_host(host.as_bytes(), name))
            .any(|(_, hidden_port)| !shared || port.unwrap_or(80) == *hidden_port)
    }

    /// Replaces what is left of the upstream's hosts, say in the query of a link to a third site.
    fn scrub(&self, value: &[u8]) -> Option<Vec<u8>> {
        let public = self.public_name();
        let mut current: Option<Vec<u8>> = None;
        for (host, port) in self.hidden {
            let shared = public.as_deref().is_some_and(|public| same_host(public, host.as_bytes()));
            let search = Scrub {
                host: host.as_bytes(),
                only_port: shared.then_some(*port),
                public: self.public_authority,
            };
            if let Some(scrubbed) = search.run(current.as_deref().unwrap_or(value)) {
                current = Some(scrubbed);
            }
        }
        current
    }
}

mod scrub;
use scrub::Scrub;

/// `scheme` (maybe empty), authority and the rest of a reference that has an authority. Browsers take `\` for `/`
/// and skip blanks in front, so that is how a hidden host is looked for.
fn split_authority(reference: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let trimmed = reference.trim_ascii_start();
    let slash = |byte: &u8| matches!(byte, b'/' | b'\\');
    let scheme_end = trimmed.iter().position(|byte| matches!(byte, b':' | b'/' | b'\\' | b'?' | b'#'));
    let (scheme, after) = match scheme_end {
        Some(at) if trimmed[at] == b':' => (&trimmed[..at], &trimmed[at + 1..]),
        _ => (&trimmed[..0], trimmed),
    };
    let rest = match after {
        [first, second, rest @ ..] if slash(first) && slash(second) => rest,
        _ => return None,
    };
    let end = rest.iter().position(|byte| slash(byte) || matches!(byte, b'?' | b'#')).unwrap_or(rest.len());
    Some((scheme, &rest[..end], &rest[end..]))
}

/// The path, and `?query#fragment`.
fn split_path(rest: &[u8]) -> (&[u8], &[u8]) {
    rest.split_at(rest.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(rest.len()))
}

/// Host, and port when there is one.
fn split_port(authority: &[u8]) -> (&[u8], Option<u16>) {
    let bracket = memchr::memrchr(b']', authority).unwrap_or(0);
    match memchr::memrchr(b':', authority).filter(|&colon| colon > bracket) {
        Some(colon) => {
            let port =
                std::str::from_utf8(&authority[colon + 1..]).ok().and_then(|digits| digits.parse().ok());
            (&authority[..colon], port)
        }
        None => (authority, None),
    }
}

fn decode(text: &[u8]) -> Vec<u8> {
    let (mut out, mut at) = (Vec::with_capacity(text.len()), 0);
    while at < text.len() {
        match decode_escape(&text[at..]) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(text[at]);
                at += 1;
            }
        }
    }
    out
}

/// Equal names, or one address in two spellings.
fn same_host(a: &[u8], b: &[u8]) -> bool {
    a == b || same_address(a, b)
}

fn same_address(a: &[u8], b: &[u8]) -> bool {
    address(a).is_some_and(|a| address(b) == Some(a))
}

fn address(host: &[u8]) -> Option<IpAddr> {
    let bare = host.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]")).unwrap_or(host);
    std::str::from_utf8(bare).ok()?.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

trait EndsWith {
    fn ends_with_ignore_case(&self, end: &[u8]) -> bool;
}

impl EndsWith for [u8] {
    fn ends_with_ignore_case(&self, end: &[u8]) -> bool {
        self.len() >= end.len() && self[self.len() - end.len()..].eq_ignore_ascii_case(end)
    }
}

#[cfg(test)]
mod tests;
