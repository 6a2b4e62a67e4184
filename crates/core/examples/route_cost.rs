//! What a look-up costs: `cargo run --profile quick -p pylos-core --example route_cost`.
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use pylos_core::message::path::normalise;
use pylos_core::route::{Captures, Found};
use pylos_core::table::{RawTable, Table, compile};
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
        for count in [1, 1000] {
            let started = Instant::now();
            let table = table(count, match_);
            let compiled = started.elapsed();
            let last = match_(count - 1).replace("{id}", "4711").replace("{rest:path}", "items/list");
            let (host, path) = last.split_at(last.find('/').expect("a path"));
            println!(
                "{title:12} {count:5} routes {:6.1} ns (compiled in {compiled:.1?})",
                cost(&table, host, path)
            );
        }
    }
    let path = b"/api/v3/service-17/4711/items/list.json";
    let (started, mut out) = (Instant::now(), Vec::new());
    for _ in 0..ROUNDS {
        assert!(normalise(black_box(path), &mut out).is_ok());
    }
    println!("normal form of {} bytes {:6.1} ns", path.len(), nanoseconds(started));
}

fn cost(table: &Table, host: &str, path: &str) -> f64 {
    let (mut captures, started) = (Captures::new(), Instant::now());
    for _ in 0..ROUNDS {
        let found =
            table.router.find(black_box(host.as_bytes()), b"GET", black_box(path.as_bytes()), &mut captures);
        assert!(matches!(found, Found::Route(_)));
    }
    nanoseconds(started)
}

fn nanoseconds(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1e9 / f64::from(ROUNDS)
}

fn table(count: usize, match_: fn(usize) -> String) -> Table {
    let route = |n: usize| {
        json!({
            "match": [match_(n)], "respond": {"status": 200, "body": "", "content_type": "text/plain"},
            "timeouts": {"response": 0, "total": 0, "tunnel_idle": 1}, "upgrade": [],
        })
    };
    let routes: Map<String, Value> = (0..count).map(|n| (format!("r{n}"), route(n))).collect();
    let raw: RawTable = serde_json::from_value(json!({
        "version": 1, "route": routes,
        "pylos": {"workers": 0, "trusted_proxies": [], "access_log": null, "use": [], "drain_ms": 1},
    }))
    .expect("the shape of a table");
    compile(raw).expect("a sound table").0
}
