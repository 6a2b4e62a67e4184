//! `[pylos]`.

use super::values;
use crate::address::{BadNetwork, IpSet, parse_network};
use crate::message::forwarded::TrustedProxies;
use crate::table::raw::RawPylos;
use crate::table::{AccessLog, Code, PathPart, Problems, Settings, place};
use ipnet::IpNet;

pub(super) fn compile(raw: &RawPylos, problems: &mut Problems) -> Settings {
    values::range(raw.workers, 0..=1024, "", place!["pylos", "workers"], problems);
    values::wait_or_off(raw.drain_ms, place!["pylos", "drain"], problems);
    let access_log = raw.access_log.as_ref().map(|log| AccessLog { path: log.path.as_str().into() });
    if access_log.as_ref().is_some_and(|log| log.path.is_empty() || log.path.contains('\0')) {
        problems
            .report(Code::BadValue, place!["pylos", "access_log", "path"], "this is not a file's path")
            .hint("`-` is the standard output; `access_log = false` writes none");
    }
    Settings {
        workers: raw.workers,
        trusted: trusted(raw, problems),
        access_log,
        zone: raw.zone.as_deref().map(Into::into),
        drain_ms: raw.drain_ms,
        memory: raw.memory,
    }
}

fn trusted(raw: &RawPylos, problems: &mut Problems) -> TrustedProxies {
    let unix = raw.trusted_proxies.iter().any(|text| text == "unix");
    let texts = raw.trusted_proxies.iter().enumerate().filter(|(_, text)| *text != "unix");
    let networks: Vec<IpNet> = texts
        .filter_map(|(index, text)| network(text, place!["pylos", "trusted_proxies", index], problems))
        .collect();
    TrustedProxies::new(IpSet::new(networks), unix)
}

/// An address or network, or a problem at `path`.
pub(super) fn network(text: &str, path: Vec<PathPart>, problems: &mut Problems) -> Option<IpNet> {
    match parse_network(text) {
        Ok(network) => Some(network),
        Err(BadNetwork::HostBits(meant)) => {
            let message = format!("`{text}` has bits behind its prefix");
            problems.report(Code::BadNetwork, path, message).hint(format!("the network is `{meant}`"));
            None
        }
        Err(BadNetwork::Syntax) => {
            problems
                .report(Code::BadNetwork, path, format!("`{text}` is neither an address nor a network"))
                .hint("`10.0.0.0/8`, `192.0.2.1`, `2001:db8::/32` or `::1`");
            None
        }
    }
}
