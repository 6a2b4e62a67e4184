//! Names to addresses, off the workers: the system's resolver (hosts file included) on threads of the side
//! runtime, again every few seconds. When it fails, the last good answer stays.

use super::target::TargetState;
use crate::telemetry::events;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How often a name is asked for again.
pub(crate) const EVERY: Duration = Duration::from_secs(10);

/// A target with a name.
#[derive(Clone)]
pub(crate) struct Named {
    pub(crate) host: Box<str>,
    pub(crate) port: u16,
    pub(crate) state: Arc<TargetState>,
}

/// Resolves all, side by side, and waits for them, at most `most`: what is late goes on alone.
pub(crate) fn resolve_first(names: Vec<Named>, most: Duration) {
    let (done, waits) = mpsc::channel();
    let mut open = names.len();
    for named in names {
        let done = done.clone();
        let resolving = std::thread::Builder::new().name("pylos-resolve".into()).spawn(move || {
            resolve(&named);
            let _ = done.send(());
        });
        // It is asked for again later.
        if resolving.is_err() {
            open -= 1;
        }
    }
    let end = Instant::now() + most;
    while open > 0 {
        match waits.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(()) => open -= 1,
            Err(_) => break,
        }
    }
}

/// Asks once and remembers the answer. Blocks.
pub(crate) fn resolve(named: &Named) {
    let failed = |error: &str| {
        let stale = !named.state.addresses().0.is_empty();
        events::warn(
            "name_not_resolved",
            &[
                ("name", &named.host),
                ("error", error),
                ("goes_on_with", if stale { "the last good answer" } else { "nothing: requests get 503" }),
            ],
        );
    };
    match (&*named.host, named.port).to_socket_addrs() {
        Ok(found) => {
            let mut addresses: Vec<SocketAddr> = found.collect();
            addresses.sort_by_key(|a| (a.is_ipv6(), *a));
            addresses.dedup();
            if addresses.is_empty() {
                failed("no address");
            } else if named.state.set_addresses(addresses) {
                events::info("name_resolved", &[("name", &named.host)]);
            }
        }
        Err(error) => failed(&error.to_string()),
    }
}
