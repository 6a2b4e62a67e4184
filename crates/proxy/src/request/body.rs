//! The request's body before it is forwarded: read as far as someone has to see it, and left where it is, so that it
//! goes on as it came.

use super::Exchange;
use super::admit::too_large;
use super::head;
use crate::error::Refusal;
use crate::stream::{Broken, Wait};
use crate::timer::Slot;
use pylos_core::http1::{ChunkedDecoder, Length, Step};
use pylos_core::message::head::Fields;
use std::io::IoSlice;
use std::rc::Rc;

/// What the framing of a chunked body may take beside its content.
const FRAMING: usize = 64 * 1024;

/// The whole body, of `most` bytes at most; a longer one is refused.
pub(crate) async fn gather(x: &mut Exchange<'_>, most: u64) -> Result<Vec<u8>, Refusal> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    match x.scratch.request.length {
        Length::None | Length::UntilClose => Ok(Vec::new()),
        Length::Known(n) => {
            let Some(length) = usize::try_from(n).ok().filter(|length| *length <= most) else {
                return Err(too_large());
            };
            let mut pace = Pace::default();
            while x.client.inbuf.len() < length {
                read(x, &mut pace, length).await?;
            }
            Ok(x.client.inbuf.bytes()[..length].to_vec())
        }
        Length::Chunked => chunked(x, most).await,
    }
}

/// Decodes a copy.
async fn chunked(x: &mut Exchange<'_>, most: usize) -> Result<Vec<u8>, Refusal> {
    let snapshot = Rc::clone(&x.snapshot);
    let limits = head::trailer_limits(&snapshot.table.listeners[x.listener.index()].limits);
    let (mut decoder, mut trailers) = (ChunkedDecoder::default(), Fields::default());
    let (mut body, mut at, mut pace) = (Vec::new(), 0, Pace::default());
    loop {
        let step = decoder.step(&x.client.inbuf.bytes()[at..], &mut trailers, &limits);
        match step.map_err(|_| bad_chunk())? {
            Step::Data { skip, len } => {
                if body.len() + len > most {
                    return Err(too_large().closing());
                }
                body.extend_from_slice(&x.client.inbuf.bytes()[at + skip..at + skip + len]);
                at += skip + len;
            }
            Step::More { skip } => {
                at += skip;
                if skip == 0 || at == x.client.inbuf.len() {
                    if x.client.inbuf.len() >= most.saturating_mul(2).saturating_add(FRAMING) {
                        return Err(too_large().closing());
                    }
                    let wanted = x.client.inbuf.len() + 1;
                    read(x, &mut pace, wanted).await?;
                }
            }
            Step::End { .. } => return Ok(body),
        }
    }
}

/// Reads more from the client, into a buffer that holds `wanted` bytes at least.
async fn read(x: &mut Exchange<'_>, pace: &mut Pace, wanted: usize) -> Result<(), Refusal> {
    invite(x).await?;
    let listener = &x.snapshot.table.listeners[x.listener.index()];
    let client = &mut *x.client;
    if !client.inbuf.is_lent() {
        client.inbuf = x.worker.buffers.small();
    }
    if client.inbuf.room().is_empty() {
        client.inbuf.grow(wanted.next_power_of_two());
    }
    let (mut from, _) = client.stream.split();
    loop {
        let received = (client.inbuf.len() + from.begun()) as u64;
        let ms = pace.allowance(received, listener.limits.body_rate, listener.timeouts.body_idle);
        let wait = Wait { timer: &client.timer, clock: &x.worker.clock, slot: Slot::Client, ms: ms.max(1) };
        let began = x.worker.clock.ms();
        let read = from.read_piece(&mut client.inbuf, wait).await;
        pace.waited += x.worker.clock.ms() - began;
        return match read {
            Ok(None) => continue,
            Ok(Some(0)) => {
                client.eof = true;
                Err(broken_off())
            }
            Ok(Some(_)) => Ok(()),
            Err(Broken::Timeout(_)) => Err(too_slow()),
            Err(Broken::Failed(_)) => Err(broken_off()),
        };
    }
}

/// Tells a client that waits to be told (RFC 9110, 10.1.1): here it is the gateway that reads.
async fn invite(x: &mut Exchange<'_>) -> Result<(), Refusal> {
    if !std::mem::take(&mut x.scratch.request.expects_continue) {
        return Ok(());
    }
    let ms = x.snapshot.table.listeners[x.listener.index()].timeouts.send_idle;
    let wait = Wait { timer: &x.client.timer, clock: &x.worker.clock, slot: Slot::Answer, ms };
    let (_, mut to) = x.client.stream.split();
    let text = b"HTTP/1.1 100 Continue\r\n\r\n";
    to.write_all(&mut [IoSlice::new(text)], wait, &mut x.record.bytes_out).await.map_err(|_| broken_off())
}

/// The time that was spent waiting for the client, against the bytes that it sent: who only trickles is cut even
/// though something always comes. Time in which the upstream held things up does not count.
#[derive(Default)]
pub(crate) struct Pace {
    pub(crate) waited: u64,
}

impl Pace {
    /// How long the next wait may take, ms.
    pub(crate) fn allowance(&self, received: u64, rate: u32, idle_ms: u64) -> u64 {
        if rate == 0 {
            return idle_ms;
        }
        let earned = idle_ms + received.saturating_mul(1000) / u64::from(rate);
        earned.saturating_sub(self.waited).min(idle_ms)
    }
}

fn broken_off() -> Refusal {
    Refusal::malformed("body_incomplete", "The request body broke off.")
}

pub(crate) fn too_slow() -> Refusal {
    Refusal::client(408, "body_timeout", "The request body came too slowly.").closing()
}

pub(crate) fn bad_chunk() -> Refusal {
    Refusal::malformed("bad_chunk", "The chunked body is malformed.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trickle_uses_up_its_allowance() {
        let pace = Pace { waited: 0 };
        assert_eq!(pace.allowance(0, 100, 30_000), 30_000);
        let pace = Pace { waited: 30_000 };
        assert_eq!(pace.allowance(30, 100, 30_000), 300);
        assert_eq!(pace.allowance(1_000_000, 100, 30_000), 30_000);
        assert_eq!(pace.allowance(30, 0, 30_000), 30_000);
    }
}
