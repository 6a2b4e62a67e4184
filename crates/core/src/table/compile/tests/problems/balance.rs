//! Which target is chosen, which is left alone, and what is asked of them.

use super::{Case, merge, upstream};
use crate::table::Code;
use serde_json::{Value, json};

fn bad(table: Value, place: &'static str, words: &'static str) -> Case {
    (table, Code::BadValue, place, words)
}

/// Both cannot hold.
fn clash(table: Value, place: &'static str, words: &'static str) -> Case {
    (table, Code::Conflict, place, words)
}

/// A part of an upstream, without what the case says.
fn with(key: &str, mut case: Value, sound: &Value) -> Value {
    merge(&mut case, sound);
    upstream(json!({key: case}))
}

fn health(case: Value) -> Value {
    with("health", case, &json!({"path": "/", "every_ms": 1000, "timeout_ms": 1000, "fall": 3, "rise": 2}))
}

fn outliers(case: Value) -> Value {
    let sound = json!({
        "errors": 5, "requests": 20, "over_ms": 10_000, "eject_ms": 30_000, "longest_ms": 300_000, "max_ejected": 50,
        "statuses": ["503"],
    });
    with("outliers", case, &sound)
}

fn target(mut case: Value) -> Value {
    merge(&mut case, &json!({"url": "http://10.0.0.1:8000"}));
    upstream(json!({"targets": [case]}))
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        bad(upstream(json!({"balance": {"algorithm": "x"}})), "upstream.u.balance.algorithm", "round_robin"),
        clash(
            upstream(json!({"balance": {"algorithm": "p2c", "hash": "client.ip"}})),
            "upstream.u.balance.hash",
            "maglev",
        ),
        clash(
            upstream(json!({"balance": {"algorithm": "first", "bound": 1.5}})),
            "upstream.u.balance.bound",
            "maglev",
        ),
        bad(
            upstream(json!({"balance": {"algorithm": "maglev", "bound": 0.5}})),
            "upstream.u.balance.bound",
            "1 to 1000",
        ),
        bad(
            upstream(json!({"balance": {"algorithm": "maglev", "hash": "x"}})),
            "upstream.u.balance.hash",
            "nothing of",
        ),
        bad(upstream(json!({"panic_threshold": 101})), "upstream.u.panic_threshold", "0 to 100"),
        bad(outliers(json!({"errors": 0})), "upstream.u.outliers.errors", "1 to"),
        bad(outliers(json!({"share": 0})), "upstream.u.outliers.share", "1 to"),
        bad(outliers(json!({"requests": 0})), "upstream.u.outliers.requests", "1 to"),
        bad(outliers(json!({"over_ms": 0})), "upstream.u.outliers.over", "1 to"),
        bad(outliers(json!({"eject_ms": 0})), "upstream.u.outliers.eject", "1 to"),
        bad(outliers(json!({"longest_ms": 0})), "upstream.u.outliers.longest", "1 to"),
        bad(outliers(json!({"max_ejected": 101})), "upstream.u.outliers.max_ejected", "0 to"),
        bad(outliers(json!({"statuses": ["503", "x"]})), "upstream.u.outliers.statuses.1", "neither"),
        bad(outliers(json!({"statuses": ["599-500"]})), "upstream.u.outliers.statuses.0", "neither"),
        bad(target(json!({"weight": 1_000_001})), "upstream.u.targets.0.weight", "0 to"),
        bad(target(json!({"priority": 101})), "upstream.u.targets.0.priority", "0 to"),
        bad(health(json!({"path": "x"})), "upstream.u.health.path", "begins with `/`"),
        bad(health(json!({"path": "/a b"})), "upstream.u.health.path", "%20"),
        bad(health(json!({"path": "/a?b c"})), "upstream.u.health.path", "%20"),
        bad(health(json!({"path": "/a\r\nX: y"})), "upstream.u.health.path", "not the path"),
        bad(health(json!({"every_ms": 0})), "upstream.u.health.every", "10 to"),
        bad(health(json!({"fast_ms": 1001, "every_ms": 1000})), "upstream.u.health.fast", "10 to 1000"),
        bad(health(json!({"host": "a b"})), "upstream.u.health.host", "no host"),
        (
            health(json!({"headers": {"host": "a"}})),
            Code::BadField,
            "upstream.u.health.headers.host",
            "not changed here",
        ),
        bad(health(json!({"statuses": ["x"]})), "upstream.u.health.statuses.0", "neither"),
        bad(health(json!({"body": "re:("})), "upstream.u.health.body", "no regular expression"),
        clash(health(json!({"expect": "x"})), "upstream.u.health.expect", "without `path`"),
        clash(health(json!({"send": "x"})), "upstream.u.health.send", "without `path`"),
        bad(
            health(json!({"path": null, "expect": "x".repeat(4097)})),
            "upstream.u.health.expect",
            "0 to 4096",
        ),
        clash(health(json!({"path": null, "body": "x"})), "upstream.u.health.body", "there is no `path`"),
        clash(
            health(json!({"path": null, "statuses": ["200"]})),
            "upstream.u.health.statuses",
            "there is no `path`",
        ),
        clash(health(json!({"path": null, "host": "a"})), "upstream.u.health.host", "there is no `path`"),
        clash(
            health(json!({"path": null, "headers": {"a": "b"}})),
            "upstream.u.health.headers",
            "there is no `path`",
        ),
        bad(health(json!({"timeout_ms": 0})), "upstream.u.health.timeout", "1 to"),
        bad(health(json!({"fall": 0})), "upstream.u.health.fall", "1 to"),
        bad(health(json!({"rise": 0})), "upstream.u.health.rise", "1 to"),
    ]
}
