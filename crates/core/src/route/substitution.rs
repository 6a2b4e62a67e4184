//! `rewrite = { re = "...", to = "..." }`: every match of a regular expression in the path is replaced.

use super::path_edit::collapse_leading_slashes;
use super::pattern::{Unreadable, only_a_path};
use super::regular::regular_expression;
use crate::message::path::{Normal, PLAIN, PathError, decode_escape, is_unreserved, normalise};
use regex::bytes::{CaptureLocations, Regex};

#[derive(Debug, Clone)]
pub struct Substitution {
    pattern: Regex,
    to: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(Vec<u8>),
    /// What this group of the expression has found; nothing when it took no part.
    Group(usize),
}

/// Each look for a match may have to go on to the end of the path: more of them would take too long together.
const MOST_MATCHES: usize = 64;

/// A path that grows beyond this is refused: what a client sends may be taken many times.
const LONGEST: usize = 64 * 1024;

impl Substitution {
    pub(crate) fn parse(re: &str, to: &str) -> Result<Self, (Part, Unreadable)> {
        let pattern = regular_expression(re).map_err(|error| (Part::Re, error))?;
        let to = pieces(to, &pattern).map_err(|error| (Part::To, error))?;
        let anchored = re.starts_with('^');
        match to.first() {
            Some(Piece::Literal(start)) if anchored && start[0] != b'/' => {
                let slip = Unreadable::new("a path begins with `/`");
                Err((Part::To, slip))
            }
            _ => Ok(Substitution { pattern, to }),
        }
    }

    /// Appends what becomes of the path: the path itself where nothing matches. It begins with one slash. On
    /// an error, when the client's text makes dot segments or cut escapes of it, nothing is appended.
    pub(crate) fn apply(&self, path: &[u8], out: &mut Vec<u8>) -> Result<(), PathError> {
        let base = out.len();
        let result = self.replace(path, out, base).and_then(|()| {
            if out.get(base) != Some(&b'/') {
                out.insert(base, b'/');
            }
            collapse_leading_slashes(out, base);
            match normalise(&out[base..], &mut Vec::new())? {
                Normal::AsIs => Ok(()),
                Normal::Changed => Err(PathError::HiddenDots),
            }
        });
        if result.is_err() {
            out.truncate(base);
        }
        result
    }

    fn replace(&self, path: &[u8], out: &mut Vec<u8>, base: usize) -> Result<(), PathError> {
        let mut found = self.pattern.capture_locations();
        let (mut copied, mut from, mut matches) = (0, 0, 0);
        while from <= path.len()
            && let Some(whole) = self.pattern.captures_read_at(&mut found, path, from)
        {
            matches += 1;
            if matches > MOST_MATCHES {
                return Err(PathError::TooManyMatches);
            }
            out.extend_from_slice(&path[copied..whole.start()]);
            self.write(path, &found, out);
            if out.len() - base > LONGEST {
                return Err(PathError::TooLong);
            }
            copied = whole.end();
            // A match of nothing must not be found again.
            from = if whole.is_empty() { whole.end() + 1 } else { whole.end() };
        }
        out.extend_from_slice(&path[copied..]);
        Ok(())
    }

    fn write(&self, path: &[u8], found: &CaptureLocations, out: &mut Vec<u8>) {
        for piece in &self.to {
            match piece {
                Piece::Literal(bytes) => out.extend_from_slice(bytes),
                Piece::Group(group) => {
                    out.extend_from_slice(
                        found.get(*group).map_or(&b""[..], |(start, end)| &path[start..end]),
                    );
                }
            }
        }
    }
}

/// They do the same to every path.
impl PartialEq for Substitution {
    fn eq(&self, other: &Self) -> bool {
        self.pattern.as_str() == other.pattern.as_str() && self.to == other.to
    }
}

impl Eq for Substitution {}

/// Where a mistake is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Re,
    To,
}

fn pieces(text: &str, pattern: &Regex) -> Result<Vec<Piece>, Unreadable> {
    only_a_path(text)?;
    let (mut pieces, mut rest) = (Vec::new(), text);
    while let Some(dollar) = rest.find('$') {
        push_literal(&mut pieces, &rest[..dollar], text)?;
        let after = &rest[dollar + 1..];
        rest = match after.strip_prefix('$') {
            Some(rest) => {
                push_literal(&mut pieces, "$", text)?;
                rest
            }
            None => {
                let (name, length) = reference(after, text)?;
                pieces.push(Piece::Group(group(name, pattern)?));
                &after[length..]
            }
        };
    }
    push_literal(&mut pieces, rest, text)?;
    Ok(pieces)
}

/// The name behind a `$`, and how many bytes it takes: `1`, `{1}` or `{name}`.
fn reference<'t>(after: &'t str, whole: &str) -> Result<(&'t str, usize), Unreadable> {
    if let Some(inner) = after.strip_prefix('{') {
        let close = inner
            .find('}')
            .ok_or_else(|| Unreadable::new(format!("`{whole}` has a `${{` without its `}}`")))?;
        return Ok((&inner[..close], close + 2));
    }
    match after.bytes().take_while(u8::is_ascii_digit).count() {
        0 => Err(Unreadable::hinted(
            format!("`{whole}` has a `$` that names no group"),
            "`$1`, or `$${name}` (of `$$` before a brace the configuration leaves one); a literal `$` is written `$$`",
        )),
        digits => Ok((&after[..digits], digits)),
    }
}

fn group(name: &str, pattern: &Regex) -> Result<usize, Unreadable> {
    let known = match name.parse::<usize>() {
        Ok(number) => (number < pattern.captures_len()).then_some(number),
        Err(_) => pattern.capture_names().position(|known| known == Some(name)),
    };
    known.ok_or_else(|| {
        let named = pattern.capture_names().flatten().map(|name| format!(", `$${{{name}}}`"));
        let hint = match pattern.captures_len() - 1 {
            0 => "it has no group: `(...)` makes one".to_owned(),
            1 => format!("its group is `$1`{}", named.collect::<String>()),
            most => format!("its groups are `$1` to `${most}`{}", named.collect::<String>()),
        };
        Unreadable::hinted(format!("the expression has no group `{name}`"), hint)
    })
}

/// Bytes that no path may hold are escaped, escapes of what needs none are decoded: the normal form.
fn push_literal(pieces: &mut Vec<Piece>, text: &str, whole: &str) -> Result<(), Unreadable> {
    let (bytes, mut literal, mut at) = (text.as_bytes(), Vec::with_capacity(text.len()), 0);
    while at < bytes.len() {
        match bytes[at] {
            b'%' => {
                let byte = decode_escape(&bytes[at..]).filter(|byte| *byte != 0).ok_or_else(|| {
                    Unreadable::hinted(
                        format!("`{whole}` has a bad escape"),
                        "a literal `%` is written `%25`",
                    )
                })?;
                if is_unreserved(byte) {
                    literal.push(byte);
                } else {
                    literal.extend_from_slice(&bytes[at..at + 3]);
                }
                at += 2;
            }
            byte if byte == b'/' || PLAIN[byte as usize] => literal.push(byte),
            byte => literal.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
        at += 1;
    }
    if literal.split(|byte| *byte == b'/').any(|segment| matches!(segment, b"..")) {
        return Err(Unreadable::new(format!("`{whole}` has a dot segment")));
    }
    match pieces.last_mut() {
        Some(Piece::Literal(before)) => before.extend(literal),
        _ if literal.is_empty() => {}
        _ => pieces.push(Piece::Literal(literal)),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn applied(re: &str, to: &str, path: &str) -> Result<String, PathError> {
        let substitution = Substitution::parse(re, to).expect(re);
        let mut out = b"kept".to_vec();
        let result = substitution.apply(path.as_bytes(), &mut out);
        let text = String::from_utf8(out).expect("UTF-8");
        let appended = text.strip_prefix("kept").expect("appended").to_owned();
        assert!(result.is_ok() || appended.is_empty());
        result.map(|()| appended)
    }

    #[test]
    fn every_match_is_replaced() {
        for (re, to, path, expected) in [
            ("^/v1/(.*)$", "/api/$1", "/v1/a%2Fb", "/api/a%2Fb"),
            ("^/v1/", "/", "/v2/a", "/v2/a"),
            ("^/(?<lang>[a-z]{2})/(.*)", "/$2/${lang}", "/en/doc", "/doc/en"),
            ("^/([^/]+)/([^/]+)", "/${2}0/$1", "/a/b/c", "/b0/a/c"),
            ("o", "0", "/foo/boo", "/f00/b00"),
            ("/+", "/", "/a//b///c", "/a/b/c"),
            ("x*", "-", "/ab", "/-/-a-b-"),
            ("^/a", "", "/a", "/"),
            ("^/a/", "$0/", "/a/b", "/a//b"),
            ("^/a", "", "/a//b", "/b"),
            ("^/(a)?b", "/[$1]", "/b", "/[]"),
            ("b", "é $$%41%2f", "/b", "/%C3%A9%20$A%2f"),
        ] {
            assert_eq!(applied(re, to, path), Ok(expected.to_owned()), "{re} {to} {path}");
        }
    }

    #[test]
    fn what_a_client_could_make_of_it_is_refused() {
        assert_eq!(applied("^/f/(.*)-small$", "/raw/$1", "/f/..-small"), Err(PathError::HiddenDots));
        assert_eq!(applied("^/f/(..).*", "/$1", "/f/a%41b"), Err(PathError::BadEscape));
        assert_eq!(
            applied("a+", &"$0".repeat(100), &format!("/{}", "a".repeat(1000))),
            Err(PathError::TooLong)
        );
        assert_eq!(applied("a", "b", &format!("/{}", "a".repeat(64))), Ok(format!("/{}", "b".repeat(64))));
        assert_eq!(applied("a", "b", &format!("/{}", "a".repeat(65))), Err(PathError::TooManyMatches));
    }

    #[test]
    fn mistakes_are_told_with_what_was_meant() {
        for (re, to, part, words) in [
            ("(", "/", Part::Re, "unclosed group, at column 1"),
            ("^/a(.*)", "/$2", Part::To, "its group is `$1`"),
            ("^/a", "/$1", Part::To, "it has no group"),
            ("(?<x>a)(b)", "/${y}", Part::To, "`$1` to `$2`, `$${x}`"),
            ("a", "/$x", Part::To, "`$$`"),
            ("a", "/${x", Part::To, "without its `}`"),
            ("a", "/x?y", Part::To, "%3F"),
            ("a", "/%zz", Part::To, "%25"),
            ("a", "/../x", Part::To, "dot segment"),
            ("^/a", "b", Part::To, "begins with `/`"),
        ] {
            let (at, Unreadable { message, hint }) = Substitution::parse(re, to).expect_err(to);
            let told = format!("{message} {}", hint.unwrap_or_default());
            assert!(at == part && told.contains(words), "{re} {to}: {told}");
        }
    }

    proptest! {
        #[test]
        fn what_comes_out_is_a_path_in_normal_form(
            re in prop::sample::select(vec!["", "a", "/", "^/(.)(.?)", "(%..)", r"\.", "[^/]+$", "(.*)/(.*)"]),
            to in prop::sample::select(vec!["", "/", "/$0", "$0$0", "..", "x%2e", "//", "%41"]),
            path in "/[a./]{0,6}(%2F|%20)?[a./]{0,6}",
        ) {
            let mut normal = Vec::new();
            let Ok(form) = normalise(path.as_bytes(), &mut normal) else { return Ok(()) };
            let path = if form == Normal::Changed { normal } else { path.into_bytes() };
            let Ok(substitution) = Substitution::parse(re, to) else { return Ok(()) };
            let mut out = Vec::new();
            if substitution.apply(&path, &mut out).is_ok() {
                prop_assert_eq!(normalise(&out, &mut Vec::new()), Ok(Normal::AsIs));
                prop_assert!(!out.starts_with(b"//"));
            } else {
                prop_assert!(out.is_empty());
            }
        }
    }
}
