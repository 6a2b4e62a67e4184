//! Limits: what they count by, and the policies that give them their keys.

use super::problems::Case;
use super::*;
use crate::limit::Rate;
use crate::table::{KeyPart, Phase};
use crate::verdict::By;

fn limit(overlay: Value) -> Value {
    let mut limit = overlay;
    merge(
        &mut limit,
        &json!({"type": "rate_limit", "rates": [{"requests": 600, "window_ms": 60000}], "key": ["client.id"]}),
    );
    limit
}

fn python(phase: &str) -> Value {
    json!({"type": "python", "call": "m:f", "phase": phase, "timeout_ms": 1000, "on_error": "deny", "queue": 100})
}

fn rates(rates: &[(u32, u64)]) -> Value {
    let rate = |(requests, window): &(u32, u64)| json!({"requests": requests, "window_ms": window});
    json!(rates.iter().map(rate).collect::<Vec<_>>())
}

/// One route that uses some of the policies.
fn using(policies: Value, uses: &[&str]) -> Value {
    let mut table = json!({
        "listen": {"l": {}},
        "upstream": {"u": {}},
        "policy": policies,
        "route": {"r": {"match": ["/"], "to": "u"}},
    });
    if !uses.is_empty() {
        table["route"]["r"]["use"] = json!(uses);
    }
    table
}

pub(super) fn cases() -> Vec<Case> {
    use Code::{BadKey, BadValue, UnknownReference};
    let alone = |overlay: Value| json!({"policy": {"p": limit(overlay)}});
    let by = |key: &str| alone(json!({"key": [key]}));
    let shield =
        json!({"p": limit(json!({"key": ["client.ip", "policy.shield"]})), "shield": {"type": "filter"}});
    let counted = |phase: &str| json!({"p": limit(json!({"key": ["policy.who"]})), "who": python(phase)});
    vec![
        (alone(json!({"rates": []})), BadValue, "policy.p.rate", "needs a rate"),
        (alone(json!({"rates": rates(&[(0, 1000)])})), BadValue, "policy.p.rate.0", "1 to"),
        (alone(json!({"rates": rates(&[(1, 1)])})), BadValue, "policy.p.rate.0", "1000 to"),
        (
            alone(json!({"rates": rates(&[(1, 1000), (9, 60_000), (2, 1000)])})),
            BadValue,
            "policy.p.rate.2",
            "only the lower one",
        ),
        (alone(json!({"burst": 0})), BadValue, "policy.p.burst", "1 to"),
        (
            alone(json!({"rates": rates(&[(1, 86_400_000)]), "burst": 1000})),
            BadValue,
            "policy.p.burst",
            "more than a year",
        ),
        (alone(json!({"key": []})), BadKey, "policy.p.key", "1 to 16 parts"),
        (by("client.address"), BadKey, "policy.p.key.0", "`client.ip`"),
        (by("request.headers.host"), BadKey, "policy.p.key.0", "the host is not asked for as a field"),
        (by("policy.who"), UnknownReference, "policy.p.key.0", "`who`"),
        (json!({"policy": shield}), BadKey, "policy.p.key.1", "`@policy.key`"),
        (using(counted("hooks"), &["who", "p"]), BadKey, "policy.p.key.0", "behind the limits"),
        (using(counted("identity"), &["p"]), BadKey, "route.r.use", "`use = [\"who\", ...]`"),
        (
            {
                let mut table = using(counted("authorise"), &[]);
                table["pylos"] = json!({"use": ["p"]});
                table
            },
            BadKey,
            "route.r",
            "counts by what `who` gives",
        ),
    ]
}

fn policies() -> Value {
    json!({
        "a_limit": limit(json!({"key": ["policy.tenant", "request.route"]})),
        "after": python("hooks"),
        "b_limit": limit(json!({"key": ["policy.who"], "rates": rates(&[(5, 1000), (100, 3_600_000)]), "burst": 9})),
        "last": {"type": "headers"},
        "tenant": python("limits"),
        "who": python("identity"),
    })
}

#[test]
fn limits_come_behind_what_gives_their_keys() {
    let order = |uses: &[&str]| {
        let table = table(using(policies(), uses));
        let ids = table.routes[0].policies(ListenerId(0)).iter();
        ids.map(|id| name_of(&table.policies, *id).to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        order(&["last", "after", "b_limit", "a_limit", "who"]),
        ["who", "tenant", "b_limit", "a_limit", "after", "last"]
    );
    assert_eq!(order(&["a_limit", "tenant"]), ["tenant", "a_limit"]);
    assert_eq!(order(&["tenant"]), ["tenant"], "it may stand alone, and then says nothing to anybody");
    let mut with = using(policies(), &["a_limit"]);
    with["pylos"] = json!({"use": ["tenant"]});
    with["route"]["r"]["without"] = json!(["tenant"]);
    assert_eq!(findings(with), []);
}

#[test]
fn what_a_limit_is() {
    let table = table(using(policies(), &["a_limit", "b_limit", "who"]));
    let of = |name: &str| table.policies.iter().find(|policy| &*policy.name == name).expect(name);
    let PolicyKind::RateLimit(a) = &of("a_limit").kind else { panic!("a limit") };
    assert_eq!(of("a_limit").phase, Phase::Limits);
    assert_eq!(a.rates, [Rate::new(600, 60_000, 600)]);
    assert_eq!((&*a.told[0].name, &*a.told[0].policy), (&b"\"a_limit\""[..], &b"\"a_limit\";q=600;w=60"[..]));
    let [KeyPart::Given(tenant), KeyPart::Alike(By::Route)] = &*a.key else { panic!("{:?}", a.key) };
    assert_eq!(name_of(&table.policies, *tenant), "tenant");
    let PolicyKind::RateLimit(b) = &of("b_limit").kind else { panic!("a limit") };
    assert_eq!(b.rates, [Rate::new(5, 1000, 9), Rate::new(100, 3_600_000, 100)]);
    let told: Vec<_> = b.told.iter().map(|words| String::from_utf8_lossy(&words.policy)).collect();
    assert_eq!(told, ["\"b_limit/s\";q=5;w=1", "\"b_limit/h\";q=100;w=3600"]);
    assert_eq!(b.rates.iter().map(ToString::to_string).collect::<Vec<_>>(), ["5/s", "100/h"]);
}

#[test]
fn who_asks_how_the_gateway_is_gets_an_answer() {
    let mut raw = using(policies(), &[]);
    raw["pylos"] = json!({"use": ["a_limit", "last"]});
    raw["listen"]["ops"] = json!({"bind": ["127.0.0.1:2"], "serve": ["health"]});
    raw["listen"]["own"] = json!({"bind": ["127.0.0.1:3"], "serve": ["health"], "use": ["a_limit"]});
    let table = table(raw);
    let unrouted = |listener: usize| {
        let ids = table.listeners[listener].unrouted.ids.iter();
        ids.map(|id| name_of(&table.policies, *id)).collect::<Vec<_>>()
    };
    assert_eq!(unrouted(0), ["tenant", "a_limit", "last"]);
    assert_eq!(unrouted(1), ["last"]);
    assert_eq!(unrouted(2), ["tenant", "a_limit", "last"]);
}
