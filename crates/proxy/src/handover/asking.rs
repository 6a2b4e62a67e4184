//! Two processes count by one limit: while the old one ends, it asks the new one before each request that is limited.
//!
//! Packets over a Unix socket. A question: its number (8 bytes), the hash of the key (8), the policy's name. An answer:
//! the question's number, whether it is admitted (8; for no policy: whether there is a configuration), and for each rate what is left and when there is more (8 each); an
//! answer of a number alone says that the limit is not there any more. A packet that begins with 0 has counters in JSON.

use super::Counters;
use crate::clock;
use crate::shared::{SIDE, Shared};
use crate::worker::Message;
use pylos_core::limit::{Left, Taken};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_millis(50);
/// After one that did not come, nobody asks for so long, us: each would wait that long.
const REST_US: u64 = 1_000_000;
/// Bytes of a packet.
const MOST: usize = 64 << 10;

/// What came of asking.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Taken(Taken),
    /// The new process has no such limit.
    Unknown,
    /// It does not answer.
    Silent,
    /// It has ended.
    Gone,
}

/// The old process' end.
pub(crate) struct Asker {
    line: Mutex<Line>,
    /// Not asked before, us.
    rests_until: AtomicU64,
}

struct Line {
    socket: OwnedFd,
    number: u64,
}

impl Asker {
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Asker { line: Mutex::new(Line { socket, number: 0 }), rests_until: AtomicU64::new(0) }
    }

    /// Takes one request for a key of a limit. Waits in place: the new process answers at once, or is in trouble.
    pub(crate) fn take(&self, policy: &str, key: u64) -> Said {
        if clock::exact_us() < self.rests_until.load(Relaxed) {
            return Said::Silent;
        }
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        // Who has waited for its turn may have waited long enough.
        if clock::exact_us() < self.rests_until.load(Relaxed) {
            return Said::Silent;
        }
        line.take(policy, key).unwrap_or_else(|error| {
            if !is_silence(&error) {
                return Said::Gone;
            }
            self.rests_until.store(clock::exact_us() + REST_US, Relaxed);
            Said::Silent
        })
    }

    /// Whether the new process serves; `None` when it has ended. One that does not answer in time may yet serve.
    pub(crate) fn serves(&self) -> Option<bool> {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        match line.take("", 0) {
            Ok(Said::Taken(told)) => Some(told.admitted),
            Err(error) if is_silence(&error) => Some(false),
            _ => None,
        }
    }

    /// Tells what was counted.
    pub(crate) fn tell(&self, counters: &Counters) -> io::Result<()> {
        let mut packet = 0u64.to_ne_bytes().to_vec();
        serde_json::to_writer(&mut packet, counters)?;
        let line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(send(&line.socket, &packet, SendFlags::NOSIGNAL).map(drop)?)
    }
}

impl Line {
    fn take(&mut self, policy: &str, key: u64) -> io::Result<Said> {
        self.number += 1;
        let packet = [&self.number.to_ne_bytes()[..], &key.to_ne_bytes(), policy.as_bytes()].concat();
        send(&self.socket, &packet, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)?;
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let left = Timespec { tv_sec: 0, tv_nsec: i64::from(left.subsec_nanos()) };
            match poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], Some(&left)) {
                Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
                Err(Errno::INTR) => continue,
                ready => drop(ready?),
            }
            let mut answer = [0; 1024];
            let length = recv(&self.socket, &mut answer, RecvFlags::DONTWAIT)?.0;
            let (numbers, _) = answer[..length].as_chunks::<8>();
            match numbers.split_first() {
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
                Some((number, rest)) if u64::from_ne_bytes(*number) == self.number => return Ok(said(rest)),
                Some(_) => {} // to a question that was given up
            }
        }
    }
}

/// Who does not read what it is asked, or does not answer, has not ended.
fn is_silence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
}

fn said(rest: &[[u8; 8]]) -> Said {
    let Some((admitted, left)) = rest.split_first() else { return Said::Unknown };
    let (left, _) = left.as_chunks::<2>();
    let left = left.iter().map(|[requests, more]| Left {
        requests: u64::from_ne_bytes(*requests),
        more_ns: u64::from_ne_bytes(*more),
    });
    Said::Taken(Taken { admitted: u64::from_ne_bytes(*admitted) != 0, left: left.collect() })
}

/// Answers the old process until that has ended.
pub(crate) fn answer_in_thread(shared: Arc<Shared>, socket: OwnedFd) -> io::Result<()> {
    let answering = std::thread::Builder::new().name("pylos-limits".to_owned());
    answering.spawn(move || answer(&shared, &socket)).map(drop)
}

fn answer(shared: &Shared, socket: &OwnedFd) {
    let mut packet = vec![0; MOST];
    loop {
        let length = match recv(socket, &mut packet, RecvFlags::empty()) {
            Ok((_, 0)) | Ok((0, _)) => return,
            Ok((length, _)) => length,
            Err(Errno::INTR) => continue,
            Err(_) => return,
        };
        let Some((number, rest)) = packet[..length].split_first_chunk::<8>() else { return };
        if u64::from_ne_bytes(*number) == 0 {
            count(shared, rest);
            continue;
        }
        let Some((key, policy)) = rest.split_first_chunk::<8>() else { return };
        let mut answer = number.to_vec();
        if policy.is_empty() {
            let serves = shared.generation.load(Relaxed) > 0;
            answer.extend_from_slice(&u64::from(serves).to_ne_bytes());
        }
        let limit = std::str::from_utf8(policy).ok().and_then(|policy| shared.known_limit(policy));
        if let Some(limit) = limit {
            let taken = limit.take_hashed(u64::from_ne_bytes(*key), clock::exact_us());
            let left = taken.left.iter().flat_map(|left| [left.requests, left.more_ns]);
            let numbers = std::iter::once(u64::from(taken.admitted)).chain(left);
            numbers.for_each(|number| answer.extend_from_slice(&number.to_ne_bytes()));
        }
        // Who does not wait for it any more has no use for it.
        let _ = send(socket, &answer, SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
    }
}

/// Has the side worker count it, whose cells nobody else writes.
fn count(shared: &Shared, text: &[u8]) {
    if let Ok(counters) = serde_json::from_slice::<Counters>(text) {
        let _ = shared.send(SIDE, Message::Counted(Box::new(counters)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bounds::Bounds;
    use crate::policy::rate_limit::Limit;
    use pylos_core::limit::Rate;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    fn pair() -> (OwnedFd, OwnedFd) {
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).expect("a pair")
    }

    #[test]
    fn one_limit_is_counted_by_both() {
        let (ours, theirs) = pair();
        let new = Arc::new(Shared::new(Bounds::new(1000)));
        new.adopt_limit("each", Limit::with_rates(&["client.ip"], &[Rate::new(2, 60_000, 2)]));
        answer_in_thread(Arc::clone(&new), theirs).expect("a thread");
        let asker = Asker::new(ours);
        let taken = |told: Said| match told {
            Said::Taken(taken) => (taken.admitted, taken.left[0].requests),
            other => panic!("{other:?}"),
        };
        assert_eq!(taken(asker.take("each", 7)), (true, 1));
        assert!(new.known_limit("each").expect("it is there").take_hashed(7, clock::exact_us()).admitted);
        assert_eq!(taken(asker.take("each", 7)), (false, 0));
        assert_eq!(taken(asker.take("each", 8)), (true, 1));
        assert_eq!(asker.take("gone", 7), Said::Unknown);
        assert_eq!(asker.serves(), Some(false));
        new.generation.store(1, Relaxed);
        assert_eq!(asker.serves(), Some(true));
    }

    #[test]
    fn who_does_not_answer_is_left_alone() {
        let (ours, theirs) = pair();
        let (asker, began) = (Asker::new(ours), Instant::now());
        assert_eq!(asker.take("each", 7), Said::Silent);
        assert!(began.elapsed() >= PATIENCE);
        let again = Instant::now();
        assert_eq!(asker.take("each", 7), Said::Silent);
        assert!(again.elapsed() < PATIENCE, "not asked again so soon");
        assert_eq!(asker.serves(), Some(false), "it may be on its way");
        drop(theirs);
        asker.rests_until.store(0, Relaxed);
        assert_eq!(asker.take("each", 7), Said::Gone);
        assert_eq!(asker.serves(), None);
    }
}
