//! What operators should know, as one JSON line each on standard error: a target went down, a defect was caught.
//! Rare by nature; nothing of a request's own is written here. A thread writes them: where nobody reads standard
//! error, lines are dropped and counted, and no one waits.

use super::json::write_text;
use super::log_writer::write_out;
use crate::clock::wall_us;
use pylos_core::message::date::rfc3339;
use std::fs::File;
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// Lines that may wait.
const QUEUE: usize = 256;

static TO: OnceLock<Option<SyncSender<Job>>> = OnceLock::new();
static LOST: AtomicU64 = AtomicU64::new(0);

enum Job {
    Line(Vec<u8>),
    /// All that was told before is out.
    Done(SyncSender<()>),
}

pub(crate) fn info(event: &str, facts: &[(&str, &str)]) {
    tell("info", event, facts);
}

pub(crate) fn warn(event: &str, facts: &[(&str, &str)]) {
    tell("warn", event, facts);
}

pub(crate) fn error(event: &str, facts: &[(&str, &str)]) {
    tell("error", event, facts);
}

/// Waits until all is out, but not longer than `most`.
pub(crate) fn finish(most: Duration) {
    let (done, waits) = sync_channel(1);
    if let Some(Some(to)) = TO.get()
        && to.try_send(Job::Done(done)).is_ok()
    {
        let _ = waits.recv_timeout(most);
    }
}

/// Makes ready, while there are descriptors. Panics are told in the same way: what Rust does by itself waits for standard
/// error.
pub(crate) fn begin() {
    writer();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        // A text that was made may hold parts of a request.
        let why = panic.payload().downcast_ref::<&str>().copied().unwrap_or("(a text that was made)");
        error("panicked", &[("place", &place), ("why", why)]);
    }));
}

fn tell(level: &str, event: &str, facts: &[(&str, &str)]) {
    let to = writer();
    if to.is_none_or(|to| to.try_send(Job::Line(line(level, event, facts))).is_err()) {
        LOST.fetch_add(1, Relaxed);
    }
}

fn writer() -> Option<&'static SyncSender<Job>> {
    TO.get_or_init(|| start().ok()).as_ref()
}

fn start() -> io::Result<SyncSender<Job>> {
    // A descriptor of our own: who writes to Rust's waits with its lock in hand.
    let file = File::from(rustix::io::dup(rustix::stdio::stderr())?);
    let (to, from) = sync_channel(QUEUE);
    std::thread::Builder::new().name("pylos-events".into()).spawn(move || run(file, &from))?;
    Ok(to)
}

fn run(mut file: File, from: &Receiver<Job>) {
    while let Ok(job) = from.recv() {
        match job {
            // Nobody to tell when this fails.
            Job::Line(line) => drop(write_out(&mut file, &mut &line[..])),
            Job::Done(done) => drop(done.send(())),
        }
        let lost = LOST.swap(0, Relaxed);
        if lost > 0 {
            let line = line("warn", "events_lost", &[("count", &lost.to_string())]);
            let _ = write_out(&mut file, &mut &line[..]);
        }
    }
}

fn line(level: &str, event: &str, facts: &[(&str, &str)]) -> Vec<u8> {
    let mut line = format!("{{\"ts\":\"{}\",\"level\":", rfc3339(wall_us() / 1000)).into_bytes();
    write_text(&mut line, level.as_bytes());
    line.extend_from_slice(b",\"event\":");
    write_text(&mut line, event.as_bytes());
    for (name, value) in facts {
        line.push(b',');
        write_text(&mut line, name.as_bytes());
        line.push(b':');
        write_text(&mut line, value.as_bytes());
    }
    line.extend_from_slice(b"}\n");
    line
}
