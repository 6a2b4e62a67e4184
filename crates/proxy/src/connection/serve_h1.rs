//! HTTP/1.1 on a client's connection: one request after another, each in a future of its own that is gone before
//! the next is waited for.

use super::{Client, linger, tunnel};
use crate::error::Refusal;
use crate::request::incoming::{Request, Text};
use crate::request::inquiry::FreshId;
use crate::request::record::Record;
use crate::request::{self, End, Exchange, head, refuse};
use crate::stream::{Broken, Wait};
use crate::telemetry::events;
use crate::timer::Slot;
use pylos_core::http1::{HeadParser, RequestLine};
use pylos_core::table::{Listener, ListenerId};
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

/// Serves the connection to its end. What is kept while it waits is counted in bytes: the client stands in a box,
/// so that this future has one pointer of it, and all that a request needs in another that is gone by then.
pub(crate) async fn serve(mut client: Box<Client>) {
    loop {
        if client.inbuf.is_empty() && !client.stream.is_within_record() {
            let Some(index) = client.socket.listener() else { return client.stream.say_goodbye() };
            let ms = client.worker.snapshot().table.listeners[index].timeouts.idle;
            if !client.idle(ms).await {
                return client.stream.say_goodbye();
            }
        }
        match boxed(|| turn(&mut client)).await {
            End::Again => {}
            End::Close => return client.stream.say_goodbye(),
            End::Cut => return,
            End::Linger => return Box::pin(linger::linger(client)).await,
            End::Tunnel(tunnelled) => return Box::pin(tunnel::run(client, *tunnelled)).await,
        }
    }
}

/// `Box::pin`, but the future is made where it stays: it has some 2.5 KB, nearly all of them empty at first, and
/// copying them costs 4 % of a small request's user time.
fn boxed<F: Future>(make: impl FnOnce() -> F) -> Pin<Box<F>> {
    Box::into_pin(Box::write(Box::new_uninit(), make()))
}

/// One request. A panic ends this connection alone.
async fn turn(client: &mut Client) -> End {
    let worker = Rc::clone(&client.worker);
    let Some(listener) = client.socket.listener() else { return End::Close };
    let snapshot = worker.snapshot();
    let mut scratch = worker.scratch();
    let caught = {
        let mut x = Exchange {
            worker: Rc::clone(&worker),
            snapshot,
            listener: ListenerId::at(listener),
            client,
            scratch: &mut scratch,
            record: Record::default(),
        };
        let caught = {
            let mut serving = pin!(request_and_answer(&mut x));
            poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| serving.as_mut().poll(cx))) {
                Ok(poll) => poll.map(Ok),
                Err(_) => Poll::Ready(Err(())),
            })
            .await
        };
        if caught.is_err() {
            worker.shared.panics.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            events::error("request_panicked", &[("consequence", "its connection was closed")]);
            x.record.ended = Some("defect");
            if x.record.status == 0 {
                x.record.status = 500;
            }
        }
        caught
    };
    worker.buffers.give(std::mem::take(&mut scratch.request.block));
    scratch.reset();
    worker.give_scratch(scratch);
    client.timer.clear_all();
    if client.inbuf.is_empty() {
        worker.buffers.give(std::mem::take(&mut client.inbuf));
    }
    match caught {
        Ok(end) => end,
        Err(()) => tell_defect(client).await,
    }
}

/// 500 to a client whose request met a defect. Whether an answer was begun is not known any more, so it is only
/// tried, and the connection closed.
async fn tell_defect(client: &mut Client) -> End {
    let text = b"HTTP/1.1 500 Internal Server Error\r\npylos-reason: defect\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let wait = Wait { timer: &client.timer, clock: &client.worker.clock, slot: Slot::Answer, ms: 1000 };
    let (_, mut to) = client.stream.split();
    let _ = to.write_all(&mut [std::io::IoSlice::new(text)], wait, &mut 0).await;
    End::Cut
}

async fn request_and_answer(x: &mut Exchange<'_>) -> End {
    match read_head(x).await {
        Ok(Arrived::Head) => x.client.served = true,
        // Nothing has come, after all: back to waiting without a buffer.
        Ok(Arrived::Nothing) => return End::Again,
        Ok(Arrived::End) => return End::Close,
        Err(refusal) => return refused_unread(x, &refusal).await,
    }
    request::serve(x).await
}

enum Arrived {
    Head,
    Nothing,
    /// The client has left.
    End,
}

/// A head that was not understood is answered without looking at the rest of it. What was understood of it goes
/// to the log, and says in which form the answer is wanted.
async fn refused_unread(x: &mut Exchange<'_>, refusal: &Refusal) -> End {
    let request = &mut x.scratch.request;
    if !request.block.is_lent() {
        request.block = std::mem::take(&mut x.client.inbuf);
    }
    x.worker.write_id(&mut request.id);
    request.path = Text::Sent(request.target);
    request.keep_alive = false;
    let end = refuse::refuse(x, refusal).await;
    request::record::record(x);
    end
}

/// Reads until a head is whole.
async fn read_head(x: &mut Exchange<'_>) -> Result<Arrived, Refusal> {
    let snapshot = Rc::clone(&x.snapshot);
    let listener = &snapshot.table.listeners[x.listener.index()];
    let limits = head::limits(&listener.limits);
    let mut parser = HeadParser::<RequestLine>::new();
    let (mut deadline, mut first_record) = (None, None);
    if !x.client.inbuf.is_lent() {
        x.client.inbuf = x.worker.buffers.small();
    }
    let mut blank_lines = 0;
    loop {
        skip_blank_line(x, &mut blank_lines);
        if !x.client.inbuf.is_empty() {
            let now = x.worker.clock.us();
            let deadline = *deadline.get_or_insert_with(|| {
                x.record.started_us = now;
                now / 1000 + listener.timeouts.header
            });
            let request = &mut x.scratch.request;
            let fed = parser.feed(x.client.inbuf.bytes(), &mut request.fields, &limits);
            if let Some(line) = parser.line() {
                (request.method, request.target, request.version) = (line.method, line.target, line.version);
            }
            if let Some(head) = fed.map_err(head::refusal)? {
                understand(x, head.len)?;
                return Ok(Arrived::Head);
            }
            // From the first byte on, whatever trickles in: the whole head has its time.
            x.client.timer.set(Slot::Client, deadline);
        } else if x.client.stream.is_within_record() {
            let now = x.worker.clock.us();
            let until = *first_record.get_or_insert_with(|| {
                x.record.started_us = now;
                now / 1000 + listener.timeouts.header
            });
            x.client.timer.set(Slot::Client, until);
        }
        match read_more(x, listener, limits.total).await? {
            Arrived::Head => {}
            other => return Ok(other),
        }
    }
}

/// One empty line before a request is forgiven (RFC 9112, 2.2).
fn skip_blank_line(x: &mut Exchange<'_>, skipped: &mut u32) {
    if *skipped == 0 && x.client.inbuf.bytes().starts_with(b"\r\n") {
        x.client.inbuf.consume(2);
        *skipped += 1;
    }
}

/// Reads once; `Head` means that something came. Waits only when a head has begun.
async fn read_more(x: &mut Exchange<'_>, listener: &Listener, most: usize) -> Result<Arrived, Refusal> {
    let client = &mut *x.client;
    if client.inbuf.room().is_empty() && !client.inbuf.grow(most + 1024) {
        return Err(head::too_large());
    }
    let began = !client.inbuf.is_empty() || client.stream.is_within_record();
    let ms = listener.timeouts.header;
    let wait = Wait { timer: &client.timer, clock: &x.worker.clock, slot: Slot::Client, ms };
    let (mut from, _) = client.stream.split();
    let read = if began {
        from.read(&mut client.inbuf, wait).await
    } else {
        match poll_fn(|cx| Poll::Ready(from.poll_read(cx, &mut client.inbuf))).await {
            Poll::Ready(read) => read.map_err(Broken::from),
            // From its first byte on a record has the time of a head.
            Poll::Pending if from.begun() > 0 => return Ok(Arrived::Head),
            Poll::Pending => return Ok(Arrived::Nothing),
        }
    };
    match read {
        Ok(0) => {
            client.eof = true;
            Ok(Arrived::End)
        }
        Ok(_) => Ok(Arrived::Head),
        Err(Broken::Timeout(_)) if began => {
            Err(Refusal::client(408, "header_timeout", "The request head came too slowly.").closing())
        }
        Err(_) => Ok(Arrived::End),
    }
}

/// Takes the head out of the read buffer and tells how its body is framed.
fn understand(x: &mut Exchange<'_>, len: usize) -> Result<(), Refusal> {
    let rest_is_empty = x.client.inbuf.len() == len;
    let mut block = std::mem::take(&mut x.client.inbuf);
    if !rest_is_empty {
        let mut rest = x.worker.buffers.small();
        rest.push(&block.bytes()[len..]);
        x.client.inbuf = rest;
        block.truncate(len);
    }
    let request: &mut Request = &mut x.scratch.request;
    request.block = block;
    head::frame(request)
}
