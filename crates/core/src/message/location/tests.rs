use super::*;
use proptest::prelude::*;

const STRIP: &dyn Fn(&[u8]) -> Option<Vec<u8>> = &|path| Some([b"/app", path].concat());
const KEEP: &dyn Fn(&[u8]) -> Option<Vec<u8>> = &|_| None;

fn hidden(list: &[(&str, u16)]) -> Vec<(Box<str>, u16)> {
    list.iter().map(|(host, port)| ((*host).into(), *port)).collect()
}

/// Upstream `127.0.0.77:9000`, `origin.internal`, `web:8000` and `[fd00::7]:80`; public `https://p.example:8443`.
fn told(kind: Kind, value: &str, path: &dyn Fn(&[u8]) -> Option<Vec<u8>>) -> String {
    told_as(kind, value, path, "https", "p.example:8443")
}

fn told_as(
    kind: Kind, value: &str, path: &dyn Fn(&[u8]) -> Option<Vec<u8>>, scheme: &str, authority: &str,
) -> String {
    let hidden = hidden(&[("127.0.0.77", 9000), ("origin.internal", 80), ("web", 8000), ("[fd00::7]", 80)]);
    let how = MapBack {
        hidden: &hidden,
        public_scheme: scheme.as_bytes(),
        public_authority: authority.as_bytes(),
        path,
    };
    match map(kind, value.as_bytes(), &how) {
        Some(mapped) => {
            assert_ne!(mapped, value.as_bytes(), "None says that nothing changes");
            String::from_utf8(mapped).expect("UTF-8 in, UTF-8 out")
        }
        None => value.to_owned(),
    }
}

#[test]
fn locations_behind_a_stripped_prefix() {
    for (value, expected) in [
        ("http://127.0.0.77:9000/login", "https://p.example:8443/app/login"),
        ("http://127.0.0.77:9000", "https://p.example:8443/app/"),
        ("http://127.0.0.77:9000?x=1#y", "https://p.example:8443/app/?x=1#y"),
        ("http://127.0.0.77/other-port", "https://p.example:8443/app/other-port"),
        ("https://127.0.0.77:9000/x", "https://p.example:8443/app/x"),
        ("HTTP://ORIGIN.internal/x", "https://p.example:8443/app/x"),
        ("http://origin.internal.:80/x", "https://p.example:8443/app/x"),
        ("http://user:pw@origin.internal/x", "https://p.example:8443/app/x"),
        ("http://%6frigin.internal/x", "https://p.example:8443/app/x"),
        ("//origin.internal/x", "//p.example:8443/app/x"),
        ("\\\\origin.internal/x", "//p.example:8443/app/x"),
        (" http://origin.internal/x", "https://p.example:8443/app/x"),
        ("http://[fd00:0::7]/x", "https://p.example:8443/app/x"),
        ("http://[::ffff:127.0.0.77]/x", "https://p.example:8443/app/x"),
        ("http://web:8000/x", "https://p.example:8443/app/x"),
        ("/graph", "/app/graph"),
        ("/graph?to=/x", "/app/graph?to=/x"),
        ("https://p.example:8443/graph", "https://p.example:8443/app/graph"),
        ("graph", "graph"),
        ("?page=2", "?page=2"),
        ("#top", "#top"),
        ("", ""),
        ("https://idp.other/x", "https://idp.other/x"),
        ("https://notorigin.internal/x", "https://notorigin.internal/x"),
        ("https://origin.internal.example/x", "https://origin.internal.example/x"),
    ] {
        assert_eq!(told(Kind::Location, value, STRIP), expected, "{value}");
        assert_eq!(told(Kind::ContentLocation, value, STRIP), expected, "{value}");
    }
}

#[test]
fn kept_paths() {
    for (value, expected) in [
        ("http://127.0.0.77:9000/a?b", "https://p.example:8443/a?b"),
        ("http://web/a", "https://p.example:8443/a"),
        ("/web/a", "/web/a"),
        ("/a", "/a"),
        ("https://p.example:8443/a", "https://p.example:8443/a"),
    ] {
        assert_eq!(told(Kind::Location, value, KEEP), expected, "{value}");
    }
}

#[test]
fn hosts_in_the_rest_of_a_value() {
    for (value, expected) in [
        ("https://idp.other/?r=http://origin.internal/cb", "https://idp.other/?r=http://p.example:8443/cb"),
        (
            "https://idp.other/?r=http%3A%2F%2F127.0.0.77%3A9000%2Fcb",
            "https://idp.other/?r=http%3A%2F%2Fp.example%3A8443%2Fcb",
        ),
        (
            "https://idp.other/?r=http%253A%252F%252Forigin.internal%252Fcb",
            "https://idp.other/?r=http%253A%252F%252Fp.example%3A8443%252Fcb",
        ),
        ("https://idp.other/?r=%5Bfd00%3A%3A7%5D", "https://idp.other/?r=p.example:8443"),
        ("https://idp.other/?host=ORIGIN.internal", "https://idp.other/?host=p.example:8443"),
        ("https://idp.other/?host=a.origin.internal", "https://idp.other/?host=p.example:8443"),
        ("https://idp.other/web?web=1#web", "https://idp.other/web?web=1#web"),
        (
            "https://idp.other/?r=http://web/x&s=web:8000",
            "https://idp.other/?r=http://p.example:8443/x&s=p.example:8443",
        ),
        ("https://idp.other/?ip=1127.0.0.77", "https://idp.other/?ip=1127.0.0.77"),
        ("https://idp.other/?ip=127.0.0.777", "https://idp.other/?ip=127.0.0.777"),
        ("https://idp.other/%", "https://idp.other/%"),
        ("https://idp.other/%25", "https://idp.other/%25"),
    ] {
        assert_eq!(told(Kind::Location, value, KEEP), expected, "{value}");
    }
}

#[test]
fn gateway_and_upstream_on_one_host() {
    let local = |value| told_as(Kind::Location, value, KEEP, "http", "127.0.0.77:8080");
    assert_eq!(local("http://127.0.0.77:9000/x"), "http://127.0.0.77:8080/x");
    assert_eq!(local("http://127.0.0.77:8080/x"), "http://127.0.0.77:8080/x");
    assert_eq!(local("http://127.0.0.77:3000/x"), "http://127.0.0.77:3000/x");
    assert_eq!(local("/?r=http://127.0.0.77:9000/x"), "/?r=http://127.0.0.77:8080/x");
    let below = |value| told_as(Kind::Location, value, KEEP, "http", "a.origin.internal");
    assert_eq!(below("http://a.origin.internal/x"), "http://a.origin.internal/x");
    assert_eq!(below("http://origin.internal/x"), "http://a.origin.internal/x");
}

#[test]
fn a_client_without_a_host_gets_relative_references() {
    assert_eq!(told_as(Kind::Location, "http://origin.internal/x?y", STRIP, "http", ""), "/app/x?y");
}

#[test]
fn refresh_values() {
    for (value, expected) in [
        ("5; url=http://127.0.0.77:9000/x", "5; url=https://p.example:8443/app/x"),
        ("0;URL='/x'", "0;URL='/app/x'"),
        ("0; url=\"http://web:8000/x\"", "0; url=\"https://p.example:8443/app/x\""),
        ("0; url = /x", "0; url = /app/x"),
        ("5", "5"),
        ("5; url=", "5; url="),
        ("5; curl=/x", "5; curl=/x"),
        ("=", "="),
    ] {
        assert_eq!(told(Kind::Refresh, value, STRIP), expected, "{value}");
    }
}

#[test]
fn link_values() {
    for (value, expected) in [
        (
            "</p?2>; rel=next, <http://web:8000/p>; rel=\"prev\"",
            "</app/p?2>; rel=next, <https://p.example:8443/app/p>; rel=\"prev\"",
        ),
        ("<https://cdn.other/x>; rel=preload", "<https://cdn.other/x>; rel=preload"),
        (
            "<x>; rel=up; anchor=\"http://origin.internal/y\"",
            "<x>; rel=up; anchor=\"http://p.example:8443/y\"",
        ),
        ("<broken", "<broken"),
        ("", ""),
    ] {
        assert_eq!(told(Kind::Link, value, STRIP), expected, "{value}");
    }
}

#[test]
fn cookie_domains() {
    for (value, expected) in [
        ("s=1; Path=/lite; Secure", "s=1; Path=/lite; Secure"),
        ("t=2; Path=/", "t=2; Path=/"),
        ("s=1; Domain=origin.internal; Path=/", "s=1; Path=/"),
        ("s=1;domain=.ORIGIN.internal", "s=1"),
        ("s=1; Domain=internal; HttpOnly", "s=1; HttpOnly"),
        ("s=1; Domain=127.0.0.77", "s=1"),
        ("s=1; Domain=p.example", "s=1; Domain=p.example"),
        ("s=1; Domain=example", "s=1; Domain=example"),
        ("s=origin.internal; Domain=other.example", "s=origin.internal; Domain=other.example"),
        ("domain=origin.internal", "domain=origin.internal"),
        ("s=1; Domain", "s=1; Domain"),
        ("s=1; Domain=", "s=1; Domain="),
    ] {
        assert_eq!(told(Kind::SetCookie, value, STRIP), expected, "{value}");
    }
}

proptest! {
    /// Whatever stands around them: neither the address nor the name of the upstream is left.
    #[test]
    fn nothing_is_left(
        kind in prop::sample::select(vec![Kind::Location, Kind::ContentLocation, Kind::Refresh, Kind::Link]),
        pieces in prop::collection::vec(prop::sample::select(vec![
            "http://", "//", "%2F%2F", "origin.internal", "ORIGIN.internal", "127.0.0.77", ":9000", "%3A", "/", "?u=",
            "<", ">", "; url=", "=", "@", " ", "\"", "#", "%", "%25", "\\",
        ]), 0..12),
    ) {
        let value = pieces.concat();
        let told = told(kind, &value, KEEP).to_ascii_lowercase();
        // Glued to other letters it is another host.
        let glued = |at: usize, length: usize| {
            let before = told[..at].chars().next_back();
            let after = told[at + length..].chars().next();
            before.is_some_and(|c| c.is_ascii_alphanumeric()) || after.is_some_and(|c| c.is_ascii_alphanumeric())
        };
        for host in ["origin.internal", "127.0.0.77"] {
            for (at, _) in told.match_indices(host) {
                prop_assert!(glued(at, host.len()), "{:?} -> {:?}", value, told);
            }
        }
    }

    #[test]
    fn any_bytes_are_safe(value in prop::collection::vec(any::<u8>(), 0..60)) {
        let hidden = hidden(&[("127.0.0.77", 9000), ("o.i", 80)]);
        let how = MapBack { hidden: &hidden, public_scheme: b"http", public_authority: b"[::1]:80", path: STRIP };
        for kind in [Kind::Location, Kind::ContentLocation, Kind::Refresh, Kind::Link, Kind::SetCookie] {
            let _ = map(kind, &value, &how);
        }
    }
}
