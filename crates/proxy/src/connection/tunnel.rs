//! Both sides have switched protocols: bytes go both ways as they come, until both ends are shut or nothing has
//! moved for `tunnel_idle`. Holds no configuration and, while nothing moves, no buffer.

use super::Client;
use crate::request::Tunnelled;
use crate::stream::{ReadHalf, Wait, WriteHalf};
use crate::telemetry::access_log;
use crate::timer::{Slot, Timer};
use crate::worker::Worker;
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io::IoSlice;
use std::pin::pin;
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
    let Tunnelled { mut upstream, early, log, idle_ms } = tunnelled;
    let worker = std::rc::Rc::clone(&client.worker);
    let held = client.inbuf.bytes().to_vec();
    worker.buffers.give(std::mem::take(&mut client.inbuf));
    let last = Cell::new(worker.clock.ms());
    let (up_bytes, down_bytes) = (Cell::new(0), Cell::new(0));
    let ended = {
        let (from_client, to_client) = client.stream.split();
        let (from_upstream, to_upstream) = upstream.stream().split();
        let both = Both { worker: &worker, timer: &client.timer, last: &last, idle_ms };
        let mut up = pin!(both.pump(from_client, to_upstream, held, Slot::Client, &up_bytes));
        let mut down = pin!(both.pump(from_upstream, to_client, early, Slot::Answer, &down_bytes));
        let (mut up_over, mut down_over) = (false, false);
        poll_fn(|cx| {
            for (pump, over) in [
                (up.as_mut() as std::pin::Pin<&mut dyn Future<Output = _>>, &mut up_over),
                (down.as_mut(), &mut down_over),
            ] {
                if !*over && let Poll::Ready(end) = pump.poll(cx) {
                    match end {
                        Ok(()) => *over = true,
                        Err(ended) => return Poll::Ready(ended),
                    }
                }
            }
            if up_over && down_over { Poll::Ready("ok") } else { Poll::Pending }
        })
        .await
    };
    access_log::tunnel_ended(&worker, log, up_bytes.get(), down_bytes.get(), ended);
}

struct Both<'a> {
    worker: &'a Worker,
    timer: &'a Timer,
    /// When a byte moved last, either way, ms.
    last: &'a Cell<u64>,
    idle_ms: u64,
}

impl Both<'_> {
    /// Moves bytes one way until that way is shut.
    async fn pump(
        &self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, early: Vec<u8>, slot: Slot, moved: &Cell<u64>,
    ) -> Result<(), &'static str> {
        let wait = Wait { timer: self.timer, clock: &self.worker.clock, slot, ms: self.idle_ms };
        if !early.is_empty() {
            moved.set(early.len() as u64);
            to.write_all(&mut [IoSlice::new(&early)], wait, &mut 0).await.map_err(|_| "tunnel_broken")?;
        }
        drop(early);
        loop {
            self.readable(&from, slot).await?;
            let mut buffer = self.worker.buffers.small();
            let read = poll_fn(|cx| match from.poll_read(cx, &mut buffer) {
                Poll::Ready(read) => Poll::Ready(Some(read)),
                Poll::Pending => Poll::Ready(None),
            })
            .await;
            let result = match read {
                None => Ok(true),
                Some(Ok(0)) => {
                    to.shut();
                    Ok(false)
                }
                Some(Ok(n)) => {
                    moved.set(moved.get() + n as u64);
                    self.last.set(self.worker.clock.ms());
                    let sent = to.write_all(&mut [IoSlice::new(buffer.bytes())], wait, &mut 0).await;
                    sent.map(|()| true).map_err(|_| "tunnel_broken")
                }
                Some(Err(_)) => Err("tunnel_broken"),
            };
            self.worker.buffers.give(buffer);
            if !result? {
                return Ok(());
            }
        }
    }

    /// Waits without a buffer. The idle time counts from the last byte either way.
    async fn readable(&self, from: &ReadHalf<'_>, slot: Slot) -> Result<(), &'static str> {
        let readable = poll_fn(|cx| {
            if from.poll_readable(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            let end = self.last.get() + self.idle_ms;
            if self.worker.clock.ms() >= end {
                return Poll::Ready(Err("tunnel_idle"));
            }
            self.timer.set(slot, end);
            self.timer.watch(cx);
            Poll::Pending
        })
        .await;
        self.timer.clear(slot);
        readable
    }
}
