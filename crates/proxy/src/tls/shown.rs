//! What a client's certificate says about the client.

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::{BASE64, HEXLOWER};
use pylos_core::facts::Client;
use rustls::pki_types::CertificateDer;
use serde_json::{Map, Value};
use std::fmt::Write;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate, X509Name};
use x509_parser::x509::AttributeTypeAndValue;

/// A certificate that is believed.
#[derive(Debug)]
pub(crate) struct Shown {
    client: Client,
    /// The value of `Client-Cert` (RFC 9440).
    pub(crate) field: Box<[u8]>,
}

impl Shown {
    /// `None` for what cannot be read: nobody is told of it then.
    pub(super) fn new(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, read) = X509Certificate::from_der(certificate).ok()?;
        Some(Shown { client: client(&read, certificate), field: field(certificate) })
    }

    /// Who it is for.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }
}

/// The id is the subject, or where that is empty its first name: both are what the authority has written. One that has
/// neither is known by its fingerprint.
fn client(certificate: &X509Certificate<'_>, der: &[u8]) -> Client {
    let subject = written(certificate.subject());
    let names = names(certificate);
    let first = names.iter().find_map(|(kind, names)| Some(format!("{kind}:{}", names.first()?)));
    let sha256 = HEXLOWER.encode(digest(&SHA256, der).as_ref());
    let id = match first {
        _ if !subject.is_empty() => subject.clone(),
        Some(first) => first,
        None => format!("sha256:{sha256}"),
    };
    let mut claims = Map::new();
    claims.insert("subject".to_owned(), subject.into());
    claims.insert("issuer".to_owned(), written(certificate.issuer()).into());
    claims.insert("serial".to_owned(), HEXLOWER.encode(unsigned(certificate.raw_serial())).into());
    claims.insert("sha256".to_owned(), sha256.into());
    claims.extend(names.into_iter().map(|(kind, names)| (kind.to_owned(), Value::from(names))));
    Client { id: format!("mtls:{id}").into(), named: true, plan: None, claims }
}

/// A number in DER has a zero byte in front where it would be negative else.
fn unsigned(number: &[u8]) -> &[u8] {
    match number {
        [0, rest @ ..] if !rest.is_empty() => rest,
        all => all,
    }
}

/// By kind: those of its subjectAltName.
fn names(certificate: &X509Certificate<'_>) -> [(&'static str, Vec<String>); 3] {
    let mut found = [("uri", Vec::new()), ("dns", Vec::new()), ("email", Vec::new())];
    let extension = certificate.subject_alternative_name().ok().flatten();
    for name in extension.iter().flat_map(|extension| &extension.value.general_names) {
        let (place, text) = match name {
            GeneralName::URI(text) => (0, (*text).to_owned()),
            GeneralName::DNSName(text) => (1, text.to_ascii_lowercase()),
            GeneralName::RFC822Name(text) => (2, (*text).to_owned()),
            _ => continue,
        };
        found[place].1.push(text);
    }
    found
}

/// A name as RFC 4514 writes it: the last part first, and nothing in a value that could be taken for another part.
fn written(name: &X509Name<'_>) -> String {
    let mut parts: Vec<String> =
        name.iter().map(|part| part.iter().map(attribute).collect::<Vec<_>>().join("+")).collect();
    parts.reverse();
    parts.join(",")
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let oid = attribute.attr_type().to_id_string();
    let short = SHORT.iter().find(|(number, _)| *number == oid);
    match (short, attribute.as_str()) {
        (Some((_, name)), Ok(text)) => format!("{name}={}", escaped(text)),
        (None, Ok(text)) => format!("{oid}={}", escaped(text)),
        // Text of another kind, as its bytes.
        (_, Err(_)) => format!("{oid}=#{}", HEXLOWER.encode(attribute.attr_value().data)),
    }
}

/// RFC 4514, 3, and those that everybody writes.
const SHORT: [(&str, &str); 10] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.6", "C"),
    ("2.5.4.9", "STREET"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("1.2.840.113549.1.9.1", "1.2.840.113549.1.9.1"),
];

fn escaped(text: &str) -> String {
    let last = text.chars().count().saturating_sub(1);
    let mut out = String::with_capacity(text.len());
    for (place, one) in text.chars().enumerate() {
        let at_an_end = (one == ' ' && (place == 0 || place == last)) || (one == '#' && place == 0);
        if at_an_end || "\"+,;<>\\".contains(one) {
            out.push('\\');
        }
        if one.is_control() {
            let mut bytes = [0; 4];
            for byte in one.encode_utf8(&mut bytes).bytes() {
                let _ = write!(out, "\\{byte:02x}");
            }
        } else {
            out.push(one);
        }
    }
    out
}

/// A byte sequence as a structured field has it (RFC 8941, 3.3.5).
fn field(certificate: &[u8]) -> Box<[u8]> {
    format!(":{}:", BASE64.encode(certificate)).into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_can_be_taken_for_another_part() {
        for (text, written) in [
            ("plain", "plain"),
            ("a,CN=admin", "a\\,CN=admin"),
            ("a+b\\c\"", "a\\+b\\\\c\\\""),
            (" # ", "\\ #\\ "),
            ("#1", "\\#1"),
            ("a\nb", "a\\0ab"),
            (" ", "\\ "),
        ] {
            assert_eq!(escaped(text), written);
        }
    }
}
