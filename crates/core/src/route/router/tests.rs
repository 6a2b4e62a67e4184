use super::*;
use crate::facts::NoFacts;
use crate::message::path::{Normal, normalise};
use crate::route::{PathPattern, Segment};
use proptest::prelude::*;

fn entry(route: usize, pattern: &Pattern) -> Entry<'_> {
    Entry { route: RouteId::at(route), pattern, index: 0, when: None, priority: 0, slots: None }
}

fn router(patterns: &[&str]) -> Router {
    let mut router = Router::default();
    for (index, text) in patterns.iter().enumerate() {
        let pattern = Pattern::parse(text).expect(text);
        router.add(entry(index, &pattern)).expect(text);
    }
    router
}

/// The winning pattern and its captures, `405 ALLOW`, or `404`.
fn ask(patterns: &[&str], method: &str, target: &str) -> String {
    let (host, path) = target.split_at(target.find('/').unwrap_or(0));
    let mut captures = Captures::new();
    match router(patterns).find(host.as_bytes(), method.as_bytes(), path.as_bytes(), &NoFacts, &mut captures)
    {
        Found::Route(route) => {
            let texts =
                captures.iter().map(|&(start, end)| format!(" [{}]", &path[start as usize..end as usize]));
            format!("{}{}", patterns[route.index()], texts.collect::<String>())
        }
        Found::MethodNotAllowed(allow) => format!("405 {}", String::from_utf8_lossy(&allow)),
        Found::None => "404".to_owned(),
    }
}

#[test]
fn the_tail_is_optional_and_keeps_its_slash() {
    for (target, expected) in [
        ("/x", "/x/{rest:path} []"),
        ("/x/", "/x/{rest:path} [/]"),
        ("/x/y/z", "/x/{rest:path} [/y/z]"),
        ("/x//", "/x/{rest:path} [//]"),
        ("/xy", "404"),
        ("/", "404"),
        ("x", "404"),
        ("*", "404"),
    ] {
        assert_eq!(ask(&["/x/{rest:path}"], "GET", target), expected, "{target}");
    }
    assert_eq!(ask(&["/{rest:path}"], "GET", "/"), "/{rest:path} [/]");
    assert_eq!(ask(&["/"], "GET", "/x"), "404");
}

#[test]
fn literal_before_capture_before_tail() {
    let patterns = ["/{rest:path}", "/a/{id}", "/a/b", "/a/b/{rest:path}", "/{x}/b/c", "/a/", "/a/{id}/c"];
    for (target, expected) in [
        ("/a/b", "/a/b"),
        ("/a/b/", "/a/b/{rest:path} [/]"),
        ("/a/b/c", "/a/b/{rest:path} [/c]"),
        ("/a/x", "/a/{id} [x]"),
        ("/a/x/c", "/a/{id}/c [x]"),
        ("/a/x/d", "/{rest:path} [/a/x/d]"),
        ("/a/", "/a/"),
        ("/a", "/{rest:path} [/a]"),
        ("/z/b/c", "/{x}/b/c [z]"),
        ("//b/c", "/{rest:path} [//b/c]"),
        ("/A/b", "/{rest:path} [/A/b]"),
    ] {
        assert_eq!(ask(&patterns, "GET", target), expected, "{target}");
    }
}

#[test]
fn literals_compare_decoded() {
    let patterns = ["/a b/{id}", "/%C3%A9", "/x%2Fy", "/x/y/z"];
    for (target, expected) in [
        ("/a%20b/c%2Fd", "/a b/{id} [c%2Fd]"),
        ("/%c3%a9", "/%C3%A9"),
        ("/x%2fy", "/x%2Fy"),
        ("/x%2Fy%2Fz", "404"),
        ("/x/y%2Fz", "404"),
        ("/a%2520b/c", "404"),
    ] {
        assert_eq!(ask(&patterns, "GET", target), expected, "{target}");
    }
    let long = format!("/{}", "%41".repeat(300));
    assert_eq!(ask(&patterns, "GET", &long), "404");
}

#[test]
fn patterns_are_told_as_they_can_be_read() {
    for (text, told) in [
        ("GET,HEAD Shop.Example./a b/{id}/{rest:path}", "GET,HEAD shop.example/a%20b/{id}/{rest:path}"),
        ("GET,GET /", "GET /"),
        ("[0:0::1]/%7Bx%7d", "[::1]/%7Bx%7D"),
        ("**.a/%2a/%2A*/a*", "**.a/%2A/%2A%2A/a*"),
        ("/é%25", "/%C3%A9%25"),
    ] {
        let pattern = Pattern::parse(text).expect(text);
        assert_eq!(pattern.to_string(), told);
        assert_eq!(Pattern::parse(told), Ok(pattern));
    }
}

#[test]
fn exact_host_before_wildcards_before_any() {
    let patterns = [
        "a.x.example/p",
        "*.x.example/{r:path}",
        "**.x.example/{r:path}",
        "**.example/q",
        "/{r:path}",
        "[::1]/",
    ];
    for (target, expected) in [
        ("a.x.example/p", "a.x.example/p"),
        ("a.x.example/q", "*.x.example/{r:path} [/q]"),
        ("b.a.x.example/q", "**.x.example/{r:path} [/q]"),
        ("x.example/q", "**.example/q"),
        ("x.example/z", "/{r:path} [/z]"),
        (".x.example/z", "/{r:path} [/z]"),
        ("example/q", "/{r:path} [/q]"),
        ("/q", "/{r:path} [/q]"),
        ("[::1]/", "[::1]/"),
    ] {
        assert_eq!(ask(&patterns, "GET", target), expected, "{target}");
    }
}

#[test]
fn a_method_that_does_not_fit_tries_the_less_specific() {
    let patterns = [
        "GET a.example/x",
        "POST,PUT a.example/x",
        "a.example/any",
        "GET a.example/any",
        "DELETE /x",
        "PATCH /{id}",
    ];
    for (method, target, expected) in [
        ("GET", "a.example/x", "GET a.example/x"),
        ("PUT", "a.example/x", "POST,PUT a.example/x"),
        ("DELETE", "a.example/x", "DELETE /x"),
        ("PATCH", "a.example/x", "PATCH /{id} [x]"),
        ("HEAD", "a.example/x", "405 GET, POST, PUT, DELETE, PATCH"),
        ("get", "/x", "405 DELETE, PATCH"),
        ("GET", "a.example/any", "GET a.example/any"),
        ("BREW", "a.example/any", "a.example/any"),
        ("GET", "a.example/x/y", "404"),
    ] {
        assert_eq!(ask(&patterns, method, target), expected, "{method} {target}");
    }
}

#[test]
fn a_failed_branch_leaves_no_captures() {
    let patterns = ["/{a}/{b}/x", "POST /{a}/{b}/{c}", "/{rest:path}"];
    assert_eq!(ask(&patterns, "GET", "/1/2/3"), "/{rest:path} [/1/2/3]");
    let mut captures = Captures::from_slice(&[(7, 9)]);
    assert_eq!(router(&["/{a}/x"]).find(b"", b"GET", b"/1/2", &NoFacts, &mut captures), Found::None);
    assert!(captures.is_empty());
}

#[test]
fn ties_are_refused() {
    let mut router = router(&["GET a.example/x/{id}"]);
    let mut add = |text: &str| router.add(entry(1, &Pattern::parse(text).expect(text)));
    assert_eq!(add("GET,PUT a.example/x/{name}"), Err(NotAdded::Tie(RouteId(0))));
    assert_eq!(add("PUT a.example/x/{name}"), Ok(()));
    assert_eq!(add("a.example/x/{name}"), Ok(()));
    // Its own, of which the second only says the same again.
    assert_eq!(add("a.example/x/{other}"), Ok(()));
    assert_eq!(add("a.example/x/{rest:path}"), Ok(()));
}

// ---- against a router that is too simple to be wrong --------------------------------------------

fn hosts() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "a.b.c", "b.c", "*.b.c", "**.b.c", "**.c", "d"])
}

fn segment() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "", "{}", "a b", "%2F"])
}

/// Match strings; captures are named by their places.
fn patterns() -> impl Strategy<Value = Vec<String>> {
    let methods = prop::sample::select(vec!["", "", "GET ", "PUT ", "GET,POST "]);
    let one = (methods, hosts(), prop::collection::vec(segment(), 0..4), any::<bool>());
    let text = one.prop_map(|(methods, host, segments, rest)| {
        let mut path: String = segments
            .iter()
            .enumerate()
            .map(|(n, text)| format!("/{}", text.replace("{}", &format!("{{c{n}}}"))))
            .collect();
        if rest || path.is_empty() {
            path.push_str("/{rest:path}");
        }
        format!("{methods}{host}{path}")
    });
    prop::collection::vec(text, 1..20)
}

fn paths() -> impl Strategy<Value = String> {
    let segment = prop::sample::select(vec!["a", "b", "", "c", "a%20b", "%2f", "%61"]);
    prop::collection::vec(segment, 1..5).prop_map(|segments| format!("/{}", segments.join("/")))
}

fn decoded(segment: &str) -> Vec<u8> {
    segment.replace("%20", " ").replace("%2f", "/").replace("%61", "a").into_bytes()
}

fn path_fits(pattern: &PathPattern, path: &str) -> bool {
    let segments: Vec<&str> = path[1..].split('/').collect();
    let fits = |(segment, text): (&Segment, &&str)| match segment {
        Segment::Literal(bytes) => **bytes == *decoded(text),
        Segment::Capture(_) => !text.is_empty(),
        Segment::Rest(_) => true,
    };
    let fixed = pattern.0.iter().filter(|segment| !matches!(segment, Segment::Rest(_))).count();
    let length = if fixed < pattern.0.len() { segments.len() >= fixed } else { segments.len() == fixed };
    length && pattern.0.iter().zip(&segments).all(fits)
}

fn host_fits(pattern: &HostPattern, host: &str) -> bool {
    let before =
        |suffix: &str| host.strip_suffix(suffix)?.strip_suffix('.').filter(|label| !label.is_empty());
    match pattern {
        HostPattern::Any => true,
        HostPattern::Exact(name) => **name == *host,
        HostPattern::OneLabel(suffix) => before(suffix).is_some_and(|label| !label.contains('.')),
        HostPattern::AnyDepth(suffix) => before(suffix).is_some(),
    }
}

/// Less is more specific. `{rest:path}` that takes nothing comes after the end of a pattern, so the end sorts first.
fn rank(pattern: &Pattern) -> impl Ord + use<> {
    let host = match &pattern.host {
        HostPattern::Exact(_) => (0, 0, 0),
        HostPattern::OneLabel(suffix) => (1, usize::MAX - suffix.len(), 0),
        HostPattern::AnyDepth(suffix) => (1, usize::MAX - suffix.len(), 1),
        HostPattern::Any => (2, 0, 0),
    };
    let kinds = pattern.path.0.iter().map(|segment| match segment {
        Segment::Literal(_) => 1,
        Segment::Capture(_) => 2,
        Segment::Rest(_) => 3,
    });
    (host, kinds.collect::<Vec<u8>>(), pattern.methods.is_none())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn equals_the_naive_router(
        texts in patterns(),
        asked in prop::collection::vec((hosts(), paths(), prop::sample::select(vec!["GET", "PUT", "POST", "X"])), 1..20),
    ) {
        let (mut router, mut known) = (Router::default(), Vec::new());
        for text in &texts {
            let pattern = Pattern::parse(text).expect(text);
            prop_assert_eq!(&Pattern::parse(&pattern.to_string()).expect(text), &pattern);
            if router.add(entry(known.len(), &pattern)).is_ok() {
                known.push(pattern);
            }
        }
        for (host, path, method) in asked {
            let mut normal = Vec::new();
            let path = match normalise(path.as_bytes(), &mut normal) {
                Ok(Normal::Changed) => String::from_utf8(normal).expect("ASCII"),
                _ => path,
            };
            let fits = |pattern: &&Pattern| host_fits(&pattern.host, host) && path_fits(&pattern.path, &path);
            let has = |pattern: &Pattern| {
                pattern.methods.as_ref().is_none_or(|methods| methods.iter().any(|name| **name == *method))
            };
            let fitting: Vec<&Pattern> = known.iter().filter(fits).collect();
            let best = fitting.iter().copied().filter(|pattern| has(pattern)).min_by_key(|pattern| rank(pattern));
            let mut captures = Captures::new();
            match (router.find(host.as_bytes(), method.as_bytes(), path.as_bytes(), &NoFacts, &mut captures), best) {
                (Found::Route(found), Some(best)) => {
                    prop_assert_eq!(&known[found.index()], best, "{} {}{}", method, host, path);
                    prop_assert_eq!(captures.len(), best.path.names().count());
                }
                (Found::MethodNotAllowed(allow), None) => {
                    let allow = String::from_utf8(allow.into_vec()).expect("ASCII");
                    let mut names: Vec<&str> = allow.split(", ").collect();
                    let mut all: Vec<&str> = fitting.iter().flat_map(|p| p.methods.iter().flatten()).map(|m| &**m).collect();
                    names.sort_unstable();
                    all.sort_unstable();
                    all.dedup();
                    prop_assert_eq!(names, all);
                }
                (Found::None, None) => prop_assert!(fitting.is_empty()),
                (found, best) => prop_assert!(false, "{:?} {:?}", found, best),
            }
        }
    }
}
