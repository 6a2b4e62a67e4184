//! A worker: one thread, one event loop, everything of its own. Nothing that it writes per request is shared.

use crate::admin::AdminLine;
use crate::buffer::Buffers;
use crate::clock::{self, Clock};
use crate::connection::accept::{self, Accepted, Listening, Socket};
use crate::handover::Counters;
use crate::lane::Line;
use crate::memory::{self, Container};
use crate::request::Scratch;
use crate::request::inquiry::FreshId;
use crate::request::question::Texts;
use crate::shared::Shared;
use crate::snapshot::Snapshot;
use crate::telemetry::log_writer::{BLOCK, LogWriter};
use crate::timer::{SWEEP_MS, Timers};
use crate::tls::Configs;
use crate::upstream::pool::Pool;
use crate::upstream::probe::Probes;
use pylos_core::table::{Serve, Table};
use std::cell::{Cell, RefCell, RefMut};
use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::Sender;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;

/// How long a drain lets connections linger that have had their last answer.
const LINGER_MS: u64 = 500;

/// How long tunnels have at the end to tell so and to be heard.
pub(crate) const FAREWELL_MS: u64 = 500;

/// What a worker is told.
pub(crate) enum Message {
    Apply(Box<Update>),
    /// A lane in place of one that was lost.
    Lane(Arc<Line>),
    /// What another process has counted since it handed its counters over.
    Counted(Box<Counters>),
    /// Hand over the lines that there are, and those to come to this one.
    Log {
        log: Arc<LogWriter>,
        done: Sender<()>,
    },
    /// Another worker has accepted connections for this one.
    Given,
    /// Take no new connection, finish what is there, end; cut what is left at `until_ms`, if that is given.
    Drain {
        until_ms: Option<u64>,
    },
    /// End now.
    Stop,
}

/// A new configuration for one worker.
pub(crate) struct Update {
    pub(crate) table: Arc<Table>,
    /// Sockets that it does not have yet.
    pub(crate) sockets: Vec<(Arc<str>, StdListening)>,
    pub(crate) log: Option<Arc<LogWriter>>,
    /// The lanes that run its policies in Python.
    pub(crate) lanes: Vec<Arc<Line>>,
    pub(crate) tls: Arc<Configs>,
    pub(crate) done: Sender<()>,
}

pub(crate) enum StdListening {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

impl StdListening {
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            StdListening::Tcp(listening) => listening.as_fd(),
            StdListening::Unix(listening) => listening.as_fd(),
        }
    }
}

/// Lines of the access log that were not handed over yet.
#[derive(Default)]
pub(crate) struct LogBlock {
    pub(crate) block: Vec<u8>,
    lines: u64,
    writer: Option<Arc<LogWriter>>,
    dropped: u64,
}

struct Removed {
    upstream: Box<str>,
    target: Box<str>,
    pool: Weak<Pool>,
}

pub(crate) struct Worker {
    pub(crate) id: usize,
    pub(crate) shared: Arc<Shared>,
    pub(crate) clock: Clock,
    pub(crate) buffers: Buffers,
    pub(crate) timers: Timers,
    snapshot: RefCell<Option<Rc<Snapshot>>>,
    /// By upstream and target.
    pools: RefCell<HashMap<(Box<str>, Box<str>), Rc<Pool>>>,
    /// Pools of targets that were taken away, as long as there are tunnels.
    removed: RefCell<Vec<Removed>>,
    #[expect(clippy::vec_box, reason = "a scratch moves between here and its request: as a pointer")]
    scratches: RefCell<Vec<Box<Scratch>>>,
    sockets: RefCell<Vec<Rc<Socket>>>,
    log: RefCell<LogBlock>,
    /// Of the side worker.
    pub(crate) admin: AdminLine,
    /// For what is written for policies in Python.
    pub(crate) texts: Cell<Texts>,
    random: Cell<[u64; 2]>,
    /// Since when, ms.
    draining: Cell<Option<u64>>,
    connections: Cell<usize>,
    /// When a surplus worker ends, whatever it still has, ms.
    end_at: Cell<Option<u64>>,
    /// It ends: tunnels have until then to tell so, ms.
    farewell_until: Cell<Option<u64>>,
    pub(crate) tunnels: Cell<usize>,
}

/// The thread's whole life.
pub(crate) fn run(id: usize, shared: Arc<Shared>, mail: UnboundedReceiver<Message>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .on_thread_unpark(clock::woke_up)
        .build_local(tokio::runtime::LocalOptions::default());
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            return crate::telemetry::events::error("worker_failed", &[("error", &error.to_string())]);
        }
    };
    let worker = Rc::new(Worker::new(id, shared));
    runtime.block_on(Rc::clone(&worker).live(mail));
    // A resolver that hangs must not hold up the end.
    runtime.shutdown_background();
    // What was cut by that has written its lines.
    worker.flush_log();
    drop(worker);
    // What this thread leaves would stay the process's until others happen to look for memory.
    memory::release();
}

impl Worker {
    fn new(id: usize, shared: Arc<Shared>) -> Self {
        let seed = |n: u64| {
            let mut hasher = RandomState::new().build_hasher();
            hasher.write_u64(n);
            hasher.finish() | 1
        };
        Worker {
            id,
            shared,
            clock: Clock::new(),
            buffers: Buffers::default(),
            timers: Timers::default(),
            snapshot: RefCell::new(None),
            pools: RefCell::default(),
            removed: RefCell::default(),
            scratches: RefCell::default(),
            sockets: RefCell::default(),
            log: RefCell::default(),
            admin: AdminLine::default(),
            texts: Cell::default(),
            random: Cell::new([seed(1), seed(2)]),
            draining: Cell::new(None),
            connections: Cell::new(0),
            end_at: Cell::new(None),
            farewell_until: Cell::new(None),
            tunnels: Cell::new(0),
        }
    }

    async fn live(self: Rc<Self>, mut mail: UnboundedReceiver<Message>) {
        let mut sweep = tokio::time::interval(Duration::from_millis(SWEEP_MS));
        sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut sweeps = 0u32;
        let mut open = true;
        // The side worker asks after targets; it has no traffic that could be held up.
        let mut probes = self.is_side().then(Probes::default);
        let container = self.is_side().then(Container::find);
        loop {
            tokio::select! {
                message = mail.recv(), if open => match message {
                    Some(Message::Apply(update)) => self.apply(*update, probes.as_mut()),
                    Some(Message::Lane(line)) => if !self.is_side() { self.snapshot().lanes.join(&line) },
                    Some(Message::Counted(counters)) => counters.add_to_known(&self.shared),
                    Some(Message::Log { log, done }) => {
                        self.exchange_log(Some(log));
                        let _ = done.send(());
                    }
                    Some(Message::Given) => self.take_given(),
                    Some(Message::Drain { until_ms }) => self.drain(until_ms),
                    Some(Message::Stop) => self.take_leave(),
                    // All that was sent has been read: what is left is to finish.
                    None => open = false,
                },
                _ = sweep.tick() => {
                    sweeps = sweeps.wrapping_add(1);
                    self.sweep(sweeps, container.as_ref());
                }
            }
            if self.shared.stopping.load(Relaxed)
                || self.end_at.get().is_some_and(|at| clock::exact_ms() >= at)
            {
                self.take_leave();
            }
            if let Some(until_ms) = self.farewell_until.get()
                && (self.tunnels.get() == 0 || clock::exact_ms() >= until_ms)
            {
                return;
            }
            if self.may_end() {
                // What others handed over before they knew.
                mail.close();
                open = false;
                self.take_given();
                if self.may_end() {
                    return;
                }
            }
        }
    }

    /// Drained: nothing is accepted any more, and nobody is left.
    fn may_end(&self) -> bool {
        self.draining() && self.connections.get() == 0 && self.sockets.borrow().iter().all(|s| s.is_closed())
    }

    pub(crate) fn is_side(&self) -> bool {
        self.id == crate::shared::SIDE
    }

    fn apply(self: &Rc<Self>, update: Update, probes: Option<&mut Probes>) {
        let Update { table, sockets, log, lanes, tls, done } = update;
        // The side worker serves no routes.
        let lanes = if self.is_side() { Vec::new() } else { lanes };
        let snapshot = Snapshot::new(Arc::clone(&table), self, &lanes, tls, |upstream, target, secure| {
            let key = (upstream.into(), target.into());
            let state = self.shared.target(upstream, target);
            let make = || {
                let cells = self.shared.registry.target(self.id, upstream, target);
                Rc::new(Pool::new(Arc::clone(&state), cells, secure.cloned()))
            };
            let mut pools = self.pools.borrow_mut();
            let pool = pools.entry(key).or_insert_with(make);
            // Who chooses targets counts by the state that there is now.
            if !pool.is_secured_by(secure) || !Arc::ptr_eq(&pool.state, &state) {
                pool.close();
                *pool = make();
            }
            Rc::clone(pool)
        });
        let mut taken_away = false;
        self.pools.borrow_mut().retain(|(upstream, target), pool| {
            let kept = snapshot.names(upstream, target);
            if !kept {
                pool.close();
                pool.end_tunnels(Some(clock::exact_ms() + table.settings.drain_ms));
                let (upstream, target) = (upstream.clone(), target.clone());
                self.removed.borrow_mut().push(Removed { upstream, target, pool: Rc::downgrade(pool) });
                taken_away = true;
            }
            kept
        });
        // One that has come back keeps its tunnels.
        self.removed.borrow_mut().retain(|removed| {
            let Some(pool) = removed.pool.upgrade() else { return false };
            let back = snapshot.names(&removed.upstream, &removed.target);
            if back {
                pool.end_tunnels(None);
            }
            !back
        });
        if taken_away && self.tunnels.get() > 0 {
            self.timers.wake_all();
        }
        if let Some(probes) = probes {
            probes.follow(&table, &snapshot.tls, self);
        }
        self.exchange_log(log);
        *self.snapshot.borrow_mut() = Some(Rc::new(snapshot));
        self.follow_sockets(&table, sockets);
        // A connection of a listener that is gone must notice.
        self.timers.wake_idle();
        let _ = done.send(());
    }

    fn follow_sockets(self: &Rc<Self>, table: &Table, new: Vec<(Arc<str>, StdListening)>) {
        let index = |key: &str| {
            let has = |l: &pylos_core::table::Listener| l.binds.iter().any(|b| &*b.spelled == key);
            table.listeners.iter().position(has)
        };
        let mut sockets = self.sockets.borrow_mut();
        sockets.retain(|socket| {
            socket.set_listener(index(&socket.key));
            let kept = socket.listener().is_some();
            if !kept {
                socket.close();
            }
            kept
        });
        for (key, listening) in new {
            let listener = index(&key);
            let admin = listener.is_some_and(|i| matches!(table.listeners[i].serve, Serve::Admin { .. }));
            if admin != self.is_side() {
                continue;
            }
            let listening = match listening {
                StdListening::Tcp(l) => tokio::net::TcpListener::from_std(l).map(Listening::Tcp),
                StdListening::Unix(l) => tokio::net::UnixListener::from_std(l).map(Listening::Unix),
            };
            let Ok(listening) = listening else { continue };
            let socket = Rc::new(Socket::new(key));
            socket.set_listener(listener);
            let run = accept::run(Rc::clone(self), Rc::clone(&socket), listening);
            sockets.push(socket);
            tokio::task::spawn_local(run);
        }
    }

    fn take_given(self: &Rc<Self>) {
        // One of a socket that is new, and not known here yet, is left for who gave it.
        while let Some(connection) = self.shared.given(self.id).take(u64::MAX, |key| self.knows(key)) {
            self.arrived(&connection.key, connection.accepted);
        }
    }

    /// Whether it has a socket.
    pub(crate) fn knows(&self, key: &str) -> bool {
        self.sockets.borrow().iter().any(|socket| &*socket.key == key)
    }

    /// Begins to serve what another worker has accepted, or was to serve.
    pub(crate) fn arrived(self: &Rc<Self>, key: &str, accepted: Accepted) {
        let sockets = self.sockets.borrow();
        if let Some(socket) = sockets.iter().find(|s| &*s.key == key) {
            accept::arrived(self, socket, accepted);
        }
    }

    /// Lets tunnels tell both of their sides that they end.
    fn take_leave(&self) {
        if self.farewell_until.get().is_none() {
            self.farewell_until.set(Some(clock::exact_ms() + FAREWELL_MS));
            self.timers.wake_all();
        }
    }
    pub(crate) fn takes_leave(&self) -> bool {
        self.farewell_until.get().is_some()
    }

    fn drain(&self, until_ms: Option<u64>) {
        self.end_at.set(until_ms);
        self.draining.set(Some(clock::exact_ms()));
        self.sockets.borrow().iter().for_each(|socket| socket.close());
        self.pools.borrow().values().for_each(|pool| pool.close());
        self.timers.drain(clock::exact_ms() + LINGER_MS);
    }

    fn sweep(&self, sweeps: u32, container: Option<&Container>) {
        let now = clock::exact_ms();
        self.timers.sweep(now);
        self.flush_log();
        if let Some(container) = container {
            self.shared.memory.look(container);
        }
        if !sweeps.is_multiple_of(1000 / SWEEP_MS as u32) {
            return;
        }
        self.clock.follow_wall();
        self.buffers.trim();
        if self.shared.memory.is_tight() {
            memory::release();
        }
        self.scratches.borrow_mut().truncate(1024);
        let Some(snapshot) = self.snapshot.borrow().clone() else { return };
        for (upstream, state) in snapshot.table.upstreams.iter().zip(&snapshot.upstreams) {
            state.targets.iter().for_each(|t| t.pool.tidy(now, &upstream.pool));
        }
    }

    /// The configuration in use now.
    pub(crate) fn snapshot(&self) -> Rc<Snapshot> {
        Rc::clone(
            self.snapshot.borrow().as_ref().expect("a worker accepts only after its first configuration"),
        )
    }

    pub(crate) fn draining(&self) -> bool {
        self.draining.get().is_some()
    }
    pub(crate) fn draining_since(&self) -> Option<u64> {
        self.draining.get()
    }

    pub(crate) fn scratch(&self) -> Box<Scratch> {
        self.scratches.borrow_mut().pop().unwrap_or_default()
    }
    pub(crate) fn give_scratch(&self, scratch: Box<Scratch>) {
        self.scratches.borrow_mut().push(scratch);
    }

    /// xorshift128+.
    pub(crate) fn random(&self) -> u64 {
        let [mut x, y] = self.random.get();
        x ^= x << 23;
        x ^= x >> 17;
        x ^= y ^ (y >> 26);
        self.random.set([y, x]);
        x.wrapping_add(y)
    }

    /// Another worker that has clearly fewer connections.
    pub(crate) fn less_loaded(&self) -> Option<usize> {
        if self.is_side() {
            return None;
        }
        self.shared.less_loaded(self.id, self.random(), self.connections.get())
    }

    pub(crate) fn connection_opened(&self) {
        self.connections.set(self.connections.get() + 1);
        self.shared.set_load(self.id, self.connections.get());
    }
    pub(crate) fn connection_closed(&self, peer: Option<IpAddr>) {
        self.connections.set(self.connections.get() - 1);
        self.shared.set_load(self.id, self.connections.get());
        self.shared.bounds.leave(peer);
    }

    /// Where log lines go, if anywhere.
    pub(crate) fn log(&self) -> Option<RefMut<'_, LogBlock>> {
        let log = self.log.borrow_mut();
        log.writer.is_some().then_some(log)
    }
    pub(crate) fn flush_log(&self) {
        let mut log = self.log.borrow_mut();
        log.flush();
        let dropped = std::mem::take(&mut log.dropped);
        if dropped > 0 {
            self.shared.log_dropped.fetch_add(dropped, Relaxed);
        }
    }
    fn exchange_log(&self, writer: Option<Arc<LogWriter>>) {
        let mut log = self.log.borrow_mut();
        log.flush();
        log.writer = writer;
    }
}

impl FreshId for Worker {
    /// 128 random bits in hex. Unpredictable enough to be unique, not a secret.
    fn write_id(&self, out: &mut Vec<u8>) {
        out.clear();
        for _ in 0..2 {
            let word = self.random();
            out.extend((0..16).map(|i| b"0123456789abcdef"[(word >> (60 - 4 * i)) as usize & 15]));
        }
    }
}

impl LogBlock {
    /// To be called behind each whole line.
    pub(crate) fn line_done(&mut self) {
        self.lines += 1;
        if self.block.len() >= BLOCK {
            self.flush();
        }
    }
    fn flush(&mut self) {
        let Some(writer) = self.writer.as_ref().filter(|_| self.lines > 0) else { return };
        if !writer.hand_over(&mut self.block) {
            self.dropped += self.lines;
        }
        self.lines = 0;
    }
}
