//! Who the client is. The lines of an input are those of X-Forwarded-For.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pylos_core::address::{IpSet, parse_network};
use pylos_core::message::forwarded::{TrustedProxies, client_address};
use std::net::IpAddr;

fuzz_target!(|data: &[u8]| {
    let networks = ["10.0.0.0/8", "::1"].map(|text| parse_network(text).expect("a network"));
    let trusted = TrustedProxies::new(IpSet::new(networks), false);
    let (near, far) = (IpAddr::from([10, 0, 0, 2]), IpAddr::from([192, 0, 2, 1]));
    let lines = || data.split(|&byte| byte == b'\n');

    let unheard = client_address(Some(far), &trusted, lines());
    assert_eq!((unheard.ip, unheard.hops.len()), (Some(far), 0), "a stranger is who it is");

    let found = client_address(Some(near), &trusted, lines());
    let joined = data.iter().map(|&byte| if byte == b'\n' { b',' } else { byte }).collect::<Vec<u8>>();
    let once = client_address(Some(near), &trusted, std::iter::once(joined.as_slice()));
    assert_eq!(found, once, "many lines are one list");
    assert_eq!(found.ip, found.hops.first().copied().or(Some(near)));
    let behind = found.hops.get(1..).unwrap_or_default();
    assert!(behind.iter().all(|hop| trusted.trusts(*hop)), "only trusted proxies stand behind the client");

    let own_words = lines().chain([&b"1.2.3.4, 10.0.0.9"[..]]).collect::<Vec<_>>();
    let client = client_address(Some(near), &trusted, own_words.into_iter());
    assert_eq!(client.ip, Some(IpAddr::from([1, 2, 3, 4])), "what a client writes changes nothing");

    // What goes to the upstream says the same to one who trusts alike.
    let mut line = Vec::new();
    found.write_forwarded_for(Some(near), &mut line);
    let next = client_address(Some(near), &trusted, std::iter::once(line.as_slice()));
    assert_eq!(next.ip, found.ip);
});
