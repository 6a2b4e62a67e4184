//! One health check: a question to one target, on a connection of its own.

use super::connect::connect;
use super::probe::Plan;
use super::target::TargetState;
use crate::buffer::{Buffer, Buffers};
use crate::clock::Clock;
use crate::stream::{ReadHalf, Stream, Wait};
use crate::timer::{Slot, Timers};
use crate::worker::Worker;
use pylos_core::http1::{ChunkedDecoder, HeadParser, Length, StatusLine, Step, framing};
use pylos_core::message::head::Fields;
use pylos_core::table::{Ask, BodyCheck, HealthCheck};
use std::io::IoSlice;
use std::rc::Rc;
use std::time::Duration;

/// Bytes of a body that are looked at.
const LONGEST: usize = 64 * 1024;

/// Gives why the target is not well, if it is not.
pub(super) async fn ask(
    plan: &Plan, check: &HealthCheck, state: &TargetState, worker: &Rc<Worker>,
) -> Result<(), String> {
    let most = Duration::from_millis(check.timeout_ms);
    let asked = tokio::time::timeout(most, connected(plan, &check.ask, state, worker)).await;
    asked.unwrap_or_else(|_| Err(format!("no answer within {} ms", check.timeout_ms)))
}

async fn connected(plan: &Plan, ask: &Ask, state: &TargetState, worker: &Rc<Worker>) -> Result<(), String> {
    // Deadlines are kept by the caller; these are only here because every wait has a form.
    let (timers, clock) = (Timers::default(), Clock::new());
    let timer = timers.add();
    let wait = Wait { timer: &timer, clock: &clock, slot: Slot::Answer, ms: 0 };
    let connecting = connect(&plan.address, plan.secure.as_ref(), state, worker, wait);
    let stream = connecting.await.map_err(|error| error.to_string())?;
    match ask {
        Ask::Http { .. } => http(plan, ask, stream, wait).await,
        Ask::Tcp { send, expect } => tcp(send, expect, stream, wait).await,
    }
}

async fn tcp(send: &[u8], expect: &[u8], mut stream: Stream, wait: Wait<'_>) -> Result<(), String> {
    let (mut from, mut to) = stream.split();
    if !send.is_empty() {
        to.write_all(&mut [IoSlice::new(send)], wait, &mut 0).await.map_err(|_| "write failed")?;
    }
    let mut buffer = Buffers::default().small();
    while !expect.is_empty() {
        let said = buffer.bytes();
        if said.starts_with(expect) {
            return Ok(());
        }
        if !expect.starts_with(said) {
            return Err(format!("it says {:?}", String::from_utf8_lossy(&said[..said.len().min(80)])));
        }
        if from.read(&mut buffer, wait).await.map_err(|_| "read failed")? == 0 {
            return Err("closed before it said what is expected".into());
        }
    }
    Ok(())
}

async fn http(plan: &Plan, ask: &Ask, mut stream: Stream, wait: Wait<'_>) -> Result<(), String> {
    let Ask::Http { path, fields, statuses, body, .. } = ask else { return Ok(()) };
    let mut request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n", plan.host).into_bytes();
    let has = |name: &[u8]| fields.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
    for (name, value) in [(&b"user-agent"[..], &b"pylos-health"[..]), (b"accept", b"*/*")] {
        if !has(name) {
            [name, b": ", value, b"\r\n"].iter().for_each(|part| request.extend_from_slice(part));
        }
    }
    for (name, value) in fields {
        [name, &b": "[..], value, b"\r\n"].iter().for_each(|part| request.extend_from_slice(part));
    }
    request.extend_from_slice(b"connection: close\r\n\r\n");
    let (mut from, mut to) = stream.split();
    to.write_all(&mut [IoSlice::new(&request)], wait, &mut 0).await.map_err(|_| "write failed")?;
    let mut buffer = Buffers::default().small();
    let (status, length) = head(&mut from, &mut buffer, wait).await?;
    if !statuses.has(status) {
        return Err(format!("status {status}"));
    }
    match body {
        Some(wanted) => find(wanted, length, &mut from, buffer, wait).await,
        None => Ok(()),
    }
}

/// Reads up to the end of the head of the final answer.
async fn head(from: &mut ReadHalf<'_>, buffer: &mut Buffer, wait: Wait<'_>) -> Result<(u16, Length), String> {
    let (mut parser, mut fields) = (HeadParser::<StatusLine>::new(), Fields::default());
    loop {
        if buffer.room().is_empty() {
            return Err("the head is too large".into());
        }
        if from.read(buffer, wait).await.map_err(|_| "read failed")? == 0 {
            return Err("closed without an answer".into());
        }
        while let Some(head) =
            parser.feed(buffer.bytes(), &mut fields, &super::answer_h1::LIMITS).map_err(|_| MALFORMED)?
        {
            let (status, version) = (head.line.status, head.line.version);
            let length = framing::of_response(buffer.bytes(), &fields, version, status, false);
            buffer.consume(head.len);
            if status >= 200 {
                return Ok((status, length.map_err(|_| MALFORMED)?));
            }
            fields.clear();
            parser = HeadParser::new();
        }
    }
}

const MALFORMED: &str = "the answer is malformed";

/// Looks for a text in the body; what has been read of it lies in `buffer`.
async fn find(
    wanted: &BodyCheck, length: Length, from: &mut ReadHalf<'_>, mut buffer: Buffer, wait: Wait<'_>,
) -> Result<(), String> {
    let (mut body, mut chunks, mut over) = (Vec::new(), ChunkedDecoder::default(), false);
    loop {
        over |= take(length, &mut buffer, &mut chunks, &mut body)?;
        let is_all = over || body.len() >= LONGEST;
        // What an expression says of the end of a body holds at its end alone.
        if (is_all || !wanted.is_expression()) && wanted.regex.is_match(&body) {
            return Ok(());
        }
        if is_all {
            return Err(format!("the body does not have {:?} in it", wanted.spelled));
        }
        // What has come is taken out as far as it is understood: only a chunk's line may be left.
        if buffer.room().is_empty() {
            return Err(MALFORMED.into());
        }
        over = from.read(&mut buffer, wait).await.map_err(|_| "read failed")? == 0;
    }
}

/// Moves what there is of the body from one to the other; whether that was its end.
fn take(
    length: Length, buffer: &mut Buffer, chunks: &mut ChunkedDecoder, body: &mut Vec<u8>,
) -> Result<bool, String> {
    let room = LONGEST.saturating_sub(body.len());
    match length {
        Length::None => Ok(true),
        Length::Known(whole) => {
            let left = (whole - body.len() as u64).min(buffer.bytes().len() as u64) as usize;
            body.extend_from_slice(&buffer.bytes()[..left]);
            buffer.consume(left);
            Ok(body.len() as u64 == whole)
        }
        Length::UntilClose => {
            body.extend_from_slice(&buffer.bytes()[..buffer.bytes().len().min(room)]);
            buffer.consume(buffer.bytes().len());
            Ok(false)
        }
        Length::Chunked => loop {
            match chunks
                .step(buffer.bytes(), &mut Fields::default(), &super::answer_h1::LIMITS.section())
                .map_err(|_| MALFORMED)?
            {
                Step::Data { skip, len } => {
                    body.extend_from_slice(&buffer.bytes()[skip..skip + len]);
                    buffer.consume(skip + len);
                }
                Step::More { skip } => {
                    buffer.consume(skip);
                    return Ok(false);
                }
                Step::End { .. } => return Ok(true),
            }
        },
    }
}
