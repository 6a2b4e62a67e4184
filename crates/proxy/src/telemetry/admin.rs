//! The admin listener's pages: `/metrics`, `/livez`, `/readyz`. Made here, without asking anyone else.

use super::exposition::{self, Process};
use crate::admin;
use crate::error::Refusal;
use crate::request::respond::{OwnAnswer, send_own};
use crate::request::{End, Exchange, refuse};
use crate::shared::Shared;
use crate::tls::Configs;
use pylos_core::table::Serve;
use std::sync::atomic::Ordering::Relaxed;

pub(crate) async fn answer(x: &mut Exchange<'_>) -> End {
    let Serve::Admin { metrics, health, api } = x.snapshot.table.listeners[x.listener.index()].serve else {
        return End::Close;
    };
    let shared = &x.worker.shared;
    let found = match x.scratch.request.path() {
        b"/metrics" if metrics => Some((
            200,
            &b"text/plain; version=0.0.4; charset=utf-8"[..],
            page(shared, &x.snapshot.tls, x.worker.clock.ms()),
        )),
        b"/livez" if health => Some((200, TEXT, "ok\n".to_owned())),
        b"/readyz" if health => {
            let (status, text) = readiness(shared);
            Some((status, TEXT, text.to_owned()))
        }
        _ if api => return Box::pin(admin::answer(x)).await,
        _ => None,
    };
    if !matches!(x.scratch.request.method(), b"GET" | b"HEAD") {
        let refusal = Refusal::client(405, "method_not_allowed", "Only GET and HEAD are served here.");
        return refuse::refuse(x, &Refusal { allow: Some("GET, HEAD".into()), ..refusal }).await;
    }
    let Some((status, content_type, body)) = found else {
        let refusal = Refusal::client(404, "no_page", "There is no such page on this listener.");
        return refuse::refuse(x, &refusal).await;
    };
    let fields = vec![(&b"cache-control"[..], &b"no-store"[..])];
    send_own(x, OwnAnswer { status, content_type, fields, body: body.as_bytes(), edited: &[], close: false })
        .await
}

const TEXT: &[u8] = b"text/plain; charset=utf-8";

fn readiness(shared: &Shared) -> (u16, &'static str) {
    if shared.draining.load(Relaxed) {
        (503, "draining\n")
    } else if shared.generation.load(Relaxed) == 0 {
        (503, "starting\n")
    } else {
        (200, "ready\n")
    }
}

fn page(shared: &Shared, tls: &Configs, now_ms: u64) -> String {
    let process = Process {
        generation: shared.generation.load(Relaxed),
        workers: shared.workers().len(),
        snapshots: shared.snapshots.load(Relaxed),
        log_dropped: shared.log_dropped.load(Relaxed),
        panics: shared.panics.load(Relaxed),
        memory: (shared.memory.used(), shared.memory.is_tight()),
        limited_keys: shared.limited_keys(),
    };
    exposition::render(&shared.registry.lock(), &shared.states(), tls.expiries(), &process, now_ms)
}
