//! `[listen.NAME]`.

use super::values;
use crate::table::raw::{RawLimits, RawListen, RawListenTimeouts, RawTable};
use crate::table::{Bind, BindAddress, Code, Effective, Listener, PathPart, Problems, Serve, Token, place};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

pub(super) fn compile(raw: &RawTable, problems: &mut Problems) -> Vec<Listener> {
    let mut taken: Vec<(BindAddress, &str)> = Vec::new();
    let mut listeners = Vec::with_capacity(raw.listen.len());
    for (name, listen) in &raw.listen {
        let binds = binds(name, listen, &mut taken, problems);
        check_limits(name, &listen.limits, problems);
        check_timeouts(name, &listen.timeouts, problems);
        listeners.push(Listener {
            name: name.as_str().into(),
            binds,
            serve: serve(name, &listen.serve, problems),
            admin_token: admin_token(name, listen, problems),
            redirect_port: listen.redirect_port,
            tls: super::tls::of_listener(name, listen, &raw.tls, problems),
            limits: listen.limits.clone(),
            timeouts: listen.timeouts.clone(),
            unrouted: Effective::default(),
        });
    }
    listeners
}

fn binds<'r>(
    name: &'r str, listen: &'r RawListen, taken: &mut Vec<(BindAddress, &'r str)>, problems: &mut Problems,
) -> Vec<Bind> {
    if listen.bind.is_empty() {
        problems.report(Code::BadBind, place!["listen", name, "bind"], "a listener needs an address");
    }
    let mut binds = Vec::new();
    for (index, spelled) in listen.bind.iter().enumerate() {
        let path = place!["listen", name, "bind", index];
        let Some(address) = bind_address(spelled, path.clone(), problems) else { continue };
        // Port 0 is another port each time.
        let fixed = !matches!(address, BindAddress::Ip(address) if address.port() == 0);
        if let Some((_, other)) = taken.iter().find(|(known, _)| fixed && *known == address) {
            let message = format!("`{spelled}` is bound by `listen.{other}` already");
            problems.report(Code::BadBind, path, message);
            continue;
        }
        taken.push((address.clone(), name));
        binds.push(Bind { spelled: spelled.as_str().into(), address });
    }
    binds
}

fn bind_address(spelled: &str, path: Vec<PathPart>, problems: &mut Problems) -> Option<BindAddress> {
    if let Some(file) = spelled.strip_prefix("unix:").filter(|file| is_socket_path(file)) {
        return Some(BindAddress::Unix(file.into()));
    }
    if let Ok(address) = spelled.parse::<SocketAddr>() {
        return Some(BindAddress::Ip(address));
    }
    if let Some(port) = spelled.strip_prefix("localhost:").and_then(|port| port.parse::<u16>().ok()) {
        return Some(BindAddress::Ip((IpAddr::from(Ipv4Addr::LOCALHOST), port).into()));
    }
    let hint = match spelled.strip_prefix(':').or(Some(spelled)).filter(|port| port.parse::<u16>().is_ok()) {
        Some(port) => format!("all addresses of this machine: `0.0.0.0:{port}` or `[::]:{port}`"),
        None => "`127.0.0.1:8080`, `[::1]:8080`, `0.0.0.0:80` or `unix:/run/pylos.sock`".to_owned(),
    };
    problems.report(Code::BadBind, path, format!("`{spelled}` is no address to listen on")).hint(hint);
    None
}

/// Absolute, and short enough for `sockaddr_un`.
pub(super) fn is_socket_path(file: &str) -> bool {
    file.starts_with('/') && file.len() > 1 && file.len() < 108 && !file.contains('\0')
}

fn serve(name: &str, parts: &[String], problems: &mut Problems) -> Serve {
    let has = |part: &str| parts.iter().any(|other| other == part);
    for (index, part) in parts.iter().enumerate() {
        if !matches!(part.as_str(), "proxy" | "metrics" | "health" | "admin") {
            problems
                .report(
                    Code::BadValue,
                    place!["listen", name, "serve", index],
                    format!("`{part}` cannot be served"),
                )
                .hint("`metrics`, `health` and `admin`; leave `serve` out to serve the routes");
        }
    }
    if parts.is_empty() || (has("proxy") && parts.len() > 1) {
        problems
            .report(
                Code::BadValue,
                place!["listen", name, "serve"],
                "a listener serves either routes or admin pages",
            )
            .hint("`metrics`, `health` and `admin`; leave `serve` out to serve the routes");
    }
    if has("proxy") {
        return Serve::Proxy;
    }
    Serve::Admin { metrics: has("metrics"), health: has("health"), api: has("admin") }
}

/// Characters that a field can hold, and enough of them that nobody finds it by trying.
fn admin_token(name: &str, listen: &RawListen, problems: &mut Problems) -> Option<Token> {
    const LEAST: usize = 16;
    const MOST: usize = 1024;
    let token = listen.admin_token.as_deref()?;
    if !(LEAST..=MOST).contains(&token.len()) || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        let message = format!("a token has {LEAST} to {MOST} visible ASCII characters, and no blanks");
        problems
            .report(Code::BadValue, place!["listen", name, "admin_token"], message)
            .hint("for example 32 random characters");
    }
    if !listen.serve.iter().any(|one| one == "admin") {
        problems
            .report(Code::BadValue, place!["listen", name, "admin_token"], "nothing here asks for a token")
            .hint("only the admin API does: `serve = [\"admin\"]`");
    }
    Some(Token::new(token))
}

fn check_limits(name: &str, limits: &RawLimits, problems: &mut Problems) {
    let path = |key: &str| place!["listen", name, "limits", key];
    const MOST: u32 = 16 * 1024 * 1024;
    values::range(limits.line_bytes, 64..=MOST, "bytes", path("line"), problems);
    values::range(limits.header_bytes, 128..=MOST, "bytes", path("header"), problems);
    values::range(limits.fields, 1..=10_000, "", path("fields"), problems);
    if limits.line_bytes > limits.header_bytes {
        let message =
            format!("a line of {} bytes does not fit a head of {}", limits.line_bytes, limits.header_bytes);
        problems.report(Code::BadValue, path("line"), message).hint("`limits.header` holds the whole head");
    }
}

fn check_timeouts(name: &str, timeouts: &RawListenTimeouts, problems: &mut Problems) {
    for (key, value) in [
        ("header", timeouts.header),
        ("idle", timeouts.idle),
        ("body_idle", timeouts.body_idle),
        ("send_idle", timeouts.send_idle),
        ("client_fin", timeouts.client_fin),
        ("handshake", timeouts.handshake),
    ] {
        values::wait(value, place!["listen", name, "timeouts", key], problems);
    }
}
