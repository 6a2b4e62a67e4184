//! Paths, hosts, match strings and references. The lines of an input: a path, a match string, a reference.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pylos_core::message::host;
use pylos_core::message::location::{Kind, MapBack, map};
use pylos_core::message::path::{Normal, decode_escape, normalise};
use pylos_core::route::{PathPattern, PathSet, Pattern};

fuzz_target!(|data: &[u8]| {
    let mut lines = data.splitn(3, |&byte| byte == b'\n');
    let path = lines.next().unwrap_or_default();
    let pattern = lines.next().unwrap_or_default();
    let reference = lines.next().unwrap_or_default();
    if let Some(path) = normal(path) {
        assert_eq!(normal(&path).as_ref(), Some(&path), "the normal form of a normal form is itself");
        has_no_dot_segment(&path);
        if let Ok(pattern) = std::str::from_utf8(pattern) {
            matching(pattern, &path);
        }
    }
    hosts(reference);
    references(reference);
});

fn normal(path: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match normalise(path, &mut out).ok()? {
        Normal::AsIs => Some(path.to_vec()),
        Normal::Changed => Some(out),
    }
}

/// Not even for one who decodes separators and cuts parameters off.
fn has_no_dot_segment(path: &[u8]) {
    assert_eq!(path[0], b'/');
    let (mut decoded, mut at) = (Vec::new(), 0);
    while at < path.len() {
        let byte = decode_escape(&path[at..]);
        decoded.push(byte.unwrap_or(path[at]));
        at += if byte.is_some() { 3 } else { 1 };
    }
    for segment in decoded.split(|byte| matches!(byte, b'/' | b'\\')) {
        let name = segment.split(|&byte| byte == b';').next().unwrap_or_default();
        assert!(!matches!(name, b"." | b".."), "{}", path.escape_ascii());
    }
}

fn matching(text: &str, path: &[u8]) {
    if let Ok(pattern) = Pattern::parse(text) {
        assert_eq!(Pattern::parse(&pattern.to_string()).as_ref(), Ok(&pattern), "told as {pattern}");
    }
    if let Ok(template) = PathPattern::parse(text) {
        // Whether it matches is the router's test; here it must come to an answer.
        PathSet::new([&template]).contains(path);
    }
    // A path without braces matches itself.
    if let Ok(own) = std::str::from_utf8(path).map(PathPattern::parse)
        && let Ok(own) = own
        && own.names().next().is_none()
    {
        assert!(PathSet::new([&own]).contains(path));
    }
}

fn hosts(value: &[u8]) {
    if let Ok(host) = host::parse(value) {
        assert!(!host.name.is_empty());
        let mut lower = Vec::new();
        host.lower_into(&mut lower);
        assert!(host.needs_lowering != (lower == host.name));
        assert_eq!(host::parse(&lower).map(|again| again.name.to_vec()), Ok(lower.clone()));
    }
}

fn references(value: &[u8]) {
    let hidden = [("127.0.0.77".into(), 9000), ("origin.internal".into(), 80), ("web".into(), 8000)];
    let strip = |path: &[u8]| Some([b"/app", path].concat());
    let how = MapBack { hidden: &hidden, public_scheme: b"https", public_authority: b"p.example", path: &strip };
    for kind in [Kind::Location, Kind::ContentLocation, Kind::Refresh, Kind::Link, Kind::SetCookie] {
        let Some(told) = map(kind, value, &how) else { continue };
        // All that is put in the place of a hidden host has no line end.
        assert!(!value.is_ascii() || told.is_ascii());
        let ends = |text: &[u8]| text.iter().filter(|byte| matches!(byte, b'\r' | b'\n')).count();
        assert!(ends(&told) <= ends(value));
        if kind == Kind::Location {
            assert_eq!(told_again(&told, &hidden), None, "{}", told.escape_ascii());
        }
    }
}

/// A mapped reference has nothing left to be hidden.
fn told_again(value: &[u8], hidden: &[(Box<str>, u16)]) -> Option<Vec<u8>> {
    let how = MapBack { hidden, public_scheme: b"https", public_authority: b"p.example", path: &|_| None };
    map(Kind::Location, value, &how)
}
