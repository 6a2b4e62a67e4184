//! What sound tables compile to.

use super::*;
use crate::facts::NoFacts;
use crate::route::{Captures, Found, PathEdit};
use crate::table::{BindAddress, FieldLine, HostMode};

fn effective(table: &Table, route: usize, listener: u32) -> Vec<&str> {
    let ids = table.routes[route].policies(ListenerId(listener));
    ids.iter().map(|id| name_of(&table.policies, *id)).collect()
}

fn policies() -> Value {
    json!({
        "edge": {"type": "chain", "use": ["shield", "security", "inner"]},
        "inner": {"type": "chain", "use": ["stamp", "shield"]},
        "own": {"type": "headers"},
        "security": {"type": "headers", "preset": "security"},
        "shield": {"type": "filter", "deny_ip": ["203.0.113.0/24"]},
        "small": {"type": "filter", "max_body": 10},
        "stamp": {"type": "headers"},
    })
}

#[test]
fn effective_policies() {
    let table = table(json!({
        "pylos": {"use": ["security", "edge"]},
        "listen": {
            "a": {"bind": ["127.0.0.1:1"], "use": ["stamp", "own"]},
            "b": {"bind": ["127.0.0.1:2"]},
        },
        "upstream": {"u": {}},
        "policy": policies(),
        "route": {
            "bare": {"match": ["/bare"], "to": "u", "without": ["edge", "own"], "use": ["shield"]},
            "plain": {"match": ["/plain"], "to": "u"},
            "small": {"match": ["/small"], "to": "u", "use": ["small", "stamp"], "without": ["inner"]},
        },
    }));
    assert_eq!(effective(&table, 0, 0), ["shield", "security", "stamp"]);
    assert_eq!(effective(&table, 0, 1), ["shield", "security"]);
    assert_eq!(effective(&table, 1, 0), ["shield", "security", "stamp", "own"]);
    assert_eq!(effective(&table, 1, 1), ["shield", "security", "stamp"]);
    assert_eq!(effective(&table, 2, 0), ["shield", "small", "security", "stamp", "own"]);
    assert_eq!(effective(&table, 2, 1), ["shield", "small", "security", "stamp"]);
    let unrouted: Vec<_> =
        table.listeners[1].unrouted.ids.iter().map(|id| name_of(&table.policies, *id)).collect();
    assert_eq!(unrouted, ["shield", "security", "stamp"]);
}

/// Chains may share members without being a loop; 2^64 ways lead to the leaf here, and one is gone.
#[test]
fn shared_chains_are_no_loop() {
    let mut policies = json!({"c0": {"type": "chain", "use": []}, "leaf": {"type": "headers"}});
    for n in 1..=64 {
        let below = format!("c{}", n - 1);
        policies[format!("c{n}")] = json!({"type": "chain", "use": [below, "leaf", below]});
    }
    let table = table(json!({"pylos": {"use": ["c64"]}, "listen": {"l": {}}, "policy": policies}));
    assert_eq!(table.listeners[0].unrouted.ids.len(), 1);
}

#[test]
fn targets_in_one_spelling() {
    let table = table(json!({"upstream": {"u": {"host": "Shop.example", "targets": [
        {"url": "http://10.0.0.1"}, {"url": "HTTP://Web:8000/"}, {"url": "http://[0:0::1]:80"},
        {"url": "unix:/run/app.sock"},
    ]}}}));
    let upstream = &table.upstreams[0];
    let urls: Vec<_> = upstream.targets.iter().map(|target| (&*target.url, &*target.authority)).collect();
    assert_eq!(
        urls,
        [
            ("http://10.0.0.1", "10.0.0.1"),
            ("http://web:8000", "web:8000"),
            ("http://[::1]", "[::1]"),
            ("unix:/run/app.sock", "localhost"),
        ],
    );
    assert_eq!(upstream.targets[0].address, TargetAddress::Ip(([10, 0, 0, 1], 80).into()));
    assert_eq!(upstream.targets[1].address, TargetAddress::Name { host: "web".into(), port: 8000 });
    assert_eq!(upstream.targets[3].address, TargetAddress::Unix("/run/app.sock".into()));
    assert_eq!(upstream.host, HostMode::Literal("Shop.example".into()));
    let hidden: Vec<_> = upstream.hidden.iter().map(|(host, port)| (&**host, *port)).collect();
    assert_eq!(hidden, [("10.0.0.1", 80), ("web", 8000), ("[::1]", 80), ("shop.example", 80)]);
}

#[test]
fn listeners_and_globals() {
    let table = table(json!({
        "pylos": {"workers": 2, "trusted_proxies": ["10.0.0.0/8", "unix"], "access_log": {"path": "-"}},
        "listen": {
            "http": {"bind": ["localhost:0", "[::1]:0", "unix:/run/p.sock"]},
            "ops": {"bind": ["127.0.0.1:9180"], "serve": ["metrics", "health"]},
        },
    }));
    assert_eq!((table.settings.workers, table.settings.drain_ms), (2, 30000));
    assert_eq!(table.settings.access_log.as_ref().map(|log| &*log.path), Some("-"));
    assert!(table.settings.trusted.trusts_unix() && table.settings.trusted.trusts([10, 1, 1, 1].into()));
    let binds: Vec<_> =
        table.listeners[0].binds.iter().map(|bind| (&*bind.spelled, bind.address.clone())).collect();
    assert_eq!(binds[0], ("localhost:0", BindAddress::Ip(([127, 0, 0, 1], 0).into())));
    assert_eq!(binds[2], ("unix:/run/p.sock", BindAddress::Unix("/run/p.sock".into())));
    assert_eq!(table.listeners[0].serve, Serve::Proxy);
    assert_eq!(table.listeners[1].serve, Serve::Admin { metrics: true, health: true, api: false });
    assert!(table.listeners[1].admin_token.is_none());
}

#[test]
fn a_token_is_compared_whole_and_never_shown() {
    let token = "0123456789abcdef";
    let table = table(json!({
        "listen": {"ops": {"bind": ["127.0.0.1:0"], "serve": ["admin"], "admin_token": token}},
    }));
    assert_eq!(table.listeners[0].serve, Serve::Admin { metrics: false, health: false, api: true });
    let known = table.listeners[0].admin_token.as_ref().expect("a token");
    assert!(known.is(token.as_bytes()));
    for other in ["", "0", "0123456789abcde", "0123456789abcdef0", "0123456789abcdeF"] {
        assert!(!known.is(other.as_bytes()), "{other}");
    }
    assert!(!format!("{:?}", table.listeners).contains(token));
}

/// The Location of the only route's redirect.
fn location(match_: Value, to: &str, target: &str) -> String {
    let table = table(json!({"route": {"r": {"match": match_, "redirect": {"to": to, "status": 308}}}}));
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let mut captures = Captures::new();
    let found = table.router.find(b"", b"GET", path.as_bytes(), &NoFacts, &mut captures);
    assert_eq!(found, Found::Route(crate::table::RouteId(0)), "{target}");
    let Action::Redirect(redirect) = &table.routes[0].action else { panic!("a redirect") };
    let mut out = Vec::new();
    redirect.location(path.as_bytes(), &captures, query.map(str::as_bytes), &mut out);
    String::from_utf8(out).expect("UTF-8")
}

#[test]
fn redirects() {
    let tail = json!(["/old/{rest:path}"]);
    for (to, target, expected) in [
        ("/new/{rest}", "/old/a%2Fb", "/new/a%2Fb"),
        ("/new/{rest}", "/old", "/new"),
        ("/new/{rest}", "/old/?q=1", "/new/?q=1"),
        ("/new?page=1", "/old/x?q=1", "/new?page=1"),
        ("/new#part", "/old/x?q=1", "/new?q=1#part"),
        ("/{rest}", "/old//evil.example/x", "/evil.example/x"),
        ("/{rest}", "/old", "/"),
        ("https://www.example.com/{rest}", "/old/a//b?", "https://www.example.com/a//b?"),
        ("https://www.example.com{rest}", "/old/x", ""),
        ("http://[::1]:8080", "/old/x", "http://[::1]:8080"),
        ("https://a.example/?was={rest}", "/old/x", ""),
    ] {
        if expected.is_empty() {
            let table = json!({"route": {"r": {"match": tail, "redirect": {"to": to, "status": 308}}}});
            assert_eq!(findings(table).len(), 1, "{to}");
        } else {
            assert_eq!(location(tail.clone(), to, target), expected, "{to} {target}");
        }
    }
    let two = json!(["/{lang}/doc/{page}", "/d/{page}/{lang}"]);
    assert_eq!(location(two.clone(), "/v2/{lang}/{page}", "/en/doc/intro"), "/v2/en/intro");
    assert_eq!(location(two, "/v2/{lang}/{page}", "/d/intro/en"), "/v2/en/intro");
}

#[test]
fn strip_counts_segments() {
    let table = table(json!({"upstream": {"u": {}}, "route": {"r": {
        "match": ["/a b/c/{rest:path}", "x.example/a%20b/c/d"], "to": "u", "strip": "/a%20b/c/",
    }}}));
    let Action::Forward { path, .. } = &table.routes[0].action else { panic!("a forward") };
    assert_eq!(*path, PathEdit::Strip { segments: 2 });
}

#[test]
fn the_security_preset() {
    let table = table(json!({"policy": {"p": {
        "type": "headers", "preset": "security", "response": {"set": {"x-frame-options": "DENY"}},
    }}}));
    let PolicyKind::Headers(headers) = &table.policies[0].kind else { panic!("headers") };
    let names = |fields: &[FieldLine]| -> Vec<String> {
        fields.iter().map(|(name, _)| String::from_utf8_lossy(name).into_owned()).collect()
    };
    assert_eq!(
        names(&headers.response.set),
        ["x-frame-options", "X-Content-Type-Options", "Referrer-Policy"]
    );
    assert_eq!(names(&headers.response_https.set), ["Strict-Transport-Security"]);
    assert!(headers.request.is_empty());
}

#[test]
fn filters() {
    let table = table(json!({"policy": {
        "a": {"type": "filter", "allow_ip": ["10.0.0.0/8"], "deny_ip": ["10.6.6.6"]},
        "b": {"type": "filter", "deny_path": ["/.git/{rest:path}", "/a b"], "allow_methods": ["GET", "HEAD"],
              "max_body": 10},
    }}));
    let verdict = |index: usize, ip: Option<[u8; 4]>, method: &str, path: &str, length| {
        let PolicyKind::Filter(filter) = &table.policies[index].kind else { panic!("a filter") };
        let denied = filter.verdict(ip.map(Into::into), method.as_bytes(), path.as_bytes(), length);
        denied.map(|denied| (denied.status, denied.reason))
    };
    assert_eq!(verdict(0, Some([10, 1, 1, 1]), "GET", "/", None), None);
    assert_eq!(verdict(0, Some([10, 6, 6, 6]), "GET", "/", None), Some((403, "ip_denied")));
    assert_eq!(verdict(0, Some([11, 1, 1, 1]), "GET", "/", None), Some((403, "ip_denied")));
    assert_eq!(verdict(0, None, "GET", "/", None), Some((403, "ip_denied")));
    assert_eq!(verdict(1, None, "GET", "/.gitignore", Some(10)), None);
    assert_eq!(verdict(1, None, "GET", "/.git", None), Some((403, "path_denied")));
    assert_eq!(verdict(1, None, "GET", "/.git/config", None), Some((403, "path_denied")));
    assert_eq!(verdict(1, None, "GET", "/a%20b", None), Some((403, "path_denied")));
    assert_eq!(verdict(1, None, "POST", "/", None), Some((405, "method_denied")));
    assert_eq!(verdict(1, None, "GET", "/", Some(11)), Some((413, "body_too_large")));
    let PolicyKind::Filter(filter) = &table.policies[1].kind else { panic!("a filter") };
    assert_eq!(filter.allow_value(), b"GET, HEAD");
}

#[test]
fn a_route_may_name_overlapping_methods_twice() {
    let table = table(json!({
        "listen": {"l": {}}, "upstream": {"u": {}},
        "route": {"r": {"match": ["GET /x", "GET,POST /x"], "to": "u"}},
    }));
    let found = table.router.find(b"", b"POST", b"/x", &crate::facts::NoFacts, &mut Captures::new());
    assert_eq!(found, Found::Route(crate::table::RouteId(0)));
    assert_eq!(table.router.pattern(b"", b"POST", b"/x", &crate::facts::NoFacts), Some(1));
}
