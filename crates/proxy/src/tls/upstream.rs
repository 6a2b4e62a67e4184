//! TLS to upstreams: whom a server's certificate has to be from, and what is told when it is not.

use super::config::{HTTP1, pair};
use super::session::{HandshakeError, Socket, TlsStream};
use crate::stream::{Stream, Wait};
use crate::worker::Worker;
use pylos_core::table::{Target, TargetAddress, Upstream};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::task::Poll;

/// How a target is spoken to.
#[derive(Clone)]
pub(crate) struct Secure {
    config: Arc<ClientConfig>,
    /// For whom its certificate has to be.
    name: ServerName<'static>,
}

impl Secure {
    /// For each target; `None` where nothing is encrypted. `known` goes by the same rules. The error is for people.
    pub(crate) fn of(
        upstream: &Upstream, known: Option<&Secure>, provider: &Arc<CryptoProvider>,
    ) -> Result<Vec<Option<Secure>>, String> {
        if !upstream.targets.iter().any(|target| target.tls) {
            return Ok(vec![None; upstream.targets.len()]);
        }
        let config = match known {
            Some(known) => Arc::clone(&known.config),
            None => Arc::new(client_config(upstream, provider)?),
        };
        let secure = |target: &Target| {
            let name = server_name(upstream, target)?;
            Ok(target.tls.then(|| Secure { config: Arc::clone(&config), name }))
        };
        upstream.targets.iter().map(secure).collect()
    }

    /// Makes a connection an encrypted one, with the certificate verified, within the time.
    pub(crate) async fn over(
        &self, stream: Stream, worker: &Rc<Worker>, wait: Wait<'_>,
    ) -> Result<Stream, Failed> {
        let socket = match stream {
            Stream::Tcp(s) => Socket::Tcp(s),
            Stream::Unix(s) => Socket::Unix(s),
            encrypted @ Stream::Tls(_) => return Ok(encrypted),
        };
        let (config, name) = (Arc::clone(&self.config), self.name.clone());
        let stream = TlsStream::connected(socket, Rc::clone(worker), config, name).map_err(Failed::Tls)?;
        let shaken = poll_fn(|cx| match stream.poll_handshake(cx) {
            Poll::Ready(done) => Poll::Ready(done.map_err(Failed::Tls)),
            Poll::Pending => wait.pending(cx).map_or(Poll::Pending, |b| Poll::Ready(Err(Failed::Late(b)))),
        })
        .await;
        wait.over();
        shaken.map(|()| Stream::Tls(Box::new(stream)))
    }
}

/// Why there is no encrypted connection.
#[derive(Debug)]
pub(crate) enum Failed {
    Tls(HandshakeError),
    Late(crate::stream::Broken),
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            HandshakeError::Tls(error) => return tell(error, f),
            HandshakeError::Io | HandshakeError::Left => "it hung up during the TLS handshake",
            HandshakeError::Endless | HandshakeError::NotTls => "it does not speak TLS",
        };
        f.write_str(text)
    }
}

fn tell(error: &Error, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Error::InvalidCertificate(error) = error else {
        let text = match error {
            Error::InvalidMessage(_) => "it does not speak TLS",
            Error::PeerIncompatible(_) => "no version or cipher suite of TLS in common",
            Error::AlertReceived(alert) => return write!(f, "it refused the TLS handshake ({alert:?})"),
            other => return write!(f, "the TLS handshake failed: {other}"),
        };
        return f.write_str(text);
    };
    let text = match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "its certificate has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another name: set `server_name`, or correct the target"
        }
        CertificateError::UnknownIssuer => {
            "its certificate is from nobody who is trusted here: name its `ca`"
        }
        CertificateError::Revoked => "its certificate was revoked",
        // The error has no name of its own.
        CertificateError::Other(_) if format!("{error:?}").contains("CaUsedAsEndEntity") => {
            "its certificate is an authority's own: it needs one that says CA:FALSE"
        }
        other => return write!(f, "its certificate cannot be accepted: {other}"),
    };
    f.write_str(text)
}

fn client_config(upstream: &Upstream, provider: &Arc<CryptoProvider>) -> Result<ClientConfig, String> {
    let builder = ClientConfig::builder_with_provider(Arc::clone(provider));
    let builder = builder.with_protocol_versions(&[&TLS13, &TLS12]).map_err(|error| error.to_string())?;
    let rules = &upstream.tls;
    let builder = if rules.verify {
        let roots = Arc::new(roots(rules.ca.as_deref())?);
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider)).build();
        builder.with_webpki_verifier(verifier.map_err(|error| error.to_string())?)
    } else {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(Arc::clone(provider))))
    };
    let mut config = match &rules.certificate {
        None => builder.with_no_client_auth(),
        Some(certificate) => {
            let (chain, key) = pair(certificate)?;
            builder.with_client_auth_cert(chain, key).map_err(|error| error.to_string())?
        }
    };
    config.alpn_protocols = vec![HTTP1.to_vec()];
    Ok(config)
}

fn roots(named: Option<&str>) -> Result<RootCertStore, String> {
    let Some(named) = named else {
        let roots = system_roots();
        return if roots.is_empty() {
            Err("the system trusts nobody: install `ca-certificates`, or name a `ca`".to_owned())
        } else {
            Ok(roots.clone())
        };
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(named.as_bytes()) {
        let certificate = certificate.map_err(|error| format!("the `ca` cannot be read: {error}"))?;
        roots.add(certificate).map_err(|error| format!("the `ca` cannot be used: {error}"))?;
    }
    if roots.is_empty() { Err("there is no certificate in the `ca`".to_owned()) } else { Ok(roots) }
}

/// Read once: a change of them counts when the process is renewed.
fn system_roots() -> &'static RootCertStore {
    static ROOTS: OnceLock<RootCertStore> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        roots
    })
}

fn server_name(upstream: &Upstream, target: &Target) -> Result<ServerName<'static>, String> {
    let of_target = match &target.address {
        TargetAddress::Ip(address) => address.ip().to_string(),
        TargetAddress::Name { host, .. } => host.to_string(),
        TargetAddress::Unix(_) => "localhost".to_owned(),
    };
    let name = upstream.tls.server_name.as_deref().map_or(of_target, str::to_owned);
    ServerName::try_from(name.clone()).map_err(|_| format!("`{name}` is no name of a server"))
}

/// Takes whatever certificate is shown, but only from who has its key.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self, _: &CertificateDer<'_>, _: &[CertificateDer<'_>], _: &ServerName<'_>, _: &[u8], _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self, message: &[u8], certificate: &CertificateDer<'_>, signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }
    fn verify_tls13_signature(
        &self, message: &[u8], certificate: &CertificateDer<'_>, signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

impl PartialEq for Secure {
    /// The same rules, made once.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.config, &other.config) && self.name == other.name
    }
}
