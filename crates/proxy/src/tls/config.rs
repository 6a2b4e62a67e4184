//! The rules of each `[tls.NAME]`, made into what rustls answers by. Made once for a table, and shared by all workers.

use super::expiry::{Expiry, expiries};
use super::keys::TicketKeys;
use super::rules::Rules;
use super::tickets::Tickets;
use super::upstream::Secure;
use crate::challenges::ALPN;
use pylos_core::table::raw::RawCertificate;
use pylos_core::table::{Certificate, Code, PathPart, Problem, Profile, Severity, Table, Tls, TlsId};
use pylos_core::tls::Names;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, ServerConfig};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use std::sync::Arc;

/// Protocols on top, by the names of RFC 7301.
pub(super) const HTTP1: &[u8] = b"http/1.1";

/// Of a table, by [`TlsId`].
#[derive(Default)]
pub(crate) struct Configs {
    listeners: Vec<(Arc<ServerConfig>, Arc<Rules>)>,
    expiries: Vec<Expiry>,
    /// By upstream, then by target.
    upstreams: Vec<Vec<Option<Secure>>>,
}

impl Configs {
    /// All of a table's, or what is wrong. To upstreams whose rules are those of the table before, it is the same as
    /// `before`: their connections can be kept.
    pub(crate) fn build(
        table: &Table, keys: &TicketKeys, before: Option<(&Table, &Configs)>,
    ) -> Result<Configs, Vec<Problem>> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let (mut configs, mut problems) = (Vec::new(), Vec::new());
        for (index, tls) in table.tls.iter().enumerate() {
            match server_config(tls, TlsId::at(index), keys, &provider) {
                Ok((config, rules)) => configs.push((Arc::new(config), Arc::new(rules))),
                Err(problem) => problems.push(problem),
            }
        }
        let mut upstreams = Vec::new();
        for upstream in &table.upstreams {
            let known = before.and_then(|(table, configs)| {
                let index = table.upstream(&upstream.name)?.index();
                let same = table.upstreams[index].tls == upstream.tls;
                configs.upstreams[index].iter().flatten().next().filter(|_| same)
            });
            match Secure::of(upstream, known, &provider) {
                Ok(secure) => upstreams.push(secure),
                Err(message) => problems.push(problem(["upstream", &upstream.name, "tls"], &message)),
            }
        }
        if problems.is_empty() {
            Ok(Configs {
                listeners: configs,
                expiries: table.tls.iter().flat_map(expiries).collect(),
                upstreams,
            })
        } else {
            Err(problems)
        }
    }

    pub(crate) fn expiries(&self) -> &[Expiry] {
        &self.expiries
    }

    pub(crate) fn to(&self, upstream: usize, target: usize) -> Option<&Secure> {
        self.upstreams[upstream][target].as_ref()
    }

    pub(crate) fn of(&self, id: TlsId) -> Arc<ServerConfig> {
        Arc::clone(&self.listeners[id.index()].0)
    }

    pub(crate) fn rules(&self, id: TlsId) -> &Arc<Rules> {
        &self.listeners[id.index()].1
    }

    /// Whether these are of this table, and not of one before.
    pub(super) fn has(&self, rules: &Arc<Rules>) -> bool {
        self.listeners.get(rules.id.index()).is_some_and(|(_, now)| Arc::ptr_eq(now, rules))
    }
}

fn server_config(
    tls: &Tls, id: TlsId, keys: &TicketKeys, provider: &Arc<CryptoProvider>,
) -> Result<(ServerConfig, Rules), Problem> {
    let versions: &[_] = match tls.profile {
        Profile::Intermediate => &[&TLS13, &TLS12],
        Profile::Modern => &[&TLS13],
    };
    let wrong =
        |what: &str, error: &dyn std::fmt::Display| problem(["tls", &tls.name, what], &error.to_string());
    let resolver = Resolver::new(tls, provider)?;
    let rules = Rules::new(tls, id, provider).map_err(|error| wrong("client", &error))?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(provider));
    let builder = builder.with_protocol_versions(versions).map_err(|error| wrong("profile", &error))?;
    let builder = match &rules.clients {
        Some(clients) => builder.with_client_cert_verifier(Arc::clone(clients) as _),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = vec![HTTP1.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ignore_client_order = false;
    if tls.tickets {
        config.ticketer = Arc::new(Tickets::new(keys.clone(), &terms(tls, &rules)));
    } else {
        config.send_tls13_tickets = 0;
    }
    Ok((config, rules))
}

/// Rules for who only wants to see a certificate that says what an authority looks for (RFC 8737).
pub(crate) fn challenge_config(certificate: &RawCertificate) -> Result<ServerConfig, String> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let (chain, key) = pem(&certificate.chain, &certificate.key)?;
    let key = provider.key_provider.load_private_key(key).map_err(|error| error.to_string())?;
    // Whether they fit is not asked: who reads such a certificate to see that knows no critical extension of RFC 8737.
    let shown = SingleCertAndKey::from(CertifiedKey::new(chain, key));
    let builder = ServerConfig::builder_with_provider(provider);
    let builder = builder.with_protocol_versions(&[&TLS13, &TLS12]).map_err(|error| error.to_string())?;
    let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::new(shown));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// What a session was agreed on under: its tickets are for nobody else.
fn terms(tls: &Tls, rules: &Rules) -> Vec<u8> {
    let profile = match tls.profile {
        Profile::Intermediate => 0,
        Profile::Modern => 1,
    };
    [&[profile][..], rules.digest(), tls.name.as_bytes()].concat()
}

fn problem(path: [&str; 3], message: &str) -> Problem {
    let path = path.map(|part| PathPart::Key(part.to_owned()));
    Problem {
        code: Code::BadValue,
        severity: Severity::Error,
        path: path.into(),
        of_key: false,
        also: Vec::new(),
        message: message.to_owned(),
        hint: None,
    }
}

/// Which certificate is shown: one for the name, of a kind that the client can verify.
#[derive(Debug)]
struct Resolver {
    names: Names<Vec<usize>>,
    all: Vec<Arc<CertifiedKey>>,
}

impl Resolver {
    fn new(tls: &Tls, provider: &CryptoProvider) -> Result<Self, Problem> {
        let mut resolver = Resolver { names: Names::default(), all: Vec::new() };
        for (index, certificate) in tls.certificates.iter().enumerate() {
            let key = certified(certificate, provider)
                .map_err(|message| problem(["tls", &tls.name, "cert"], &message))?;
            resolver.all.push(Arc::new(key));
            for name in &certificate.names {
                resolver.names.entry(name, Vec::new).push(index);
            }
        }
        Ok(resolver)
    }

    /// The first one whose kind of signature the client knows; ECDSA is the cheaper one, for both.
    fn fitting(
        &self, indices: &mut dyn Iterator<Item = usize>, hello: &ClientHello<'_>,
    ) -> Option<Arc<CertifiedKey>> {
        let fits = |key: &&Arc<CertifiedKey>| key.key.choose_scheme(hello.signature_schemes()).is_some();
        let fitting: Vec<_> = indices.map(|index| &self.all[index]).filter(fits).collect();
        let is_rsa = |key: &&Arc<CertifiedKey>| key.key.algorithm() == rustls::SignatureAlgorithm::RSA;
        fitting.iter().find(|key| !is_rsa(key)).or(fitting.first()).map(|key| Arc::clone(key))
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name =
            hello.server_name().map(|name| name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase());
        let named = name.and_then(|name| self.names.find(&name));
        let named = named.and_then(|indices| self.fitting(&mut indices.iter().copied(), &hello));
        // Who names nobody who is here gets the first one there is.
        named.or_else(|| self.fitting(&mut (0..self.all.len()), &hello)).or_else(|| self.all.first().cloned())
    }
}

fn certified(certificate: &Certificate, provider: &CryptoProvider) -> Result<CertifiedKey, String> {
    let (chain, key) = pair(certificate)?;
    let key = provider.key_provider.load_private_key(key);
    let certified =
        CertifiedKey::new(chain, key.map_err(|error| format!("the key cannot be used: {error}"))?);
    certified.keys_match().map_err(|error| format!("certificate and key do not belong together: {error}"))?;
    Ok(certified)
}

/// Takes the PEM of a certificate and its key apart.
pub(super) fn pair(
    certificate: &Certificate,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), String> {
    pem(&certificate.chain, certificate.key.reveal())
}

fn pem(chain: &str, key: &str) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), String> {
    let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<_, _>>();
    let chain = chain.map_err(|error| format!("the certificate cannot be read: {error}"))?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes());
    Ok((chain, key.map_err(|error| format!("the key cannot be read: {error}"))?))
}
