//! Records in shared memory, from one writer to one reader.
//!
//! Positions count bytes from the beginning of time, so that full and empty are told apart; each side keeps its own
//! and only tells it. A record is its length and its bytes, padded to eight. What is pushed is seen by the reader
//! with `publish`, once for many records.

use crate::memory::Memory;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::fence;

/// Places in the memory, each on a cache line of its own: what one side writes is only read by the other.
const WRITTEN: usize = 0;
const READ: usize = 128;
/// 0: the reader sleeps, or has not begun.
const AWAKE: usize = 256;
/// 1: the writer has found no room.
const WANTING: usize = 384;
const DATA: usize = 4096;
const UNIT: usize = 8;

/// Memory for a ring that holds so many bytes, a power of two.
pub fn memory_of(capacity: usize) -> io::Result<OwnedFd> {
    assert!(capacity.is_power_of_two() && capacity >= DATA, "a power of two");
    Memory::create(DATA + capacity)
}

/// Why a record was not added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotPushed {
    /// There is no room; the reader has to catch up, and will be told to say so.
    Full,
    /// It would never fit.
    TooLong,
}

/// The other side has written what cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken;

fn map(fd: impl AsFd) -> io::Result<(Memory, usize)> {
    let memory = Memory::map(fd)?;
    let sound = |capacity: &usize| capacity.is_power_of_two() && *capacity >= DATA;
    match memory.len().checked_sub(DATA).filter(sound) {
        Some(capacity) => Ok((memory, capacity)),
        None => Err(io::Error::new(io::ErrorKind::InvalidInput, "the memory is no ring")),
    }
}

#[derive(Debug)]
pub struct Writer {
    memory: Memory,
    capacity: usize,
    /// Pushed.
    at: u64,
    published: u64,
    /// Known to be read; what is told later is asked for when there is no room.
    read: u64,
}

impl Writer {
    /// The side that writes. The memory must be fresh.
    pub fn new(fd: impl AsFd) -> io::Result<Self> {
        let (memory, capacity) = map(fd)?;
        Ok(Writer { memory, capacity, at: 0, published: 0, read: 0 })
    }

    /// The longest record that ever fits.
    pub fn longest(&self) -> usize {
        self.capacity / 2 - UNIT
    }

    /// Adds a record made of these parts. It is seen when it is published.
    pub fn push(&mut self, parts: &[&[u8]]) -> Result<(), NotPushed> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let whole = UNIT + length.next_multiple_of(UNIT);
        if length > self.longest() {
            return Err(NotPushed::TooLong);
        }
        if !self.has_room(whole) {
            self.memory.u32_at(WANTING).store(1, Relaxed);
            // Either the reader sees that room is wanted, or this side sees the room that it gives.
            fence(SeqCst);
            if !self.has_room(whole) {
                return Err(NotPushed::Full);
            }
        }
        let mut at = self.at;
        self.write(at, &(length as u64).to_ne_bytes());
        at += UNIT as u64;
        for part in parts {
            self.write(at, part);
            at += part.len() as u64;
        }
        self.at += whole as u64;
        Ok(())
    }

    fn has_room(&mut self, whole: usize) -> bool {
        let fits = |read: u64| self.at - read + whole as u64 <= self.capacity as u64;
        if fits(self.read) {
            return true;
        }
        let told = self.memory.u64_at(READ).load(Acquire);
        // A reader that tells what cannot be gets no more room by it.
        if (self.read..=self.published).contains(&told) {
            self.read = told;
        }
        fits(self.read)
    }

    fn write(&self, at: u64, bytes: &[u8]) {
        let start = at as usize & (self.capacity - 1);
        let (first, second) = bytes.split_at(bytes.len().min(self.capacity - start));
        self.memory.write(DATA + start, first);
        self.memory.write(DATA, second);
    }

    /// Shows the reader what was pushed. True: it sleeps, and must be woken.
    pub fn publish(&mut self) -> bool {
        if self.published == self.at {
            return false;
        }
        self.published = self.at;
        self.memory.u64_at(WRITTEN).store(self.at, Release);
        // Either the reader sees the position before it sleeps, or this side sees that it sleeps.
        fence(SeqCst);
        let awake = self.memory.u32_at(AWAKE);
        awake.load(Relaxed) == 0 && awake.swap(1, Relaxed) == 0
    }
}

#[derive(Debug)]
pub struct Reader {
    memory: Memory,
    capacity: usize,
    at: u64,
    /// Known to be written.
    written: u64,
}

impl Reader {
    /// The side that reads. The memory must be fresh.
    pub fn new(fd: impl AsFd) -> io::Result<Self> {
        let (memory, capacity) = map(fd)?;
        Ok(Reader { memory, capacity, at: 0, written: 0 })
    }

    /// Appends the next record to `out`; false when there is none.
    pub fn pop(&mut self, out: &mut Vec<u8>) -> Result<bool, Broken> {
        if self.at == self.written && !self.look()? {
            return Ok(false);
        }
        // Looked at once: the other side may write to it meanwhile.
        let length = self.memory.u64_at(DATA + (self.at as usize & (self.capacity - 1))).load(Relaxed);
        let left = self.written - self.at;
        if length > left || UNIT as u64 + length.next_multiple_of(UNIT as u64) > left {
            return Err(Broken);
        }
        self.read(self.at + UNIT as u64, length as usize, out);
        self.at += UNIT as u64 + length.next_multiple_of(UNIT as u64);
        Ok(true)
    }

    /// Gives the room of what was read back to the writer. True: it has waited for room, and must be told.
    #[must_use]
    pub fn release(&self) -> bool {
        self.memory.u64_at(READ).store(self.at, Release);
        fence(SeqCst);
        let wanting = self.memory.u32_at(WANTING);
        wanting.load(Relaxed) != 0 && wanting.swap(0, Relaxed) != 0
    }

    /// Announces that this side sleeps. False: there is something after all. What was read should be released before.
    pub fn sleep(&mut self) -> Result<bool, Broken> {
        self.memory.u32_at(AWAKE).store(0, Relaxed);
        fence(SeqCst);
        let more = self.look()?;
        if more {
            self.memory.u32_at(AWAKE).store(1, Relaxed);
        }
        Ok(!more)
    }

    /// Whether there is more.
    fn look(&mut self) -> Result<bool, Broken> {
        let written = self.memory.u64_at(WRITTEN).load(Acquire);
        let sound = written >= self.written
            && written - self.at <= self.capacity as u64
            && written.is_multiple_of(UNIT as u64);
        if !sound {
            return Err(Broken);
        }
        self.written = written;
        Ok(written > self.at)
    }

    fn read(&self, at: u64, length: usize, out: &mut Vec<u8>) {
        let start = at as usize & (self.capacity - 1);
        let first = length.min(self.capacity - start);
        self.memory.read(DATA + start, first, out);
        self.memory.read(DATA, length - first, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    fn ring(capacity: usize) -> (Writer, Reader) {
        let fd = memory_of(capacity).expect("memory");
        (Writer::new(&fd).expect("a ring"), Reader::new(&fd).expect("a ring"))
    }

    fn popped(reader: &mut Reader) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        reader.pop(&mut out).expect("sound").then_some(out)
    }

    #[test]
    fn nothing_is_seen_before_it_is_published() {
        let (mut writer, mut reader) = ring(4096);
        assert!(!writer.publish(), "nothing was pushed");
        writer.push(&[b"a", b"", b"bc"]).expect("room");
        writer.push(&[]).expect("room");
        assert_eq!(popped(&mut reader), None);
        assert!(writer.publish(), "who has not begun sleeps");
        assert_eq!(popped(&mut reader).as_deref(), Some(&b"abc"[..]));
        assert_eq!(popped(&mut reader).as_deref(), Some(&b""[..]));
        assert_eq!(popped(&mut reader), None);
        writer.push(&[b"d"]).expect("room");
        assert!(!writer.publish(), "it was woken, and has not slept since");
    }

    #[test]
    fn who_sleeps_is_woken_once() {
        let (mut writer, mut reader) = ring(4096);
        assert_eq!(reader.sleep(), Ok(true));
        writer.push(&[b"x"]).expect("room");
        assert!(writer.publish());
        writer.push(&[b"y"]).expect("room");
        assert!(!writer.publish(), "it was told already");
        assert_eq!(reader.sleep(), Ok(false), "there is something to read");
    }

    #[test]
    fn a_full_ring_takes_no_more_until_room_is_given_back() {
        let (mut writer, mut reader) = ring(4096);
        let record = vec![7u8; writer.longest()];
        assert_eq!(writer.push(&[&record, b"x"]), Err(NotPushed::TooLong));
        writer.push(&[&record]).expect("room");
        writer.push(&[&record]).expect("room");
        assert_eq!(writer.push(&[b""]), Err(NotPushed::Full));
        writer.publish();
        assert_eq!(popped(&mut reader).as_ref(), Some(&record));
        assert_eq!(writer.push(&[b""]), Err(NotPushed::Full));
        assert!(reader.release(), "the writer waits for room");
        assert!(!reader.release(), "it was told");
        writer.push(&[b""]).expect("room");
    }

    #[test]
    fn what_cannot_be_is_the_end() {
        let (writer, mut reader) = ring(4096);
        for wrong in [4104, 12, u64::MAX] {
            writer.memory.u64_at(WRITTEN).store(wrong, Release);
            assert_eq!(reader.pop(&mut Vec::new()), Err(Broken), "{wrong}");
        }
        writer.memory.u64_at(WRITTEN).store(16, Release);
        for wrong in [9, 4096, u64::MAX - 6, u64::MAX] {
            writer.memory.write(DATA, &wrong.to_ne_bytes());
            assert_eq!(reader.pop(&mut Vec::new()), Err(Broken), "a record of {wrong} bytes");
        }
        assert!(Reader::new(Memory::create(5000).expect("memory")).is_err());
        let (mut writer, reader) = ring(4096);
        let record = vec![0u8; writer.longest()];
        writer.push(&[&record]).expect("room");
        writer.push(&[&record]).expect("room");
        reader.memory.u64_at(READ).store(1 << 40, Release);
        assert_eq!(writer.push(&[b""]), Err(NotPushed::Full), "a position that cannot be gives no room");
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(steps in prop::collection::vec((0usize..5, 0usize..900), 1..300)) {
            let (mut writer, mut reader) = ring(4096);
            let (mut pushed, mut published) = (VecDeque::new(), VecDeque::new());
            for (n, (step, length)) in steps.into_iter().enumerate() {
                match step {
                    0 | 1 => {
                        let record = vec![n as u8; length];
                        if writer.push(&[&record]).is_ok() {
                            pushed.push_back(record);
                        }
                    }
                    2 => {
                        writer.publish();
                        published.append(&mut pushed);
                    }
                    3 => prop_assert_eq!(popped(&mut reader), published.pop_front()),
                    _ => drop(reader.release()),
                }
            }
        }
    }

    #[test]
    fn two_threads_lose_nothing() {
        let (mut writer, mut reader) = ring(4096);
        let reading = std::thread::spawn(move || {
            let (mut next, mut out) = (0u32, Vec::new());
            while next < 200_000 {
                out.clear();
                if reader.pop(&mut out).expect("sound") {
                    assert_eq!(out[..4], next.to_ne_bytes());
                    assert_eq!(out.len(), 4 + next as usize % 100);
                    next += 1;
                } else {
                    let _ = reader.release();
                    std::thread::yield_now();
                }
            }
        });
        let padding = [0u8; 100];
        for n in 0..200_000u32 {
            while writer.push(&[&n.to_ne_bytes(), &padding[..n as usize % 100]]).is_err() {
                writer.publish();
                std::thread::yield_now();
            }
            if n % 7 == 0 {
                writer.publish();
            }
        }
        writer.publish();
        reading.join().expect("all came");
    }
}
