//! `[tls.NAME]`, and what a listener says about it.

use crate::table::raw::{RawCertificate, RawClientAuth, RawListen, RawTls};
use crate::table::tls::Hidden;
use crate::table::{Certificate, ClientAuth, Code, ListenTls, Problems, Profile, Tls, TlsId, place};
use crate::tls::Names;
use std::collections::BTreeMap;

pub(super) fn compile(raw: &BTreeMap<String, RawTls>, problems: &mut Problems) -> Vec<Tls> {
    raw.iter().map(|(name, tls)| one(name, tls, problems)).collect()
}

fn one(name: &str, raw: &RawTls, problems: &mut Problems) -> Tls {
    if raw.certificates.is_empty() {
        problems
            .report(Code::BadValue, place!["tls", name], "there is no certificate to show")
            .hint("`cert = \"shop.pem\"` and `key = \"shop.key\"`");
    }
    Tls {
        name: name.into(),
        certificates: raw.certificates.iter().map(certificate).collect(),
        profile: match raw.profile.as_str() {
            "modern" => Profile::Modern,
            "intermediate" => Profile::Intermediate,
            other => {
                problems
                    .report(
                        Code::BadValue,
                        place!["tls", name, "profile"],
                        format!("`{other}` is no profile"),
                    )
                    .hint("`intermediate` or `modern`");
                Profile::Intermediate
            }
        },
        tickets: raw.tickets,
        client: raw.client.as_ref().map(|client| client_auth(name, client, problems)),
    }
}

fn client_auth(name: &str, raw: &RawClientAuth, problems: &mut Problems) -> ClientAuth {
    if raw.ca.is_empty() {
        problems
            .report(Code::BadValue, place!["tls", name, "client", "ca"], "there is nobody to believe")
            .hint("the certificate of who issues those of clients");
    }
    if !matches!(raw.crl_scope.as_str(), "leaf" | "chain") {
        let message = format!("`{}` is no scope", raw.crl_scope);
        problems
            .report(Code::BadValue, place!["tls", name, "client", "crl_scope"], message)
            .hint("`leaf` or `chain`");
    }
    ClientAuth {
        ca: raw.ca.as_str().into(),
        required: raw.required,
        crls: raw.crls.iter().map(|list| list.as_str().into()).collect(),
        whole_chain: raw.crl_scope == "chain",
        forward: raw.forward,
    }
}

pub(super) fn certificate(raw: &RawCertificate) -> Certificate {
    Certificate {
        names: raw.names.iter().map(|name| name.as_str().into()).collect(),
        chain: raw.chain.as_str().into(),
        key: Hidden::new(&raw.key),
    }
}

/// Who answers for which name at a listener; `None` where nothing is encrypted.
pub(super) fn of_listener(
    name: &str, listen: &RawListen, raw: &BTreeMap<String, RawTls>, problems: &mut Problems,
) -> Option<ListenTls> {
    let mut names: Names<TlsId> = Names::default();
    for (index, tls) in listen.tls.iter().enumerate() {
        let path = place!["listen", name, "tls", index];
        let Some(id) = id_of(raw, tls) else {
            problems.report(Code::BadValue, path, format!("there is no tls `{tls}`"));
            continue;
        };
        for pattern in raw[tls].certificates.iter().flat_map(|certificate| &certificate.names) {
            let first = *names.entry(pattern, || id);
            if first != id {
                let other = raw.keys().nth(first.index()).map_or("", String::as_str);
                let message = format!("`{pattern}` is a name of tls `{other}` already");
                problems
                    .report(Code::BadValue, path.clone(), message)
                    .hint("one `[tls.NAME]` can have several certificates for one name");
                break;
            }
        }
    }
    let default = listen.tls_default.as_ref().and_then(|default| {
        let id = id_of(raw, default).filter(|_| listen.tls.contains(default));
        if id.is_none() {
            let message = format!("`{default}` is no tls of this listener");
            problems
                .report(Code::BadValue, place!["listen", name, "sni"], message)
                .hint("a name that stands in `tls`, or `strict`");
        }
        id
    });
    let by_host = listen.tls.iter().any(|tls| raw.get(tls).is_some_and(|tls| tls.client.is_some()));
    let ids = listen.tls.iter().filter_map(|tls| id_of(raw, tls)).collect();
    (!listen.tls.is_empty()).then_some(ListenTls { ids, by_host, names, default })
}

/// Tables are in the order of their names.
fn id_of(raw: &BTreeMap<String, RawTls>, name: &str) -> Option<TlsId> {
    raw.keys().position(|known| known == name).map(TlsId::at)
}
