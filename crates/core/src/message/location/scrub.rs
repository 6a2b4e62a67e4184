//! Finds what is left of a hidden host in a text, however it is escaped, and puts the public authority there.

use super::super::path::decode_escape;
use super::{address, same_host, split_port};

/// One hidden host and what takes its place.
pub(super) struct Scrub<'a> {
    /// Lower case.
    pub(super) host: &'a [u8],
    /// Gateway and upstream share the host: only this port is the upstream's.
    pub(super) only_port: Option<u16>,
    pub(super) public: &'a [u8],
}

impl Scrub<'_> {
    /// The text without the host, or `None` when it was not there.
    ///
    /// An address or a name with dots is looked for everywhere. A name of one label (`web`) may be any word, and
    /// counts only where a host stands: after `//` or `@`, or with a port.
    pub(super) fn run(&self, text: &[u8]) -> Option<Vec<u8>> {
        let decoded = self.replace(text, &View::decoded(text));
        // A stray `%` can hide the host from one who decodes: `%127.0.0.1`.
        let plain = decoded.as_deref().unwrap_or(text);
        self.replace(plain, &View::plain(plain)).or(decoded)
    }

    fn replace(&self, text: &[u8], view: &View) -> Option<Vec<u8>> {
        let (mut out, mut copied, mut at, mut done) = (Vec::new(), 0, 0, 0);
        while let Some(found) = view.find(self.host, at) {
            at = found + self.host.len();
            let Some((start, end)) = self.extent(view, found) else { continue };
            // The name below it may reach back into what is replaced already.
            let start = start.max(done);
            out.extend_from_slice(&text[copied..view.starts[start]]);
            self.write_public(view.is_escaped_before(start), &mut out);
            (copied, at, done) = (view.starts[end], end, end);
        }
        if copied == 0 {
            return None;
        }
        out.extend_from_slice(&text[copied..]);
        Some(out)
    }

    /// The whole authority around the host at `found`, in places of the view; `None` when it is another host.
    fn extent(&self, view: &View, found: usize) -> Option<(usize, usize)> {
        let text = &view.bytes;
        let distinct = address(self.host).is_some() || self.host.contains(&b'.');
        let mut start = found;
        if distinct && address(self.host).is_none() && start > 0 && text[start - 1] == b'.' {
            // A name below the upstream's own tells it as well.
            start = text[..start].iter().rposition(|byte| !in_name(*byte)).map_or(0, |before| before + 1);
        }
        if start > 0 && in_name(text[start - 1]) {
            return None;
        }
        let name_end = found + self.host.len();
        let after = &text[name_end..];
        if matches!(after, [byte, ..] if in_name(*byte) && *byte != b'.')
            || matches!(after, [b'.', byte, ..] if byte.is_ascii_alphanumeric())
        {
            return None;
        }
        let digits = match after {
            [b':', digits @ ..] => digits.iter().take_while(|byte| byte.is_ascii_digit()).count(),
            _ => 0,
        };
        let end = if digits > 0 { name_end + 1 + digits } else { name_end };
        let before = &text[..start];
        let authority = before.ends_with(b"//") || before.ends_with(b"\\\\") || before.ends_with(b"@");
        let hidden = (distinct || authority || digits > 0) && self.is_hidden(&text[start..end]);
        hidden.then_some((start, end))
    }

    fn is_hidden(&self, authority: &[u8]) -> bool {
        let (name, port) = split_port(authority);
        let (public, _) = split_port(self.public);
        match self.only_port {
            Some(only) => port.unwrap_or(80) == only,
            None => !same_host(&name.to_ascii_lowercase(), &public.to_ascii_lowercase()),
        }
    }

    /// Within escaped text the authority's own marks are escaped too.
    fn write_public(&self, escaped: bool, out: &mut Vec<u8>) {
        for &byte in self.public {
            match byte {
                b':' if escaped => out.extend_from_slice(b"%3A"),
                b'[' if escaped => out.extend_from_slice(b"%5B"),
                b']' if escaped => out.extend_from_slice(b"%5D"),
                byte => out.push(byte),
            }
        }
    }
}

fn in_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

/// A text in lower case, and where each byte of it began.
struct View {
    bytes: Vec<u8>,
    /// One more than `bytes`: the last is the text's end.
    starts: Vec<usize>,
}

impl View {
    fn plain(text: &[u8]) -> Self {
        View { bytes: text.to_ascii_lowercase(), starts: (0..=text.len()).collect() }
    }

    /// All escapes decoded, also escaped ones (`%252F`).
    fn decoded(text: &[u8]) -> Self {
        let mut view =
            View { bytes: Vec::with_capacity(text.len()), starts: Vec::with_capacity(text.len() + 1) };
        let mut at = 0;
        while at < text.len() {
            let (byte, length) = decode_deep(&text[at..]);
            view.bytes.push(byte.to_ascii_lowercase());
            view.starts.push(at);
            at += length;
        }
        view.starts.push(at);
        view
    }

    fn find(&self, host: &[u8], from: usize) -> Option<usize> {
        memchr::memmem::find(&self.bytes[from..], host).map(|at| from + at)
    }

    /// Whether the byte before `place` was escaped.
    fn is_escaped_before(&self, place: usize) -> bool {
        place > 0 && self.starts[place] - self.starts[place - 1] > 1
    }
}

/// The byte that a (maybe repeatedly) escaped head of `text` stands for, and its length.
fn decode_deep(text: &[u8]) -> (u8, usize) {
    let mut depth = 0;
    if text[0] == b'%' {
        while text[1 + depth..].starts_with(b"25") {
            depth += 2;
        }
        let mut escape = [b'%', 0, 0];
        if let Some(digits) = text.get(1 + depth..3 + depth) {
            escape[1..].copy_from_slice(digits);
            if let Some(byte) = decode_escape(&escape) {
                return (byte, 3 + depth);
            }
        }
        if depth > 0 {
            return (b'%', 1 + depth);
        }
    }
    (text[0], 1)
}
