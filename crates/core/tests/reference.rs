//! The compiled router against a matcher that is too simple to be wrong: it lists all patterns, keeps those
//! that fit, and sorts them by the rules of precedence as the manual tells them.

use proptest::prelude::*;
use pylos_core::facts::Facts;
use pylos_core::route::{Captures, Found};
use pylos_core::table::{Code, PathPart, Problem, RawTable, Table, compile};
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;

// ---- what is generated -----------------------------------------------------------------------------------

/// One route with one pattern.
#[derive(Debug, Clone)]
struct Rule {
    methods: Vec<&'static str>,
    host: &'static str,
    segments: Vec<&'static str>,
    rest: bool,
    when: Vec<Ask>,
    priority: i64,
}

/// One condition: where, the name, and how the value is compared.
#[derive(Debug, Clone, PartialEq)]
struct Ask {
    place: &'static str,
    name: &'static str,
    check: Compare,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Compare {
    Exact(&'static str),
    Begins(&'static str),
    Present,
    /// Beginnings of the addresses in the networks, and the networks.
    Networks(&'static [(&'static str, &'static str)]),
}

#[derive(Debug, Clone)]
struct Request {
    method: &'static str,
    host: &'static str,
    path: String,
    query: Option<&'static str>,
    fields: Vec<(&'static str, &'static str)>,
    ip: Option<&'static str>,
}

fn rule() -> impl Strategy<Value = Rule> {
    let methods = prop::sample::select(vec![vec![], vec![], vec!["GET"], vec!["PUT"], vec!["GET", "POST"]]);
    let host = prop::sample::select(vec!["", "", "a.b.c", "b.c", "*.b.c", "**.b.c", "**.c"]);
    let segment = prop::sample::select(vec!["a", "b", "", "{}", "a b"]);
    let when = prop_oneof![2 => Just(Vec::new()), 3 => prop::collection::vec(ask(), 1..3)];
    let priority = prop::sample::select(vec![0, 0, 0, 1, -1]);
    let place = (host, prop::collection::vec(segment, 0..3), any::<bool>());
    (methods, place, when, priority).prop_map(|(methods, (host, segments, rest), mut when, priority)| {
        // One condition a name, as in a table.
        let mut seen = Vec::new();
        when.retain(|ask| {
            !seen.contains(&(ask.place, ask.name)) && {
                seen.push((ask.place, ask.name));
                true
            }
        });
        let rest = rest || segments.is_empty();
        Rule { methods, host, segments, rest, when, priority }
    })
}

const WIDE: &[(&str, &str)] = &[("10.", "10.0.0.0/8"), ("::1", "::1")];
const NARROW: &[(&str, &str)] = &[("10.1.", "10.1.0.0/16")];

fn ask() -> impl Strategy<Value = Ask> {
    let value = prop::sample::select(vec![
        Compare::Exact("1"),
        Compare::Exact("2"),
        Compare::Exact("1 2"),
        Compare::Begins("1"),
        Compare::Present,
    ]);
    let place =
        prop::sample::select(vec![("header", "x-a"), ("header", "x-b"), ("query", "q"), ("cookie", "c")]);
    let named = (place, value).prop_map(|((place, name), check)| Ask { place, name, check });
    let ip = prop::sample::select(vec![WIDE, NARROW]).prop_map(|networks| Ask {
        place: "ip",
        name: "",
        check: Compare::Networks(networks),
    });
    prop_oneof![5 => named, 1 => ip]
}

fn request() -> impl Strategy<Value = Request> {
    let segment = prop::sample::select(vec!["a", "a", "b", "", "c", "a%20b"]);
    let path = prop::collection::vec(segment, 1..4).prop_map(|segments| format!("/{}", segments.join("/")));
    let field = prop::sample::select(vec![
        ("X-A", "1"),
        ("x-a", "2"),
        ("x-b", "1 2"),
        ("x-b", "0"),
        ("cookie", "c=1"),
        ("Cookie", "d=9; c=\"1 2\""),
        ("cookie", "c"),
    ]);
    let query = prop::sample::select(vec![
        None,
        Some(""),
        Some("q=1"),
        Some("q=1%202"),
        Some("q"),
        Some("q=2&q=1"),
        Some("%71=2"),
    ]);
    (
        prop::sample::select(vec!["GET", "PUT", "POST", "X"]),
        prop::sample::select(vec!["", "a.b.c", "b.c", "x.b.c", "x.y.b.c", "d"]),
        path,
        query,
        prop::collection::vec(field, 0..4),
        prop::sample::select(vec![None, Some("10.1.2.3"), Some("10.9.9.9"), Some("::1"), Some("192.0.2.1")]),
    )
        .prop_map(|(method, host, path, query, fields, ip)| Request {
            method,
            host,
            path,
            query,
            fields,
            ip,
        })
}

// ---- the table -------------------------------------------------------------------------------------------

impl Rule {
    fn pattern(&self) -> String {
        let mut path: String = (self.segments.iter().enumerate())
            .map(|(n, text)| format!("/{}", text.replace("{}", &format!("{{c{n}}}"))))
            .collect();
        if self.rest {
            path.push_str("/{rest:path}");
        }
        let blank = if self.methods.is_empty() { "" } else { " " };
        format!("{}{blank}{}{path}", self.methods.join(","), self.host)
    }

    fn raw(&self) -> Value {
        let mut when = json!({"header": {}, "query": {}, "cookie": {}, "ip": []});
        for ask in &self.when {
            let condition = match ask.check {
                Compare::Exact(value) => json!({"exact": value}),
                Compare::Begins(value) => json!({"re": format!("^{value}")}),
                Compare::Present => json!({"present": true}),
                Compare::Networks(networks) => {
                    when["ip"] = networks.iter().map(|(_, network)| json!(network)).collect();
                    continue;
                }
            };
            when[ask.place][ask.name] = condition;
        }
        json!({
            "match": [self.pattern()], "respond": {"status": 200, "body": "", "content_type": "text/plain"},
            "when": when, "priority": self.priority,
            "timeouts": {"response": 0, "total": 0, "tunnel_idle": 1}, "upgrade": [],
        })
    }
}

fn compiled(rules: &BTreeMap<String, Rule>) -> Result<(Table, Vec<Problem>), Vec<Problem>> {
    let routes: BTreeMap<&String, Value> = rules.iter().map(|(name, rule)| (name, rule.raw())).collect();
    let raw: RawTable = serde_json::from_value(json!({
        "version": 1, "route": routes,
        "pylos": {"workers": 0, "trusted_proxies": [], "access_log": null, "use": [], "drain_ms": 1},
    }))
    .expect("the shape of a table");
    compile(raw)
}

fn route_of(problem: &Problem) -> &str {
    match &problem.path[1] {
        PathPart::Key(name) => name,
        PathPart::Index(_) => panic!("a route has a name"),
    }
}

impl Facts for Request {
    fn method(&self) -> &[u8] {
        self.method.as_bytes()
    }
    fn host(&self) -> &[u8] {
        self.host.as_bytes()
    }
    fn path(&self) -> &[u8] {
        self.path.as_bytes()
    }
    fn query(&self) -> Option<&[u8]> {
        self.query.map(str::as_bytes)
    }
    fn https(&self) -> bool {
        false
    }
    fn client_ip(&self) -> Option<IpAddr> {
        self.ip.map(|ip| ip.parse().expect("an address"))
    }
    fn any_field(&self, test: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> bool {
        self.fields.iter().any(|(name, value)| test(name.as_bytes(), value.as_bytes()))
    }
}

// ---- the simple matcher ----------------------------------------------------------------------------------

impl Rule {
    fn fits_but_for_the_method(&self, request: &Request) -> bool {
        self.fits_host(request.host)
            && self.fits_path(&request.path)
            && self.when.iter().all(|ask| ask.holds(request))
    }

    fn fits_host(&self, host: &str) -> bool {
        let labels = |suffix: &str| -> Option<usize> {
            let front = host.strip_suffix(suffix)?.strip_suffix('.')?;
            Some(front.split('.').count())
        };
        if self.host.is_empty() {
            true
        } else if let Some(suffix) = self.host.strip_prefix("**.") {
            labels(suffix).is_some()
        } else if let Some(suffix) = self.host.strip_prefix("*.") {
            labels(suffix) == Some(1)
        } else {
            self.host == host
        }
    }

    fn fits_path(&self, path: &str) -> bool {
        let sent: Vec<&str> = path[1..].split('/').collect();
        let enough =
            if self.rest { sent.len() >= self.segments.len() } else { sent.len() == self.segments.len() };
        let fits = |(wanted, sent): (&&str, &&str)| match *wanted {
            "{}" => !sent.is_empty(),
            literal => literal == sent.replace("%20", " "),
        };
        enough && self.segments.iter().zip(&sent).all(fits)
    }

    fn takes_method(&self, method: &str) -> bool {
        self.methods.is_empty() || self.methods.contains(&method)
    }

    /// Less is more specific: exact host, wildcard (the longer first, then one label), any; then segments from
    /// left to right; then more conditions; then the larger priority.
    fn rank(&self) -> impl Ord + PartialEq + use<> {
        let host = match self.host {
            "" => (3, Reverse(0), 0),
            host => match (host.strip_prefix("**."), host.strip_prefix("*.")) {
                (Some(suffix), _) => (2, Reverse(suffix.len()), 2),
                (_, Some(suffix)) => (2, Reverse(suffix.len()), 1),
                _ => (1, Reverse(0), 0),
            },
        };
        let mut kinds: Vec<u8> = self.segments.iter().map(|text| if *text == "{}" { 2 } else { 1 }).collect();
        if self.rest {
            kinds.push(3);
        }
        let conditions = self.when.len() + usize::from(!self.methods.is_empty());
        (host, kinds, Reverse(conditions), Reverse(self.priority))
    }

    /// They match at the same place of the same tree.
    fn beside(&self, other: &Rule) -> bool {
        (self.host, &self.segments, self.rest) == (other.host, &other.segments, other.rest)
    }

    fn ties(&self, other: &Rule) -> bool {
        let methods = self.methods.is_empty()
            || other.methods.is_empty()
            || self.methods.iter().any(|method| other.methods.contains(method));
        let excluded = self.when.iter().any(|a| other.when.iter().any(|b| a.excludes(b)));
        self.beside(other) && self.rank() == other.rank() && methods && !excluded
    }
}

impl Ask {
    fn holds(&self, request: &Request) -> bool {
        let fields = |wanted: &str| -> Vec<&str> {
            let same = |(name, _): &&(&'static str, &'static str)| name.eq_ignore_ascii_case(wanted);
            request.fields.iter().filter(same).map(|(_, value)| *value).collect()
        };
        match self.place {
            "header" => fields(self.name).into_iter().any(|value| self.check.takes(value)),
            "cookie" => {
                let pairs = fields("cookie").into_iter().flat_map(|value| value.split("; ")).map(split);
                let mut values = pairs.filter(|(name, _)| *name == self.name).map(|(_, value)| value);
                values.next().is_some_and(|value| self.check.takes(value.trim_matches('"')))
            }
            "query" => {
                let pairs = request.query.into_iter().flat_map(|query| query.split('&')).map(split);
                let mut values = pairs.filter(|(name, _)| name.replace("%71", "q") == self.name);
                values.next().is_some_and(|(_, value)| self.check.takes(&value.replace("%20", " ")))
            }
            _ => request.ip.is_some_and(|ip| self.check.takes(ip)),
        }
    }

    fn excludes(&self, other: &Ask) -> bool {
        let same = (self.place, self.name) == (other.place, other.name);
        same && match (self.check, other.check) {
            (Compare::Exact(value), check) | (check, Compare::Exact(value)) => !check.takes(value),
            _ => false,
        }
    }
}

impl Compare {
    fn takes(self, value: &str) -> bool {
        match self {
            Compare::Exact(wanted) => value == wanted,
            Compare::Begins(start) => value.starts_with(start),
            Compare::Present => true,
            Compare::Networks(networks) => networks.iter().any(|(start, _)| value.starts_with(start)),
        }
    }
}

fn split(pair: &'static str) -> (&'static str, &'static str) {
    pair.split_once('=').unwrap_or((pair, ""))
}

// ---- both ------------------------------------------------------------------------------------------------

/// Takes out routes that tie until none does. Each tie that is reported must be one.
fn without_ties(mut rules: BTreeMap<String, Rule>) -> (BTreeMap<String, Rule>, Table, Vec<String>) {
    loop {
        let problems = match compiled(&rules) {
            Ok((table, warnings)) => {
                let shadowed = warnings.iter().map(|problem| {
                    assert_eq!(problem.code, Code::Shadowed);
                    route_of(problem).to_owned()
                });
                let shadowed = shadowed.collect();
                return (rules, table, shadowed);
            }
            Err(problems) => problems,
        };
        let mut tied: Vec<String> = Vec::new();
        for problem in problems.iter().filter(|problem| problem.code != Code::Shadowed) {
            assert_eq!(problem.code, Code::Tie, "{problem:?}");
            let name = route_of(problem);
            let other = rules.keys().find(|other| problem.message.contains(&format!("`route.{other}`")));
            assert!(rules[name].ties(&rules[other.expect("the other is named")]), "{problem:?}");
            tied.push(name.to_owned());
        }
        rules.retain(|name, _| !tied.contains(name));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]
    #[test]
    fn the_router_is_the_simple_matcher(
        rules in prop::collection::vec(rule(), 1..14),
        requests in prop::collection::vec(request(), 4),
    ) {
        let rules = rules.into_iter().enumerate().map(|(n, rule)| (format!("r{n:02}"), rule)).collect();
        let (rules, table, shadowed) = without_ties(rules);
        for (name, rule) in &rules {
            prop_assert!(!rules.iter().any(|(other, known)| other != name && rule.ties(known)), "{} ties", name);
        }
        for request in requests {
            let fitting: Vec<(&String, &Rule)> =
                rules.iter().filter(|(_, rule)| rule.fits_but_for_the_method(&request)).collect();
            let taking = fitting.iter().filter(|(_, rule)| rule.takes_method(request.method));
            // Among equals, which a field on two lines can make, the first of the names.
            let best = taking.min_by_key(|(name, rule)| (rule.rank(), name.as_str()));
            let (host, method, path) = (request.host.as_bytes(), request.method.as_bytes(), request.path.as_bytes());
            match (table.router.find(host, method, path, &request, &mut Captures::new()), best) {
                (Found::Route(found), Some((name, _))) => {
                    prop_assert_eq!(&*table.routes[found.index()].name, name.as_str(), "{:?}", request);
                    prop_assert!(!shadowed.contains(name), "{} is shadowed, but took {:?}", name, request);
                }
                (Found::MethodNotAllowed(allow), None) => {
                    let allow = String::from_utf8(allow.into_vec()).expect("ASCII");
                    let mut told: Vec<&str> = allow.split(", ").collect();
                    let mut all: Vec<&str> = fitting.iter().flat_map(|(_, rule)| &rule.methods).copied().collect();
                    told.sort_unstable();
                    all.sort_unstable();
                    all.dedup();
                    prop_assert_eq!(told, all, "{:?}", request);
                }
                (Found::None, None) => prop_assert!(fitting.is_empty(), "{:?}", request),
                (found, best) => prop_assert!(false, "{:?}: {:?}, not {:?}", request, found, best),
            }
        }
    }
}
