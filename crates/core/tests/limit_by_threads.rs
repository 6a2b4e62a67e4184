//! Buckets that many threads take from at once. (The core itself starts none.)

use pylos_core::limit::{Buckets, Rate};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

const SECOND: u64 = 1_000_000_000;
const THREADS: usize = 8;

/// How many requests pass for each key, of as many tries by each thread.
fn passed(rates: &[Rate], keys: u64, tries: usize) -> Vec<usize> {
    let buckets = Buckets::new(rates);
    let counts: Vec<AtomicUsize> = (0..keys).map(|_| AtomicUsize::new(0)).collect();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for n in (0..tries).flat_map(|_| 0..keys) {
                    let key = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
                    if buckets.take(key, SECOND).admitted {
                        counts[n as usize].fetch_add(1, Relaxed);
                    }
                }
            });
        }
    });
    counts.into_iter().map(AtomicUsize::into_inner).collect()
}

#[test]
fn many_threads_get_no_more_than_one() {
    let one = passed(&[Rate::new(10, 60_000, 10)], 500, 5);
    assert!(one.iter().all(|count| *count == 10), "{one:?}");
    let two = passed(&[Rate::new(10, 60_000, 10), Rate::new(7, 3_600_000, 7)], 500, 5);
    assert!(two.iter().all(|count| *count == 7), "{two:?}");
    let contended = passed(&[Rate::new(100_000, 60_000, 100_000)], 1, 50_000);
    assert_eq!(contended, [100_000]);
}
