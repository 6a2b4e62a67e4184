//! What a look-up costs, and a table: `cargo run --release -p pylos-core --example route_cost`.
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use pylos_core::facts::NoFacts;
use pylos_core::message::path::normalise;
use pylos_core::route::{Captures, Found};
use pylos_core::table::{Problem, RawTable, Table, compile};
use serde_json::{Map, Value, json};
use std::hint::black_box;
use std::time::Instant;

const ROUNDS: u32 = 2_000_000;

fn main() {
    for (title, match_) in [
        (
            "a path each",
            (|n| format!("shop.example.com/api/v{}/service-{n}/{{id}}/{{rest:path}}", n % 7))
                as fn(usize) -> String,
        ),
        ("a host each", |n| format!("tenant-{n}.example.com/{{rest:path}}")),
        ("any host", |n| format!("/service-{n}/{{rest:path}}")),
    ] {
        for count in [1, 1000, 10_000] {
            let table = table(count, match_).0;
            println!("{title:12} {count:5} routes {:6.1} ns a look-up", cost(&table, count, match_));
        }
    }
    let text = text(10_000, |n| format!("GET,POST shop.example.com/api/service-{n}/{{id}}"));
    let started = Instant::now();
    let raw: RawTable = serde_json::from_str(&text).expect("the shape of a table");
    let parsed = started.elapsed();
    let (_, warnings) = compile(raw).expect("a sound table");
    println!(
        "a table of 10000 routes with policies, {} kB: read in {parsed:.1?}, whole after {:.1?}, {} warnings",
        text.len() / 1000,
        started.elapsed(),
        warnings.len(),
    );
    let path = b"/api/v3/service-17/4711/items/list.json";
    let (started, mut out) = (Instant::now(), Vec::new());
    for _ in 0..ROUNDS {
        assert!(normalise(black_box(path), &mut out).is_ok());
    }
    println!("normal form of {} bytes {:6.1} ns", path.len(), nanoseconds(started, ROUNDS));
}

/// Asks for all routes in turn, so that no cache knows the answer.
fn cost(table: &Table, count: usize, match_: fn(usize) -> String) -> f64 {
    let targets: Vec<String> = (0..count)
        .map(|n| match_(n * 7919 % count).replace("{id}", "4711").replace("{rest:path}", "items/list"))
        .collect();
    let (mut captures, started, mut asked) = (Captures::new(), Instant::now(), 0);
    while asked < ROUNDS {
        for target in &targets {
            let (host, path) = target.split_at(target.find('/').expect("a path"));
            let (host, path) = (black_box(host.as_bytes()), black_box(path.as_bytes()));
            let found = table.router.find(host, b"GET", path, &NoFacts, &mut captures);
            assert!(matches!(found, Found::Route(_)));
        }
        asked += targets.len() as u32;
    }
    nanoseconds(started, asked)
}

fn nanoseconds(started: Instant, rounds: u32) -> f64 {
    started.elapsed().as_secs_f64() * 1e9 / f64::from(rounds)
}

fn table(count: usize, match_: fn(usize) -> String) -> (Table, Vec<Problem>) {
    compile(serde_json::from_str(&text(count, match_)).expect("the shape of a table")).expect("a sound table")
}

/// Routes to one upstream, each with a policy, beside one for all else without any.
fn text(count: usize, match_: fn(usize) -> String) -> String {
    let route = |match_: String, use_: &[&str]| {
        json!({
            "match": [match_], "to": "web", "use": use_,
            "timeouts": {"response": 0, "total": 0, "tunnel_idle": 1}, "upgrade": [],
        })
    };
    let mut routes: Map<String, Value> =
        (0..count).map(|n| (format!("r{n}"), route(match_(n), &["headers", "filter"]))).collect();
    routes.insert("rest".to_owned(), route("/{rest:path}".to_owned(), &[]));
    json!({
        "version": 1, "route": routes,
        "pylos": {"workers": 0, "trusted_proxies": [], "access_log": null, "use": [], "drain_ms": 1},
        "listen": {"http": {
            "bind": ["127.0.0.1:0"], "serve": ["proxy"], "use": [],
            "limits": {"line_bytes": 16384, "header_bytes": 65536, "fields": 100, "connections": 0,
                       "connections_per_address": 0, "body_rate": 0, "body_bytes": 0},
            "timeouts": {"header": 1, "idle": 1, "body_idle": 1, "send_idle": 1, "client_fin": 1},
        }},
        "policy": {
            "filter": {"kind": {"type": "filter", "deny_ip": ["10.0.0.0/8"]}},
            "headers": {"kind": {"type": "headers", "preset": "security"}},
        },
        "upstream": {"web": {
            "targets": [{"url": "http://10.0.0.1"}], "balance": {"algorithm": "round_robin"}, "health": null, "host": "preserve",
            "pool": {"max_idle": 1, "max_connections": 0, "idle_ms": 1, "max_age_ms": 1},
            "timeouts": {"connect": 1, "first_byte": 1, "idle": 1, "send_idle": 1},
        }},
    })
    .to_string()
}
