//! `[upstream.NAME]`.

use super::listen::is_socket_path;
use super::values;
use crate::message::host;
use crate::message::path::{Normal, normalise};
use crate::route::pattern::Unreadable;
use crate::table::raw::{RawHealth, RawPool, RawUpstream, RawUpstreamTimeouts, RawUpstreamTls};
use crate::table::{
    Code, HealthCheck, HostMode, Problems, Target, TargetAddress, Upstream, UpstreamTls, place,
};
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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
    if raw.balance != "round_robin" {
        let message = format!("`{}` is no way to balance", raw.balance);
        problems.report(Code::BadValue, place!["upstream", name, "balance"], message).hint("`round_robin`");
    }
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
        health: raw.health.as_ref().map(|health| health_check(name, health, problems)),
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
    let mut targets: Vec<Target> = Vec::with_capacity(raw.targets.len());
    for (index, target) in raw.targets.iter().enumerate() {
        let path = place!["upstream", name, "targets", index];
        match parse_target(&target.url) {
            Ok(target) if targets.iter().any(|known| known.url == target.url) => {
                problems.report(Code::BadTarget, path, format!("`{}` stands twice", target.url));
            }
            Ok(target) => targets.push(target),
            Err(Unreadable { message, hint }) => problems.report(Code::BadTarget, path, message).hint = hint,
        }
    }
    targets
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
    Ok(Target { url: format!("{scheme}://{authority}").into(), address, tls, authority: authority.into() })
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

fn health_check(name: &str, raw: &RawHealth, problems: &mut Problems) -> HealthCheck {
    let path = |key: &str| place!["upstream", name, "health", key];
    if !is_sendable(&raw.path) {
        let message = format!("`{}` is not the path of a request", raw.path);
        problems
            .report(Code::BadValue, path("path"), message)
            .hint("it begins with `/`; blanks are written `%20`");
    }
    values::range(raw.every_ms, 10..=values::LONGEST_MS, "ms", path("every"), problems);
    values::wait(raw.timeout_ms, path("timeout"), problems);
    values::range(raw.fall, 1..=1000, "", path("fall"), problems);
    values::range(raw.rise, 1..=1000, "", path("rise"), problems);
    HealthCheck {
        path: raw.path.as_str().into(),
        every_ms: raw.every_ms,
        timeout_ms: raw.timeout_ms,
        fall: raw.fall,
        rise: raw.rise,
    }
}

/// A path in normal form, maybe with a query.
fn is_sendable(target: &str) -> bool {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    normalise(path.as_bytes(), &mut Vec::new()) == Ok(Normal::AsIs)
        && query.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
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
