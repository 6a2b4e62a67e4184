//! Session tickets whose keys come from the gateway's secret: all workers, the next process and other machines with the
//! same secret take each other's. A key lasts for some hours and is never stored.

use super::keys::TicketKeys;
use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use rustls::server::ProducesTickets;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// How long one key makes tickets, s.
const EPOCH: u64 = 6 * 3600;
/// How long clients may keep a ticket, s: its key is still taken then.
const LIFETIME: u32 = EPOCH as u32;
const NONCE: usize = 12;

/// Of one set of rules: no ticket of another one is taken, so that what was agreed on under weaker rules is not resumed
/// under stronger ones.
pub(super) struct Tickets {
    keys: TicketKeys,
    rules: Box<[u8]>,
}

impl Tickets {
    pub(super) fn new(keys: TicketKeys, rules: &[u8]) -> Self {
        Tickets { keys, rules: rules.into() }
    }

    fn seal(&self, epoch: u64, plain: &[u8]) -> Option<Vec<u8>> {
        let key = self.keys.current(&self.rules, epoch);
        let mut sealed = plain.to_vec();
        let key = RandomizedNonceKey::new(&AES_256_GCM, &key).ok()?;
        let nonce = key.seal_in_place_append_tag(Aad::from(epoch.to_be_bytes()), &mut sealed).ok()?;
        Some([&epoch.to_be_bytes()[..], nonce.as_ref(), &sealed].concat())
    }

    fn open(&self, now: u64, ticket: &[u8]) -> Option<Vec<u8>> {
        let (epoch, rest) = ticket.split_first_chunk::<8>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE>()?;
        let number = u64::from_be_bytes(*epoch);
        // The one before, and the next one of a machine whose clock is ahead.
        if number.abs_diff(now) > 1 {
            return None;
        }
        self.keys.all(&self.rules, number).find_map(|key| {
            let key = RandomizedNonceKey::new(&AES_256_GCM, &key).ok()?;
            let mut plain = sealed.to_vec();
            let nonce = Nonce::assume_unique_for_key(*nonce);
            let length = key.open_in_place(nonce, Aad::from(*epoch), &mut plain).ok()?.len();
            plain.truncate(length);
            Some(plain)
        })
    }
}

fn epoch() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()) / EPOCH
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }
    fn lifetime(&self) -> u32 {
        LIFETIME
    }
    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.seal(epoch(), plain)
    }
    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        self.open(epoch(), ticket)
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tickets(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tickets(secrets: &[[u8; 32]], rules: &[u8]) -> Tickets {
        Tickets::new(TicketKeys::new(secrets.to_vec()), rules)
    }

    #[test]
    fn who_has_the_same_secret_and_rules_takes_it() {
        let one = tickets(&[[1; 32]], b"rules");
        let ticket = one.seal(100, b"a session").expect("a ticket");
        let taken = |by: &Tickets, now| by.open(now, &ticket).as_deref().map(<[u8]>::to_vec);
        let session = Some(b"a session".to_vec());
        assert_eq!(taken(&tickets(&[[1; 32]], b"rules"), 100), session);
        assert_eq!(taken(&one, 101), session, "in the next hours");
        assert_eq!(taken(&one, 99), session, "by a clock that is late");
        assert_eq!(taken(&one, 102), None);
        assert_eq!(taken(&tickets(&[[2; 32], [1; 32]], b"rules"), 100), session, "the secret before");
        assert_eq!(taken(&tickets(&[[2; 32]], b"rules"), 100), None);
        assert_eq!(taken(&tickets(&[[1; 32]], b"other rules"), 100), None);
    }

    #[test]
    fn what_was_touched_is_none() {
        let tickets = tickets(&[[1; 32]], b"");
        let ticket = tickets.seal(100, b"a session").expect("a ticket");
        for at in 0..ticket.len() {
            let mut touched = ticket.clone();
            touched[at] ^= 1;
            assert_eq!(tickets.open(100, &touched), None, "byte {at}");
            assert_eq!(tickets.open(100, &ticket[..at]), None, "{at} bytes");
        }
        assert_ne!(ticket, tickets.seal(100, b"a session").expect("another"));
    }
}
