//! What an authority of ACME (RFC 8555) asks for, to see that a name is ours: the supervisor tells the answers, and any
//! connection may ask for them.

use crate::tls::challenge_config;
use pylos_core::table::raw::RawCertificate;
use rustls::ServerConfig;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Where they are asked for by HTTP (RFC 8555, 8.3).
const PATH: &[u8] = b"/.well-known/acme-challenge/";
/// The protocol by which they are asked for by TLS (RFC 8737, 3), as ALPN names it.
pub(crate) const ALPN: &[u8] = b"acme-tls/1";

/// All that are to be given now.
#[derive(Default)]
pub(crate) struct Challenges {
    tokens: HashMap<Box<[u8]>, Arc<str>>,
    certificates: HashMap<Box<str>, Arc<ServerConfig>>,
}

impl Challenges {
    /// Gives what is wrong with those that cannot be used, too.
    pub(crate) fn new(
        tokens: BTreeMap<String, String>, certificates: BTreeMap<String, RawCertificate>,
    ) -> (Self, Vec<String>) {
        let (mut found, mut wrong) = (Challenges::default(), Vec::new());
        found.tokens =
            tokens.into_iter().map(|(token, text)| (token.into_bytes().into(), text.into())).collect();
        for (name, certificate) in certificates {
            match challenge_config(&certificate) {
                Ok(config) => {
                    drop(found.certificates.insert(name.to_ascii_lowercase().into(), Arc::new(config)))
                }
                Err(why) => wrong.push(format!("{name}: {why}")),
            }
        }
        (found, wrong)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tokens.is_empty() && self.certificates.is_empty()
    }

    /// What is answered to a request for this path. Paths that nobody has told are anyone's.
    pub(crate) fn answer(&self, path: &[u8]) -> Option<Arc<str>> {
        self.tokens.get(path.strip_prefix(PATH)?).cloned()
    }

    /// By what is answered to who asks for this name, in lower case.
    pub(crate) fn config(&self, name: &str) -> Option<Arc<ServerConfig>> {
        self.certificates.get(name).cloned()
    }
}
