//! Tables as the seam brings them. A case spells only what it is about; the rest comes from [`whole`].

use super::*;
use crate::table::{Action, ListenerId, PathPart, Policy, PolicyId, PolicyKind, Serve, TargetAddress};
use serde_json::{Value, json};

mod problems;
mod meaning;
mod limits;

/// Fills in what every object of a kind must have.
fn whole(mut table: Value) -> Value {
    let pylos =
        json!({"workers": 0, "trusted_proxies": [], "access_log": null, "use": [], "drain_ms": 30000});
    let listen = json!({
        "bind": ["127.0.0.1:8080"], "serve": ["proxy"], "use": [],
        "limits": {"line_bytes": 16384, "header_bytes": 65536, "fields": 100, "connections": 0,
                   "connections_per_address": 10000, "body_rate": 100, "body_bytes": 0},
        "timeouts": {"header": 10000, "idle": 75000, "body_idle": 30000, "send_idle": 30000, "client_fin": 10000},
    });
    let upstream = json!({
        "targets": [{"url": "http://10.0.0.1:8000"}], "balance": {"algorithm": "round_robin"}, "health": null, "host": "preserve",
        "pool": {"max_idle": 4096, "max_connections": 0, "idle_ms": 60000, "max_age_ms": 3600000},
        "timeouts": {"connect": 5000, "first_byte": 60000, "idle": 60000, "send_idle": 30000},
    });
    let route = json!({
        "timeouts": {"response": 0, "total": 0, "tunnel_idle": 3600000}, "upgrade": ["websocket"],
    });
    merge(&mut table, &json!({"version": 1, "pylos": pylos}));
    for (kind, defaults) in [("listen", listen), ("upstream", upstream), ("route", route)] {
        for object in
            table.get_mut(kind).and_then(Value::as_object_mut).into_iter().flat_map(|map| map.values_mut())
        {
            merge(object, &defaults);
        }
    }
    for policy in
        table.get_mut("policy").and_then(Value::as_object_mut).into_iter().flat_map(|map| map.values_mut())
    {
        *policy = whole_policy(policy.take());
    }
    table
}

/// Cases spell a policy as the file does, with the keys of its kind beside `enforce` and `if`.
fn whole_policy(mut kind: Value) -> Value {
    let mut policy = json!({});
    for key in ["enforce", "if"] {
        if let Some(value) = kind.as_object_mut().and_then(|map| map.remove(key)) {
            policy[key] = value;
        }
    }
    policy["kind"] = kind;
    policy
}

/// Adds what is missing.
fn merge(value: &mut Value, defaults: &Value) {
    let (Value::Object(map), Value::Object(defaults)) = (value, defaults) else { return };
    for (key, default) in defaults {
        merge(map.entry(key.clone()).or_insert_with(|| default.clone()), default);
    }
}

fn compiled(table: Value) -> Result<(Table, Vec<Problem>), Vec<Problem>> {
    compile(serde_json::from_value(whole(table)).expect("the shape of a table"))
}

/// The table of a case without errors.
fn table(raw: Value) -> Table {
    compiled(raw).expect("a sound table").0
}

/// All findings, warnings too.
fn findings(table: Value) -> Vec<Problem> {
    compiled(table).map_or_else(|problems| problems, |(_, warnings)| warnings)
}

fn place_text(problem: &Problem) -> String {
    let part = |part: &PathPart| match part {
        PathPart::Key(key) => key.clone(),
        PathPart::Index(index) => index.to_string(),
    };
    problem.path.iter().map(part).collect::<Vec<_>>().join(".")
}

fn name_of(policies: &[Policy], id: PolicyId) -> &str {
    &policies[id.index()].name
}
