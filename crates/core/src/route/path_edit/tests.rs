use super::super::pattern::Pattern;
use super::super::router::{Entry, Found, Router};
use super::super::template::CaptureNames;
use super::*;
use crate::facts::NoFacts;
use crate::table::RouteId;

/// The captures that a pattern makes of a path.
fn captures(pattern: &str, path: &str) -> Captures {
    let (mut router, mut captures) = (Router::default(), Captures::new());
    let parsed = Pattern::parse(pattern).expect(pattern);
    let entry = Entry { route: RouteId(0), pattern: &parsed, index: 0, when: None, priority: 0, slots: None };
    router.add(entry).expect("the first pattern");
    assert_eq!(
        router.find(b"", b"GET", path.as_bytes(), &NoFacts, &mut captures),
        Found::Route(RouteId(0)),
        "{path}"
    );
    captures
}

fn rewrite(pattern: &str, template: &str) -> PathEdit {
    let names = CaptureNames::of(&[Pattern::parse(pattern).expect(pattern).path]);
    PathEdit::Rewrite(Template::path(template, &names).expect(template))
}

fn applied(edit: &PathEdit, pattern: &str, path: &str) -> String {
    let mut out = b"kept".to_vec();
    edit.apply(path.as_bytes(), &captures(pattern, path), &mut out).expect("a path");
    String::from_utf8(out).expect("UTF-8").strip_prefix("kept").expect("appended").to_owned()
}

#[test]
fn keep() {
    assert!(PathEdit::Keep.is_keep() && !PathEdit::Strip { segments: 1 }.is_keep());
    assert_eq!(applied(&PathEdit::Keep, "/{r:path}", "/a//b%2F"), "/a//b%2F");
    assert_eq!(PathEdit::Keep.map_back(b"/a", b"/a", &Captures::new()), None);
}

#[test]
fn strip() {
    let one = PathEdit::Strip { segments: 1 };
    for (path, expected) in [("/api", "/"), ("/api/", "/"), ("/api/x", "/x"), ("/api//x", "//x")] {
        assert_eq!(applied(&one, "/api/{rest:path}", path), expected);
    }
    assert_eq!(applied(&one, "/a b/{rest:path}", "/a%20b/c%2Fd"), "/c%2Fd");
    let two = PathEdit::Strip { segments: 2 };
    assert_eq!(applied(&two, "/a/b/{rest:path}", "/a/b/c/d"), "/c/d");
}

#[test]
fn rewrites_keep_the_slash_as_it_was() {
    let pattern = "/api/{rest:path}";
    for (template, path, expected) in [
        ("/orders/{rest}", "/api", "/orders"),
        ("/orders/{rest}", "/api/", "/orders/"),
        ("/orders/{rest}", "/api/x/y", "/orders/x/y"),
        ("/{rest}", "/api", "/"),
        ("/{rest}", "/api/", "/"),
        ("/{rest}", "/api/x%2Fy", "/x%2Fy"),
        ("/a/{rest}/b", "/api/x", "/a/x/b"),
        ("/fixed", "/api/x", "/fixed"),
        ("/a b/é%2F/{rest}", "/api/x", "/a%20b/%C3%A9%2F/x"),
    ] {
        assert_eq!(applied(&rewrite(pattern, template), pattern, path), expected, "{template} {path}");
    }
    let pattern = "/u/{user}/{file}";
    assert_eq!(
        applied(&rewrite(pattern, "/{file}-of-{user}.txt"), pattern, "/u/me/a%20b"),
        "/a%20b-of-me.txt"
    );
}

#[test]
fn paths_of_the_upstream_told_to_the_client() {
    let strip = PathEdit::Strip { segments: 1 };
    let deep = rewrite("/o/{id}/{rest:path}", "/v1/{id}/{rest}");
    let all = rewrite("/{rest:path}", "/v1/{rest}");
    for (edit, pattern, request, upstream, expected) in [
        (&strip, "/app/{rest:path}", "/app/x", "/graph", Some("/app/graph")),
        (&strip, "/app/{rest:path}", "/app", "/", Some("/app/")),
        (&strip, "/a b/{rest:path}", "/a%20b/x", "/y", Some("/a%20b/y")),
        (&strip, "/app/{rest:path}", "/app", "relative", None),
        (&deep, "/o/{id}/{rest:path}", "/o/7/x", "/v1/7/y/z", Some("/o/7/y/z")),
        (&deep, "/o/{id}/{rest:path}", "/o/7", "/v1/7", Some("/o/7")),
        (&deep, "/o/{id}/{rest:path}", "/o/7/x", "/v1/77/y", None),
        (&deep, "/o/{id}/{rest:path}", "/o/7/x", "/elsewhere", None),
        (&all, "/{rest:path}", "/x", "/v1", Some("/")),
        (&all, "/{rest:path}", "/x", "/v1/y", Some("/y")),
        (&all, "/{rest:path}", "/x", "/v1//evil.example", Some("/evil.example")),
        (&rewrite("/o/{id}", "/v1/{id}"), "/o/{id}", "/o/7", "/v1/8", None),
        (&rewrite("/o/{id}", "/fixed"), "/o/{id}", "/o/7", "/fixed", None),
    ] {
        let captures = captures(pattern, request);
        let public = edit.map_back(upstream.as_bytes(), request.as_bytes(), &captures);
        assert_eq!(
            public.map(|path| String::from_utf8(path).expect("UTF-8")).as_deref(),
            expected,
            "{upstream}"
        );
    }
}
