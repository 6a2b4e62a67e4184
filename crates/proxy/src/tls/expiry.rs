//! Until when the certificates hold that clients are shown.

use data_encoding::HEXLOWER;
use pylos_core::table::Tls;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::sync::Arc;
use x509_parser::prelude::{FromDer, X509Certificate};

#[derive(Debug)]
pub(crate) struct Expiry {
    pub(crate) tls: Arc<str>,
    /// The first name that it is for, or its subject.
    pub(crate) name: Box<str>,
    /// In hexadecimal digits.
    pub(crate) serial: Box<str>,
    /// Seconds since 1970.
    pub(crate) ends: i64,
}

/// Of all certificates of a `[tls.NAME]`; those that cannot be read are told elsewhere.
pub(super) fn expiries(tls: &Tls) -> impl Iterator<Item = Expiry> {
    tls.certificates.iter().filter_map(|certificate| {
        let first = CertificateDer::from_pem_slice(certificate.chain.as_bytes()).ok()?;
        let (_, read) = X509Certificate::from_der(&first).ok()?;
        let name = certificate.names.first().map_or_else(|| read.subject().to_string(), ToString::to_string);
        Some(Expiry {
            tls: Arc::clone(&tls.name),
            name: name.into(),
            serial: HEXLOWER.encode(&read.tbs_certificate.serial.to_bytes_be()).into(),
            ends: read.validity().not_after.timestamp(),
        })
    })
}
