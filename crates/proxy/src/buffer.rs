//! Byte buffers that belong to a worker and are lent to whoever has bytes in flight. A connection that waits
//! holds none.

use std::cell::{Cell, RefCell};

/// What a head is read into, and small bodies.
pub(crate) const SMALL: usize = 16 * 1024;
/// What the rest of a larger body goes through.
pub(crate) const LARGE: usize = 64 * 1024;

/// Bytes that were read and not yet used: `start..end` of a block that is always initialised.
#[derive(Default)]
pub(crate) struct Buffer {
    block: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.block[self.start..self.end]
    }
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.block[self.start..self.end]
    }
    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }
    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }
    /// Whether there is a block behind it at all.
    pub(crate) fn is_lent(&self) -> bool {
        !self.block.is_empty()
    }
    pub(crate) fn is_large(&self) -> bool {
        self.block.len() >= LARGE
    }
    pub(crate) fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
    }

    /// Drops `n` bytes from the front.
    pub(crate) fn consume(&mut self, n: usize) {
        self.start += n;
        debug_assert!(self.start <= self.end);
        if self.start == self.end {
            self.clear();
        }
    }

    /// Drops all but the first `n` bytes.
    pub(crate) fn truncate(&mut self, n: usize) {
        self.end = self.end.min(self.start + n);
    }

    /// Room behind the bytes; moves them to the front when there is little left.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        if self.start > 0 && self.block.len() - self.end < self.block.len() / 4 {
            self.block.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        &mut self.block[self.end..]
    }

    /// Says that `n` bytes were put into the room.
    pub(crate) fn filled(&mut self, n: usize) {
        self.end += n;
        debug_assert!(self.end <= self.block.len());
    }

    /// Makes the block larger, up to `most`; false when it has that size already.
    pub(crate) fn grow(&mut self, most: usize) -> bool {
        let size = (self.block.len() * 2).clamp(SMALL, most.max(SMALL));
        if size <= self.block.len() {
            return false;
        }
        self.block.resize(size, 0);
        true
    }

    /// Appends bytes, growing as needed.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.block.len() - self.end < bytes.len() {
            self.room();
            let size = (self.end + bytes.len()).max(self.block.len());
            self.block.resize(size, 0);
        }
        self.block[self.end..self.end + bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
    }
}

/// Free buffers of both sizes.
#[derive(Default)]
pub(crate) struct Buffers {
    small: Shelf,
    large: Shelf,
}

#[derive(Default)]
struct Shelf {
    free: RefCell<Vec<Buffer>>,
    /// The fewest that lay here since the last trim: so many were not needed.
    spare: Cell<usize>,
}

impl Shelf {
    fn take(&self, size: usize) -> Buffer {
        let mut free = self.free.borrow_mut();
        let buffer = free.pop();
        self.spare.set(self.spare.get().min(free.len()));
        buffer.unwrap_or_else(|| Buffer { block: vec![0; size], start: 0, end: 0 })
    }
    fn give(&self, mut buffer: Buffer) {
        buffer.clear();
        self.free.borrow_mut().push(buffer);
    }
    /// Frees half of what was not needed since the last time.
    fn trim(&self) {
        let mut free = self.free.borrow_mut();
        let surplus = self.spare.get().div_ceil(2);
        let kept = free.len() - surplus.min(free.len());
        free.truncate(kept);
        free.shrink_to(kept.next_power_of_two());
        self.spare.set(free.len());
    }
}

impl Buffers {
    pub(crate) fn small(&self) -> Buffer {
        self.small.take(SMALL)
    }
    pub(crate) fn large(&self) -> Buffer {
        self.large.take(LARGE)
    }
    /// Takes a buffer back, whatever is left in it. One of an odd size is freed.
    pub(crate) fn give(&self, buffer: Buffer) {
        match buffer.block.len() {
            SMALL => self.small.give(buffer),
            LARGE => self.large.give(buffer),
            _ => {}
        }
    }
    /// To be called about once a second.
    pub(crate) fn trim(&self) {
        self.small.trim();
        self.large.trim();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_move_to_the_front_when_room_is_short() {
        let mut buffer = Buffers::default().small();
        buffer.push(&vec![1; SMALL - 10]);
        buffer.consume(SMALL - 20);
        assert_eq!(buffer.room().len(), SMALL - 10);
        assert_eq!(buffer.bytes(), &[1; 10]);
    }

    #[test]
    fn unused_buffers_are_freed_in_the_end() {
        let buffers = Buffers::default();
        let lent: Vec<_> = (0..8).map(|_| buffers.small()).collect();
        lent.into_iter().for_each(|b| buffers.give(b));
        (0..8).for_each(|_| buffers.trim());
        assert_eq!(buffers.small.free.borrow().len(), 0);
    }
}
