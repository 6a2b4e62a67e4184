//! What is seen of a target: was it one of its failures, and how long did it take?

use super::Exchange;
use super::forward::{is_lost, no_answer};
use crate::snapshot::UpstreamState;
use crate::telemetry::cells::TargetCells;
use crate::upstream::exchange_h1::Outcome;
use pylos_core::balance::Algorithm;
use pylos_core::table::UpstreamId;

/// What is seen of how a target answers: whether it is one of its failures, and how long it took.
pub(super) fn observe(
    x: &Exchange<'_>, state: &UpstreamState, (upstream, target): (UpstreamId, usize), outcome: &Outcome,
    seen: Seen,
) {
    count(x, &state.targets[target].pool.cells, outcome);
    let settings = &x.snapshot.table.upstreams[upstream.index()];
    let (balancer, clock) = (&state.way.balancer, &x.worker.clock);
    let failed = |why: &str| {
        balancer.failed(target, settings, why, clock.ms());
        true
    };
    let bad = match outcome {
        // A dead kept connection is an everyday thing.
        Outcome::NoAnswer(none) if seen.reused && is_lost(&none.failure) => return,
        Outcome::NoAnswer(none) => failed(&no_answer(&none.failure).reason),
        Outcome::Cut(ended) | Outcome::Reset(ended) if ended.starts_with("upstream") => failed(ended),
        Outcome::Cut(_) | Outcome::Reset(_) | Outcome::Refused(_) => return,
        Outcome::Answered { .. } | Outcome::Denied(_) | Outcome::Switched(_) => {
            let status = x.scratch.answer.status;
            if settings.outliers.as_ref().is_some_and(|outliers| outliers.statuses.has(status)) {
                failed(&format!("status {status}"))
            } else {
                balancer.succeeded(target, settings, clock.ms());
                false
            }
        }
    };
    // A body that the client takes its time to send says nothing about the target.
    if settings.balance.algorithm == Algorithm::PeakEwma && x.record.streamed.is_none() {
        let first_us = x.record.first_byte_us.map(|us| x.record.started_us + us);
        let took_us = first_us.unwrap_or_else(|| clock.us()).saturating_sub(seen.began_us);
        state.targets[target]
            .pool
            .state
            .answered(if bad { took_us.max(FAILED_US) } else { took_us }, clock.ms());
    }
}

/// What a failure counts for at least where targets are compared by their time: one that fails at once is not quick.
const FAILED_US: u64 = 1_000_000;

/// A connection could not be made.
pub(super) fn slow_down(x: &Exchange<'_>, state: &UpstreamState, upstream: UpstreamId, target: usize) {
    if x.snapshot.table.upstreams[upstream.index()].balance.algorithm == Algorithm::PeakEwma {
        state.targets[target].pool.state.answered(FAILED_US, x.worker.clock.ms());
    }
}

/// Of one exchange.
pub(super) struct Seen {
    pub(super) began_us: u64,
    pub(super) reused: bool,
}

fn count(x: &Exchange<'_>, cells: &TargetCells, outcome: &Outcome) {
    let upstreams_fault = match outcome {
        Outcome::NoAnswer(_) => true,
        Outcome::Cut(ended) | Outcome::Reset(ended) => ended.starts_with("upstream"),
        _ => false,
    };
    if upstreams_fault {
        cells.failures.add(1);
    }
    if !matches!(outcome, Outcome::NoAnswer(_)) {
        cells.requests.count(x.record.status);
    }
}
