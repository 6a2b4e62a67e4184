use super::*;
use crate::address::parse_network;
use crate::facts::NoFacts;
use crate::route::regular_expression;

fn exact(value: &str) -> Check {
    Check::Exact(value.as_bytes().into())
}

fn re(text: &str) -> Check {
    Check::Re(regular_expression(text).expect(text))
}

fn when(tests: &[(Place, &str, Check)]) -> When {
    let test = |(of, name, check): &(Place, &str, Check)| Test::Value {
        of: *of,
        name: (*name).into(),
        check: check.clone(),
    };
    When::new(tests.iter().map(test).collect())
}

fn ip(networks: &[&str]) -> When {
    let set = IpSet::new(networks.iter().map(|text| parse_network(text).expect(text)));
    When::new(vec![Test::Ip(set, networks.join(", ").into())])
}

#[test]
fn contraries_are_told() {
    use Place::{Cookie, Header, Query};
    for (a, b, excluded) in [
        (when(&[(Header, "x", exact("1"))]), when(&[(Header, "x", exact("2"))]), true),
        (when(&[(Header, "x", exact("1"))]), when(&[(Header, "y", exact("2"))]), false),
        (when(&[(Header, "x", exact("1"))]), when(&[(Query, "x", exact("2"))]), false),
        (when(&[(Query, "x", exact("1"))]), when(&[(Query, "x", re("^2"))]), true),
        (when(&[(Query, "x", exact("21"))]), when(&[(Query, "x", re("^2"))]), false),
        (when(&[(Cookie, "x", re("1"))]), when(&[(Cookie, "x", re("2"))]), false),
        (when(&[(Cookie, "x", exact("1"))]), when(&[(Cookie, "x", Check::Present)]), false),
        (
            when(&[(Header, "x", exact("1")), (Header, "y", exact("1"))]),
            when(&[(Header, "x", exact("1")), (Header, "y", exact("2"))]),
            true,
        ),
        (ip(&["10.0.0.0/8"]), ip(&["10.1.0.0/16", "::1"]), false),
        (ip(&["10.0.0.0/8"]), ip(&["11.0.0.0/8", "::1"]), true),
    ] {
        assert_eq!(a.excludes(&b), excluded, "{a:?} {b:?}");
        assert_eq!(b.excludes(&a), excluded, "{b:?} {a:?}");
    }
}

#[test]
fn what_follows_from_what() {
    use Place::{Header, Query};
    let narrow = when(&[(Header, "x", exact("abc")), (Query, "q", Check::Present)]);
    for wide in [
        when(&[]),
        when(&[(Header, "x", Check::Present)]),
        when(&[(Header, "x", re("^a"))]),
        when(&[(Query, "q", Check::Present), (Header, "x", exact("abc"))]),
        narrow.clone(),
    ] {
        assert!(wide.follows_from(&narrow), "{wide:?}");
    }
    for other in [
        when(&[(Header, "x", re("^b"))]),
        when(&[(Header, "y", Check::Present)]),
        when(&[(Query, "q", exact(""))]),
        when(&[(Header, "x", Check::Present), (Query, "r", Check::Present)]),
    ] {
        assert!(!other.follows_from(&narrow), "{other:?}");
    }
    assert!(ip(&["10.0.0.0/8"]).follows_from(&ip(&["10.1.0.0/16"])));
    assert!(!ip(&["10.1.0.0/16"]).follows_from(&ip(&["10.0.0.0/8"])));
    assert!(when(&[(Header, "x", re("a"))]).follows_from(&when(&[(Header, "x", re("a"))])));
}

#[test]
fn what_is_not_met_is_told_in_words() {
    for (when, words) in [
        (when(&[(Place::Header, "x-beta", exact("1"))]), "header `x-beta` is `1`"),
        (when(&[(Place::Query, "q", re("^a"))]), "query `q` matches `^a`"),
        (when(&[(Place::Cookie, "c", Check::Present)]), "cookie `c` is there"),
        (ip(&["10.0.0.0/8", "::1"]), "the client's address is in 10.0.0.0/8, ::1"),
    ] {
        assert_eq!(when.unmet(&NoFacts).map(ToString::to_string).as_deref(), Some(words));
    }
    assert!(when(&[]).unmet(&NoFacts).is_none() && when(&[]).holds(&NoFacts));
}
