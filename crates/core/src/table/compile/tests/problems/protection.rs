//! What policies protect: when they act, which routes must have them, and ways around them.

use super::*;

/// Policies that do not act on every request.
pub(super) fn acting() -> Vec<Case> {
    use Code::{BadExpression, BadValue, Conflict};
    let policy = |policy_: Value| {
        let mut whole = json!({"type": "headers"});
        merge(&mut whole, &policy_);
        let mut merged = policy_;
        merge(&mut merged, &whole);
        policy(merged)
    };
    vec![
        (policy(json!({"enforce": 101})), BadValue, "policy.p.enforce", "0 to 100"),
        (policy(json!({"if": "request.mehtod == 'GET'"})), BadExpression, "policy.p.if", "`request.method`"),
        (policy(json!({"if": "true &&"})), BadExpression, "policy.p.if", "at column 8 of the expression"),
        (
            policy(json!({"type": "chain", "use": [], "enforce": 50})),
            Conflict,
            "policy.p.enforce",
            "in the chain",
        ),
        (policy(json!({"type": "chain", "use": [], "if": "true"})), Conflict, "policy.p.if", "in the chain"),
    ]
}

/// A table that requires policies of its route `r`.
fn requiring(require: &[&str], overlay: Value) -> Value {
    let mut table = json!({
        "pylos": {"require": require},
        "upstream": {"u": {}},
        "listen": {"l": {}, "other": {"bind": ["127.0.0.1:2"]}, "ops": {"bind": ["127.0.0.1:3"], "serve": ["health"]}},
        "policy": {
            "both": {"type": "chain", "use": ["id", "log"]},
            "half": {"type": "headers", "enforce": 50},
            "id": {"type": "headers"},
            "log": {"type": "headers"},
            "maybe": {"type": "headers", "if": "request.method == 'GET'"},
        },
    });
    let merged = overlay;
    for (key, value) in merged.as_object().into_iter().flatten() {
        match table.get_mut(key) {
            Some(known) => {
                let mut value = value.clone();
                merge(&mut value, known);
                *known = value;
            }
            None => table[key] = value.clone(),
        }
    }
    if table.get("route").is_none() {
        table["route"] = json!({"r": {"match": ["/"], "to": "u"}});
    }
    table
}

pub(super) fn required() -> Vec<Case> {
    use Code::{UnknownReference, Unprotected};
    let lacking = |require: &[&str], overlay: Value, words: &'static str| {
        (requiring(require, overlay), Unprotected, "route.r", words)
    };
    let with = |list: &[&str]| json!({"route": {"r": {"match": ["/"], "to": "u", "use": list}}});
    let redirect = json!({"route": {"r": {"match": ["/"], "redirect": {"to": "/x", "status": 308}}}});
    vec![
        (requiring(&["no"], json!({})), UnknownReference, "pylos.require.0", "`no`"),
        lacking(&["id"], json!({}), "`without = [\"id\"]`"),
        lacking(&["id"], redirect, "must have `id`"),
        lacking(&["id"], json!({"listen": {"l": {"use": ["id"]}}}), "does not on `listen.other`"),
        lacking(&["both"], with(&["id"]), "`log` (by `both`)"),
        lacking(&["half"], with(&["half"]), "50 % of the requests"),
        lacking(&["maybe"], with(&["maybe"]), "its `if` holds"),
    ]
}

#[test]
fn what_satisfies_a_requirement() {
    let with = |keys: Value| {
        let mut route = keys;
        merge(&mut route, &json!({"match": ["/"], "to": "u"}));
        json!({"route": {"r": route}})
    };
    for (require, overlay) in [
        (&["id"][..], with(json!({"use": ["both"]}))),
        (&["both"], with(json!({"use": ["id", "log"]}))),
        (&["both", "id"], json!({"pylos": {"require": ["both", "id"], "use": ["both"]}})),
        (&["id"], with(json!({"without": ["id"]}))),
        (&["both"], with(json!({"without": ["both"]}))),
        (&["both"], with(json!({"use": ["log"], "without": ["id"]}))),
    ] {
        assert_eq!(findings(requiring(require, overlay.clone())), [], "{overlay}");
    }
    let hidden = json!({"pylos": {"require": ["id"], "use": ["both"]}, "route": {"r": {"match": ["/"], "to": "u", "without": ["both"]}}});
    assert_eq!(findings(requiring(&["id"], hidden)).len(), 1, "a chain is no name of what is in it");
}

/// A guarded route beside a broad one, with the same upstream.
fn guarded(narrow: Value, broad: Value) -> Value {
    let mut table = two(narrow, broad);
    merge(
        &mut table,
        &json!({"listen": {"l": {}}, "policy": {"auth": {"type": "filter", "deny_ip": ["10.0.0.0/8"]}}}),
    );
    table
}

pub(super) fn bypasses() -> Vec<Case> {
    let around = |narrow: Value, broad: Value, words: &'static str| {
        (guarded(narrow, broad), Code::Bypass, "route.a.match.0", words)
    };
    let narrow = |match_: &str| json!({"match": [match_], "use": ["auth"]});
    let all = || json!({"match": ["/{rest:path}"]});
    vec![
        around(
            narrow("/admin"),
            all(),
            "`/admin/` goes to `route.b` instead: to the same upstream, without `auth`",
        ),
        around(narrow("/admin/"), all(), "`/admin` goes"),
        around(narrow("/admin/{rest:path}"), all(), "`/ADMIN` goes"),
        around(narrow("/1/{rest:path}"), all(), "`//1` goes"),
        around(narrow("/users/{id}"), all(), "`/users/x/` goes"),
        around(
            narrow("PUT *.a.example/1%2f/{rest:path}"),
            json!({"match": ["PUT **.example/{r:path}"]}),
            "`//1%2F` goes",
        ),
        around(
            json!({"match": ["/1"], "use": ["auth"], "when": {"header": {"x": {"exact": "1"}}}}),
            json!({"match": ["/{rest:path}"], "when": {"header": {"x": {"present": true}}}}),
            "`/1/` goes",
        ),
        // A client is free to send what a condition of the broader one asks for.
        around(
            narrow("/1"),
            json!({"match": ["/{rest:path}"], "when": {"header": {"x": {"present": true}}}}),
            "`/1/` goes",
        ),
        // Another name for the same server.
        (
            {
                let mut table = guarded(narrow("/1"), all());
                merge(&mut table, &json!({"upstream": {"v": {}}}));
                table["route"]["b"]["to"] = json!("v");
                table
            },
            Code::Bypass,
            "route.a.match.0",
            "`/1/` goes",
        ),
        around(narrow("GET,PUT /1"), json!({"match": ["PUT,POST /{rest:path}"]}), "`/1/` goes"),
        around(narrow("/1"), json!({"match": ["PATCH /{rest:path}"]}), "`/1/` goes"),
        around(
            json!({"match": ["/1"], "respond": {"status": 403, "body": "", "content_type": ""}, "to": null}),
            all(),
            "`/1/` goes to `route.b` instead: past the 403 of this route",
        ),
    ]
}

#[test]
fn what_is_no_way_around() {
    let narrow = json!({"match": ["/1/{r:path}", "//1/{r:path}"], "use": ["auth"]});
    for (narrow, broad) in [
        (narrow.clone(), json!({"match": ["/{rest:path}"]})),
        (json!({"match": ["/1"], "use": ["auth"]}), json!({"match": ["/2/{rest:path}"]})),
        (json!({"match": ["/1"], "use": ["auth"]}), json!({"match": ["/{rest:path}"], "use": ["auth"]})),
        (json!({"match": ["GET /1"], "use": ["auth"]}), json!({"match": ["PUT /{rest:path}"]})),
        (json!({"match": ["a.example/1"], "use": ["auth"]}), json!({"match": ["b.example/{rest:path}"]})),
        (json!({"match": ["/1"]}), json!({"match": ["/{rest:path}"], "use": ["auth"]})),
        (
            json!({"match": ["/1"], "use": ["auth"]}),
            json!({"match": ["/{rest:path}"], "respond": {"status": 200, "body": "", "content_type": ""}, "to": null}),
        ),
        (
            json!({"match": ["/1"], "use": ["auth"], "when": {"header": {"x": {"exact": "1"}}}}),
            json!({"match": ["/{rest:path}"], "when": {"header": {"x": {"exact": "2"}}}}),
        ),
        (
            json!({"match": ["/1"], "respond": {"status": 200, "body": "", "content_type": ""}, "to": null}),
            json!({"match": ["/{rest:path}"]}),
        ),
    ] {
        assert_eq!(findings(guarded(narrow.clone(), broad)), [], "{narrow}");
    }
    let eased = json!({"pylos": {"use": ["auth"]}});
    let mut table =
        guarded(json!({"match": ["/1"]}), json!({"match": ["/{rest:path}"], "without": ["auth"]}));
    merge(&mut table, &eased);
    assert_eq!(findings(table).len(), 1, "`without` makes a way around, too");
}
