//! In what are requests alike? Of each the text of what is asked for: for decisions that are remembered, and for limits.

use super::incoming::Request;
use pylos_core::facts::{Facts, cookie_values, nameless};
use pylos_core::message::head::same_for_cgi;
use pylos_core::verdict::By;
use serde_json::{Map, Value};
use siphasher::sip::SipHasher13;
use std::net::IpAddr;

/// A request on its route.
#[derive(Clone, Copy)]
pub(crate) struct About<'r> {
    pub(crate) request: &'r Request,
    /// The name of its route; empty where none took it.
    pub(crate) route: &'r str,
}

/// Appends what is asked for, so that no two requests that differ in it have the same text.
pub(crate) fn write(by: &By, about: About<'_>, out: &mut Vec<u8>) {
    let About { request, route } = about;
    let client = request.identity.as_deref();
    match by {
        By::Method => text(out, Some(request.method())),
        By::Scheme => text(out, Some(request.scheme())),
        By::Host => text(out, Some(request.host())),
        By::Path => text(out, Some(request.path_now())),
        By::Query => text(out, request.query_now()),
        By::Route => text(out, Some(route.as_bytes())),
        By::Header(name) => {
            request.any_field(&mut |known, value| {
                if same_for_cgi(known, name) {
                    text(out, Some(value));
                }
                false
            });
            text(out, None);
        }
        By::Cookie(name) => {
            request.any_field(&mut |known, value| {
                if known.eq_ignore_ascii_case(b"cookie") {
                    cookie_values(value, name).for_each(|value| text(out, Some(value)));
                }
                false
            });
            text(out, None);
        }
        By::ClientId => match client {
            Some(client) => text(out, Some(client.id.as_bytes())),
            None => text(out, Some(nameless(request.client_ip()).as_bytes())),
        },
        By::ClientIp => match request.client_ip().map(|ip| ip.to_canonical()) {
            Some(IpAddr::V4(ip)) => text(out, Some(&ip.octets())),
            Some(IpAddr::V6(ip)) => text(out, Some(&ip.octets())),
            None => text(out, None),
        },
        By::ClientPlan => text(out, client.and_then(|client| client.plan.as_deref()).map(str::as_bytes)),
        By::Claim(name) => match client {
            Some(client) => claim(out, &client.claims, name),
            None => claim(out, &Map::new(), name),
        },
    }
}

/// A number for what is asked for, the same in all workers and gateways; `None`: the request has nothing of it.
pub(crate) fn key(by: &By, about: About<'_>) -> Option<u64> {
    let mut out = Vec::with_capacity(64);
    write(by, about, &mut out);
    // What is not there has a length that nothing has, and nothing else.
    let is_there = out.iter().any(|&byte| byte != 0xff);
    is_there.then(|| SipHasher13::new_with_keys(0, 0).hash(&out))
}

/// All that a name with dots can mean: a claim of that very name, and one inside of others.
fn claim(out: &mut Vec<u8>, claims: &Map<String, Value>, name: &str) {
    text(out, claims.get(name).map(ToString::to_string).as_deref().map(str::as_bytes));
    for (dot, _) in name.match_indices('.') {
        if let Some(inner) = claims.get(&name[..dot]).and_then(Value::as_object) {
            text(out, Some(&name.as_bytes()[..dot]));
            claim(out, inner, &name[dot + 1..]);
        }
    }
    text(out, None);
}

/// Its length and itself; of what is not there a length that nothing has.
pub(crate) fn text(out: &mut Vec<u8>, value: Option<&[u8]>) {
    let length = value.map_or(u32::MAX, |value| value.len() as u32);
    out.extend_from_slice(&length.to_ne_bytes());
    out.extend_from_slice(value.unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;
    use pylos_core::facts::Client;
    use pylos_core::http1::{HeadLimits, HeadParser, RequestLine};
    use pylos_core::message::forwarded::ClientAddress;
    use serde_json::json;
    use smallvec::SmallVec;

    fn client(id: &str) -> Client {
        Client { id: id.into(), named: true, ..Client::default() }
    }

    fn from(id: &str) -> Request {
        Request { identity: Some(Box::new(client(id))), ..Request::default() }
    }

    fn by(texts: &[&str]) -> Vec<By> {
        texts.iter().map(|text| By::read(text).expect(text)).collect()
    }

    /// Requests as they come, and their text for a list in `by`.
    fn told(texts: &[&str], request: &Request, route: &str) -> Vec<u8> {
        let mut out = Vec::new();
        by(texts).iter().for_each(|by| write(by, About { request, route }, &mut out));
        out
    }

    fn read(head: &str) -> Request {
        let mut request = Request::default();
        request.block.push(head.as_bytes());
        let limits = HeadLimits { line: 1000, total: 1000, fields: 20 };
        let mut parser = HeadParser::<RequestLine>::new();
        parser.feed(head.as_bytes(), &mut request.fields, &limits).expect("sound");
        let line = parser.line().expect("whole");
        (request.method, request.target, request.version) = (line.method, line.target, line.version);
        crate::request::guard::guard(&mut request).expect("sound");
        request
    }

    fn with(client: Client) -> Request {
        Request { identity: Some(Box::new(client)), ..Request::default() }
    }

    fn claiming(claims: Value) -> Request {
        with(Client { claims: claims.as_object().cloned().expect("an object"), ..client("a") })
    }

    /// None of these requests is alike to another one.
    fn assert_apart(by: &str, requests: &[Request]) {
        let mut found: Vec<_> = requests.iter().map(|request| told(&[by], request, "site")).collect();
        found.sort();
        found.dedup();
        assert_eq!(found.len(), requests.len(), "{by}");
    }

    fn get(rest: &str) -> Request {
        read(&format!("GET / HTTP/1.1\r\nhost: a\r\n{rest}\r\n"))
    }

    #[test]
    fn requests_that_differ_in_it_are_never_alike() {
        let line = |line: &str| read(&format!("{line}\r\nhost: a\r\n\r\n"));
        assert_apart("request.method", &[line("GET / HTTP/1.1"), line("POST / HTTP/1.1")]);
        assert_apart("request.host", &[get(""), read("GET / HTTP/1.1\r\nhost: b\r\n\r\n")]);
        assert_apart("request.path", &[line("GET / HTTP/1.1"), line("GET /a HTTP/1.1")]);
        let queries = ["/", "/?", "/?a"].map(|target| line(&format!("GET {target} HTTP/1.1")));
        assert_apart("request.query", &queries);
        assert_apart("request.scheme", &[get(""), Request { https: true, ..get("") }]);
        let fields = [
            "",
            "x-tenant:\r\n",
            "x-tenant: a\r\n",
            "X_Tenant: a\r\nx-tenant: a\r\n",
            "x-tenant: ab\r\n",
            "x-tenant: a\r\nx-tenant: b\r\n",
        ];
        assert_apart("request.headers.x-tenant", &fields.map(get));
        let cookies = [
            "",
            "cookie: sid=\r\n",
            "cookie: sid=a\r\n",
            "cookie: sid=b; other=a\r\n",
            "cookie: sid=a; sid=b\r\n",
            "cookie: sid=a\r\ncookie: sid=c\r\n",
        ];
        assert_apart("request.cookies.sid", &cookies.map(get));
        assert_ne!(told(&["request.route"], &get(""), "a"), told(&["request.route"], &get(""), "b"));
    }

    #[test]
    fn clients_that_differ_in_it_are_never_alike() {
        let plan = |plan: Option<&str>| with(Client { plan: plan.map(Into::into), ..client("a") });
        let peer = |ip: &str| {
            let ip = Some(ip.parse().expect("an address"));
            Request {
                client: Some(ClientAddress { ip, peer_trusted: false, hops: SmallVec::new() }),
                ..get("")
            }
        };
        let ids = [from("a"), from("b"), peer("192.0.2.1"), peer("192.0.2.2"), get("")];
        assert_apart("client.id", &ids);
        assert_apart("client.ip", &[peer("192.0.2.1"), peer("192.0.2.2"), peer("2001:db8::1"), get("")]);
        assert_apart("client.plan", &[plan(None), plan(Some("gold")), plan(Some(""))]);
        let orgs = [
            json!({}),
            json!({"org": {"id": "x"}}),
            json!({"org": {"id": "y"}}),
            json!({"org": {"id": ["y"]}}),
            json!({"org.id": "x"}),
            json!({"org.id": "x", "org": {"id": "x"}}),
        ];
        assert_apart("client.claims.org.id", &orgs.map(claiming));
        let roles = [
            json!({"https://a.example/app": {"role": {"name": "x"}}}),
            json!({"https://a.example/app": {"role.name": "x"}}),
            json!({"https://a.example/app.role": {"name": "x"}}),
            json!({"https://a.example/app": {"role": {"name": "y"}}}),
        ];
        assert_apart("client.claims.https://a.example/app.role.name", &roles.map(claiming));
    }

    #[test]
    fn requests_that_differ_in_something_else_are_alike() {
        let one = read("GET /a HTTP/1.1\r\nhost: a\r\nX_Tenant: 1\r\nother: 1\r\n\r\n");
        let other = read("GET /a HTTP/1.1\r\nhost: a\r\nsecond: 1\r\nx-tenant: 1\r\n\r\n");
        let by = ["request.path", "request.headers.X-TENANT"];
        assert_eq!(told(&by, &one, "a"), told(&by, &other, "b"));
        let by = ["request.cookies.sid"];
        let other = get("cookie: a=1; sid=\"x\"; b=2\r\n");
        assert_eq!(told(&by, &get("cookie: sid=x\r\n"), "a"), told(&by, &other, "b"));
    }

    #[test]
    fn what_is_not_there_has_no_key() {
        let key = |what: &str, request: &Request| {
            key(&By::read(what).expect(what), About { request, route: "site" })
        };
        for what in ["request.headers.x-user", "request.cookies.sid", "request.query", "client.claims.org"] {
            assert_eq!(key(what, &get("x-other: 1\r\ncookie: other=1\r\n")), None, "{what}");
        }
        let user = |name: &str| key("request.headers.x-user", &get(&format!("x-user: {name}\r\n")));
        assert!(user("").is_some());
        assert_eq!(user("a"), user("a"));
        assert_ne!(user("a"), user("b"));
    }
}
