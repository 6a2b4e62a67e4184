//! Match strings: `[METHODS ]host/path`, read into what they mean.

use crate::http1::is_token;
use crate::message::path::{PLAIN, decode_escape, is_control};
use std::fmt;

/// One match string, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// Upper case, in the order written; `None` matches every method.
    pub methods: Option<Vec<Box<str>>>,
    pub host: HostPattern,
    pub path: PathPattern,
}

/// The hosts of a match string, lower case. The order of the variants is the order of precedence.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum HostPattern {
    Exact(Box<str>),
    /// `*.a.example`: one label before `a.example`.
    OneLabel(Box<str>),
    /// `**.a.example`: one label or more before `a.example`.
    AnyDepth(Box<str>),
    Any,
}

/// The path of a match string, as its segments. `/` has one segment, the empty literal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern(pub Vec<Segment>);

/// The order of the variants is the order of precedence.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Segment {
    /// Decoded bytes: `a b` and `a%20b` are the same literal.
    Literal(Box<[u8]>),
    /// `{id}`: one segment that is not empty.
    Capture(Box<str>),
    /// `{rest:path}`: what remains, with its leading slash when there is one. Always the last segment.
    Rest(Box<str>),
}

/// Why a text cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    pub message: String,
    pub hint: Option<String>,
}

impl Unreadable {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Unreadable { message: message.into(), hint: None }
    }

    pub(crate) fn hinted(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Unreadable { message: message.into(), hint: Some(hint.into()) }
    }
}

/// What an upstream's path is made from has neither query nor fragment.
pub(crate) fn only_a_path(text: &str) -> Result<(), Unreadable> {
    let Some(mark) = text.chars().find(|mark| matches!(mark, '?' | '#')) else { return Ok(()) };
    let escape =
        format!("queries pass as they are; a `{mark}` inside of a path is written `%{:02X}`", mark as u32);
    Err(Unreadable::hinted(format!("`{text}` has more than a path"), escape))
}

impl Pattern {
    pub fn parse(text: &str) -> Result<Self, Unreadable> {
        let (methods, place) = match text.split_once(' ') {
            Some((before, after)) if !before.contains('/') => (Some(methods(before)?), after.trim_start()),
            _ => (None, text),
        };
        let Some(slash) = place.find('/') else {
            return Err(Unreadable::hinted(
                format!("`{text}` has no path"),
                format!("every path of a host is `{place}/{{rest:path}}`"),
            ));
        };
        let (host, path) = place.split_at(slash);
        Ok(Pattern { methods, host: HostPattern::parse(host)?, path: PathPattern::parse(path)? })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(methods) = &self.methods {
            write!(f, "{} ", methods.join(","))?;
        }
        write!(f, "{}{}", self.host, self.path)
    }
}

fn methods(text: &str) -> Result<Vec<Box<str>>, Unreadable> {
    let mut methods: Vec<Box<str>> = Vec::new();
    for name in text.split(',') {
        check_method(name)?;
        if !methods.iter().any(|known| **known == *name) {
            methods.push(name.into());
        }
    }
    Ok(methods)
}

const METHODS_HINT: &str = "methods are upper case, with commas and no blanks: `GET,HEAD shop.example.com/x`";

/// RFC 9110 9.1: a method is a token and case-sensitive. Lower case is refused, since it is always a slip.
pub(crate) fn check_method(name: &str) -> Result<(), Unreadable> {
    // `GET|POST` would be one method's name.
    let slip = name.bytes().any(|byte| byte.is_ascii_lowercase() || byte == b'|');
    if !is_token(name.as_bytes()) || slip {
        let hint = if matches!(name, "~" | "~*" | "=") {
            "a match is no regular expression and has no marks: `/users/{id}`, `/files/{rest:path}`"
        } else {
            METHODS_HINT
        };
        return Err(Unreadable::hinted(format!("`{name}` is not a method"), hint));
    }
    Ok(())
}

impl HostPattern {
    fn parse(text: &str) -> Result<Self, Unreadable> {
        if text.is_empty() {
            return Ok(HostPattern::Any);
        }
        let lower = text.to_ascii_lowercase();
        if let Some(suffix) = lower.strip_prefix("**.") {
            return Ok(HostPattern::AnyDepth(host_name(suffix, text)?));
        }
        if let Some(suffix) = lower.strip_prefix("*.") {
            return Ok(HostPattern::OneLabel(host_name(suffix, text)?));
        }
        if let Some(address) = lower.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let address: std::net::Ipv6Addr =
                address.parse().map_err(|_| Unreadable::new(format!("`{text}` is not an IPv6 address")))?;
            return Ok(HostPattern::Exact(format!("[{address}]").into()));
        }
        Ok(HostPattern::Exact(host_name(&lower, text)?))
    }
}

fn host_name(name: &str, whole: &str) -> Result<Box<str>, Unreadable> {
    let hint = if whole.contains(['^', '$', '~', '(', '\\']) {
        "a match is no regular expression: `/users/{id}`, `/files/{rest:path}`"
    } else if whole.contains(':') {
        "a match names no scheme and no port: which ports are served is up to the listeners"
    } else if whole.contains([' ', ',']) {
        METHODS_HINT
    } else if whole.contains('*') {
        "a wildcard is the first label: `*.example.com` (one label) or `**.example.com` (any depth)"
    } else if !whole.is_ascii() {
        "write an international name in its ASCII form, `xn--...`"
    } else {
        "a host is `shop.example.com`, `*.example.com`, `**.example.com` or nothing"
    };
    let label = |label: &str| {
        !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.len() > 253 || !name.split('.').all(label) {
        return Err(Unreadable::hinted(format!("`{whole}` is not a host"), hint));
    }
    Ok(name.into())
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostPattern::Exact(name) => f.write_str(name),
            HostPattern::OneLabel(suffix) => write!(f, "*.{suffix}"),
            HostPattern::AnyDepth(suffix) => write!(f, "**.{suffix}"),
            HostPattern::Any => Ok(()),
        }
    }
}

impl PathPattern {
    /// Reads a path template: literal segments, `{name}`, and `{name:path}` at the end.
    pub fn parse(text: &str) -> Result<Self, Unreadable> {
        let Some(after) = text.strip_prefix('/') else {
            return Err(Unreadable::new(format!("the path `{text}` does not begin with `/`")));
        };
        let texts: Vec<&str> = after.split('/').collect();
        if texts.len() > MOST_SEGMENTS {
            return Err(Unreadable::new(format!("a path has at most {MOST_SEGMENTS} segments")));
        }
        let mut segments = Vec::with_capacity(texts.len());
        for (index, segment) in texts.iter().enumerate() {
            segments.push(Segment::parse(segment, index + 1 == texts.len())?);
        }
        let pattern = PathPattern(segments);
        let names: Vec<&str> = pattern.names().collect();
        match names.iter().enumerate().find(|(index, name)| names[..*index].contains(name)) {
            Some((_, twice)) => Err(Unreadable::new(format!("`{{{twice}}}` stands twice in `{text}`"))),
            None => Ok(pattern),
        }
    }

    /// Names of the captures, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(Segment::name)
    }

    /// Sorts paths as the router prefers them.
    pub(crate) fn cmp_precedence(&self, other: &Self) -> std::cmp::Ordering {
        self.0.iter().map(Segment::precedence).cmp(other.0.iter().map(Segment::precedence))
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|segment| write!(f, "/{segment}"))
    }
}

/// Bounds the depth of a look-up.
const MOST_SEGMENTS: usize = 100;

/// The longest literal that is compared; look-ups decode into a buffer of this size.
pub(crate) const LONGEST_LITERAL: usize = 255;

impl Segment {
    fn parse(text: &str, last: bool) -> Result<Self, Unreadable> {
        if let Some(inner) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            return Self::capture(inner, last);
        }
        if text.contains(['{', '}']) {
            return Err(Unreadable::hinted(
                format!("a capture is a whole segment, not a part of `{text}`"),
                "a literal brace is written `%7B` or `%7D`",
            ));
        }
        Ok(Segment::Literal(literal(text)?))
    }

    fn capture(inner: &str, last: bool) -> Result<Self, Unreadable> {
        let (name, kind) = inner.split_once(':').map_or((inner, None), |(name, kind)| (name, Some(kind)));
        let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
        if !first || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err(Unreadable::hinted(
                format!("`{{{inner}}}` has no usable name"),
                "a name has letters, digits and `_`, and begins with no digit: `{id}`",
            ));
        }
        match kind {
            None => Ok(Segment::Capture(name.into())),
            Some("path") if last => Ok(Segment::Rest(name.into())),
            Some("path") => Err(Unreadable::new(format!("`{{{inner}}}` can only be the last segment"))),
            Some(kind) => Err(Unreadable::hinted(
                format!("`{kind}` is not a kind of capture"),
                format!("`{{{name}}}` takes one segment, `{{{name}:path}}` all that remain"),
            )),
        }
    }

    pub fn name(&self) -> Option<&str> {
        match self {
            Segment::Literal(_) => None,
            Segment::Capture(name) | Segment::Rest(name) => Some(name),
        }
    }

    /// Names of captures do not count: `/{a}` and `/{b}` match the same paths.
    fn precedence(&self) -> (u8, &[u8]) {
        match self {
            Segment::Literal(bytes) => (0, bytes),
            Segment::Capture(_) => (1, b""),
            Segment::Rest(_) => (2, b""),
        }
    }
}

/// The bytes that a literal segment stands for.
fn literal(text: &str) -> Result<Box<[u8]>, Unreadable> {
    not_meant_as_capture(text)?;
    let (bytes, mut decoded, mut at) = (text.as_bytes(), Vec::with_capacity(text.len()), 0);
    while at < bytes.len() {
        match bytes[at] {
            b'%' => {
                let byte = decode_escape(&bytes[at..]).filter(|byte| *byte != 0).ok_or_else(|| {
                    Unreadable::hinted(
                        format!("`{text}` has a bad escape"),
                        "an escape is `%` and two hex digits, not `%00`; a literal `%` is written `%25`",
                    )
                })?;
                decoded.push(byte);
                at += 3;
            }
            b'?' | b'#' => {
                return Err(Unreadable::hinted(
                    format!("`{text}` has a query or a fragment"),
                    "a match looks at host and path; a `?` inside of a path is written `%3F`",
                ));
            }
            byte if is_control(byte) => {
                return Err(Unreadable::new("a path has no control characters"));
            }
            byte => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    match decoded.as_slice() {
        b"." | b".." => Err(Unreadable::hinted(
            format!("the segment `{text}` never arrives"),
            "dot segments are resolved before a path is matched",
        )),
        long if long.len() > LONGEST_LITERAL => {
            Err(Unreadable::new(format!("a literal segment has at most {LONGEST_LITERAL} bytes")))
        }
        _ => Ok(decoded.into_boxed_slice()),
    }
}

/// How captures are written elsewhere: `:id`, `<id>`, `*`. A literal that looks like one is written with an escape.
fn not_meant_as_capture(text: &str) -> Result<(), Unreadable> {
    let bare = text.trim_start_matches([':', '<', '*']).trim_end_matches('>');
    let (mark, name) = match text.bytes().next() {
        Some(mark @ b':') => (mark, bare),
        _ if text.contains('<') => (b'<', bare),
        Some(mark @ b'*') if text.bytes().all(|byte| byte == b'*') => (mark, "name"),
        _ => return Ok(()),
    };
    let usable = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let name = if usable { name } else { "name" };
    let hint = format!(
        "any segment is `{{{name}}}`, all that remain are `{{rest:path}}`; a literal `{}` is written `%{mark:02X}`",
        mark as char
    );
    Err(Unreadable::hinted(format!("`{text}` is no capture"), hint))
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Segment::Literal(bytes) => {
                let stars = bytes.iter().all(|byte| *byte == b'*');
                bytes.iter().enumerate().try_for_each(|(at, &byte)| {
                    let marks = (stars && byte == b'*') || (at == 0 && byte == b':');
                    let meant = matches!(byte, b'%' | b'{' | b'}') || marks;
                    let plain = PLAIN[byte as usize] && !meant;
                    if plain { write!(f, "{}", byte as char) } else { write!(f, "%{byte:02X}") }
                })
            }
            Segment::Capture(name) => write!(f, "{{{name}}}"),
            Segment::Rest(name) => write!(f, "{{{name}:path}}"),
        }
    }
}
