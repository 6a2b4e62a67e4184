//! Both sides have switched protocols: bytes go both ways as they come, until both ends are shut or nothing has
//! moved for `tunnel_idle`. Holds no configuration and, while nothing moves, no buffer.

use super::Client;
use crate::request::Tunnelled;
use crate::stream::{ReadHalf, Wait, WriteHalf};
use crate::telemetry::access_log;
use crate::timer::{Slot, Timer};
use crate::upstream::pool::Pool;
use crate::worker::{FAREWELL_MS, Worker};
use pylos_core::websocket::{Frames, GOING_AWAY, going_away_masked};
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io::IoSlice;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

/// What the access log will want to know, kept without the configuration.
#[derive(Default)]
pub(crate) struct TunnelLog {
    /// The line as far as it was known when the tunnel began; empty without a log.
    pub(crate) line: Vec<u8>,
    pub(crate) started_us: u64,
}

pub(crate) async fn run(mut client: Box<Client>, tunnelled: Tunnelled) {
    let client = &mut *client;
    let Tunnelled { mut upstream, early, log, idle_ms, websocket } = tunnelled;
    let worker = Rc::clone(&client.worker);
    let held = client.inbuf.bytes().to_vec();
    worker.buffers.give(std::mem::take(&mut client.inbuf));
    let pool = upstream.pool();
    let tunnel = Tunnel::new(&worker, &client.timer, &pool, idle_ms, log);
    let frames = || websocket.then(Frames::default);
    let (from_client, to_client) = client.stream.split();
    let (from_upstream, to_upstream) = upstream.stream().split();
    let up =
        Way { from: from_client, to: to_upstream, slot: Slot::Client, frames: frames(), last: Last::Masked };
    let down =
        Way { from: from_upstream, to: to_client, slot: Slot::Answer, frames: frames(), last: Last::Plain };
    let mut up = pin!(tunnel.pump(up, held, &tunnel.bytes_up));
    let mut down = pin!(tunnel.pump(down, early, &tunnel.bytes_down));
    let (mut up_over, mut down_over) = (false, false);
    poll_fn(|cx| {
        for (pump, over) in
            [(up.as_mut() as Pin<&mut dyn Future<Output = _>>, &mut up_over), (down.as_mut(), &mut down_over)]
        {
            if !*over && let Poll::Ready(end) = pump.poll(cx) {
                match end {
                    Ok(()) => *over = true,
                    Err(Broken) => return Poll::Ready(()),
                }
            }
        }
        if up_over && down_over { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    tunnel.ended.set(tunnel.ended.get().or(Some("ok")));
}

/// What both ways share.
struct Tunnel<'a> {
    worker: &'a Worker,
    timer: &'a Timer,
    /// Of the upstream's connection.
    pool: &'a Pool,
    idle_ms: u64,
    /// When a byte moved last, either way, ms.
    last: Cell<u64>,
    bytes_up: Cell<u64>,
    bytes_down: Cell<u64>,
    log: Cell<TunnelLog>,
    /// Why, once that is known.
    ended: Cell<Option<&'static str>>,
}

/// One direction.
struct Way<'a> {
    from: ReadHalf<'a>,
    to: WriteHalf<'a>,
    slot: Slot,
    /// Of what has gone that way, where it is known what is spoken.
    frames: Option<Frames>,
    last: Last,
}

/// How the last frame of a direction looks.
enum Last {
    Plain,
    Masked,
}

/// There is nothing more to move, either way.
struct Broken;

impl<'a> Tunnel<'a> {
    fn new(worker: &'a Worker, timer: &'a Timer, pool: &'a Pool, idle_ms: u64, log: TunnelLog) -> Self {
        worker.tunnels.set(worker.tunnels.get() + 1);
        Tunnel {
            worker,
            timer,
            pool,
            idle_ms,
            last: Cell::new(worker.clock.ms()),
            bytes_up: Cell::new(0),
            bytes_down: Cell::new(0),
            log: Cell::new(log),
            ended: Cell::new(None),
        }
    }

    /// Moves bytes one way until that way is shut.
    async fn pump(&self, mut way: Way<'_>, early: Vec<u8>, moved: &Cell<u64>) -> Result<(), Broken> {
        if !early.is_empty() {
            self.pass(&mut way, &early, moved).await?;
        }
        drop(early);
        loop {
            match self.readable(&way).await {
                Ok(()) => {}
                Err("tunnel_idle") => return Err(self.broken("tunnel_idle")),
                Err(reason) => {
                    self.ended.set(Some(reason));
                    return self.farewell(way).await;
                }
            }
            let mut buffer = self.worker.buffers.small();
            let read = poll_fn(|cx| match way.from.poll_read(cx, &mut buffer) {
                Poll::Ready(read) => Poll::Ready(Some(read)),
                Poll::Pending => Poll::Ready(None),
            })
            .await;
            let result = match read {
                None => Ok(true),
                Some(Ok(0)) => {
                    way.to.shut();
                    Ok(false)
                }
                Some(Ok(_)) => self.pass(&mut way, buffer.bytes(), moved).await.map(|()| true),
                Some(Err(_)) => Err(self.broken("tunnel_broken")),
            };
            self.worker.buffers.give(buffer);
            if !result? {
                return Ok(());
            }
        }
    }

    async fn pass(&self, way: &mut Way<'_>, bytes: &[u8], moved: &Cell<u64>) -> Result<(), Broken> {
        moved.set(moved.get() + bytes.len() as u64);
        self.last.set(self.worker.clock.ms());
        if let Some(frames) = &mut way.frames {
            frames.pass(bytes);
        }
        // Who takes nothing does not keep it beyond its end.
        let left = self.pool.tunnels_end_ms().map(|at| at.saturating_sub(self.worker.clock.ms()).max(1));
        let wait = self.wait(way.slot, left.map_or(self.idle_ms, |left| left.min(self.idle_ms)));
        let sent = way.to.write_all(&mut [IoSlice::new(bytes)], wait, &mut 0).await;
        sent.map_err(|_| self.broken("tunnel_broken"))
    }

    /// Waits without a buffer. The idle time counts from the last byte either way. The error says why the tunnel ends.
    async fn readable(&self, way: &Way<'_>) -> Result<(), &'static str> {
        let readable = poll_fn(|cx| {
            if self.worker.takes_leave() {
                return Poll::Ready(Err("cut"));
            }
            let now = self.worker.clock.ms();
            let removed = self.pool.tunnels_end_ms();
            if removed.is_some_and(|at| now >= at) {
                return Poll::Ready(Err("upstream_removed"));
            }
            if way.from.poll_readable(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            let idle = self.last.get() + self.idle_ms;
            if now >= idle {
                return Poll::Ready(Err("tunnel_idle"));
            }
            self.timer.set(way.slot, removed.map_or(idle, |at| at.min(idle)));
            self.timer.watch(cx);
            Poll::Pending
        })
        .await;
        self.timer.clear(way.slot);
        readable
    }

    /// Tells the side that bytes go to that the tunnel ends, where a frame may begin; and hears the other one out for
    /// a moment, so that what it was told is not lost by a reset.
    async fn farewell(&self, mut way: Way<'_>) -> Result<(), Broken> {
        if way.frames.as_ref().is_some_and(Frames::may_begin) {
            let masked = || going_away_masked((self.worker.random() as u32).to_ne_bytes());
            let wait = self.wait(way.slot, FAREWELL_MS);
            let sent = match way.last {
                Last::Plain => way.to.write_all(&mut [IoSlice::new(&GOING_AWAY)], wait, &mut 0).await,
                Last::Masked => way.to.write_all(&mut [IoSlice::new(&masked())], wait, &mut 0).await,
            };
            if sent.is_err() {
                return Ok(()); // the other side may still hear of it
            }
        }
        way.to.shut();
        let until = self.worker.clock.ms() + FAREWELL_MS;
        let mut buffer = self.worker.buffers.small();
        loop {
            let left = until.saturating_sub(self.worker.clock.ms());
            let heard = left > 0
                && way.from.read(&mut buffer, self.wait(way.slot, left)).await.is_ok_and(|length| length > 0);
            buffer.clear();
            if !heard {
                self.worker.buffers.give(buffer);
                return Ok(());
            }
        }
    }

    fn wait(&self, slot: Slot, ms: u64) -> Wait<'_> {
        Wait { timer: self.timer, clock: &self.worker.clock, slot, ms }
    }

    fn broken(&self, why: &'static str) -> Broken {
        self.ended.set(self.ended.get().or(Some(why)));
        Broken
    }
}

impl Drop for Tunnel<'_> {
    fn drop(&mut self) {
        self.worker.tunnels.set(self.worker.tunnels.get() - 1);
        let (log, ended) = (self.log.take(), self.ended.get().unwrap_or("cut"));
        access_log::tunnel_ended(self.worker, log, self.bytes_up.get(), self.bytes_down.get(), ended);
    }
}
