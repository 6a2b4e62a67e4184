//! A hash for look-ups among keys that the configuration chose. It is not keyed: a client can pick what it
//! asks for, but never what is stored, so it cannot make a bucket long.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

pub(crate) type FastMap<V> = HashMap<Box<[u8]>, V, BuildHasherDefault<FoldHasher>>;

/// Eight bytes a step; the halves of a 128-bit product are folded together.
#[derive(Default)]
pub(crate) struct FoldHasher(u64);

const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;

impl FoldHasher {
    fn mix(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word) * u128::from(MULTIPLIER);
        self.0 = (product as u64) ^ (product >> 64) as u64;
    }
}

impl Hasher for FoldHasher {
    fn write(&mut self, bytes: &[u8]) {
        let mut words = bytes.chunks_exact(8);
        for word in &mut words {
            self.mix(u64::from_le_bytes(word.try_into().expect("chunks of eight")));
        }
        let rest = words.remainder();
        if !rest.is_empty() {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            self.mix(u64::from_le_bytes(word) ^ ((rest.len() as u64) << 56));
        }
    }

    fn write_usize(&mut self, length: usize) {
        self.0 = self.0.wrapping_add(MULTIPLIER).rotate_left(5) ^ length as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
