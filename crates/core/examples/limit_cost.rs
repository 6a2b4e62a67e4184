//! What taking from a limit costs, by the number of keys and of threads: `cargo run --release -p pylos-core --example
//! limit_cost`.
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use pylos_core::limit::{Buckets, MOST_KEYS, Rate};
use std::hint::black_box;
use std::time::Instant;

const TAKES: u64 = 5_000_000;

fn key(n: u64) -> u64 {
    n.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

fn resident_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    let kb = line.split_whitespace().nth(1).and_then(|kb| kb.parse::<f64>().ok());
    kb.unwrap_or_default() / 1024.0
}

/// Nanoseconds for each, of keys in an order that no cache foresees.
fn cost(buckets: &Buckets, keys: u64) -> f64 {
    let start = Instant::now();
    let mut at = 1u64;
    for n in 0..TAKES {
        at = at.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        black_box(buckets.take(key((at >> 33) % keys), 1_000_000_000 + n));
    }
    start.elapsed().as_nanos() as f64 / TAKES as f64
}

fn main() {
    for rates in
        [vec![Rate::new(600, 60_000, 600)], vec![Rate::new(10, 1000, 10), Rate::new(600, 60_000, 600)]]
    {
        for keys in [1, 1000, 100_000, MOST_KEYS as u64 * 15 / 16] {
            let before = resident_mb();
            let buckets = Buckets::new(&rates);
            let start = Instant::now();
            (0..keys).for_each(|n| drop(buckets.take(key(n), 1_000_000_000)));
            let first = start.elapsed().as_nanos() as f64 / keys as f64;
            let grown = resident_mb() - before;
            let alone = cost(&buckets, keys);
            let together = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..2).map(|_| scope.spawn(|| cost(&buckets, keys))).collect();
                threads.into_iter().map(|thread| thread.join().unwrap_or(f64::NAN)).fold(0.0, f64::max)
            });
            println!(
                "{} rates, {keys:>7} keys: {first:6.1} ns for a new key, {alone:5.1} ns for a known one, \
                 {together:5.1} ns by two threads, {grown:5.1} MB for {} keys",
                rates.len(),
                buckets.keys()
            );
        }
    }
}
