//! The thread that writes access log lines out. Workers hand it whole blocks of lines and never wait: when the
//! output is blocked or full, lines are dropped and counted.

use super::events;
use rustix::event::{PollFd, PollFlags, poll};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileTypeExt;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Blocks of lines that may wait for the output; with the block size below at most 4 MiB.
const QUEUE: usize = 64;
/// A worker hands over its lines when it has so many bytes, or at its next sweep.
pub(crate) const BLOCK: usize = 64 * 1024;
/// What stands for the standard output.
const STDOUT: &str = "-";
/// How often to look whether all is written.
const LOOK: Duration = Duration::from_millis(1);

/// Is told how many lines were lost.
type Lost = Arc<dyn Fn(u64) + Send + Sync>;

/// Where lines go; shared by all workers, exchanged by a reload.
pub(crate) struct LogWriter {
    output: Mutex<Output>,
    /// Emptied blocks come back, so that no line allocates.
    empty: Arc<Mutex<Vec<Vec<u8>>>>,
    /// Writes to a file before, which takes nothing.
    stuck: Mutex<Option<JoinHandle<()>>>,
    lost: Lost,
    pub(crate) path: String,
}

/// A thread that writes to one file until nothing can come any more.
struct Output {
    to: SyncSender<Vec<u8>>,
    thread: Option<JoinHandle<()>>,
}

impl LogWriter {
    /// `-` is standard output; anything else a file, appended to.
    pub(crate) fn open(path: &str, lost: Lost) -> io::Result<Arc<LogWriter>> {
        let empty = Arc::default();
        let output = Mutex::new(start(path, Arc::clone(&empty), Arc::clone(&lost))?);
        Ok(Arc::new(LogWriter { output, empty, stuck: Mutex::default(), lost, path: path.into() }))
    }

    /// Opens its path anew: what is handed over from here on goes to the new file. Waits until nothing is written to
    /// the one before any more, but not longer than `most`. One that cannot be opened leaves all as it is, and so does
    /// one that still takes nothing: of those there is no more than one.
    pub(crate) fn reopen(&self, most: Duration) -> io::Result<()> {
        if self.path == STDOUT {
            return Ok(());
        }
        let mut stuck = self.stuck.lock().unwrap_or_else(PoisonError::into_inner);
        if stuck.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return Err(io::Error::new(ErrorKind::WouldBlock, "the file before still takes nothing"));
        }
        let new = start(&self.path, Arc::clone(&self.empty), Arc::clone(&self.lost))?;
        let before = std::mem::replace(&mut *self.output(), new);
        drop(before.to);
        *stuck = before.thread.and_then(|thread| ended(thread, most).err());
        if stuck.is_none() {
            return Ok(());
        }
        let text =
            "the file before takes nothing: lines from now on go to the new one, and those before them wait";
        Err(io::Error::new(ErrorKind::TimedOut, text))
    }

    /// Takes a block of lines and leaves an empty one; false when the output is blocked and they were dropped.
    pub(crate) fn hand_over(&self, block: &mut Vec<u8>) -> bool {
        let fresh = self.empty.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        match self.output().to.try_send(std::mem::replace(block, fresh)) {
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
        let thread = self.output().thread.take();
        drop(self);
        let _ = thread.map(|thread| ended(thread, most));
    }

    fn output(&self) -> MutexGuard<'_, Output> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for the end of a thread; gives back one that has not ended in that time.
fn ended(thread: JoinHandle<()>, most: Duration) -> Result<(), JoinHandle<()>> {
    let until = Instant::now() + most;
    while !thread.is_finished() {
        if Instant::now() >= until {
            return Err(thread);
        }
        std::thread::sleep(LOOK);
    }
    let _ = thread.join();
    Ok(())
}

fn open(path: &str) -> io::Result<File> {
    if path == STDOUT {
        // An unbuffered file of our own.
        return Ok(File::from(rustix::io::dup(rustix::stdio::stdout())?));
    }
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    // To open a FIFO waits for somebody who reads it, unless one does so oneself.
    if fs::metadata(path).is_ok_and(|known| known.file_type().is_fifo()) {
        options.read(true);
    }
    options.open(path)
}

/// Whether a file ends within a line: who wrote it before was cut off.
fn is_torn(path: &str) -> bool {
    let last = || {
        let mut file = File::open(path).ok()?;
        file.seek(SeekFrom::End(-1)).ok()?;
        let mut byte = [0];
        file.read_exact(&mut byte).ok()?;
        Some(byte[0])
    };
    fs::metadata(path).is_ok_and(|known| known.is_file()) && last().is_some_and(|byte| byte != b'\n')
}

fn start(path: &str, empty: Arc<Mutex<Vec<Vec<u8>>>>, lost: Lost) -> io::Result<Output> {
    let file = open(path)?;
    let before = (path != STDOUT).then(|| path.to_owned());
    let (to, from) = sync_channel(QUEUE);
    let sink = Sink { file, before, torn: false, losing: 0, lost };
    let thread =
        std::thread::Builder::new().name("pylos-log".into()).spawn(move || run(sink, &from, &empty))?;
    Ok(Output { to, thread: Some(thread) })
}

fn run(mut sink: Sink, from: &Receiver<Vec<u8>>, empty: &Mutex<Vec<Vec<u8>>>) {
    while let Ok(mut block) = from.recv() {
        sink.take(&block);
        block.clear();
        let mut back = empty.lock().unwrap_or_else(PoisonError::into_inner);
        if back.len() < QUEUE && block.capacity() <= 2 * BLOCK {
            back.push(block);
        }
    }
}

/// A file that may fail for a while: a disk is full, a reader is gone.
struct Sink {
    file: File,
    /// Its path, until it is known how what was in it ends: others may be about to write their last line.
    before: Option<String>,
    /// The file ends within a line.
    torn: bool,
    /// Lines lost since it began to fail.
    losing: u64,
    lost: Lost,
}

impl Sink {
    /// Writes whole lines. Those that the file does not take are lost.
    fn take(&mut self, block: &[u8]) {
        let mut left = block;
        self.torn |= self.before.take().is_some_and(|path| is_torn(&path));
        let written = if self.torn { write_out(&mut self.file, &mut &b"\n"[..]) } else { Ok(()) };
        let written = written.and_then(|()| {
            self.torn = false;
            write_out(&mut self.file, &mut left)
        });
        match written {
            Ok(()) => self.recovered(),
            Err(error) => self.failed(block, left, &error),
        }
    }

    fn failed(&mut self, block: &[u8], left: &[u8], error: &io::Error) {
        let out = block.len() - left.len();
        self.torn |= out > 0 && block[out - 1] != b'\n';
        let lines = left.iter().filter(|byte| **byte == b'\n').count() as u64;
        if self.losing == 0 {
            events::warn("access_log_failed", &[("error", &error.to_string())]);
        }
        self.losing += lines;
        (self.lost)(lines);
    }

    fn recovered(&mut self) {
        if self.losing > 0 {
            events::warn("access_log_recovered", &[("lost", &self.losing.to_string())]);
            self.losing = 0;
        }
    }
}

/// Writes all of it, however long that takes. `left` is what was not written.
pub(super) fn write_out(file: &mut File, left: &mut &[u8]) -> io::Result<()> {
    while !left.is_empty() {
        match file.write(left) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(n) => *left = &left[n..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Whoever shares it has made it so.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                poll(&mut [PollFd::new(&*file, PollFlags::OUT)], None)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::{Path, PathBuf};
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    const SOON: Duration = Duration::from_secs(10);

    /// A folder of a test's own, gone with it.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("pylos-log-{}-{name}", std::process::id()));
            fs::create_dir_all(&folder).expect("a folder");
            Folder(folder)
        }
        fn at(&self, name: &str) -> PathBuf {
            self.0.join(name)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn writer(path: &Path) -> (Arc<LogWriter>, Arc<AtomicU64>) {
        let count = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&count);
        let lost = move |lines| {
            counted.fetch_add(lines, Relaxed);
        };
        (LogWriter::open(path.to_str().expect("a text"), Arc::new(lost)).expect("it opens"), count)
    }

    fn said(path: &Path) -> String {
        fs::read_to_string(path).expect("a file")
    }

    #[test]
    fn lines_before_go_to_the_old_file_and_lines_after_to_the_new_one() {
        let folder = Folder::new("moved");
        let (log, lost) = writer(&folder.at("log"));
        assert!(log.hand_over(&mut b"one\ntwo\n".to_vec()));
        fs::rename(folder.at("log"), folder.at("old")).expect("renamed");
        assert!(log.hand_over(&mut b"three\n".to_vec()));
        log.reopen(SOON).expect("opened anew");
        assert_eq!(said(&folder.at("old")), "one\ntwo\nthree\n", "all of it, as soon as that returns");
        assert!(log.hand_over(&mut b"four\n".to_vec()));
        log.finish(SOON);
        assert_eq!(said(&folder.at("log")), "four\n");
        assert_eq!(lost.load(Relaxed), 0);
    }

    #[test]
    fn a_path_that_cannot_be_opened_keeps_the_old_file() {
        let folder = Folder::new("gone");
        let inner = folder.at("inner");
        fs::create_dir(&inner).expect("a folder");
        let (log, _) = writer(&inner.join("log"));
        fs::rename(&inner, folder.at("moved")).expect("renamed");
        assert_eq!(log.reopen(SOON).expect_err("it is not there").kind(), ErrorKind::NotFound);
        assert!(log.hand_over(&mut b"one\n".to_vec()));
        log.finish(SOON);
        assert_eq!(said(&folder.at("moved").join("log")), "one\n");
    }

    #[test]
    fn what_a_full_disk_does_not_take_is_counted_and_half_a_line_ends() {
        let (log, lost) = writer(Path::new("/dev/full"));
        assert!(log.hand_over(&mut b"one\ntwo\n".to_vec()));
        log.finish(SOON);
        assert_eq!(lost.load(Relaxed), 2);

        let folder = Folder::new("torn");
        let file = OpenOptions::new().append(true).create(true).open(folder.at("log")).expect("a file");
        let mut sink = Sink { file, before: None, torn: false, losing: 0, lost: Arc::new(|_| {}) };
        write_out(&mut sink.file, &mut &b"one\ntw"[..]).expect("written");
        sink.failed(b"one\ntwo\nthree\n", b"o\nthree\n", &ErrorKind::StorageFull.into());
        assert_eq!((sink.torn, sink.losing), (true, 2));
        sink.take(b"four\n");
        assert_eq!((sink.torn, sink.losing), (false, 0));
        assert_eq!(said(&folder.at("log")), "one\ntw\nfour\n");
    }

    #[test]
    fn nobody_waits_for_a_fifo_that_nobody_reads() {
        let folder = Folder::new("fifo");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, folder.at("log"), mode).expect("a FIFO");
        let (log, _) = writer(&folder.at("log"));
        let block = || [b'x'; BLOCK].to_vec();
        let taken = (0..1000).take_while(|_| log.hand_over(&mut block())).count();
        assert!(taken <= QUEUE + 2, "{taken}: as many as may wait, and those that the FIFO holds");
        fs::rename(folder.at("log"), folder.at("old")).expect("renamed");
        let error = log.reopen(Duration::from_millis(50)).expect_err("what was before cannot get out");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let error = log.reopen(SOON).expect_err("and so it is still");
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert!(log.hand_over(&mut b"one\n".to_vec()));
        log.finish(SOON);
        assert_eq!(said(&folder.at("log")), "one\n");
    }

    #[test]
    fn a_file_that_ends_within_a_line_gets_its_end_first() {
        let folder = Folder::new("cut");
        fs::write(folder.at("log"), "one\ntw").expect("written");
        let (log, _) = writer(&folder.at("log"));
        assert!(log.hand_over(&mut b"three\n".to_vec()));
        log.reopen(SOON).expect("opened anew");
        assert!(log.hand_over(&mut b"four\n".to_vec()));
        log.finish(SOON);
        assert_eq!(said(&folder.at("log")), "one\ntw\nthree\nfour\n");
    }
}
