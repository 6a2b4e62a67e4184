//! The request's body on its way up: read from the client, checked, framed anew, written to the upstream as fast
//! as that takes it.

use super::exchange_h1::Course;
use super::relay_h1::Watch;
use crate::buffer::{Buffer, SMALL};
use crate::error::Refusal;
use crate::request::admit::too_large;
use crate::request::body::{Pace, bad_chunk};
use crate::request::head;
use crate::stream::{Broken, ReadHalf, WriteHalf};
use crate::timer::Slot;
use pylos_core::http1::{ChunkedDecoder, Length, Step, chunked};
use pylos_core::message::head::Fields;
use std::io::IoSlice;

/// How the upload ended.
pub(crate) enum Uploaded {
    Whole,
    /// The upstream takes no more: it has closed, and may have said why.
    UpstreamDeaf,
    /// The upstream did not read in time.
    UpstreamStuck,
    /// The client's body is malformed or too large.
    Refused(Refusal),
    /// The client's body came too slowly.
    TimedOut,
    ClientGone,
}

pub(crate) struct Upload<'a> {
    pub(crate) course: &'a Course<'a>,
    pub(crate) from: ReadHalf<'a>,
    /// What was read from the client and is not used yet.
    pub(crate) held: &'a mut Buffer,
    pub(crate) eof: &'a mut bool,
    pub(crate) to: WriteHalf<'a>,
    /// The head for the upstream.
    pub(crate) head: &'a [u8],
    pub(crate) trailers: &'a mut Fields,
}

/// Content is copied up to this size, so that it leaves with its framing in one piece.
const COPIED: usize = 8 * 1024;

impl<'a> Upload<'a> {
    /// Sends it all. Whoever looks after the client from then on is given back, too.
    pub(crate) async fn run(mut self) -> (Uploaded, Watch<'a>) {
        let result = match self.course.telling.request.length {
            Length::Known(n) => self.counted(n).await,
            Length::Chunked => self.chunked().await,
            Length::None | Length::UntilClose => self.send(&[]).await,
        };
        let Upload { from, held, eof, .. } = self;
        (result.err().unwrap_or(Uploaded::Whole), Watch::new(from, held, eof))
    }

    async fn counted(&mut self, length: u64) -> Result<(), Uploaded> {
        let mut left = length;
        let mut pace = Pace::default();
        let mut head = self.head;
        loop {
            let take = left.min(self.held.len() as u64) as usize;
            if take > 0 || !head.is_empty() {
                self.count(take);
                let ms = self.course.upstream.timeouts.send_idle;
                let parts = &mut [IoSlice::new(head), IoSlice::new(&self.held.bytes()[..take])];
                let wait = self.course.wait(Slot::Client, ms);
                self.to.write_all(parts, wait, &mut 0).await.map_err(unsent)?;
                head = &[];
                self.held.consume(take);
                left -= take as u64;
            }
            if left == 0 {
                return Ok(());
            }
            self.read(&mut pace, left > SMALL as u64).await?;
        }
    }

    async fn chunked(&mut self) -> Result<(), Uploaded> {
        let mut decoder = ChunkedDecoder::default();
        let mut pace = Pace::default();
        let limits = head::trailer_limits(&self.course.listener().limits);
        let mut out = self.head.to_vec();
        loop {
            let step = decoder.step(self.held.bytes(), self.trailers, &limits);
            match step.map_err(|_| Uploaded::Refused(bad_chunk()))? {
                Step::Data { skip, len } => {
                    self.count(len);
                    let bound = self.course.telling.request.body_bound;
                    if bound > 0 && self.course.received.get() > bound {
                        return Err(Uploaded::Refused(too_large().closing()));
                    }
                    self.piece(&mut out, skip, len).await?;
                    self.held.consume(skip + len);
                }
                Step::More { skip } => {
                    self.held.consume(skip);
                    if skip > 0 && !self.held.is_empty() {
                        continue;
                    }
                    self.send(&out).await?;
                    out.clear();
                    self.read(&mut pace, true).await?;
                }
                Step::End { skip } => {
                    out.extend_from_slice(b"0\r\n");
                    self.course.telling.request_trailers(self.held.bytes(), &self.trailers.list, &mut out);
                    out.extend_from_slice(b"\r\n");
                    self.held.consume(skip);
                    return self.send(&out).await;
                }
            }
        }
    }

    /// One chunk: gathered in `out` while small, else sent from where it lies.
    async fn piece(&mut self, out: &mut Vec<u8>, skip: usize, len: usize) -> Result<(), Uploaded> {
        chunked::write_size(len, out);
        if len <= COPIED {
            out.extend_from_slice(&self.held.bytes()[skip..skip + len]);
            out.extend_from_slice(b"\r\n");
            if out.len() < SMALL {
                return Ok(());
            }
            self.send(out).await?;
            out.clear();
            return Ok(());
        }
        let wait = self.course.wait(Slot::Client, self.course.upstream.timeouts.send_idle);
        let parts = &mut [IoSlice::new(out), IoSlice::new(&self.held.bytes()[skip..skip + len])];
        self.to.write_all(parts, wait, &mut 0).await.map_err(unsent)?;
        out.clear();
        out.extend_from_slice(b"\r\n");
        Ok(())
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), Uploaded> {
        if bytes.is_empty() {
            return Ok(());
        }
        let wait = self.course.wait(Slot::Client, self.course.upstream.timeouts.send_idle);
        self.to.write_all(&mut [IoSlice::new(bytes)], wait, &mut 0).await.map_err(unsent)
    }

    fn count(&self, n: usize) {
        self.course.received.set(self.course.received.get() + n as u64);
    }

    /// Reads more from the client, at a pace that is not too slow.
    async fn read(&mut self, pace: &mut Pace, much: bool) -> Result<(), Uploaded> {
        let worker = self.course.telling.worker;
        if self.held.is_empty() {
            let large = self.held.is_large();
            if !self.held.is_lent() || (much && !large) {
                let fresh = if much { worker.buffers.large() } else { worker.buffers.small() };
                worker.buffers.give(std::mem::replace(self.held, fresh));
            }
        }
        let listener = self.course.listener();
        if self.held.room().is_empty() && !self.held.grow(listener.limits.header_bytes as usize + SMALL) {
            return Err(Uploaded::Refused(bad_chunk()));
        }
        loop {
            let ms = pace.allowance(
                self.course.received.get() + self.from.begun() as u64,
                listener.limits.body_rate,
                listener.timeouts.body_idle,
            );
            let wait = self.course.wait(Slot::Client, ms.max(1));
            let began = worker.clock.ms();
            let read = self.from.read_piece(self.held, wait).await;
            pace.waited += worker.clock.ms() - began;
            return match read {
                Ok(None) => continue,
                Ok(Some(0)) => {
                    *self.eof = true;
                    Err(Uploaded::ClientGone)
                }
                Ok(Some(_)) => Ok(()),
                Err(Broken::Timeout(_)) => Err(Uploaded::TimedOut),
                Err(Broken::Failed(_)) => Err(Uploaded::ClientGone),
            };
        }
    }
}

fn unsent(broken: Broken) -> Uploaded {
    match broken {
        Broken::Timeout(_) => Uploaded::UpstreamStuck,
        Broken::Failed(_) => Uploaded::UpstreamDeaf,
    }
}
