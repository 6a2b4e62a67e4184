use super::*;
use proptest::prelude::*;

fn normal(path: &[u8]) -> Result<Vec<u8>, PathError> {
    let mut out = b"kept".to_vec();
    match normalise(path, &mut out) {
        Ok(Normal::AsIs) => {
            assert_eq!(out, b"kept");
            Ok(path.to_vec())
        }
        Ok(Normal::Changed) => {
            let changed = out.strip_prefix(b"kept").expect("the head of out stays").to_vec();
            assert_ne!(changed, path);
            Ok(changed)
        }
        Err(error) => {
            assert_eq!(out, b"kept");
            Err(error)
        }
    }
}

#[test]
fn normal_forms() {
    for (path, expected) in [
        ("/", "/"),
        ("/a/b.css", "/a/b.css"),
        ("/a%20b/c%2Fd", "/a%20b/c%2Fd"),
        ("/%e9%FF", "/%e9%FF"),
        ("/%7Euser/%41%2d%2E%5F", "/~user/A-._"),
        ("/p/http://x//y", "/p/http://x//y"),
        ("/{a}|^[b]`", "/{a}|^[b]`"),
        ("/a/./b", "/a/b"),
        ("/a/../b", "/b"),
        ("/open/../secret/x", "/secret/x"),
        ("/open/%2e%2e/secret/x", "/secret/x"),
        ("/open/.%2E/secret/x", "/secret/x"),
        ("/../x", "/x"),
        ("/..", "/"),
        ("/.", "/"),
        ("/a/..", "/"),
        ("/a/b/..", "/a/"),
        ("/a/b/.", "/a/b/"),
        ("/a//../b", "/a/b"),
        ("/.//x", "//x"),
        ("/a/.../b", "/a/.../b"),
        ("/.well-known/x", "/.well-known/x"),
        ("/a;b=.;c", "/a;b=.;c"),
        ("/%252e%252e/x", "/%252e%252e/x"),
        ("/a%2Fb%2F.c", "/a%2Fb%2F.c"),
    ] {
        assert_eq!(normal(path.as_bytes()).as_deref(), Ok(expected.as_bytes()), "{path}");
    }
}

#[test]
fn refused_paths() {
    for (path, error) in [
        ("", PathError::NotAbsolute),
        ("*", PathError::NotAbsolute),
        ("a/b", PathError::NotAbsolute),
        ("/a b", PathError::BadByte),
        ("/a\tb", PathError::BadByte),
        ("/a\"b", PathError::BadByte),
        ("/a<b>", PathError::BadByte),
        ("/a\\b", PathError::BadByte),
        ("/a#b", PathError::BadByte),
        ("/a?b", PathError::BadByte),
        ("/\u{e9}", PathError::BadByte),
        ("/\u{7f}", PathError::BadByte),
        ("/a%", PathError::BadEscape),
        ("/a%2", PathError::BadEscape),
        ("/a%/2", PathError::BadEscape),
        ("/a%zz", PathError::BadEscape),
        ("/a%00b", PathError::Nul),
        ("/open/..;/secret", PathError::HiddenDots),
        ("/open/..;a=b/secret", PathError::HiddenDots),
        ("/open/.;/secret", PathError::HiddenDots),
        ("/open/%2e.;/secret", PathError::HiddenDots),
        ("/open/..%3B/secret", PathError::HiddenDots),
        ("/open/..%3b/secret", PathError::HiddenDots),
        ("/a%2F..", PathError::HiddenDots),
        ("/..%2Fa", PathError::HiddenDots),
        ("/..%5Ca", PathError::HiddenDots),
        ("/a%5c%2e%2e%5cb", PathError::HiddenDots),
        ("/a%2F.%2Fb", PathError::HiddenDots),
        ("/a%2f..;x", PathError::HiddenDots),
    ] {
        assert_eq!(normal(path.as_bytes()), Err(error), "{path}");
        assert!(!error.reason().is_empty());
    }
}

#[test]
fn a_path_is_read_in_more_than_one_way() {
    let readings = |path: &str| {
        let found = other_readings(path.as_bytes());
        found.into_iter().map(|one| String::from_utf8(one).expect("UTF-8")).collect::<Vec<_>>()
    };
    for path in ["/a/b", "/a%20b%", "/%252F", "/"] {
        assert!(readings(path).is_empty(), "{path}");
    }
    assert_eq!(readings("/a%2Fb"), ["/a/b"]);
    assert_eq!(readings("/a%2fb%5Cc"), ["/a/b%5Cc", "/a/b/c"]);
    assert_eq!(readings("/a;x=1/b;"), ["/a/b"]);
    assert_eq!(readings("/a;b%2Fc"), ["/a", "/a/c", "/a;b/c"]);
}

/// Paths of the pieces that matter; most are sound.
fn paths() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "/", "/", "/", ".", "..", "a", "b", "%2e", "%2E%2e", "%2F", "%2f", "%5C", "%41", "%7e", "%20", "%25",
        "%252e", ";", "%3b", "{", "|", "é", " ", "%", "%0", "%00", "\\", "x.y",
    ]);
    prop::collection::vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()).into_bytes())
}

/// What a lenient upstream could make of a path: all escapes decoded until nothing changes.
fn fully_decoded(path: &[u8]) -> Vec<u8> {
    let (mut decoded, mut at) = (Vec::new(), 0);
    while at < path.len() {
        match decode_escape(&path[at..]) {
            Some(byte) => (decoded.push(byte), at += 3),
            None => (decoded.push(path[at]), at += 1),
        };
    }
    decoded
}

proptest! {
    #[test]
    fn idempotent(path in paths()) {
        if let Ok(once) = normal(&path) {
            prop_assert_eq!(normal(&once), Ok(once));
        }
    }

    #[test]
    fn never_a_dot_segment(path in paths()) {
        if let Ok(once) = normal(&path) {
            prop_assert_eq!(once[0], b'/');
            let lenient = fully_decoded(&once);
            for segment in lenient.split(|byte| matches!(byte, b'/' | b'\\')) {
                let name = segment.split(|&byte| byte == b';').next().unwrap_or_default();
                prop_assert!(!matches!(name, b"." | b".."), "{:?}", String::from_utf8_lossy(&path));
            }
        }
    }

    /// Resolving dots never leaves more bytes, and a path without dots and escapes is its own normal form.
    #[test]
    fn sound_bytes_stay(path in "(/[a-z~{}|;=:@,-]{0,6}){1,6}") {
        prop_assert_eq!(normal(path.as_bytes()), Ok(path.into_bytes()));
    }

    #[test]
    fn any_bytes_are_safe(path in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(once) = normal(&path) {
            prop_assert!(once.len() <= path.len().max(1));
        }
    }
}
