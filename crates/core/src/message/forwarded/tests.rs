use super::*;
use crate::address::parse_network;
use proptest::prelude::*;

fn trusted(unix: bool) -> TrustedProxies {
    let networks = ["10.0.0.0/8", "::1"].map(|text| parse_network(text).expect("a network"));
    TrustedProxies::new(IpSet::new(networks), unix)
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// Peer (`unix` or an address), lines -> client, and the line for the upstream.
#[test]
fn who_is_the_client() {
    for (peer, lines, client, upstream) in [
        ("9.9.9.9", &["1.1.1.1"][..], "9.9.9.9", "9.9.9.9"),
        ("9.9.9.9", &[], "9.9.9.9", "9.9.9.9"),
        ("10.0.0.2", &[], "10.0.0.2", "10.0.0.2"),
        ("10.0.0.2", &["6.6.6.6, 1.1.1.1, 10.0.0.3"], "1.1.1.1", "1.1.1.1, 10.0.0.3, 10.0.0.2"),
        ("10.0.0.2", &["6.6.6.6", "1.1.1.1,10.0.0.3"], "1.1.1.1", "1.1.1.1, 10.0.0.3, 10.0.0.2"),
        ("10.0.0.2", &["6.6.6.6, 1.1.1.1", "10.0.0.3"], "1.1.1.1", "1.1.1.1, 10.0.0.3, 10.0.0.2"),
        ("10.0.0.2", &["1.1.1.1:4711"], "1.1.1.1", "1.1.1.1, 10.0.0.2"),
        ("10.0.0.2", &["[2001:db8::1]:443"], "2001:db8::1", "2001:db8::1, 10.0.0.2"),
        ("10.0.0.2", &["[2001:db8::1]"], "2001:db8::1", "2001:db8::1, 10.0.0.2"),
        ("10.0.0.2", &["2001:db8::1"], "2001:db8::1", "2001:db8::1, 10.0.0.2"),
        ("10.0.0.2", &["::ffff:1.1.1.1"], "1.1.1.1", "1.1.1.1, 10.0.0.2"),
        ("10.0.0.2", &["10.0.0.5, 10.0.0.4", "::1"], "10.0.0.5", "10.0.0.5, 10.0.0.4, ::1, 10.0.0.2"),
        ("10.0.0.2", &["junk, 10.0.0.3"], "10.0.0.3", "10.0.0.3, 10.0.0.2"),
        ("10.0.0.2", &["1.1.1.1, junk"], "10.0.0.2", "10.0.0.2"),
        ("10.0.0.2", &["unknown", "10.0.0.4, , 10.0.0.3,"], "10.0.0.4", "10.0.0.4, 10.0.0.3, 10.0.0.2"),
        ("10.0.0.2", &["", " , "], "10.0.0.2", "10.0.0.2"),
        ("10.0.0.2", &["fe80::1%eth0"], "10.0.0.2", "10.0.0.2"),
        ("10.0.0.2", &["[fe80::1%1]:80"], "10.0.0.2", "10.0.0.2"),
        ("10.0.0.2", &["1.1.1.1:99999"], "10.0.0.2", "10.0.0.2"),
        ("10.0.0.2", &["1.1.1.1 10.0.0.3"], "10.0.0.2", "10.0.0.2"),
        ("::ffff:10.0.0.2", &["1.1.1.1"], "1.1.1.1", "1.1.1.1, 10.0.0.2"),
        ("::1", &["1.1.1.1"], "1.1.1.1", "1.1.1.1, ::1"),
    ] {
        let peer = Some(ip(peer));
        let found = client_address(peer, &trusted(false), lines.iter().map(|line| line.as_bytes()));
        assert_eq!(found.ip, Some(ip(client)), "{peer:?} {lines:?}");
        let mut line = Vec::new();
        found.write_forwarded_for(peer, &mut line);
        assert_eq!(String::from_utf8_lossy(&line), upstream, "{peer:?} {lines:?}");
    }
}

#[test]
fn unix_peers_are_trusted_only_when_listed() {
    let lines = || std::iter::once(&b"1.1.1.1"[..]);
    let believed = client_address(None, &trusted(true), lines());
    assert_eq!((believed.ip, believed.peer_trusted), (Some(ip("1.1.1.1")), true));
    let ignored = client_address(None, &trusted(false), lines());
    assert_eq!((ignored.ip, ignored.peer_trusted), (None, false));
    assert!(trusted(true).trusts_unix() && !trusted(false).trusts_unix());
}

proptest! {
    /// A client behind a trusted proxy cannot become another by anything it writes to the left.
    #[test]
    fn hearsay_changes_nothing(lines in prop::collection::vec("[0-9a-f.:,x \\[\\]]{0,30}", 0..4)) {
        let mut lines: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
        lines.push(b"1.2.3.4, 10.0.0.9");
        let found = client_address(Some(ip("10.0.0.2")), &trusted(false), lines.into_iter());
        prop_assert_eq!(found.ip, Some(ip("1.2.3.4")));
        prop_assert_eq!(found.hops.as_slice(), &[ip("1.2.3.4"), ip("10.0.0.9")]);
    }

    /// Splitting one line into several says the same.
    #[test]
    fn lines_are_one_list(entries in prop::collection::vec(
        prop::sample::select(vec!["1.1.1.1", "10.0.0.3", "10.0.0.4:1", "junk", "", "::1", "[2001:db8::1]:1"]), 1..8),
    ) {
        let joined = entries.join(",");
        let one = client_address(Some(ip("10.0.0.2")), &trusted(false), std::iter::once(joined.as_bytes()));
        let many = client_address(Some(ip("10.0.0.2")), &trusted(false), entries.iter().map(|e| e.as_bytes()));
        prop_assert_eq!(one, many);
    }
}
