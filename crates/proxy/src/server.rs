//! The gateway process as a whole: its workers, its sockets, the configuration in use. Lives on the main thread
//! and does what the supervisor says.

mod status;

use crate::bounds::Bounds;
use crate::challenges::Challenges;
use crate::control::{Channel, NewLane, NewSocket, Order, Report};
use crate::explain::{Question, explain_live};
use crate::handover::{self, Asker, Counters};
use crate::lane::Line;
use crate::orphan::Rendezvous;
use crate::request::alike::About;
use crate::shared::{MOST_WORKERS, SIDE, Shared};
use crate::telemetry::events;
use crate::telemetry::log_writer::LogWriter;
use crate::tls::{Configs, TicketKeys};
use crate::upstream::resolve::{Named, resolve_first};
use crate::worker::{self, Message, StdListening, Update};
use pylos_core::table::raw::RawCertificate;
use pylos_core::table::{
    Code, PathPart, Policy, PolicyKind, Problem, PythonPolicy, RawTable, Severity, Table, TargetAddress,
    compile,
};
use rustix::event::{PollFd, PollFlags, poll};
use std::collections::{BTreeMap, HashSet};
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a worker may take to change over to a new configuration.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long names may take to resolve before the configuration is used without them.
const RESOLVE: Duration = Duration::from_secs(2);
/// How long a process that was to take over may take to have its configuration.
const FOLLOWER: Duration = Duration::from_secs(5);
/// How long the log may take to be written out at the end.
const LAST_LINES: Duration = Duration::from_secs(2);

pub(crate) use status::Status;

pub(crate) struct Server {
    channel: Channel,
    shared: Arc<Shared>,
    threads: Vec<(usize, JoinHandle<()>)>,
    /// Surplus workers that have connections left.
    leaving: Vec<Leaving>,
    /// By bind address as spelled: kept here, so that a worker added later gets its copy.
    sockets: BTreeMap<Arc<str>, StdListening>,
    table: Option<Arc<Table>>,
    log: Option<Arc<LogWriter>>,
    /// The lanes of the table in use: kept here for workers that are added later, and for as long as it is used.
    lanes: Vec<Arc<Line>>,
    /// Of the table in use.
    tls: Arc<Configs>,
    /// For tickets of sessions.
    keys: TicketKeys,
    handed: Option<Handed>,
    rendezvous: Option<Rendezvous>,
}

/// What comes with a table.
struct New {
    sockets: Vec<NewSocket>,
    lanes: Vec<NewLane>,
    /// Of all of them, in order.
    descriptors: Vec<OwnedFd>,
}

/// What another process has from this one.
struct Handed {
    /// As they were then.
    counters: Counters,
    asker: Arc<Asker>,
}

struct Leaving {
    id: usize,
    thread: JoinHandle<()>,
}

impl Server {
    pub(crate) fn new(control: OwnedFd) -> Self {
        let descriptors = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        Server {
            channel: Channel::new(control),
            shared: Arc::new(Shared::new(Bounds::new(descriptors.unwrap_or(u64::MAX)))),
            threads: Vec::new(),
            leaving: Vec::new(),
            sockets: BTreeMap::new(),
            table: None,
            log: None,
            lanes: Vec::new(),
            tls: Arc::default(),
            keys: TicketKeys::random(),
            handed: None,
            rendezvous: None,
        }
    }

    /// Obeys until it is told to end, or there is nobody left who tells.
    pub(crate) fn run(mut self) -> i32 {
        let hello = Report::Hello { pid: std::process::id(), version: env!("CARGO_PKG_VERSION") };
        if self.channel.report(&hello).is_err() {
            return 1;
        }
        loop {
            let (order, descriptors) = match self.channel.receive() {
                Ok(Some(received)) => received,
                Ok(None) | Err(_) => match self.found_supervisor() {
                    Some(channel) => {
                        self.channel = channel;
                        continue;
                    }
                    None => {
                        events::warn("supervisor_lost", &[("consequence", "the gateway drains and ends")]);
                        let ms = self.table.as_ref().map_or(0, |t| t.settings.drain_ms);
                        return self.drain(ms);
                    }
                },
            };
            let answered = match order {
                Ok(Order::Apply { generation, table, sockets, lanes }) => {
                    let new = New { sockets, lanes, descriptors };
                    self.apply_and_report(generation, *table, new)
                }
                Ok(Order::Lane { generation, lane }) => {
                    self.replace_lane(generation, lane, descriptors);
                    Ok(())
                }
                Ok(Order::Forget { policy }) => self.forget(policy.as_deref()),
                Ok(Order::Reopen) => self.reopen(),
                Ok(Order::Keys { tickets }) => self.take_keys(&tickets),
                Ok(Order::Challenges { tokens, certificates }) => self.answer_by(tokens, certificates),
                Ok(Order::Admin) => {
                    self.shared.set_admin_line(descriptors.into_iter().next());
                    Ok(())
                }
                Ok(Order::Advance { ms }) => self.advance(ms),
                Ok(Order::Rendezvous) => self.meet_at(descriptors),
                Ok(Order::HandOver) => self.hand_over(descriptors),
                Ok(Order::Ask) => self.ask_for_limits(),
                Ok(Order::TakeBack) => self.take_back(),
                Ok(Order::TakeOver) => self.take_over(descriptors),
                Ok(Order::Explain { generation, question }) => self.explain(generation, &question),
                Ok(Order::Status) => self.channel.report(&Report::Status(Box::new(self.status()))),
                Ok(Order::Drain { deadline_ms }) => return self.drain(deadline_ms),
                Ok(Order::Stop) => return self.stop(),
                Err(error) => {
                    events::error("order_not_understood", &[("error", &error)]);
                    self.channel.report(&Report::Refused { generation: 0, problems: Vec::new() })
                }
            };
            if let Err(error) = answered {
                events::warn("report_failed", &[("error", &error.to_string())]);
            }
        }
    }

    fn forget(&self, policy: Option<&str>) -> std::io::Result<()> {
        self.shared.forget(policy);
        self.channel.report(&Report::Forgot)
    }

    fn reopen(&mut self) -> std::io::Result<()> {
        let error = self.reopen_log().err().map(|error| error.to_string());
        if let Some(error) = &error {
            let table = self.table.as_ref().and_then(|table| table.settings.access_log.as_ref());
            let path = table.map_or("", |log| &*log.path);
            events::error("access_log_failed", &[("path", path), ("error", error)]);
        }
        self.channel.report(&Report::Reopened { error })
    }

    /// Opens the access log anew; one that could not be opened before gets another chance.
    fn reopen_log(&mut self) -> std::io::Result<()> {
        if let Some(log) = &self.log {
            // What the workers still hold is of before.
            self.give_log(log);
            return log.reopen(LAST_LINES);
        }
        let table = self.table.as_ref().and_then(|table| table.settings.access_log.as_ref());
        let Some(path) = table.map(|log| &log.path) else { return Ok(()) };
        let log = self.open_log(path)?;
        self.give_log(&log);
        self.log = Some(log);
        Ok(())
    }

    /// Lets all workers log there, and hand over what they have.
    fn give_log(&self, log: &Arc<LogWriter>) {
        let (done, finished) = mpsc::channel();
        let ids = self.shared.workers();
        let told = std::iter::once(&SIDE).chain(&*ids).filter(|id| {
            self.shared.send(**id, Message::Log { log: Arc::clone(log), done: done.clone() }).is_ok()
        });
        let told = told.count();
        drop(done);
        for _ in 0..told {
            let _ = finished.recv_timeout(LAST_LINES);
        }
    }

    fn open_log(&self, path: &str) -> std::io::Result<Arc<LogWriter>> {
        let shared = Arc::clone(&self.shared);
        let lost = move |lines| {
            shared.log_dropped.fetch_add(lines, Relaxed);
        };
        LogWriter::open(path, Arc::new(lost))
    }

    /// From the next configuration on.
    fn take_keys(&mut self, tickets: &[String]) -> std::io::Result<()> {
        match TicketKeys::from_hex(tickets) {
            Some(keys) => self.keys = keys,
            None => events::error("order_not_understood", &[("error", "these are no keys")]),
        }
        Ok(())
    }

    fn answer_by(
        &self, tokens: BTreeMap<String, String>, certificates: BTreeMap<String, RawCertificate>,
    ) -> std::io::Result<()> {
        let (challenges, wrong) = Challenges::new(tokens, certificates);
        wrong.iter().for_each(|why| events::error("order_not_understood", &[("error", why)]));
        self.shared.set_challenges(challenges);
        Ok(())
    }

    fn advance(&self, ms: u64) -> std::io::Result<()> {
        crate::clock::advance(ms);
        self.channel.report(&Report::Advanced)
    }

    fn meet_at(&mut self, descriptors: Vec<OwnedFd>) -> std::io::Result<()> {
        self.rendezvous = Some(Rendezvous::new(two(descriptors)?));
        Ok(())
    }

    /// Serves on without a supervisor, until there is another one; `None` where none could find this process.
    fn found_supervisor(&mut self) -> Option<Channel> {
        if self.is_followed() {
            return None;
        }
        self.handed = None;
        self.shared.set_asker(None);
        // Without a configuration there is nothing to serve.
        let rendezvous = self.rendezvous.as_ref().filter(|_| self.table.is_some())?;
        events::warn(
            "supervisor_lost",
            &[("consequence", "the gateway serves on and waits for another one")],
        );
        let sockets = self.sockets.iter().map(|(key, listening)| (&**key, listening.as_fd()));
        Some(rendezvous.wait(self.shared.generation.load(Relaxed), sockets))
    }

    /// Whether another process serves in place of this one, which was only not told any more that it may end.
    fn is_followed(&self) -> bool {
        let Some(handed) = &self.handed else { return false };
        let until = Instant::now() + FOLLOWER;
        loop {
            match handed.asker.serves() {
                Some(false) if Instant::now() < until => std::thread::sleep(Duration::from_millis(50)),
                serves => return serves.unwrap_or_default(),
            }
        }
    }

    fn hand_over(&mut self, descriptors: Vec<OwnedFd>) -> std::io::Result<()> {
        let left = two(descriptors).and_then(|[memory, socket]| {
            let counters = handover::leave(&self.shared, memory.into())?;
            Ok(Handed { counters, asker: Arc::new(Asker::new(socket)) })
        });
        let error = left.as_ref().err().map(ToString::to_string);
        self.handed = left.ok();
        self.channel.report(&Report::HandedOver { error })
    }

    fn ask_for_limits(&self) -> std::io::Result<()> {
        self.shared.set_asker(self.handed.as_ref().map(|handed| Arc::clone(&handed.asker)));
        self.channel.report(&Report::Asks)
    }

    fn take_back(&mut self) -> std::io::Result<()> {
        self.handed = None;
        self.shared.set_asker(None);
        self.channel.report(&Report::TookBack)
    }

    fn take_over(&self, descriptors: Vec<OwnedFd>) -> std::io::Result<()> {
        let taken = two(descriptors).and_then(|[memory, socket]| {
            handover::take(&self.shared, memory.into())?;
            handover::answer_in_thread(Arc::clone(&self.shared), socket)
        });
        self.channel.report(&Report::TookOver { error: taken.err().map(|e| e.to_string()) })
    }

    fn explain(&self, generation: u64, question: &str) -> std::io::Result<()> {
        let recall = |policy: &Policy, python: &PythonPolicy, about: About<'_>| {
            self.shared.recall(&policy.name, python.version, about)
        };
        let question = serde_json::from_str::<Question>(question).map_err(|e| format!("not a request: {e}"));
        let explained = question.and_then(|question| match &self.table {
            Some(table) => explain_live(table, &question, &recall),
            None => Err("there is no configuration yet".to_owned()),
        });
        let (explanation, error) = match explained {
            Ok(explanation) => (Some(Box::new(explanation)), None),
            Err(error) => (None, Some(error)),
        };
        self.channel.report(&Report::Explained { generation, explanation, error })
    }

    fn apply_and_report(&mut self, generation: u64, raw: RawTable, new: New) -> std::io::Result<()> {
        match self.apply(generation, raw, new) {
            Ok(workers) => self.channel.report(&Report::Applied { generation, workers }),
            Err(problems) => self.channel.report(&Report::Refused { generation, problems }),
        }
    }

    /// Gives the keys of those that are new.
    fn take_sockets(&mut self, sockets: Vec<NewSocket>, descriptors: Vec<OwnedFd>) -> Vec<Arc<str>> {
        let mut new = Vec::new();
        for (socket, descriptor) in sockets.into_iter().zip(descriptors) {
            let key: Arc<str> = socket.bind.into();
            let listening = if key.starts_with("unix:") {
                StdListening::Unix(descriptor.into())
            } else {
                StdListening::Tcp(descriptor.into())
            };
            self.sockets.insert(Arc::clone(&key), listening);
            new.push(key);
        }
        new
    }

    /// Brings the table into service everywhere; all or nothing.
    fn apply(&mut self, generation: u64, raw: RawTable, new: New) -> Result<usize, Vec<Problem>> {
        let (table, _warnings) = compile(raw)?;
        let before = self.table.as_deref().map(|table| (table, &*self.tls));
        let tls = Arc::new(Configs::build(&table, &self.keys, before)?);
        let New { sockets, lanes, mut descriptors } = new;
        if sockets.len() + lanes.len() != descriptors.len() {
            return Err(vec![descriptors_lost(sockets.len() + lanes.len(), descriptors.len())]);
        }
        let lines = lanes.into_iter().zip(descriptors.split_off(sockets.len()));
        let lanes: Vec<_> =
            lines.map(|(lane, end)| Arc::new(Line::new(lane.lane, lane.policies, end))).collect();
        let table = Arc::new(table);
        let new = self.take_sockets(sockets, descriptors);
        self.sockets
            .retain(|key, _| table.listeners.iter().any(|l| l.binds.iter().any(|b| *b.spelled == **key)));
        self.shared.memory.allow(table.settings.memory);
        self.resolve_new(&table);
        self.follow_log(&table);
        let ids = self.staff(wanted_workers(&table));
        let workers = ids.len();
        let (done, finished) = mpsc::channel();
        for id in std::iter::once(SIDE).chain(ids.iter().copied()) {
            let fresh = self.threads.iter().all(|(known, _)| *known != id);
            if fresh {
                self.start_worker(id);
            }
            let keys: Vec<_> = if fresh { self.sockets.keys().cloned().collect() } else { new.clone() };
            let sockets = keys.iter().filter_map(|k| Some((Arc::clone(k), copy(self.sockets.get(k)?)?)));
            let update = Update {
                table: Arc::clone(&table),
                sockets: sockets.collect(),
                log: self.log.clone(),
                lanes: lanes.clone(),
                tls: Arc::clone(&tls),
                done: done.clone(),
            };
            if self.shared.send(id, Message::Apply(Box::new(update))).is_err() {
                events::error("worker_gone", &[("worker", &id.to_string())]);
            }
        }
        self.shared.set_workers(ids);
        for _ in 0..=workers {
            if finished.recv_timeout(PATIENCE).is_err() {
                events::error("worker_stuck", &[("consequence", "it still uses the old configuration")]);
            }
        }
        self.shared.generation.store(generation, Relaxed);
        self.forget_old(&table);
        self.table = Some(table);
        self.tls = tls;
        self.lanes = lanes;
        Ok(workers)
    }

    /// The ids of as many workers: those in service, then new ones; surplus ones are sent away. One that is still
    /// finishing its last connections keeps its id, and with it its counters.
    fn staff(&mut self, wanted: usize) -> Vec<usize> {
        self.leaving.retain(|leaving| !leaving.thread.is_finished());
        let mut ids = self.shared.workers().to_vec();
        while ids.len() > wanted {
            let Some(id) = ids.pop() else { break };
            let drain_ms = self.table.as_ref().map_or(0, |t| t.settings.drain_ms);
            let until_ms = Some(crate::clock::exact_ms() + drain_ms);
            let _ = self.shared.send(id, Message::Drain { until_ms });
            self.shared.dismiss(id);
            if let Some(at) = self.threads.iter().position(|(known, _)| *known == id) {
                let (_, thread) = self.threads.swap_remove(at);
                self.leaving.push(Leaving { id, thread });
            }
        }
        let mut free = (1..MOST_WORKERS).filter(|id| self.leaving.iter().all(|l| l.id != *id));
        while ids.len() < wanted {
            let Some(id) = free.find(|id| !ids.contains(id)) else { break };
            ids.push(id);
        }
        ids
    }

    fn start_worker(&mut self, id: usize) {
        let (mail, inbox) = tokio::sync::mpsc::unbounded_channel();
        self.shared.enlist(id, mail);
        let shared = Arc::clone(&self.shared);
        let name = if id == SIDE { "pylos-side".to_owned() } else { format!("pylos-{id}") };
        match std::thread::Builder::new().name(name).spawn(move || worker::run(id, shared, inbox)) {
            Ok(thread) => self.threads.push((id, thread)),
            Err(error) => events::error("worker_failed", &[("error", &error.to_string())]),
        }
    }

    fn resolve_new(&self, table: &Table) {
        let names = self.shared.add_targets(table).into_iter().filter_map(|(address, state)| match address {
            TargetAddress::Name { host, port } => Some(Named { host, port, state }),
            TargetAddress::Ip(_) | TargetAddress::Unix(_) => None,
        });
        resolve_first(names.collect(), RESOLVE);
    }

    fn follow_log(&mut self, table: &Table) {
        let path = table.settings.access_log.as_ref().map(|l| &*l.path);
        if self.log.as_ref().map(|l| &*l.path) == path {
            return;
        }
        self.log = path.and_then(|path| match self.open_log(path) {
            Ok(log) => Some(log),
            Err(error) => {
                events::error("access_log_failed", &[("path", path), ("error", &error.to_string())]);
                None
            }
        });
    }

    fn forget_old(&self, table: &Table) {
        // Sets: a table has thousands of routes, and each is asked for.
        let routes: HashSet<&str> = table.routes.iter().map(|r| &*r.name).collect();
        let upstreams = table.upstreams.iter();
        let targets: HashSet<(&str, &str)> =
            upstreams.flat_map(|u| u.targets.iter().map(|t| (&*u.name, &*t.url))).collect();
        let python = |policy: &str| {
            table.policies.iter().any(|p| &*p.name == policy && matches!(p.kind, PolicyKind::Python(_)))
        };
        let limits = |policy: &str| table.policies.iter().any(|p| &*p.name == policy && p.is_limit());
        self.shared.retain_memories(python);
        self.shared.retain_limits(limits);
        let names: HashSet<&str> = table.upstreams.iter().map(|upstream| &*upstream.name).collect();
        self.shared.retain_balancers(|upstream| names.contains(upstream));
        self.shared.retain_targets(|upstream, target| targets.contains(&(upstream, target)));
        self.shared.registry.retain(
            |listener| table.listeners.iter().any(|l| &*l.name == listener),
            |route| routes.contains(route),
            |upstream, target| targets.contains(&(upstream, target)),
            |policy| table.policies.iter().any(|p| &*p.name == policy && p.enforce < 100),
            python,
            limits,
        );
    }

    /// Takes a lane into service in place of one that was lost. One of another configuration is sent away.
    fn replace_lane(&mut self, generation: u64, lane: NewLane, descriptors: Vec<OwnedFd>) {
        let Some(end) = descriptors.into_iter().next() else { return };
        if generation != self.shared.generation.load(Relaxed) {
            return;
        }
        let line = Arc::new(Line::new(lane.lane, lane.policies, end));
        for id in &*self.shared.workers() {
            let _ = self.shared.send(*id, Message::Lane(Arc::clone(&line)));
        }
        self.lanes.retain(|known| !known.has_ended());
        self.lanes.push(line);
    }

    /// Readiness turns first, then nothing new is taken, then what is there may finish until the deadline.
    fn drain(mut self, deadline_ms: u64) -> i32 {
        self.shared.draining.store(true, Relaxed);
        let end = Instant::now() + Duration::from_millis(deadline_ms);
        self.sockets.clear();
        for id in &*self.shared.workers() {
            let _ = self.shared.send(*id, Message::Drain { until_ms: None });
        }
        let busy = |server: &Self| {
            let leaving = server.leaving.iter().any(|l| !l.thread.is_finished());
            leaving || server.threads.iter().any(|(id, thread)| *id != SIDE && !thread.is_finished())
        };
        while busy(&self) {
            if Instant::now() >= end || self.told_to_stop(Duration::from_millis(20)) {
                break;
            }
        }
        let _ = self.channel.report(&Report::Drained);
        self.stop()
    }

    /// Whether the supervisor says so within the time. That it is gone is no reason to hurry.
    fn told_to_stop(&mut self, wait: Duration) -> bool {
        let timeout = rustix::event::Timespec { tv_sec: 0, tv_nsec: i64::from(wait.subsec_nanos()) };
        let mut waits = [PollFd::new(self.channel.descriptor(), PollFlags::IN)];
        if !poll(&mut waits, Some(&timeout)).is_ok_and(|n| n > 0) {
            return false;
        }
        match self.channel.receive() {
            Ok(Some((Ok(Order::Stop), _))) => true,
            Ok(Some((Ok(Order::Status), _))) => {
                let _ = self.channel.report(&Report::Status(Box::new(self.status())));
                false
            }
            Ok(Some((Ok(Order::Reopen), _))) => {
                let _ = self.reopen();
                false
            }
            Ok(Some((Ok(Order::Forget { policy }), _))) => {
                let _ = self.forget(policy.as_deref());
                false
            }
            Ok(Some((Ok(Order::Explain { generation, question }), _))) => {
                let _ = self.explain(generation, &question);
                false
            }
            Ok(Some((Ok(Order::Advance { ms }), _))) => {
                let _ = self.advance(ms);
                false
            }
            Ok(Some(_)) => false,
            Ok(None) | Err(_) => {
                std::thread::sleep(wait);
                false
            }
        }
    }

    fn stop(mut self) -> i32 {
        self.shared.stopping.store(true, Relaxed);
        for (id, _) in &self.threads {
            let _ = self.shared.send(*id, Message::Stop);
        }
        let leaving = std::mem::take(&mut self.leaving).into_iter().map(|l| l.thread);
        for thread in std::mem::take(&mut self.threads).into_iter().map(|(_, t)| t).chain(leaving) {
            let _ = thread.join();
        }
        if let Some(handed) = &self.handed {
            handover::tell_rest(&handed.asker, &self.shared, &handed.counters);
        }
        if let Some(log) = self.log.take() {
            log.finish(LAST_LINES);
        }
        0
    }
}

/// As many as the file says, or one per CPU that affinity and cgroup quota allow.
fn wanted_workers(table: &Table) -> usize {
    let allowed = || std::thread::available_parallelism().map_or(1, usize::from);
    let wanted = if table.settings.workers == 0 { allowed() } else { table.settings.workers };
    wanted.min(MOST_WORKERS - 1)
}

/// The memory and the socket that come with an order.
fn two(descriptors: Vec<OwnedFd>) -> std::io::Result<[OwnedFd; 2]> {
    descriptors.try_into().map_err(|_| std::io::Error::other("its descriptors have not come"))
}

/// Another descriptor of the same socket.
fn copy(listening: &StdListening) -> Option<StdListening> {
    match listening {
        StdListening::Tcp(l) => l.try_clone().ok().map(StdListening::Tcp),
        StdListening::Unix(l) => l.try_clone().ok().map(StdListening::Unix),
    }
}

/// The kernel drops what this process has no room for, without a word.
fn descriptors_lost(sockets: usize, came: usize) -> Problem {
    Problem {
        code: Code::BadBind,
        severity: Severity::Error,
        path: vec![PathPart::Key("listen".to_owned())],
        of_key: false,
        also: Vec::new(),
        message: format!("of {sockets} new sockets only {came} reached the gateway process"),
        hint: Some("it has no descriptors left: `ulimit -n`, or LimitNOFILE of the service".to_owned()),
    }
}
