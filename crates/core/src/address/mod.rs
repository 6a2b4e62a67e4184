//! Sets of IP networks, as `trusted_proxies`, `allow_ip` and `deny_ip` name them.

use ipnet::IpNet;
use std::net::{IpAddr, Ipv6Addr};

/// Addresses as merged ranges: a look-up is one binary search however long the list was.
///
/// An IPv4-mapped IPv6 address (`::ffff:1.2.3.4`) counts as the IPv4 address it stands for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IpSet {
    v4: Box<[(u32, u32)]>,
    v6: Box<[(u128, u128)]>,
}

impl IpSet {
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in networks {
            match network {
                IpNet::V4(net) => v4.push((u32::from(net.network()), u32::from(net.broadcast()))),
                IpNet::V6(net) => v6.push((u128::from(net.network()), u128::from(net.broadcast()))),
            }
        }
        IpSet { v4: merged(v4), v6: merged(v6) }
    }

    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// Whether an address is in both.
    pub fn meets(&self, other: &IpSet) -> bool {
        overlap(&self.v4, &other.v4) || overlap(&self.v6, &other.v6)
    }

    /// Whether every range of the other lies in one range of this one. (Ranges that only touch are two.)
    pub fn covers(&self, other: &IpSet) -> bool {
        holds_all(&self.v4, &other.v4) && holds_all(&self.v6, &other.v6)
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => covers(&self.v4, u32::from(address)),
            IpAddr::V6(address) => covers(&self.v6, u128::from(address)),
        }
    }
}

fn overlap<N: Ord + Copy>(mut a: &[(N, N)], mut b: &[(N, N)]) -> bool {
    while let (Some(&(first, last)), Some(&(begin, end))) = (a.first(), b.first()) {
        if first <= end && begin <= last {
            return true;
        }
        if last < begin { a = &a[1..] } else { b = &b[1..] }
    }
    false
}

fn holds_all<N: Ord + Copy>(outer: &[(N, N)], inner: &[(N, N)]) -> bool {
    inner.iter().all(|&(first, last)| {
        let after = outer.partition_point(|&(at, _)| at <= first);
        after > 0 && last <= outer[after - 1].1
    })
}

fn covers<N: Ord + Copy>(ranges: &[(N, N)], number: N) -> bool {
    let after = ranges.partition_point(|&(first, _)| first <= number);
    after > 0 && number <= ranges[after - 1].1
}

/// Sorted, with overlapping ranges joined; what `covers` relies on.
fn merged<N: Ord + Copy>(mut ranges: Vec<(N, N)>) -> Box<[(N, N)]> {
    ranges.sort_unstable();
    let mut joined: Vec<(N, N)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match joined.last_mut() {
            Some(previous) if first <= previous.1 => previous.1 = previous.1.max(last),
            _ => joined.push((first, last)),
        }
    }
    joined.into_boxed_slice()
}

/// Why a text is no network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadNetwork {
    /// Neither an address nor `address/prefix`.
    Syntax,
    /// `10.1.2.3/8`: bits behind the prefix; the network that was probably meant.
    HostBits(IpNet),
}

/// Reads `10.0.0.0/8`, `192.0.2.1`, `2001:db8::/32` or `::1`.
pub fn parse_network(text: &str) -> Result<IpNet, BadNetwork> {
    let network = match text.parse::<IpNet>() {
        Ok(network) => network,
        Err(_) => text.parse::<IpAddr>().map(IpNet::from).map_err(|_| BadNetwork::Syntax)?,
    };
    if network.addr() != network.network() {
        return Err(BadNetwork::HostBits(network.trunc()));
    }
    Ok(unmapped(network))
}

/// `::ffff:10.0.0.0/104` is `10.0.0.0/8`, since look-ups use the IPv4 form.
fn unmapped(network: IpNet) -> IpNet {
    let IpNet::V6(v6) = network else { return network };
    let mapped: fn(&Ipv6Addr) -> Option<std::net::Ipv4Addr> = Ipv6Addr::to_ipv4_mapped;
    match (mapped(&v6.network()), v6.prefix_len().checked_sub(96)) {
        (Some(v4), Some(prefix)) => ipnet::Ipv4Net::new(v4, prefix).map_or(network, IpNet::V4),
        _ => network,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(networks: &[&str]) -> IpSet {
        IpSet::new(networks.iter().map(|text| parse_network(text).expect("a network")))
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn networks_and_single_addresses() {
        let set = set(&["10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "::1"]);
        for inside in ["10.0.0.0", "10.255.255.255", "192.0.2.7", "2001:db8::5", "::1", "::ffff:10.1.1.1"] {
            assert!(set.contains(ip(inside)), "{inside}");
        }
        for outside in ["9.255.255.255", "11.0.0.0", "192.0.2.6", "192.0.2.8", "2001:db9::", "::2"] {
            assert!(!set.contains(ip(outside)), "{outside}");
        }
        assert!(!set.is_empty() && IpSet::default().is_empty());
    }

    #[test]
    fn mapped_networks_mean_ipv4() {
        assert!(set(&["::ffff:10.0.0.0/104"]).contains(ip("10.9.9.9")));
        assert!(set(&["::/0"]).contains(ip("::2")));
    }

    #[test]
    fn refused_texts() {
        for text in ["", "10.0.0", "10.0.0.0/33", "example.com", "10.0.0.1:80", "[::1]", " ::1"] {
            assert_eq!(parse_network(text), Err(BadNetwork::Syntax), "{text}");
        }
        let meant = "10.0.0.0/8".parse().expect("a network");
        assert_eq!(parse_network("10.1.2.3/8"), Err(BadNetwork::HostBits(meant)));
    }

    proptest! {
        #[test]
        fn equals_the_plain_list(nets in prop::collection::vec((any::<u32>(), 0u8..=32), 0..12), probe: u32) {
            let nets: Vec<IpNet> = nets
                .into_iter()
                .map(|(bits, prefix)| ipnet::Ipv4Net::new(bits.into(), prefix).expect("a prefix").trunc().into())
                .collect();
            let addresses = nets.iter().map(|net| net.network()).chain([IpAddr::from(probe.to_be_bytes())]);
            let set = IpSet::new(nets.iter().copied());
            for address in addresses {
                prop_assert_eq!(set.contains(address), nets.iter().any(|net| net.contains(&address)));
            }
        }

        #[test]
        fn sets_meet_where_an_address_is_in_both(
            a in prop::collection::vec((any::<u8>(), 24u8..=32), 0..4),
            b in prop::collection::vec((any::<u8>(), 24u8..=32), 0..4),
        ) {
            let set = |nets: Vec<(u8, u8)>| {
                let net = |(last, prefix)| ipnet::Ipv4Net::new([10, 0, 0, last].into(), prefix).expect("a prefix");
                IpSet::new(nets.into_iter().map(|given| net(given).trunc().into()))
            };
            let (a, b) = (set(a), set(b));
            let all = || (0..=255u8).map(|last| IpAddr::from([10, 0, 0, last]));
            prop_assert_eq!(a.meets(&b), all().any(|ip| a.contains(ip) && b.contains(ip)));
            let within = all().all(|ip| a.contains(ip) || !b.contains(ip));
            prop_assert!(!a.covers(&b) || within);
            prop_assert!(a.covers(&a));
        }
    }
}
