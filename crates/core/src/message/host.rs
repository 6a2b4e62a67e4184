//! The value of Host, or the authority of a request target (RFC 9110 7.2, RFC 3986 3.2.2).

use std::net::Ipv6Addr;

/// A sound authority without user information.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Host<'a> {
    /// As sent, an IPv6 address in its brackets; without the dot that may end an absolute name.
    pub name: &'a [u8],
    /// The name has upper-case letters; routes compare lower case.
    pub needs_lowering: bool,
    pub port: Option<u16>,
}

impl Host<'_> {
    /// Appends the name in lower case.
    pub fn lower_into(&self, out: &mut Vec<u8>) {
        out.extend(self.name.iter().map(u8::to_ascii_lowercase));
    }
}

/// Why a value is no host (400, and the client's fault).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostError {
    Empty,
    /// A byte that no name may hold, an empty label, or more than 255 bytes.
    Name,
    /// Brackets without an IPv6 address in them.
    Ipv6,
    /// Not 1 to 65535.
    Port,
}

impl HostError {
    pub fn reason(self) -> &'static str {
        match self {
            HostError::Empty => "the host is empty",
            HostError::Name => "the host is not a name",
            HostError::Ipv6 => "the host is not an IPv6 address",
            HostError::Port => "the host has a bad port",
        }
    }
}

/// Reads `name`, `name:port`, `192.0.2.1`, `[2001:db8::1]:443`.
///
/// Stricter than RFC 3986 `reg-name`: no escapes, which would let one name be spelled in many ways, and no
/// commas, which would let two fields pass as one.
pub fn parse(value: &[u8]) -> Result<Host<'_>, HostError> {
    let (name, port) = match value {
        [] => return Err(HostError::Empty),
        [b'[', ..] => split_ipv6(value)?,
        _ => split_name(value)?,
    };
    // `a.example:` has a port that says nothing (RFC 3986, 3.2.3).
    let port = match port.filter(|digits| !digits.is_empty()) {
        Some(digits) => Some(parse_port(digits)?),
        None => None,
    };
    Ok(Host { name, needs_lowering: name.iter().any(u8::is_ascii_uppercase), port })
}

type Split<'a> = (&'a [u8], Option<&'a [u8]>);

fn split_ipv6(value: &[u8]) -> Result<Split<'_>, HostError> {
    let end = memchr::memchr(b']', value).ok_or(HostError::Ipv6)?;
    let text = std::str::from_utf8(&value[1..end]).map_err(|_| HostError::Ipv6)?;
    text.parse::<Ipv6Addr>().map_err(|_| HostError::Ipv6)?;
    match &value[end + 1..] {
        [] => Ok((&value[..=end], None)),
        [b':', digits @ ..] => Ok((&value[..=end], Some(digits))),
        _ => Err(HostError::Ipv6),
    }
}

fn split_name(value: &[u8]) -> Result<Split<'_>, HostError> {
    let (name, port) = match memchr::memchr(b':', value) {
        Some(colon) => (&value[..colon], Some(&value[colon + 1..])),
        None => (value, None),
    };
    let name = name.strip_suffix(b".").unwrap_or(name);
    let mut before = b'.';
    for &byte in name {
        if !NAME[byte as usize] || (byte == b'.' && before == b'.') {
            return Err(HostError::Name);
        }
        before = byte;
    }
    if before == b'.' || name.len() > 255 { Err(HostError::Name) } else { Ok((name, port)) }
}

fn parse_port(digits: &[u8]) -> Result<u16, HostError> {
    if digits.len() > 5 {
        return Err(HostError::Port);
    }
    let mut port = 0u32;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return Err(HostError::Port);
        }
        port = port * 10 + u32::from(digit - b'0');
    }
    u16::try_from(port).ok().filter(|port| *port != 0).ok_or(HostError::Port)
}

/// RFC 3986: unreserved and sub-delims, less the comma.
static NAME: [bool; 256] = {
    let (mut name, mut byte) = ([false; 256], 0);
    while byte < 256 {
        name[byte] = super::path::is_unreserved(byte as u8)
            || matches!(byte as u8, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b';' | b'=');
        byte += 1;
    }
    name
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_hosts() {
        for (value, name, port, lowering) in [
            ("a.example", "a.example", None, false),
            ("A.Example:8080", "A.Example", Some(8080), true),
            ("a.example.", "a.example", None, false),
            ("a.example.:80", "a.example", Some(80), false),
            ("localhost", "localhost", None, false),
            ("a_b.example", "a_b.example", None, false),
            ("192.0.2.1:65535", "192.0.2.1", Some(65535), false),
            ("[2001:DB8::1]:443", "[2001:DB8::1]", Some(443), true),
            ("[::1]", "[::1]", None, false),
            ("a:080", "a", Some(80), false),
            ("a:", "a", None, false),
            ("[::1]:", "[::1]", None, false),
        ] {
            let host = parse(value.as_bytes()).expect(value);
            assert_eq!(
                (host.name, host.port, host.needs_lowering),
                (name.as_bytes(), port, lowering),
                "{value}"
            );
            let mut lower = Vec::new();
            host.lower_into(&mut lower);
            assert_eq!(lower, name.to_ascii_lowercase().into_bytes());
        }
    }

    #[test]
    fn refused_hosts() {
        let long = "a".repeat(256);
        for (value, error) in [
            ("", HostError::Empty),
            (".", HostError::Name),
            ("a..b", HostError::Name),
            (".a", HostError::Name),
            ("a..", HostError::Name),
            (":80", HostError::Name),
            ("user@a", HostError::Name),
            ("a, b", HostError::Name),
            ("a,b", HostError::Name),
            ("a b", HostError::Name),
            ("a\tb", HostError::Name),
            ("a/b", HostError::Name),
            ("a\\b", HostError::Name),
            ("a?b", HostError::Name),
            ("a#b", HostError::Name),
            ("%61", HostError::Name),
            ("\u{e9}", HostError::Name),
            (long.as_str(), HostError::Name),
            ("a:0", HostError::Port),
            ("a:65536", HostError::Port),
            ("a:123456", HostError::Port),
            ("a:+80", HostError::Port),
            ("a:80:80", HostError::Port),
            ("::1", HostError::Name),
            ("[::1", HostError::Ipv6),
            ("[]", HostError::Ipv6),
            ("[::1]x", HostError::Ipv6),
            ("[::1%25eth0]", HostError::Ipv6),
            ("[1.2.3.4]", HostError::Ipv6),
            ("[v1.x]", HostError::Ipv6),
            ("[::1]:x", HostError::Port),
        ] {
            assert_eq!(parse(value.as_bytes()), Err(error), "{value}");
            assert!(!error.reason().is_empty());
        }
    }
}
