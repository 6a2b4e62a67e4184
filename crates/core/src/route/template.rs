//! Texts with `{captures}`, for `rewrite` and redirects.

use super::pattern::{PathPattern, Segment, Unreadable, only_a_path};
use super::router::Captures;
use crate::message::path::{PLAIN, decode_escape};

/// Literal bytes and captures, ready to be put together. Captures are raw: their escapes stay as they came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(Box<[u8]>),
    /// A place in [`Captures`].
    Capture(u8),
}

/// The captures of a route, which may have several patterns: one name, one slot, one kind.
#[derive(Debug, Default)]
pub(crate) struct CaptureNames {
    names: Vec<(Box<str>, bool)>,
    /// A pattern could not be read: any name may be one of its captures.
    unknown: bool,
}

impl CaptureNames {
    pub(crate) fn of(patterns: &[PathPattern]) -> Self {
        let mut names = CaptureNames::default();
        for segment in patterns.iter().flat_map(|pattern| &pattern.0) {
            if let Some(name) = segment.name().filter(|name| names.slot(name).is_none()) {
                names.names.push((name.into(), matches!(segment, Segment::Rest(_))));
            }
        }
        names
    }

    pub(crate) fn unknown() -> Self {
        CaptureNames { names: Vec::new(), unknown: true }
    }

    fn slot(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|(known, _)| **known == *name)
    }

    /// The segment that a pattern must have to make this capture.
    pub(crate) fn segment(&self, slot: usize) -> Segment {
        let (name, rest) = &self.names[slot];
        if *rest { Segment::Rest(name.clone()) } else { Segment::Capture(name.clone()) }
    }

    /// For each slot the place of the capture in `pattern`; `None` when they are the same.
    pub(crate) fn slots_of(&self, pattern: &PathPattern) -> Option<Box<[u8]>> {
        let place = |name: &str| pattern.names().position(|known| known == name);
        let slots: Box<[u8]> =
            self.names.iter().map(|(name, _)| place(name).map_or(u8::MAX, |at| at as u8)).collect();
        let identity = slots.iter().enumerate().all(|(slot, &at)| slot == at as usize);
        if identity { None } else { Some(slots) }
    }
}

impl Template {
    /// Reads an absolute path with captures.
    ///
    /// A `{rest}` that a match took with `{rest:path}` brings its own slash, so the one before it goes:
    /// `/v1/{rest}` makes `/v1`, `/v1/` and `/v1/x` of `/api`, `/api/` and `/api/x`.
    pub(crate) fn path(text: &str, names: &CaptureNames) -> Result<Self, Unreadable> {
        if !text.starts_with('/') {
            return Err(Unreadable::new(format!("`{text}` does not begin with `/`")));
        }
        only_a_path(text)?;
        let dots = |segment: &str| matches!(segment, "." | "..");
        if text.split('/').any(|segment| dots(&segment.to_ascii_lowercase().replace("%2e", "."))) {
            return Err(Unreadable::new(format!("`{text}` has a dot segment")));
        }
        Self::parse(text, names)
    }

    /// Reads any text with captures; bytes that no URL may hold are escaped.
    pub(crate) fn parse(text: &str, names: &CaptureNames) -> Result<Self, Unreadable> {
        let (mut pieces, mut rest) = (Vec::new(), text);
        while let Some(open) = rest.find('{') {
            let close = rest[open..].find('}').map(|length| open + length);
            let close =
                close.ok_or_else(|| Unreadable::new(format!("`{text}` has a `{{` without its `}}`")))?;
            let (slot, tail) = capture(&rest[open + 1..close], names)?;
            let mut before = &rest[..open];
            if tail {
                before = before.strip_suffix('/').ok_or_else(|| {
                    Unreadable::new(format!("`{}` must follow a slash in `{text}`", &rest[open..=close]))
                })?;
            }
            push_literal(&mut pieces, before, text)?;
            pieces.push(Piece::Capture(slot));
            rest = &rest[close + 1..];
            if tail && !(rest.is_empty() || rest.starts_with(['/', '?', '#'])) {
                return Err(Unreadable::new(format!(
                    "in `{text}` a slash or nothing must follow what remains"
                )));
            }
        }
        push_literal(&mut pieces, rest, text)?;
        Ok(Template(pieces))
    }

    pub(crate) fn empty() -> Self {
        Template(Vec::new())
    }

    /// Appends the text made for this request's path.
    pub fn expand(&self, path: &[u8], captures: &Captures, out: &mut Vec<u8>) {
        for piece in &self.0 {
            match piece {
                Piece::Literal(bytes) => out.extend_from_slice(bytes),
                Piece::Capture(slot) => out.extend_from_slice(captured(path, captures, *slot)),
            }
        }
    }

    /// The template's captures, by slot.
    pub(crate) fn slots(&self) -> impl Iterator<Item = usize> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Literal(_) => None,
            Piece::Capture(slot) => Some(*slot as usize),
        })
    }

    /// When the template ends with a capture: what stands before it, and its slot.
    pub(crate) fn split_last(&self) -> Option<(Template, u8)> {
        match self.0.split_last()? {
            (Piece::Capture(slot), before) => Some((Template(before.to_vec()), *slot)),
            (Piece::Literal(_), _) => None,
        }
    }
}

pub(crate) fn captured<'p>(path: &'p [u8], captures: &Captures, slot: u8) -> &'p [u8] {
    let (start, end) = captures.get(slot as usize).copied().unwrap_or_default();
    path.get(start as usize..end as usize).unwrap_or_default()
}

/// The slot of `name`, and whether it takes what remains of a path.
fn capture(name: &str, names: &CaptureNames) -> Result<(u8, bool), Unreadable> {
    if let Some(slot) = names.slot(name) {
        return Ok((slot as u8, names.names[slot].1));
    }
    if names.unknown {
        return Ok((0, false));
    }
    let known = names.names.iter().map(|(name, _)| format!("`{{{name}}}`")).collect::<Vec<_>>().join(", ");
    let hint = match name.strip_suffix(":path") {
        Some(bare) => format!("write `{{{bare}}}`; `:path` stands in the match alone"),
        None if known.is_empty() => "the match captures nothing".to_owned(),
        None => format!("the match captures {known}"),
    };
    Err(Unreadable::hinted(format!("`{{{name}}}` is not captured by the match"), hint))
}

fn push_literal(pieces: &mut Vec<Piece>, text: &str, whole: &str) -> Result<(), Unreadable> {
    if text.contains('}') {
        return Err(Unreadable::new(format!("`{whole}` has a `}}` without its `{{`")));
    }
    let bytes = text.as_bytes();
    let mut literal = Vec::with_capacity(bytes.len());
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            b'%' if decode_escape(&bytes[at..]).is_none_or(|byte| byte == 0) => {
                return Err(Unreadable::hinted(
                    format!("`{whole}` has a bad escape"),
                    "a literal `%` is written `%25`",
                ));
            }
            b'%' | b'/' | b'?' | b'#' => literal.push(byte),
            byte if PLAIN[byte as usize] => literal.push(byte),
            byte => literal.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal.into_boxed_slice()));
    }
    Ok(())
}
