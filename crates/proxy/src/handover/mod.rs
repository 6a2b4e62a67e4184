//! What one gateway process leaves to the next one, when the program itself is renewed: what limits have counted, which
//! targets are well, and the counters. It travels in a piece of shared memory: JSON, and behind it the cells of limits.
//!
//! From then on the old process asks the new one about limits (`asking`), and at its end tells what it has counted since.

mod asking;
mod counters;

pub(crate) use asking::{Asker, Said, answer_in_thread};
pub(crate) use counters::Counters;

use crate::clock;
use crate::policy::rate_limit::{Handed, Limit};
use crate::shared::Shared;
use crate::upstream::target::Health;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};

/// Longest description; a table of 100,000 routes has less to count.
const MOST_BYTES: u64 = 1 << 30;

#[derive(Serialize, Deserialize)]
struct State {
    /// The zero of all times here, us of the machine's own clock.
    origin_us: i64,
    /// By how much tests have put the time forward.
    ahead_us: u64,
    targets: Vec<TargetHealth>,
    counters: Counters,
    /// Their cells follow, in this order.
    limits: Vec<Handed>,
}

#[derive(Serialize, Deserialize)]
struct TargetHealth {
    upstream: Box<str>,
    target: Box<str>,
    health: Health,
}

/// Writes all of it; gives the counters as they were written.
pub(crate) fn leave(shared: &Shared, memory: File) -> io::Result<Counters> {
    let limits = shared.limits();
    let (mut handed, mut cells) = (Vec::new(), Vec::new());
    for (policy, limit) in &limits {
        let own = limit.cells();
        handed.push(limit.handed(policy, own.len()));
        cells.push(own);
    }
    let now_ms = clock::exact_ms();
    let targets = shared.states().into_iter().map(|((upstream, target), state)| TargetHealth {
        upstream,
        target,
        health: state.health(now_ms),
    });
    let state = State {
        origin_us: clock::origin_us(),
        ahead_us: clock::ahead_us(),
        targets: targets.collect(),
        counters: Counters::read(shared),
        limits: handed,
    };
    let text = serde_json::to_vec(&state)?;
    let mut out = BufWriter::new(memory);
    out.write_all(&(text.len() as u64).to_ne_bytes())?;
    out.write_all(&text)?;
    cells.iter().flatten().try_for_each(|cell| out.write_all(&cell.to_ne_bytes()))?;
    out.flush()?;
    Ok(state.counters)
}

/// Takes it over, before there is a configuration.
pub(crate) fn take(shared: &Shared, memory: File) -> io::Result<()> {
    let mut input = BufReader::new(memory);
    let length = number(&mut input)?;
    if length > MOST_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is too long"));
    }
    let mut text = vec![0; length as usize];
    input.read_exact(&mut text)?;
    let state: State = serde_json::from_slice(&text)?;
    clock::advance(state.ahead_us / 1000);
    // What was at a time of the old process, is at that time and so much of this one.
    let shift_us = state.origin_us - clock::origin_us();
    for limit in &state.limits {
        let cells = (0..limit.cells).map(|_| number(&mut input)).collect::<io::Result<Vec<u64>>>()?;
        shared.adopt_limit(&limit.policy, Limit::of(limit, &cells, shift_us.saturating_mul(1000)));
    }
    for known in state.targets {
        shared.inherit(&known.upstream, &known.target, known.health.moved(shift_us / 1000));
    }
    state.counters.add_to(shared);
    Ok(())
}

fn number(input: &mut impl Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    input.read_exact(&mut bytes)?;
    Ok(u64::from_ne_bytes(bytes))
}

/// Tells the new process what was counted since the counters were handed over.
pub(crate) fn tell_rest(asker: &Asker, shared: &Shared, before: &Counters) {
    for part in Counters::read(shared).since(before).parts() {
        if asker.tell(&part).is_err() {
            return;
        }
    }
}
