//! `[upstream.NAME]`.

use super::listen::is_socket_path;
use super::{balance, health, values};
use crate::message::host;
use crate::route::pattern::Unreadable;
use crate::table::raw::{RawPool, RawUpstream, RawUpstreamTimeouts, RawUpstreamTls};
use crate::table::{Code, HostMode, Problems, Target, TargetAddress, Upstream, UpstreamTls, place};
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

/// The largest weight: sums of them stay small.
const MOST_WEIGHT: u32 = 1_000_000;

pub(super) fn compile(raw: &BTreeMap<String, RawUpstream>, problems: &mut Problems) -> Vec<Upstream> {
    let mut upstreams: Vec<Upstream> =
        raw.iter().map(|(name, upstream)| one(name, upstream, problems)).collect();
    relate(&mut upstreams);
    upstreams
}

/// Numbers the targets that more than one upstream has.
fn relate(upstreams: &mut [Upstream]) {
    let mut by_url: HashMap<&str, Vec<usize>> = HashMap::new();
    for (index, upstream) in upstreams.iter().enumerate() {
        upstream.targets.iter().for_each(|target| by_url.entry(&target.url).or_default().push(index));
    }
    let shared: Vec<Vec<usize>> = by_url.into_values().filter(|together| together.len() > 1).collect();
    for (number, together) in (0..).zip(shared) {
        together.into_iter().for_each(|index| upstreams[index].shared.push(number));
    }
}

fn one(name: &str, raw: &RawUpstream, problems: &mut Problems) -> Upstream {
    values::wait_or_off(raw.slow_start_ms, place!["upstream", name, "slow_start"], problems);
    values::range(raw.panic_threshold, 0..=100, "%", place!["upstream", name, "panic_threshold"], problems);
    check_pool(name, &raw.pool, problems);
    check_timeouts(name, &raw.timeouts, problems);
    let targets = targets(name, raw, problems);
    let host = host_mode(name, &raw.host, problems);
    Upstream {
        name: name.into(),
        hidden: hidden(&targets, &host),
        shared: Vec::new(),
        targets,
        host,
        balance: balance::balance(name, &raw.balance, problems),
        slow_start_ms: raw.slow_start_ms,
        panic_threshold: f64::from(raw.panic_threshold) / 100.0,
        outliers: raw.outliers.as_ref().map(|outliers| balance::outliers(name, outliers, problems)),
        max_requests: raw.max_requests,
        health: raw.health.as_ref().map(|raw| health::check(name, raw, problems)),
        pool: raw.pool.clone(),
        timeouts: raw.timeouts.clone(),
        tls: tls(raw.tls.as_ref()),
    }
}

fn tls(raw: Option<&RawUpstreamTls>) -> UpstreamTls {
    UpstreamTls {
        ca: raw.and_then(|tls| tls.ca.as_deref()).map(Into::into),
        server_name: raw.and_then(|tls| tls.server_name.as_deref()).map(Into::into),
        certificate: raw.and_then(|tls| tls.certificate.as_ref()).map(super::tls::certificate),
        verify: raw.is_none_or(|tls| tls.verify),
    }
}

fn targets(name: &str, raw: &RawUpstream, problems: &mut Problems) -> Vec<Target> {
    if raw.targets.is_empty() {
        problems.report(Code::BadTarget, place!["upstream", name, "targets"], "an upstream needs a target");
    }
    let path_of = |index: usize, key: &str| place!["upstream", name, "targets", index, key];
    let mut targets: Vec<Target> = Vec::with_capacity(raw.targets.len());
    for (index, target) in raw.targets.iter().enumerate() {
        let path = place!["upstream", name, "targets", index];
        match parse_target(&target.url) {
            Ok(target) if targets.iter().any(|known| known.url == target.url) => {
                problems.report(Code::BadTarget, path, format!("`{}` stands twice", target.url));
            }
            Ok(known) => {
                values::range(target.weight, 0..=MOST_WEIGHT, "", path_of(index, "weight"), problems);
                values::range(target.priority, 0..=100, "", path_of(index, "priority"), problems);
                let zone = target.zone.as_deref().map(Into::into);
                let (weight, priority, backup) = (target.weight, target.priority, target.backup);
                targets.push(Target { weight, zone, priority, backup, ..known });
            }
            Err(Unreadable { message, hint }) => problems.report(Code::BadTarget, path, message).hint = hint,
        }
    }
    targets
}

/// What a URL does not say.
fn unplaced() -> Target {
    Target {
        url: "".into(),
        address: TargetAddress::Unix(PathBuf::new()),
        tls: false,
        authority: "".into(),
        weight: 1,
        zone: None,
        priority: 0,
        backup: false,
    }
}

fn parse_target(url: &str) -> Result<Target, Unreadable> {
    if let Some(file) = url.strip_prefix("unix:") {
        if !is_socket_path(file) {
            return Err(Unreadable::hinted(format!("`{url}` names no socket"), "`unix:/run/app.sock`"));
        }
        return Ok(Target {
            url: url.into(),
            address: TargetAddress::Unix(file.into()),
            tls: false,
            authority: "localhost".into(),
            ..unplaced()
        });
    }
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(Unreadable::hinted(format!("`{url}` has no scheme"), format!("`http://{url}`")));
    };
    let tls = scheme.eq_ignore_ascii_case("https");
    if !tls && !scheme.eq_ignore_ascii_case("http") {
        return Err(Unreadable::hinted(
            format!("`{scheme}` is not a scheme for targets"),
            "`http` or `unix`",
        ));
    }
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains(['/', '?', '#']) {
        return Err(Unreadable::hinted(
            format!("`{url}` has more than host and port"),
            "a target is a server; paths are changed by `rewrite` and `strip` of a route",
        ));
    }
    if authority.contains('@') {
        return Err(Unreadable::hinted(
            "a target has no user and no password",
            "`http://host:port`; a policy of `type = \"headers\"` can set `authorization`",
        ));
    }
    http_target(url, authority, tls)
}

fn http_target(url: &str, authority: &str, tls: bool) -> Result<Target, Unreadable> {
    let host = host::parse(authority.as_bytes())
        .map_err(|error| Unreadable::new(format!("`{url}` is no target: {}", error.reason())))?;
    let name = String::from_utf8_lossy(host.name).to_ascii_lowercase();
    let (scheme, usual) = if tls { ("https", 443) } else { ("http", 80) };
    let port = host.port.unwrap_or(usual);
    let (name, address) = match literal_address(&name) {
        Some(IpAddr::V6(ip)) => (format!("[{ip}]"), TargetAddress::Ip((ip, port).into())),
        Some(ip) => (name, TargetAddress::Ip((ip, port).into())),
        None => {
            let last = name.rsplit('.').next().unwrap_or_default();
            if last.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(Unreadable::new(format!("`{name}` is neither a name nor an address")));
            }
            (name.clone(), TargetAddress::Name { host: name.into(), port })
        }
    };
    let authority = if port == usual { name } else { format!("{name}:{port}") };
    let url = format!("{scheme}://{authority}").into();
    Ok(Target { url, address, tls, authority: authority.into(), ..unplaced() })
}

fn literal_address(name: &str) -> Option<IpAddr> {
    match name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(bare) => bare.parse::<Ipv6Addr>().ok().map(IpAddr::from),
        None => name.parse::<Ipv4Addr>().ok().map(IpAddr::from),
    }
}

fn host_mode(name: &str, text: &str, problems: &mut Problems) -> HostMode {
    match text {
        "preserve" => HostMode::Preserve,
        "target" => HostMode::Target,
        literal => {
            if let Err(error) = host::parse(literal.as_bytes()) {
                let message = format!("`{literal}` is no host: {}", error.reason());
                problems
                    .report(Code::BadValue, place!["upstream", name, "host"], message)
                    .hint("`preserve` (the client's), `target` (the target's own) or a name");
            }
            HostMode::Literal(literal.into())
        }
    }
}

fn hidden(targets: &[Target], host: &HostMode) -> Vec<(Box<str>, u16)> {
    let literal = match host {
        HostMode::Literal(literal) => Some(&**literal),
        HostMode::Preserve | HostMode::Target => None,
    };
    let authorities = targets.iter().filter(|target| !matches!(target.address, TargetAddress::Unix(_)));
    let usual = |tls: bool| if tls { 443 } else { 80 };
    let any = usual(targets.iter().any(|target| target.tls));
    let mut hidden = Vec::new();
    let authorities = authorities.map(|target| (&*target.authority, usual(target.tls)));
    for (authority, usual) in authorities.chain(literal.map(|literal| (literal, any))) {
        if let Ok(host) = host::parse(authority.as_bytes()) {
            let name = String::from_utf8_lossy(host.name).to_ascii_lowercase().into_boxed_str();
            hidden.push((name, host.port.unwrap_or(usual)));
        }
    }
    hidden
}

fn check_pool(name: &str, pool: &RawPool, problems: &mut Problems) {
    values::wait(pool.idle_ms, place!["upstream", name, "pool", "idle"], problems);
    values::wait(pool.max_age_ms, place!["upstream", name, "pool", "max_age"], problems);
}

fn check_timeouts(name: &str, timeouts: &RawUpstreamTimeouts, problems: &mut Problems) {
    for (key, value) in [
        ("connect", timeouts.connect),
        ("first_byte", timeouts.first_byte),
        ("idle", timeouts.idle),
        ("send_idle", timeouts.send_idle),
    ] {
        values::wait(value, place!["upstream", name, "timeouts", key], problems);
    }
}
