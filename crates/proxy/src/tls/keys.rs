//! Keys that are derived from what the supervisor gives, which derives that from the gateway's secret.

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk};
use std::fmt;
use std::sync::Arc;

/// Bytes of a key, and of what it is made from.
const LENGTH: usize = 32;

/// The one in use, and those that are still taken.
#[derive(Clone)]
pub(crate) struct TicketKeys(Arc<[[u8; LENGTH]]>);

impl TicketKeys {
    /// At least one, the one in use first.
    pub(crate) fn new(secrets: Vec<[u8; LENGTH]>) -> Self {
        assert!(!secrets.is_empty(), "tickets need a key");
        TicketKeys(secrets.into())
    }

    /// At least one, the one in use first, each of 64 hexadecimal digits.
    pub(crate) fn from_hex(texts: &[String]) -> Option<Self> {
        let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let secret = |text: &String| -> Option<[u8; LENGTH]> {
            let (pairs, rest) = text.as_bytes().as_chunks::<2>();
            let bytes = pairs.iter().map(byte).collect::<Option<Vec<_>>>()?;
            bytes.try_into().ok().filter(|_| rest.is_empty())
        };
        let secrets = texts.iter().map(secret).collect::<Option<Vec<_>>>()?;
        (!secrets.is_empty()).then(|| TicketKeys::new(secrets))
    }

    /// Known to this process alone: what the supervisor has none for.
    pub(crate) fn random() -> Self {
        let mut secret = [0; LENGTH];
        aws_lc_rs::rand::fill(&mut secret).expect("the system gives random bytes");
        TicketKeys::new(vec![secret])
    }

    pub(super) fn current(&self, rules: &[u8], epoch: u64) -> [u8; LENGTH] {
        derived(&self.0[0], rules, epoch)
    }
    pub(super) fn all<'a>(&'a self, rules: &'a [u8], epoch: u64) -> impl Iterator<Item = [u8; LENGTH]> + 'a {
        self.0.iter().map(move |secret| derived(secret, rules, epoch))
    }
}

/// RFC 5869.
fn derived(secret: &[u8; LENGTH], rules: &[u8], epoch: u64) -> [u8; LENGTH] {
    struct Length;
    impl KeyType for Length {
        fn len(&self) -> usize {
            LENGTH
        }
    }
    let info = [b"epoch", &epoch.to_be_bytes()[..], rules];
    let mut key = [0; LENGTH];
    let made =
        Prk::new_less_safe(HKDF_SHA256, secret).expand(&info, Length).and_then(|okm| okm.fill(&mut key));
    made.expect("one block can always be derived");
    key
}

impl fmt::Debug for TicketKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketKeys(***)")
    }
}
