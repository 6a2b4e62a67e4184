//! The thread that writes access log lines out. Workers hand it whole blocks of lines and never wait: when the
//! output is blocked, lines are dropped and counted.

use super::events;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Blocks of lines that may wait for the output; with the block size below at most 4 MiB.
const QUEUE: usize = 64;
/// A worker hands over its lines when it has so many bytes, or at its next sweep.
pub(crate) const BLOCK: usize = 64 * 1024;

/// Where lines go; shared by all workers, exchanged by a reload.
pub(crate) struct LogWriter {
    to: SyncSender<Vec<u8>>,
    /// Emptied blocks come back, so that no line allocates.
    empty: Arc<Mutex<Vec<Vec<u8>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    pub(crate) path: String,
}

impl LogWriter {
    /// `-` is standard output; anything else a file, appended to.
    pub(crate) fn open(path: &str) -> io::Result<Arc<LogWriter>> {
        let file =
            if path == "-" { stdout()? } else { OpenOptions::new().append(true).create(true).open(path)? };
        let (to, from) = sync_channel(QUEUE);
        let empty = Arc::new(Mutex::new(Vec::new()));
        let back = Arc::clone(&empty);
        let thread =
            std::thread::Builder::new().name("pylos-log".into()).spawn(move || write(file, &from, &back))?;
        Ok(Arc::new(LogWriter { to, empty, thread: Mutex::new(Some(thread)), path: path.into() }))
    }

    /// Takes a block of lines and leaves an empty one; false when the output is blocked and they were dropped.
    pub(crate) fn hand_over(&self, block: &mut Vec<u8>) -> bool {
        let fresh = self.empty.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        match self.to.try_send(std::mem::replace(block, fresh)) {
            Ok(()) => true,
            Err(TrySendError::Full(mut lost) | TrySendError::Disconnected(mut lost)) => {
                lost.clear();
                *block = lost;
                false
            }
        }
    }

    /// Waits until all lines are out, but not longer than `most`: the output may be blocked for good.
    pub(crate) fn finish(self: Arc<Self>, most: Duration) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(self);
        let (done, waits) = sync_channel::<()>(1);
        std::thread::spawn(move || {
            let _ = thread.map(JoinHandle::join);
            let _ = done.send(());
        });
        let _ = waits.recv_timeout(most);
    }
}

/// Standard output as an unbuffered file of our own.
fn stdout() -> io::Result<File> {
    Ok(File::from(rustix::io::dup(rustix::stdio::stdout())?))
}

fn write(mut file: File, from: &Receiver<Vec<u8>>, empty: &Mutex<Vec<Vec<u8>>>) {
    let mut failed = false;
    while let Ok(mut block) = from.recv() {
        if let Err(error) = file.write_all(&block)
            && !std::mem::replace(&mut failed, true)
        {
            events::warn("access_log_failed", &[("error", &error.to_string())]);
        }
        block.clear();
        let mut back = empty.lock().unwrap_or_else(PoisonError::into_inner);
        if back.len() < QUEUE && block.capacity() <= 2 * BLOCK {
            back.push(block);
        }
    }
}
