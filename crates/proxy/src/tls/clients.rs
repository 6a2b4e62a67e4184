//! Certificates of clients: who is believed, and what has been revoked.

use pylos_core::table::ClientAuth;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use std::sync::Arc;
use x509_parser::prelude::{FromDer, X509Certificate};

/// rustls' own verifier, which is also told what stands between clients and roots: not every client sends that.
#[derive(Debug)]
pub(super) struct Clients {
    verifier: Arc<dyn ClientCertVerifier>,
    between: Vec<CertificateDer<'static>>,
}

impl Clients {
    /// The error is for people.
    pub(super) fn new(auth: &ClientAuth, provider: &Arc<CryptoProvider>) -> Result<Self, String> {
        let all = CertificateDer::pem_slice_iter(auth.ca.as_bytes()).collect::<Result<Vec<_>, _>>();
        let all = all.map_err(|error| format!("the `ca` cannot be read: {error}"))?;
        let (mut believed, mut between): (Vec<_>, Vec<_>) = all.into_iter().partition(signs_itself);
        if believed.is_empty() {
            std::mem::swap(&mut believed, &mut between);
        }
        let mut roots = RootCertStore::empty();
        for root in believed {
            roots.add(root).map_err(|error| format!("the `ca` cannot be used: {error}"))?;
        }
        let lists =
            auth.crls.iter().map(|list| CertificateRevocationListDer::from_pem_slice(list.as_bytes()));
        let lists = lists.collect::<Result<Vec<_>, _>>();
        let lists = lists.map_err(|error| format!("the `crl` cannot be read: {error}"))?;
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
        let mut builder = builder.with_crls(lists).enforce_revocation_expiration();
        if !auth.whole_chain {
            builder = builder.only_check_end_entity_revocation();
        }
        if !auth.required {
            builder = builder.allow_unauthenticated();
        }
        let verifier = builder.build().map_err(|error| format!("`ca` and `crl` cannot be used: {error}"))?;
        Ok(Clients { verifier, between })
    }

    /// Whether a client may come that has shown this chain, its own certificate first; or nothing.
    pub(super) fn admit(&self, chain: Option<&[CertificateDer<'_>]>) -> Result<(), Error> {
        match chain.and_then(<[_]>::split_first) {
            Some((own, others)) => self.verify_client_cert(own, others, UnixTime::now()).map(drop),
            None if self.verifier.client_auth_mandatory() => Err(Error::NoCertificatesPresented),
            None => Ok(()),
        }
    }
}

/// A root: nobody else vouches for it.
fn signs_itself(certificate: &CertificateDer<'_>) -> bool {
    X509Certificate::from_der(certificate)
        .is_ok_and(|(_, certificate)| certificate.subject().as_raw() == certificate.issuer().as_raw())
}

impl ClientCertVerifier for Clients {
    fn offer_client_auth(&self) -> bool {
        self.verifier.offer_client_auth()
    }
    fn client_auth_mandatory(&self) -> bool {
        self.verifier.client_auth_mandatory()
    }
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.verifier.root_hint_subjects()
    }
    fn verify_client_cert(
        &self, own: &CertificateDer<'_>, others: &[CertificateDer<'_>], now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if self.between.is_empty() {
            return self.verifier.verify_client_cert(own, others, now);
        }
        let all: Vec<CertificateDer<'_>> = others.iter().chain(&self.between).cloned().collect();
        self.verifier.verify_client_cert(own, &all, now)
    }
    fn verify_tls12_signature(
        &self, message: &[u8], certificate: &CertificateDer<'_>, signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, certificate, signed)
    }
    fn verify_tls13_signature(
        &self, message: &[u8], certificate: &CertificateDer<'_>, signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, certificate, signed)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}
