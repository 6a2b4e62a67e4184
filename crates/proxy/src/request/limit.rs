//! Is there room in a limit? One request is taken from it, by what the policy counts by.

use super::alike::{self, About};
use super::incoming::Request;
use super::inquiry::Inquiry;
use crate::error::Refusal;
use crate::handover::Said;
use crate::policy::rate_limit::{Limit, Metered, Told};
use pylos_core::facts::Facts;
use pylos_core::limit::{Left, Taken};
use pylos_core::table::{KeyPart, PolicyId, RateLimit, RouteId};
use pylos_core::verdict::By;
use std::net::IpAddr;

/// Bytes of what is kept for the next request.
const LARGE: usize = 1024;

/// What is known of a request for limits, and by them.
#[derive(Default)]
pub(crate) struct Limited {
    /// The keys that policies gave.
    keys: Vec<(PolicyId, Box<str>)>,
    /// What is left of each rate, for the answer.
    told: Vec<Told>,
    /// For the text of a key.
    text: Vec<u8>,
}

impl Limited {
    pub(crate) fn give_key(&mut self, policy: PolicyId, key: &str) {
        self.keys.push((policy, key.into()));
    }

    pub(crate) fn told(&self) -> &[Told] {
        &self.told
    }

    /// Makes it ready for the next request.
    pub(crate) fn clear(&mut self) {
        self.keys.clear();
        self.told.clear();
        self.text.clear();
        self.text.shrink_to(LARGE);
    }
}

/// Takes one, and refuses the request where there is none. Where the limit only `watches` this request, it is counted
/// all the same, and recorded if it would have been refused.
pub(crate) fn limit(
    q: &mut Inquiry<'_>, (id, limit): (PolicyId, &RateLimit), route: Option<RouteId>, watches: bool,
) -> Result<(), Refusal> {
    // An explanation takes nothing.
    let Some(metered) = q.metered else { return Ok(()) };
    let Some(seat) = &metered.seats[id.index()] else { return Ok(()) };
    // Kept from one request to the next, so that it is made once.
    let mut limited = q.request.limited.take().unwrap_or_default();
    let Limited { keys, text, told } = &mut *limited;
    let route = route.map_or("", |route| &q.table.routes[route.index()].name);
    text.clear();
    limit.key.iter().for_each(|part| write(part, About { request: q.request, route }, keys, text));
    let taken = take(&seat.limit, &q.table.policies[id.index()].name, text, metered);
    let taken = match taken {
        Some(taken) => taken,
        None => {
            q.request.limited = Some(limited);
            return if watches { Ok(()) } else { Err(moved()) };
        }
    };
    if watches {
        q.record.would.extend((!taken.admitted).then_some((id, REASON)));
    } else {
        seat.cells.count(taken.admitted);
        let all = taken.left.iter().enumerate();
        told.extend(all.map(|(rate, left)| Told { policy: id, rate, left: *left }));
    }
    q.request.limited = Some(limited);
    if taken.admitted || watches { Ok(()) } else { Err(refused(&taken)) }
}

/// Takes one here; and where another process counts in place of this one, also there, whose word it is then. `None`: it
/// does not answer.
fn take(limit: &Limit, policy: &str, key: &[u8], metered: Metered<'_>) -> Option<Taken> {
    let taken = limit.take(key, metered.clock.us());
    let Some(asker) = metered.shared.asker() else { return Some(taken) };
    match asker.take(policy, limit.hash(key)) {
        Said::Taken(taken) => Some(taken),
        Said::Unknown => Some(taken),
        Said::Silent => None,
        Said::Gone => {
            metered.shared.set_asker(None);
            Some(taken)
        }
    }
}

fn moved() -> Refusal {
    Refusal::gateway(503, "limits_moved", "This gateway is being renewed, and cannot count this request.")
}

const REASON: &str = "rate_limited";

fn refused(taken: &Taken) -> Refusal {
    let refusal = Refusal::client(429, "rate_limited", "Too many requests: come back later.");
    let none_left = taken.left.iter().filter(|left| left.requests == 0).map(Left::more_s);
    // 0 would be an invitation to try again at once.
    let seconds = none_left.max().unwrap_or_default().max(1);
    Refusal { fields: vec![("retry-after".to_owned(), seconds.to_string())], ..refusal }
}

/// Appends a part of the key, so that no two requests that differ in it have the same text.
fn write(part: &KeyPart, about: About<'_>, keys: &[(PolicyId, Box<str>)], out: &mut Vec<u8>) {
    match part {
        KeyPart::Alike(By::ClientId) => client(about.request, out),
        KeyPart::Alike(By::ClientIp) => network(about.request.client_ip(), out),
        KeyPart::Alike(by) => alike::write(by, about, out),
        // Of several words of one policy the last counts. A key is never taken for the id of a client.
        KeyPart::Given(policy) => match keys.iter().rev().find(|(giver, _)| giver == policy) {
            Some((_, key)) => {
                out.push(1);
                alike::text(out, Some(key.as_bytes()));
            }
            None => {
                out.push(0);
                client(about.request, out);
            }
        },
    }
}

/// The id of a client; one without a name, of whom a policy may know a plan, is known by its address.
fn client(request: &Request, out: &mut Vec<u8>) {
    match request.client().filter(|client| client.named) {
        Some(client) => {
            out.push(1);
            alike::text(out, Some(client.id.as_bytes()));
        }
        None => {
            out.push(0);
            network(request.client_ip(), out);
        }
    }
}

/// An address, of IPv6 its /64: that is what one subscriber has, and could mint 2^64 keys from.
fn network(ip: Option<IpAddr>, out: &mut Vec<u8>) {
    match ip.map(|ip| ip.to_canonical()) {
        Some(IpAddr::V4(ip)) => alike::text(out, Some(&ip.octets())),
        Some(IpAddr::V6(ip)) => alike::text(out, ip.octets().first_chunk::<8>().map(|half| &half[..])),
        None => alike::text(out, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pylos_core::facts::{Client, nameless};
    use pylos_core::message::forwarded::ClientAddress;
    use smallvec::SmallVec;

    fn from(ip: &str) -> Request {
        let ip = Some(ip.parse().expect("an address"));
        Request {
            client: Some(ClientAddress { ip, peer_trusted: false, hops: SmallVec::new() }),
            ..Request::default()
        }
    }

    fn named(id: &str) -> Request {
        let client = Client { id: id.into(), named: true, ..Client::default() };
        Request { identity: Some(Box::new(client)), ..from("192.0.2.1") }
    }

    fn told(part: &KeyPart, request: &Request, keys: &[(PolicyId, Box<str>)]) -> Vec<u8> {
        let mut out = Vec::new();
        write(part, About { request, route: "site" }, keys, &mut out);
        out
    }

    #[test]
    fn addresses_that_one_client_can_have_are_one_key() {
        for part in [KeyPart::Alike(By::ClientIp), KeyPart::Alike(By::ClientId)] {
            let key = |ip: &str| told(&part, &from(ip), &[]);
            assert_eq!(key("2001:db8::1"), key("2001:db8:0:0:ffff::2"));
            assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
            assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
            assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
            assert_ne!(key("192.0.2.1"), told(&part, &Request::default(), &[]));
        }
    }

    #[test]
    fn a_plan_alone_is_no_name() {
        let part = KeyPart::Alike(By::ClientId);
        let planned = |ip: &str| {
            let request = from(ip);
            let id = nameless(request.client_ip()).into();
            let client = Client { id, plan: Some("free".into()), ..Client::default() };
            Request { identity: Some(Box::new(client)), ..request }
        };
        let key = |request: &Request| told(&part, request, &[]);
        assert_eq!(key(&planned("2001:db8::1")), key(&planned("2001:db8::2")));
        assert_eq!(key(&planned("2001:db8::1")), key(&from("2001:db8::1")));
    }

    #[test]
    fn a_name_counts_for_more_than_an_address_and_is_no_address() {
        let key = |request: &Request| told(&KeyPart::Alike(By::ClientId), request, &[]);
        assert_ne!(key(&named("a")), key(&named("b")));
        assert_ne!(key(&named("a")), key(&from("192.0.2.1")));
        assert_ne!(key(&named("\u{c0}\u{0}\u{2}\u{1}")), key(&from("192.0.2.1")));
        assert_eq!(
            told(&KeyPart::Alike(By::ClientIp), &named("a"), &[]),
            told(&KeyPart::Alike(By::ClientIp), &named("b"), &[])
        );
    }

    #[test]
    fn what_a_policy_gave_is_the_key_and_without_it_the_client() {
        let (giver, other) = (PolicyId::at(3), PolicyId::at(4));
        let keys = [(giver, "acme".into()), (other, "zoo".into())];
        let part = KeyPart::Given(giver);
        assert_eq!(told(&part, &named("a"), &keys), told(&part, &named("b"), &keys));
        assert_ne!(told(&part, &named("a"), &keys), told(&KeyPart::Given(other), &named("a"), &keys));
        assert_ne!(told(&part, &named("a"), &keys[1..]), told(&part, &named("b"), &keys[1..]));
        assert_ne!(
            told(&part, &named("acme"), &[]),
            told(&part, &named("acme"), &keys),
            "nobody's id is a key"
        );
        let again = [(giver, "acme".into()), (giver, "later".into())];
        assert_eq!(told(&part, &named("a"), &again), told(&part, &named("a"), &again[1..]));
    }
}
