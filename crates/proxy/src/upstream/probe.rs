//! Asks targets after their health, from the side worker alone: one prober a machine, whatever the number of
//! workers. And asks the resolver after their names.

use super::connect::connect;
use super::resolve::{self, Named};
use super::target::TargetState;
use crate::buffer::Buffers;
use crate::clock::{self, Clock};
use crate::stream::Wait;
use crate::telemetry::events;
use crate::timer::{Slot, Timers};
use crate::tls::{Configs, Secure};
use crate::worker::Worker;
use pylos_core::health::{Change, FallRise};
use pylos_core::http1::{HeadParser, StatusLine};
use pylos_core::message::head::Fields;
use pylos_core::table::{HealthCheck, HostMode, Table, TargetAddress};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io::IoSlice;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// All that makes a probe what it is: while this stays the same over a reload, the probe goes on.
#[derive(Clone, PartialEq)]
struct Plan {
    upstream: Box<str>,
    url: Box<str>,
    address: TargetAddress,
    host: Box<str>,
    check: Option<HealthCheck>,
    secure: Option<Secure>,
}

#[derive(Default)]
pub(crate) struct Probes {
    running: HashMap<(Box<str>, Box<str>), (Plan, JoinHandle<()>)>,
}

impl Drop for Probes {
    fn drop(&mut self) {
        self.running.values().for_each(|(_, task)| task.abort());
    }
}

impl Probes {
    /// Starts, keeps and ends probes as the table says.
    pub(crate) fn follow(&mut self, table: &Table, tls: &Configs, worker: &Rc<Worker>) {
        let mut wanted = HashMap::new();
        for (index, upstream) in table.upstreams.iter().enumerate() {
            for (place, target) in upstream.targets.iter().enumerate() {
                let host = match &upstream.host {
                    HostMode::Literal(name) => name.clone(),
                    // The client's name is not known here; the target's own serves.
                    HostMode::Preserve | HostMode::Target => target.authority.clone(),
                };
                let plan = Plan {
                    upstream: upstream.name.clone(),
                    url: target.url.clone(),
                    address: target.address.clone(),
                    host,
                    check: upstream.health.clone(),
                    secure: tls.to(index, place).cloned(),
                };
                wanted.insert((upstream.name.clone(), target.url.clone()), plan);
            }
        }
        self.running.retain(|key, (plan, task)| {
            // One that has something to do again and again ends by a defect alone.
            let lasts = plan.check.is_some() || matches!(plan.address, TargetAddress::Name { .. });
            let has_failed = lasts && task.is_finished();
            let kept = wanted.get(key) == Some(plan) && !has_failed;
            if kept {
                wanted.remove(key);
            } else {
                task.abort();
            }
            kept
        });
        for (key, plan) in wanted {
            let state = worker.shared.target(&key.0, &key.1);
            // A check that is gone says nothing any more.
            if plan.check.is_none() && !state.is_up() {
                state.set_up(true, clock::exact_ms());
            }
            let task =
                tokio::task::spawn_local(run(plan.clone(), state, Rc::clone(worker), clock::exact_us()));
            self.running.insert(key, (plan, task));
        }
    }
}

/// `began`: since when it is to be looked at, us.
async fn run(plan: Plan, state: Arc<TargetState>, worker: Rc<Worker>, began: u64) {
    let names = keep_resolved(&plan, &state, began);
    match &plan.check {
        Some(check) => drop(tokio::join!(names, keep_checked(&plan, check, &state, &worker, began))),
        None => names.await,
    }
}

async fn keep_resolved(plan: &Plan, state: &Arc<TargetState>, began: u64) {
    let TargetAddress::Name { host, port } = &plan.address else { return };
    let named = Named { host: host.clone(), port: *port, state: Arc::clone(state) };
    let mut began = began;
    loop {
        clock::sleep_until(began + us(resolve::EVERY)).await;
        began = clock::exact_us();
        let named = named.clone();
        let _ = tokio::task::spawn_blocking(move || resolve::resolve(&named)).await;
    }
}

async fn keep_checked(
    plan: &Plan, check: &HealthCheck, state: &TargetState, worker: &Rc<Worker>, began: u64,
) {
    let mut verdicts = FallRise::new(check.fall, check.rise);
    if !state.is_up() {
        for _ in 0..check.fall {
            verdicts.observe(false);
        }
    }
    // Not all at once: the first one somewhere within an interval, the others 10 % around it.
    clock::sleep_until(began + us(share(check.every_ms, 0.0, 0.2))).await;
    loop {
        let began = clock::exact_us();
        let result = probe(plan, check, state, worker).await;
        if result.is_ok() && state.is_up() {
            // An answer is better evidence than connections that failed a while ago.
            state.connected(clock::exact_ms());
        }
        if let Some(change) = verdicts.observe(result.is_ok()) {
            let up = change == Change::Up;
            state.set_up(up, clock::exact_ms());
            let why = result.err().unwrap_or_else(|| "healthy".into());
            let facts = [("upstream", &*plan.upstream), ("target", &*plan.url), ("why", &*why)];
            events::warn(if up { "target_up" } else { "target_down" }, &facts);
        }
        clock::sleep_until(began + us(share(check.every_ms, 0.9, 1.1))).await;
    }
}

fn us(duration: Duration) -> u64 {
    duration.as_micros() as u64
}

/// A random part of an interval.
fn share(ms: u64, from: f64, to: f64) -> Duration {
    let random = RandomState::new().hash_one(clock::exact_us()) as f64 / u64::MAX as f64;
    Duration::from_secs_f64(ms as f64 / 1000.0 * (from + (to - from) * random))
}

/// One probe: GET on a connection of its own, 2xx within the time is healthy; a redirect is not followed.
async fn probe(
    plan: &Plan, check: &HealthCheck, state: &TargetState, worker: &Rc<Worker>,
) -> Result<(), String> {
    let most = Duration::from_millis(check.timeout_ms);
    let asked = tokio::time::timeout(most, ask(plan, check, state, worker)).await;
    match asked {
        Ok(Ok(status)) if (200..300).contains(&status) => Ok(()),
        Ok(Ok(status)) => Err(format!("status {status}")),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(format!("no answer within {} ms", check.timeout_ms)),
    }
}

async fn ask(
    plan: &Plan, check: &HealthCheck, state: &TargetState, worker: &Rc<Worker>,
) -> Result<u16, String> {
    // Deadlines are kept by the caller; these are only here because every wait has a form.
    let (timers, clock, buffers) = (Timers::default(), Clock::new(), Buffers::default());
    let timer = timers.add();
    let wait = Wait { timer: &timer, clock: &clock, slot: Slot::Answer, ms: 0 };
    let mut stream =
        connect(&plan.address, plan.secure.as_ref(), state, worker, wait).await.map_err(|e| e.to_string())?;
    let request = format!(
        "GET {} HTTP/1.1\r\nhost: {}\r\nuser-agent: pylos-health\r\naccept: */*\r\nconnection: close\r\n\r\n",
        check.path, plan.host
    );
    let (mut from, mut to) = stream.split();
    to.write_all(&mut [IoSlice::new(request.as_bytes())], wait, &mut 0).await.map_err(|_| "write failed")?;
    let mut buffer = buffers.small();
    let (mut parser, mut fields) = (HeadParser::<StatusLine>::new(), Fields::default());
    loop {
        if buffer.room().is_empty() {
            return Err("the head is too large".into());
        }
        if from.read(&mut buffer, wait).await.map_err(|_| "read failed")? == 0 {
            return Err("closed without an answer".into());
        }
        let head = parser.feed(buffer.bytes(), &mut fields, &super::answer_h1::LIMITS);
        match head.map_err(|_| "the answer is malformed")? {
            Some(head) if head.line.status >= 200 => return Ok(head.line.status),
            Some(head) => {
                buffer.consume(head.len);
                fields.clear();
                parser = HeadParser::new();
            }
            None => {}
        }
    }
}
