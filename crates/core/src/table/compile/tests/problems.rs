//! Each kind of problem: where it is found, with which code, in which words.

use super::*;

mod balance;
mod protection;

/// Table, code, place, and a part of the message or the hint.
pub(super) type Case = (Value, Code, &'static str, &'static str);

fn listen(overlay: Value) -> Value {
    json!({"listen": {"l": overlay}})
}

fn upstream(overlay: Value) -> Value {
    json!({"upstream": {"u": overlay}})
}

fn policy(overlay: Value) -> Value {
    json!({"policy": {"p": overlay}})
}

/// A route that forwards to a sound upstream.
fn route(overlay: Value) -> Value {
    let mut route = overlay;
    merge(&mut route, &json!({"match": ["/{rest:path}"]}));
    if ["redirect", "respond", "to"].iter().all(|key| route.get(*key).is_none()) {
        merge(&mut route, &json!({"to": "u"}));
    }
    json!({"upstream": {"u": {}}, "route": {"r": route}})
}

fn respond(overlay: Value) -> Value {
    let mut respond = overlay;
    merge(&mut respond, &json!({"status": 200, "body": "", "content_type": "text/plain"}));
    route(json!({"respond": respond}))
}

fn redirect(to: &str) -> Value {
    route(json!({"match": ["/x/{id}/{rest:path}"], "redirect": {"to": to, "status": 308}}))
}

fn references() -> Vec<Case> {
    use Code::{ChainLoop, Conflict, UnknownReference, UnusedWithout};
    let chain = |list: &[&str]| json!({"type": "chain", "use": list});
    let headers = json!({"type": "headers"});
    let with = |policies: &Value, route: Value| {
        let mut table =
            json!({"upstream": {"u": {}}, "policy": policies, "route": {"r": route}, "listen": {"l": {}}});
        merge(&mut table["route"]["r"], &json!({"match": ["/"], "to": "u"}));
        table
    };
    vec![
        (json!({"pylos": {"use": ["no"]}}), UnknownReference, "pylos.use.0", "`no`"),
        (listen(json!({"use": ["no"]})), UnknownReference, "listen.l.use.0", "`no`"),
        (policy(chain(&["no"])), UnknownReference, "policy.p.use.0", "`no`"),
        (route(json!({"use": ["no"]})), UnknownReference, "route.r.use.0", "`no`"),
        (route(json!({"without": ["no"]})), UnknownReference, "route.r.without.0", "`no`"),
        (route(json!({"to": "no"})), UnknownReference, "route.r.to", "`no`"),
        (json!({"route": {"r": {"match": ["/"]}}}), Conflict, "route.r", "one thing"),
        (
            route(json!({"to": "u", "redirect": {"to": "/x", "status": 308}})),
            Conflict,
            "route.r",
            "`to`, `redirect` or `respond`",
        ),
        (
            route(json!({"redirect": {"to": "/x", "status": 308}, "strip": "/a"})),
            Conflict,
            "route.r.strip",
            "`redirect` has none",
        ),
        (policy(chain(&["p"])), ChainLoop, "policy.p.use", "`p` -> `p`"),
        (
            json!({"policy": {"a": chain(&["b"]), "b": chain(&["c", "a"]), "c": headers}}),
            ChainLoop,
            "policy.a.use",
            "`a` -> `b` -> `a`",
        ),
        (
            with(&json!({"a": headers, "b": headers}), json!({"use": ["a"], "without": ["b"]})),
            UnusedWithout,
            "route.r.without.0",
            "does not apply",
        ),
    ]
}

fn matches() -> Vec<Case> {
    use Code::{BadMatch, Shadowed, Tie};
    let bad = |text: &str, words: &'static str| {
        (route(json!({"match": [text]})), BadMatch, "route.r.match.0", words)
    };
    let two = |a: Value, b: Value| {
        let mut table = json!({"upstream": {"u": {}}, "route": {"a": {"match": a}, "b": {"match": b}}});
        ["a", "b"].iter().for_each(|name| merge(&mut table["route"][*name], &json!({"to": "u"})));
        table
    };
    let long = format!("/{}", "a".repeat(256));
    let deep = "/a".repeat(101);
    let methods: Vec<String> = (0..64).map(|n| format!("M{n} /{n}")).collect();
    vec![
        (route(json!({"match": []})), BadMatch, "route.r.match", "needs a match"),
        bad("shop.example", "`shop.example/{rest:path}`"),
        bad("", "has no path"),
        bad("get /", "upper case"),
        bad("GET, HEAD /", "upper case"),
        bad("GET  ,HEAD /", "upper case"),
        bad("https://a/", "no scheme and no port"),
        bad("a.example:80/", "no scheme and no port"),
        bad("a.*.example/", "first label"),
        bad("*/", "first label"),
        bad("*./", "first label"),
        bad("***.a/", "first label"),
        bad("a..b/", "a host is"),
        bad("münchen.example/", "xn--"),
        bad("[::g]/", "IPv6"),
        bad("/{id}x", "whole segment"),
        bad("/{}", "no usable name"),
        bad("/{1a}", "no usable name"),
        bad("/{a-b}", "no usable name"),
        bad("/{rest:path}/x", "last segment"),
        bad("/{id:int}", "`{id}` takes one segment"),
        bad("/{a}/{a}", "twice"),
        bad("/x?y=1", "%3F"),
        bad("/x#y", "a query or a fragment"),
        bad("/%", "%25"),
        bad("/%00", "bad escape"),
        bad("/a/../b", "dot segments"),
        bad("/a/%2e", "dot segments"),
        bad("/a/*", "`{rest:path}`"),
        bad("/a\u{1}", "control"),
        (route(json!({"match": [long]})), BadMatch, "route.r.match.0", "255 bytes"),
        (route(json!({"match": [deep]})), BadMatch, "route.r.match.0", "100 segments"),
        (route(json!({"match": methods})), BadMatch, "route.r.match.63", "methods"),
        (
            policy(json!({"type": "filter", "deny_path": ["/ok", "x"]})),
            BadMatch,
            "policy.p.deny_path.1",
            "does not begin",
        ),
        (two(json!(["/x/{a}"]), json!(["/y", "/x/{b}"])), Tie, "route.b.match.1", "route.a"),
        (two(json!(["A.example/"]), json!(["a.example./"])), Tie, "route.b.match.0", "route.a"),
        (two(json!(["GET,POST /"]), json!(["PUT,POST /"])), Tie, "route.b.match.0", "more specific"),
        (two(json!(["/a b"]), json!(["/a%20b"])), Tie, "route.b.match.0", "route.a"),
        (route(json!({"match": ["/x", "/x"]})), Shadowed, "route.r.match.1", "already"),
    ]
}

fn templates() -> Vec<Case> {
    let bad = |overlay: Value, place: &'static str, words: &'static str| {
        let mut overlay = overlay;
        merge(&mut overlay, &json!({"match": ["/x/{id}/{rest:path}"]}));
        (route(overlay), Code::BadTemplate, place, words)
    };
    let to =
        |text: &str, words: &'static str| (redirect(text), Code::BadTemplate, "route.r.redirect.to", words);
    vec![
        bad(json!({"rewrite": "x"}), "route.r.rewrite", "does not begin"),
        bad(json!({"rewrite": "/{no}"}), "route.r.rewrite", "captures `{id}`, `{rest}`"),
        bad(json!({"rewrite": "/{rest:path}"}), "route.r.rewrite", "write `{rest}`"),
        bad(json!({"rewrite": "/{x}", "match": ["/"]}), "route.r.rewrite", "captures nothing"),
        bad(json!({"rewrite": "/{id"}), "route.r.rewrite", "without its `}`"),
        bad(json!({"rewrite": "/id}"}), "route.r.rewrite", "without its `{`"),
        bad(json!({"rewrite": "/v{rest}"}), "route.r.rewrite", "must follow a slash"),
        bad(json!({"rewrite": "/{rest}x"}), "route.r.rewrite", "must follow what remains"),
        bad(json!({"rewrite": "/x?y"}), "route.r.rewrite", "%3F"),
        bad(json!({"rewrite": "/a/%2E./b"}), "route.r.rewrite", "dot segment"),
        bad(json!({"rewrite": "/%zz"}), "route.r.rewrite", "%25"),
        bad(
            json!({"rewrite": "/{id}", "match": ["/a/{id}", "/b/{other}"]}),
            "route.r.rewrite",
            "not captured by `/b/{other}`",
        ),
        bad(
            json!({"rewrite": "/{id}", "match": ["/a/{id}", "/b/{id:path}"]}),
            "route.r.rewrite",
            "every match",
        ),
        bad(json!({"strip": "/x", "rewrite": "/"}), "route.r.strip", "exclude"),
        bad(json!({"strip": "/"}), "route.r.strip", "strips nothing"),
        bad(json!({"strip": "x"}), "route.r.strip", "does not begin"),
        bad(json!({"strip": "/y"}), "route.r.strip", "`match = \"/y/{rest:path}\"`"),
        bad(json!({"strip": "/x/{id}"}), "route.r.strip", "without `{id}`"),
        bad(json!({"strip": "/x/y"}), "route.r.strip", "does not begin with `/x/y`"),
        to("new", "absolute path"),
        to("//evil.example/{rest}", "absolute path"),
        to("/{no}", "not captured"),
        to("https://{id}.example/", "has captures"),
        to("ftp://a.example/", "not a scheme"),
        to("https:///x", "is no host"),
        to("https://a.example/#{id}", "no fragment"),
    ]
}

fn servers() -> Vec<Case> {
    use Code::{BadBind, BadNetwork, BadTarget};
    let target = |url: &str, words: &'static str| {
        (upstream(json!({"targets": [{"url": url}]})), BadTarget, "upstream.u.targets.0", words)
    };
    let bind = |text: &str, words: &'static str| {
        (listen(json!({"bind": [text]})), BadBind, "listen.l.bind.0", words)
    };
    let network = |text: &str, words: &'static str| {
        (json!({"pylos": {"trusted_proxies": [text]}}), BadNetwork, "pylos.trusted_proxies.0", words)
    };
    vec![
        (upstream(json!({"targets": []})), BadTarget, "upstream.u.targets", "needs a target"),
        target("10.0.0.1:8000", "`http://10.0.0.1:8000`"),
        target("ftp://a", "not a scheme"),
        target("http://a/x", "`rewrite`"),
        target("http://a?x", "more than host and port"),
        target("http://u@a", "no user"),
        target("http://", "empty"),
        target("http://a:0", "bad port"),
        target("http://[::g]", "IPv6"),
        target("http://256.0.0.1", "neither a name"),
        target("http://1.2.3", "neither a name"),
        target("unix:app.sock", "names no socket"),
        target("unix:/", "names no socket"),
        (
            upstream(json!({"targets": [{"url": "http://A"}, {"url": "http://a:80/"}]})),
            BadTarget,
            "upstream.u.targets.1",
            "twice",
        ),
        network("10.0.0", "neither"),
        network("10.0.0.1/8", "`10.0.0.0/8`"),
        (policy(json!({"type": "filter", "allow_ip": ["x"]})), BadNetwork, "policy.p.allow_ip.0", "neither"),
        (
            policy(json!({"type": "filter", "deny_ip": ["::/0", "x"]})),
            BadNetwork,
            "policy.p.deny_ip.1",
            "neither",
        ),
        (listen(json!({"bind": []})), BadBind, "listen.l.bind", "needs an address"),
        bind("8080", "`0.0.0.0:8080`"),
        bind(":8080", "`[::]:8080`"),
        bind("example.com:80", "`127.0.0.1:8080`"),
        bind("127.0.0.1", "no address"),
        bind("unix:x", "no address"),
        (
            json!({"listen": {"a": {"bind": ["127.0.0.1:80"]}, "b": {"bind": ["[::1]:80", "localhost:80"]}}}),
            BadBind,
            "listen.b.bind.1",
            "listen.a",
        ),
    ]
}

fn fields() -> Vec<Case> {
    let edits = |edits: Value| policy(json!({"type": "headers", "request": edits}));
    let bad =
        |edit: Value, place: &'static str, words: &'static str| (edits(edit), Code::BadField, place, words);
    vec![
        bad(json!({"set": {"": "x"}}), "policy.p.request.set.", "not a field name"),
        bad(json!({"set": {"a b": "x"}}), "policy.p.request.set.a b", "not a field name"),
        bad(json!({"add": {"x-a": "a\r\nb: c"}}), "policy.p.request.add.x-a", "control"),
        bad(json!({"add": {"x-a": " a"}}), "policy.p.request.add.x-a", "blank"),
        bad(
            json!({"set": {"Content-Length": "5"}}),
            "policy.p.request.set.Content-Length",
            "written by the gateway",
        ),
        bad(json!({"remove": ["x", "Connection"]}), "policy.p.request.remove.1", "written by the gateway"),
        bad(json!({"set": {"Host": "a"}}), "policy.p.request.set.Host", "`host` of the upstream"),
        bad(json!({"set": {"X-A": "1", "x-a": "2"}}), "policy.p.request.set.x-a", "same field"),
        (
            policy(json!({"type": "headers", "response": {"set": {"te": "x"}}})),
            Code::BadField,
            "policy.p.response.set.te",
            "belongs",
        ),
        (
            respond(json!({"headers": {"a": "\u{7f}"}})),
            Code::BadField,
            "route.r.respond.headers.a",
            "control",
        ),
        (respond(json!({"content_type": "a\nb"})), Code::BadField, "route.r.respond.content_type", "control"),
    ]
}

fn values() -> Vec<Case> {
    let bad = |table: Value, place: &'static str, words: &'static str| (table, Code::BadValue, place, words);
    let limits = |limits: Value| listen(json!({"limits": limits}));
    vec![
        bad(json!({"version": 2}), "pylos.version", "not known"),
        bad(json!({"pylos": {"workers": 1025}}), "pylos.workers", "0 to 1024"),
        bad(json!({"pylos": {"drain_ms": u64::MAX}}), "pylos.drain", "out of range"),
        bad(json!({"pylos": {"access_log": {"path": ""}}}), "pylos.access_log.path", "standard output"),
        bad(limits(json!({"line_bytes": 1})), "listen.l.limits.line", "bytes is out of range"),
        bad(limits(json!({"header_bytes": u32::MAX})), "listen.l.limits.header", "out of range"),
        bad(limits(json!({"fields": 0})), "listen.l.limits.fields", "0 is out of range"),
        bad(limits(json!({"line_bytes": 70000})), "listen.l.limits.line", "does not fit"),
        bad(listen(json!({"timeouts": {"header": 0}})), "listen.l.timeouts.header", "1 to"),
        bad(listen(json!({"timeouts": {"idle": 0}})), "listen.l.timeouts.idle", "1 to"),
        bad(listen(json!({"timeouts": {"body_idle": 0}})), "listen.l.timeouts.body_idle", "1 to"),
        bad(listen(json!({"timeouts": {"send_idle": 0}})), "listen.l.timeouts.send_idle", "1 to"),
        bad(listen(json!({"timeouts": {"client_fin": 0}})), "listen.l.timeouts.client_fin", "1 to"),
        bad(listen(json!({"serve": []})), "listen.l.serve", "either"),
        bad(listen(json!({"serve": ["proxy", "health"]})), "listen.l.serve", "either"),
        bad(listen(json!({"serve": ["health", "x"]})), "listen.l.serve.1", "cannot be served"),
        bad(listen(json!({"serve": ["admin"], "admin_token": "short"})), "listen.l.admin_token", "16 to"),
        bad(
            listen(json!({"serve": ["admin"], "admin_token": "sixteen and blanks"})),
            "listen.l.admin_token",
            "no blanks",
        ),
        bad(
            listen(json!({"serve": ["metrics"], "admin_token": "0123456789abcdef"})),
            "listen.l.admin_token",
            "nothing here asks",
        ),
        bad(upstream(json!({"host": "a b"})), "upstream.u.host", "preserve"),
        bad(upstream(json!({"pool": {"idle_ms": 0}})), "upstream.u.pool.idle", "1 to"),
        bad(upstream(json!({"pool": {"max_age_ms": 0}})), "upstream.u.pool.max_age", "1 to"),
        bad(upstream(json!({"timeouts": {"connect": 0}})), "upstream.u.timeouts.connect", "1 to"),
        bad(policy(json!({"type": "headers", "preset": "x"})), "policy.p.preset", "`security`"),
        bad(
            policy(json!({"type": "filter", "allow_methods": ["GET", "get"]})),
            "policy.p.allow_methods.1",
            "upper case",
        ),
        bad(route(json!({"timeouts": {"response": u64::MAX}})), "route.r.timeout", "0 to"),
        bad(route(json!({"timeouts": {"total": u64::MAX}})), "route.r.timeouts.total", "0 to"),
        bad(route(json!({"timeouts": {"tunnel_idle": 0}})), "route.r.timeouts.tunnel_idle", "1 to"),
        bad(route(json!({"upgrade": ["h2c"]})), "route.r.upgrade.0", "websocket"),
        bad(route(json!({"upgrade": ["WebSocket"]})), "route.r.upgrade.0", "websocket"),
        bad(
            route(json!({"redirect": {"to": "/x", "status": 200}})),
            "route.r.redirect.status",
            "no redirect",
        ),
        bad(respond(json!({"status": 199})), "route.r.respond.status", "200 to 599"),
        bad(respond(json!({"status": 204, "body": "x"})), "route.r.respond.status", "has no body"),
    ]
}

/// Two routes for the same upstream.
fn two(a: Value, b: Value) -> Value {
    let mut table = json!({"upstream": {"u": {}}, "route": {"a": a, "b": b}});
    ["a", "b"].iter().for_each(|name| merge(&mut table["route"][*name], &json!({"to": "u"})));
    table
}

fn conditions() -> Vec<Case> {
    use Code::{BadCondition, BadNetwork, Shadowed, Tie};
    let when = |when: Value| route(json!({"when": when}));
    let bad =
        |asked: Value, place: &'static str, words: &'static str| (when(asked), BadCondition, place, words);
    let asking = |value: Value, priority: i64| json!({"match": ["/"], "when": {"header": {"x": value}}, "priority": priority});
    vec![
        bad(json!({"header": {"a b": {"present": true}}}), "route.r.when.header.a b", "not a field name"),
        bad(json!({"header": {"Host": {"exact": "a"}}}), "route.r.when.header.Host", "stands in the match"),
        bad(json!({"header": {"x": {"present": false}}}), "route.r.when.header.x", "`true` asks"),
        bad(json!({"header": {"x": {"re": "("}}}), "route.r.when.header.x", "unclosed group"),
        bad(json!({"header": {"x": {"exact": "a "}}}), "route.r.when.header.x", "blank"),
        bad(json!({"header": {"X": {"exact": "a"}, "x": {"exact": "a"}}}), "route.r.when.header.x", "twice"),
        bad(json!({"cookie": {"c": {"exact": "a;b"}}}), "route.r.when.cookie.c", "ends the value"),
        bad(json!({"cookie": {"": {"present": true}}}), "route.r.when.cookie.", "name of a cookie"),
        bad(json!({"query": {"": {"present": true}}}), "route.r.when.query.", "has a name"),
        (when(json!({"ip": ["10.0.0.1/8"]})), BadNetwork, "route.r.when.ip.0", "`10.0.0.0/8`"),
        (
            two(json!({"match": ["GET /"]}), asking(json!({"present": true}), 0)),
            Tie,
            "route.b.match.0",
            "`priority`",
        ),
        (
            two(asking(json!({"re": "^a"}), 1), asking(json!({"exact": "abc"}), 1)),
            Tie,
            "route.b.match.0",
            "route.a",
        ),
        (
            two(asking(json!({"exact": "abc"}), 0), asking(json!({"re": "^a"}), 1)),
            Shadowed,
            "route.a.match.0",
            "`route.b` takes all",
        ),
        (
            two(json!({"match": ["/y", "GET /"]}), json!({"match": ["GET,PUT /"], "priority": 1})),
            Shadowed,
            "route.a.match.1",
            "route.b",
        ),
    ]
}

fn rewrites() -> Vec<Case> {
    use Code::{BadTemplate, Conflict};
    let re = |re: &str, to: &str| json!({"rewrite_re": {"re": re, "to": to}});
    let with = |mut overlay: Value, other: Value| {
        merge(&mut overlay, &other);
        route(overlay)
    };
    vec![
        (route(re("(", "/")), BadTemplate, "route.r.rewrite.re", "unclosed group"),
        (route(re("^/a", "/$1")), BadTemplate, "route.r.rewrite.to", "no group `1`"),
        (route(re("^/a", "b")), BadTemplate, "route.r.rewrite.to", "begins with `/`"),
        (
            with(re("a", "b"), json!({"match": ["/x/{r:path}"], "strip": "/x"})),
            BadTemplate,
            "route.r.strip",
            "exclude",
        ),
        (
            with(re("a", "b"), json!({"redirect": {"to": "/x", "status": 308}})),
            Conflict,
            "route.r.rewrite",
            "has none",
        ),
    ]
}

fn cases() -> Vec<Case> {
    [
        references(),
        matches(),
        templates(),
        servers(),
        fields(),
        values(),
        balance::cases(),
        conditions(),
        rewrites(),
        protection::acting(),
        protection::required(),
        protection::bypasses(),
        limits::cases(),
    ]
    .concat()
}

#[test]
fn each_is_found_once_at_its_place() {
    for (table, code, place, words) in cases() {
        let found = findings(table.clone());
        let [problem] = found.as_slice() else { panic!("{table}: {found:#?}") };
        assert_eq!((problem.code, place_text(problem).as_str()), (code, place), "{table}");
        assert_eq!(problem.severity, code.severity());
        let told = format!("{} {}", problem.message, problem.hint.as_deref().unwrap_or_default());
        assert!(told.contains(words), "{table}: {told:?} does not say {words:?}");
    }
}

#[test]
fn every_code_has_a_case() {
    let cases = cases();
    for code in Code::ALL {
        assert!(cases.iter().any(|(_, tested, ..)| tested == code), "{}", code.as_str());
    }
}

#[test]
fn all_are_reported_at_once() {
    let found = findings(json!({
        "pylos": {"trusted_proxies": ["x", "unix"]},
        "listen": {"l": {"bind": ["y"]}},
        "upstream": {"u": {"targets": [{"url": "z"}]}},
        "policy": {"p": {"type": "headers", "preset": "q"}},
        "route": {"r": {"match": ["bad", "/ok"], "to": "u", "rewrite": "no"}},
    }));
    let codes: Vec<&str> = found.iter().map(|problem| problem.code.as_str()).collect();
    assert_eq!(codes, ["P206", "P207", "P205", "P211", "P201", "P204"]);
}

#[test]
fn problems_have_one_form_outside() {
    let found = findings(route(json!({"match": ["/x", "/x"]})));
    assert_eq!(
        serde_json::to_value(found).expect("JSON"),
        json!([{
            "code": "P203", "severity": "warning", "path": ["route", "r", "match", 1], "of_key": false, "also": [],
            "message": "`/x` is matched by this route already", "hint": null,
        }]),
    );
}

#[test]
fn unknown_keys_are_no_table() {
    for (pointer, key) in
        [("", "store"), ("/pylos", "colour"), ("/route/r", "cache"), ("/upstream/u/pool", "x")]
    {
        let mut table = whole(route(json!({})));
        table
            .pointer_mut(pointer)
            .and_then(Value::as_object_mut)
            .expect(pointer)
            .insert(key.into(), json!(1));
        let error = serde_json::from_value::<RawTable>(table).expect_err(pointer).to_string();
        assert!(error.contains(key), "{error}");
    }
}
