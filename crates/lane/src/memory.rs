//! A piece of memory that two processes have mapped.
#![expect(unsafe_code, reason = "memory that is shared with another process is reached through pointers")]

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::mm::{MapFlags, ProtFlags};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64};

/// Mapped for as long as it lives. The other process may write to it at any time.
#[derive(Debug)]
pub struct Memory {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the mapping belongs to no thread; all access goes through atomics and through copies of bytes.
unsafe impl Send for Memory {}

impl Memory {
    /// A descriptor for that many bytes of zeros. Nobody can make it smaller: reading behind its end would be a
    /// fault.
    pub fn create(length: usize) -> io::Result<OwnedFd> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let fd = rustix::fs::memfd_create("pylos-lane", flags)?;
        rustix::fs::ftruncate(&fd, length as u64)?;
        rustix::fs::fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        Ok(fd)
    }

    /// Maps all of it. Refuses what is not sealed against shrinking.
    pub fn map(fd: impl AsFd) -> io::Result<Self> {
        if !rustix::fs::fcntl_get_seals(&fd)?.contains(SealFlags::SHRINK) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the memory could shrink"));
        }
        let length = usize::try_from(rustix::fs::fstat(&fd)?.st_size).map_err(io::Error::other)?;
        let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: a new mapping at a place of the kernel's choice takes nothing from anyone.
        let start = unsafe { rustix::mm::mmap(std::ptr::null_mut(), length, access, flags, &fd, 0)? };
        let start = NonNull::new(start.cast()).ok_or_else(|| io::Error::other("mapped to nowhere"))?;
        Ok(Memory { start, length })
    }

    pub fn len(&self) -> usize {
        self.length
    }

    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub(crate) fn u64_at(&self, offset: usize) -> &AtomicU64 {
        assert!(offset.is_multiple_of(8) && offset + 8 <= self.length, "within the memory");
        // SAFETY: in bounds and aligned (a mapping begins at a page), zeroed at first; atomics may be written by
        // others.
        unsafe { AtomicU64::from_ptr(self.start.as_ptr().add(offset).cast()) }
    }

    pub(crate) fn u32_at(&self, offset: usize) -> &AtomicU32 {
        assert!(offset.is_multiple_of(4) && offset + 4 <= self.length, "within the memory");
        // SAFETY: as above.
        unsafe { AtomicU32::from_ptr(self.start.as_ptr().add(offset).cast()) }
    }

    /// Copies bytes in.
    pub(crate) fn write(&self, offset: usize, bytes: &[u8]) {
        assert!(offset.checked_add(bytes.len()).is_some_and(|end| end <= self.length), "within the memory");
        // SAFETY: in bounds, and `bytes` is memory of this process, which a mapping never overlaps.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.start.as_ptr().add(offset), bytes.len());
        }
    }

    /// Appends a copy of bytes. What the other side writes meanwhile makes the copy wrong, never this process.
    pub(crate) fn read(&self, offset: usize, length: usize, out: &mut Vec<u8>) {
        assert!(offset.checked_add(length).is_some_and(|end| end <= self.length), "within the memory");
        out.reserve(length);
        // SAFETY: in bounds on both sides; `out` has room for `length` more bytes, which are written before they
        // count.
        unsafe {
            let room = out.spare_capacity_mut().as_mut_ptr().cast::<u8>();
            std::ptr::copy_nonoverlapping(self.start.as_ptr().add(offset), room, length);
            out.set_len(out.len() + length);
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: mapped by `map`, and no reference into it outlives `self`.
        let _ = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.length) };
    }
}
