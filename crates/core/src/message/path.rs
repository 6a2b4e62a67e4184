//! The normal form of a request's path (RFC 3986 6.2.2), settled once, before anything looks at it: routes,
//! policies and the upstream see the same bytes.

/// What [`normalise`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Normal {
    /// The path is its own normal form; `out` is untouched.
    AsIs,
    /// The normal form was appended to `out`.
    Changed,
}

/// Why a path is refused (400, and the client's fault).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathError {
    /// It does not begin with `/`.
    NotAbsolute,
    /// A byte that no path may hold: a control, a blank, `"<>\?#`, or one above 0x7E.
    BadByte,
    /// `%` without two hex digits.
    BadEscape,
    /// `%00`.
    Nul,
    /// A dot segment behind an escaped separator or before a `;`: `a%2F..`, `..%5Cx`, `..;a`.
    HiddenDots,
    /// A rewrite has made more of it than may be sent.
    TooLong,
    /// A rewrite would have to change more places than is reasonable.
    TooManyMatches,
}

impl PathError {
    pub fn reason(self) -> &'static str {
        match self {
            PathError::NotAbsolute => "the path does not begin with a slash",
            PathError::BadByte => "the path has a byte that must be escaped",
            PathError::BadEscape => "the path has a bad escape",
            PathError::Nul => "the path has an escaped NUL",
            PathError::HiddenDots => "the path hides a dot segment",
            PathError::TooLong => "the path becomes too long",
            PathError::TooManyMatches => "the path has too many places that a rewrite changes",
        }
    }
}

/// Brings `path` (without its query) to its normal form:
///
/// - escapes of unreserved characters are decoded, all others stay as sent (RFC 3986 6.2.2.2);
/// - dot segments are resolved, above the root they vanish (RFC 3986 5.2.4, 6.2.2.3);
/// - empty segments stay, for they may mean something to the upstream.
///
/// Bytes outside of RFC 3986 `pchar` are refused, but for `{}|^[]` and the backtick, which browsers send bare.
/// Most paths are in normal form: one pass over a table of classes finds that out.
pub fn normalise(path: &[u8], out: &mut Vec<u8>) -> Result<Normal, PathError> {
    if path.first() != Some(&b'/') {
        return Err(PathError::NotAbsolute);
    }
    let seen = path.iter().fold(0, |seen, &byte| seen | CLASS[byte as usize]);
    if seen & BAD != 0 {
        return Err(PathError::BadByte);
    }
    let dots = seen & DOT != 0 && path.windows(2).any(|pair| pair == b"/.");
    if seen & ESCAPE == 0 && !dots {
        return Ok(Normal::AsIs);
    }
    let base = out.len();
    let result = rewrite(path, out, base);
    if result != Ok(Normal::Changed) {
        out.truncate(base);
    }
    result
}

/// Appends the normal form, segment by segment; what stands before `base` is not touched.
fn rewrite(path: &[u8], out: &mut Vec<u8>, base: usize) -> Result<Normal, PathError> {
    let mut segments = path[1..].split(|&byte| byte == b'/').peekable();
    while let Some(segment) = segments.next() {
        let start = out.len();
        out.push(b'/');
        decode_unreserved(segment, out)?;
        let decoded = &out[start + 1..];
        let last = segments.peek().is_none();
        match decoded {
            b"." => out.truncate(start),
            b".." => {
                let parent = out[base..start].iter().rposition(|&byte| byte == b'/').unwrap_or(0);
                out.truncate(base + parent);
            }
            _ if hides_dots(decoded) => return Err(PathError::HiddenDots),
            _ => continue,
        }
        if last {
            out.push(b'/');
        }
    }
    Ok(if out[base..] == *path { Normal::AsIs } else { Normal::Changed })
}

fn decode_unreserved(segment: &[u8], out: &mut Vec<u8>) -> Result<(), PathError> {
    let mut at = 0;
    while at < segment.len() {
        if segment[at] != b'%' {
            out.push(segment[at]);
            at += 1;
            continue;
        }
        match decode_escape(&segment[at..]) {
            None => return Err(PathError::BadEscape),
            Some(0) => return Err(PathError::Nul),
            Some(byte) if is_unreserved(byte) => out.push(byte),
            Some(_) => out.extend_from_slice(&segment[at..at + 3]),
        }
        at += 3;
    }
    Ok(())
}

/// What some upstreams would read as a dot segment: between escaped separators, or before a parameter.
/// The segment's unreserved escapes are decoded already, so that a dot is a dot.
fn hides_dots(segment: &[u8]) -> bool {
    let (mut rest, mut whole) = (segment, true);
    loop {
        let end = separator(rest);
        let piece = &rest[..end.unwrap_or(rest.len())];
        whole &= end.is_none();
        if (!whole && matches!(piece, b"." | b"..")) || dots_and_parameter(piece) {
            return true;
        }
        match end {
            Some(end) => rest = &rest[end + 3..],
            None => return false,
        }
    }
}

/// The place of the next `%2F` or `%5C`.
fn separator(bytes: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'%', bytes).find(|&at| matches!(decode_escape(&bytes[at..]), Some(b'/' | b'\\')))
}

/// `.;…`, `..;…`, and the same with `%3B`.
fn dots_and_parameter(piece: &[u8]) -> bool {
    let rest = piece.strip_prefix(b"..").or_else(|| piece.strip_prefix(b"."));
    rest.is_some_and(|rest| rest.starts_with(b";") || decode_escape(rest) == Some(b';'))
}

/// How else applications may read a path: some take `%2F` for a slash before they split, some `%5C` as well, and
/// some drop the parameters of segments (`;a=b`). Empty where none of that makes a difference; costs one look at
/// most paths.
pub fn other_readings(path: &[u8]) -> Vec<Vec<u8>> {
    if memchr::memchr2(b'%', b';', path).is_none() {
        return Vec::new();
    }
    let mut readings: Vec<Vec<u8>> = Vec::new();
    let mut add = |reading: Vec<u8>| {
        if reading != path && !readings.contains(&reading) {
            readings.push(reading);
        }
    };
    for separators in [&b""[..], b"/", b"/\\"] {
        let bare = with_bare(path, separators);
        add(without_parameters(&bare));
        add(bare);
    }
    readings
}

/// The path with the escapes of these bytes as slashes.
fn with_bare(path: &[u8], separators: &[u8]) -> Vec<u8> {
    let (mut bare, mut at) = (Vec::with_capacity(path.len()), 0);
    while at < path.len() {
        if decode_escape(&path[at..]).is_some_and(|byte| separators.contains(&byte)) {
            bare.push(b'/');
            at += 3;
        } else {
            bare.push(path[at]);
            at += 1;
        }
    }
    bare
}

/// The path and other readings of it as an application sees them that decodes before it looks: all escapes but
/// those of `/`, `\\` and `%`, which mean something undecoded. Nothing where there is no escape.
pub fn decoded_readings(path: &[u8], others: &[Vec<u8>]) -> Vec<Vec<u8>> {
    if memchr::memchr(b'%', path).is_none() {
        return Vec::new();
    }
    let paths = std::iter::once(path).chain(others.iter().map(Vec::as_slice));
    paths.map(decoded).flat_map(|decoded| [without_parameters(&decoded), decoded]).collect()
}

fn decoded(path: &[u8]) -> Vec<u8> {
    let (mut out, mut at) = (Vec::with_capacity(path.len()), 0);
    while at < path.len() {
        match decode_escape(&path[at..]) {
            Some(byte) if !matches!(byte, b'/' | b'\\' | b'%') => {
                out.push(byte);
                at += 3;
            }
            _ => {
                out.push(path[at]);
                at += 1;
            }
        }
    }
    out
}

fn without_parameters(path: &[u8]) -> Vec<u8> {
    let segments = path.split(|byte| *byte == b'/');
    let names = segments.map(|segment| &segment[..memchr::memchr(b';', segment).unwrap_or(segment.len())]);
    names.collect::<Vec<_>>().join(&b"/"[..])
}

/// The byte that the escape at the head of `text` stands for (RFC 3986 2.1).
pub fn decode_escape(text: &[u8]) -> Option<u8> {
    match text {
        [b'%', high, low, ..] => Some(hex(*high)? << 4 | hex(*low)?),
        _ => None,
    }
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

pub(crate) fn is_control(byte: u8) -> bool {
    byte < 0x20 || byte == 0x7F
}

/// RFC 3986 2.3.
pub(crate) const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Bytes that may stand in a segment as they are.
pub(crate) static PLAIN: [bool; 256] = {
    let (mut plain, mut byte) = ([false; 256], 0);
    while byte < 256 {
        let sub_delim_or_more = matches!(
            byte as u8,
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':' | b'@'
        );
        let bare_in_browsers = matches!(byte as u8, b'{' | b'}' | b'|' | b'^' | b'[' | b']' | b'`');
        plain[byte] = is_unreserved(byte as u8) || sub_delim_or_more || bare_in_browsers;
        byte += 1;
    }
    plain
};

const BAD: u8 = 1;
const ESCAPE: u8 = 2;
const DOT: u8 = 4;

static CLASS: [u8; 256] = {
    let (mut class, mut byte) = ([0; 256], 0);
    while byte < 256 {
        class[byte] = match byte as u8 {
            b'%' => ESCAPE,
            b'.' => DOT,
            b'/' => 0,
            _ if PLAIN[byte] => 0,
            _ => BAD,
        };
        byte += 1;
    }
    class
};

#[cfg(test)]
mod tests;
