//! The Prometheus text format 0.0.4. Runs at a scrape, on the side thread.

use super::cells::{BUCKETS, CAME, CLASSES, bucket_bound};
use super::names::{self, Metric};
use super::registry::{Known, NO_ROUTE, Pair};
use crate::tls::Expiry;
use crate::upstream::target::TargetState;
use std::fmt::Write;
use std::sync::Arc;

/// Numbers of the process as a whole.
pub(crate) struct Process {
    pub(crate) generation: u64,
    pub(crate) workers: usize,
    pub(crate) snapshots: usize,
    pub(crate) log_dropped: u64,
    pub(crate) panics: u64,
    /// Bytes; and whether it runs out.
    pub(crate) memory: (u64, bool),
    /// By limit.
    pub(crate) limited_keys: Vec<(Box<str>, usize)>,
}

/// The whole page.
pub(crate) fn render(
    known: &Known, states: &[(Pair, Arc<TargetState>)], shown: &[Expiry], process: &Process, now_ms: u64,
) -> String {
    let mut page = String::with_capacity(16 * 1024);
    routes(&mut page, known);
    targets(&mut page, known, states, now_ms);
    listeners(&mut page, known);
    certificates(&mut page, shown);
    policies(&mut page, known);
    asked(&mut page, known);
    limits(&mut page, known, &process.limited_keys);
    for (metric, value) in [
        (&names::GENERATION, process.generation),
        (&names::WORKERS, process.workers as u64),
        (&names::SNAPSHOTS, process.snapshots as u64),
        (&names::LOG_DROPPED, process.log_dropped),
        (&names::PANICS, process.panics),
        (&names::MEMORY_USED, process.memory.0),
        (&names::MEMORY_LOW, u64::from(process.memory.1)),
    ] {
        head(&mut page, metric);
        let _ = writeln!(page, "{} {value}", metric.name);
    }
    page
}

fn routes(page: &mut String, known: &Known) {
    head(page, &names::REQUESTS);
    for ((listener, route), cells) in &known.routes {
        let labels = format!("listener=\"{}\",route=\"{}\"", escaped(listener), escaped(route));
        classes(page, &names::REQUESTS, &labels, cells.iter().map(|c| c.requests.read()));
    }
    for (metric, pick) in [
        (&names::REQUEST_BYTES, (|c| c.bytes_in.read()) as fn(&super::cells::RouteCells) -> u64),
        (&names::RESPONSE_BYTES, |c| c.bytes_out.read()),
    ] {
        head(page, metric);
        for ((listener, route), cells) in &known.routes {
            let sum: u64 = cells.iter().map(|c| pick(c)).sum();
            let (listener, route) = (escaped(listener), escaped(route));
            let _ = writeln!(page, "{}{{listener=\"{listener}\",route=\"{route}\"}} {sum}", metric.name);
        }
    }
    head(page, &names::DURATION);
    // By route alone: a histogram has many series.
    let mut by_route = std::collections::BTreeMap::<&str, ([u64; BUCKETS + 1], u64)>::new();
    for ((_, route), cells) in &known.routes {
        let sum = by_route.entry(route).or_default();
        for (buckets, us) in cells.iter().map(|c| c.duration.read()) {
            sum.0.iter_mut().zip(buckets).for_each(|(total, n)| *total += n);
            sum.1 += us;
        }
    }
    for (route, (buckets, us)) in by_route {
        histogram(page, names::DURATION.name, ("route", route), &buckets, us);
    }
}

/// The policies in Python.
fn asked(page: &mut String, known: &Known) {
    if known.asked.is_empty() {
        return;
    }
    head(page, &names::POLICY_ASKED);
    for (policy, cells) in &known.asked {
        let policy = escaped(policy);
        for (index, came) in CAME.iter().enumerate() {
            let sum: u64 = cells.iter().map(|c| c.read()[index]).sum();
            let _ =
                writeln!(page, "{}{{policy=\"{policy}\",result=\"{came}\"}} {sum}", names::POLICY_ASKED.name);
        }
    }
    head(page, &names::POLICY_WAIT);
    for (policy, cells) in &known.asked {
        let mut sum = ([0; BUCKETS + 1], 0);
        for (buckets, us) in cells.iter().map(|c| c.wait.read()) {
            sum.0.iter_mut().zip(buckets).for_each(|(total, n)| *total += n);
            sum.1 += us;
        }
        histogram(page, names::POLICY_WAIT.name, ("policy", policy), &sum.0, sum.1);
    }
}

fn limits(page: &mut String, known: &Known, keys: &[(Box<str>, usize)]) {
    if known.limited.is_empty() {
        return;
    }
    head(page, &names::RATE_LIMIT);
    for (policy, cells) in &known.limited {
        let (name, policy) = (names::RATE_LIMIT.name, escaped(policy));
        let mut sums = [("", 0u64); 2];
        for counts in cells.iter().map(|cells| cells.read()) {
            sums.iter_mut().zip(counts).for_each(|(sum, (result, n))| *sum = (result, sum.1 + n));
        }
        for (result, sum) in sums {
            let _ = writeln!(page, "{name}{{policy=\"{policy}\",result=\"{result}\"}} {sum}");
        }
    }
    head(page, &names::RATE_LIMIT_KEYS);
    for (policy, count) in keys {
        let _ = writeln!(page, "{}{{policy=\"{}\"}} {count}", names::RATE_LIMIT_KEYS.name, escaped(policy));
    }
}

fn histogram(
    page: &mut String, name: &str, (label, value): (&str, &str), buckets: &[u64; BUCKETS + 1], sum_us: u64,
) {
    let value = escaped(value);
    let mut below = 0;
    for (i, n) in buckets.iter().enumerate() {
        below += n;
        if i < BUCKETS {
            let bound = bucket_bound(i);
            let _ = writeln!(page, "{name}_bucket{{{label}=\"{value}\",le=\"{bound}\"}} {below}");
        }
    }
    let _ = writeln!(page, "{name}_bucket{{{label}=\"{value}\",le=\"+Inf\"}} {below}");
    let _ = writeln!(page, "{name}_sum{{{label}=\"{value}\"}} {}", sum_us as f64 / 1e6);
    let _ = writeln!(page, "{name}_count{{{label}=\"{value}\"}} {below}");
}

fn targets(page: &mut String, known: &Known, states: &[(Pair, Arc<TargetState>)], now_ms: u64) {
    head(page, &names::UPSTREAM_REQUESTS);
    for (pair, cells) in &known.targets {
        classes(
            page,
            &names::UPSTREAM_REQUESTS,
            &target_labels(pair),
            cells.iter().map(|c| c.requests.read()),
        );
    }
    for (metric, pick) in [
        (&names::UPSTREAM_FAILURES, (|c| c.failures.read()) as fn(&super::cells::TargetCells) -> u64),
        (&names::CONNECT_FAILURES, |c| c.connect_failures.read()),
        (&names::UPSTREAM_CONNECTIONS, |c| c.connections.read()),
    ] {
        head(page, metric);
        for (pair, cells) in &known.targets {
            let sum = cells.iter().map(|c| pick(c)).fold(0, u64::wrapping_add);
            let _ = writeln!(page, "{}{{{}}} {sum}", metric.name, target_labels(pair));
        }
    }
    head(page, &names::RETRIES);
    let mut by_upstream = std::collections::BTreeMap::<&str, u64>::new();
    for ((upstream, _), cells) in &known.targets {
        *by_upstream.entry(upstream).or_default() += cells.iter().map(|c| c.retries.read()).sum::<u64>();
    }
    for (upstream, sum) in by_upstream {
        let _ = writeln!(page, "{}{{upstream=\"{}\"}} {sum}", names::RETRIES.name, escaped(upstream));
    }
    head(page, &names::UPSTREAM_STATE);
    for (pair, state) in states {
        let up = u8::from(state.usable(now_ms));
        let _ = writeln!(page, "{}{{{}}} {up}", names::UPSTREAM_STATE.name, target_labels(pair));
    }
}

fn listeners(page: &mut String, known: &Known) {
    for (metric, pick) in [
        (&names::CONNECTIONS, (|c| c.connections.read()) as fn(&super::cells::ListenerCells) -> u64),
        (&names::ACCEPTED, |c| c.accepted.read()),
        (&names::REFUSED, |c| c.refused.read()),
    ] {
        head(page, metric);
        for (listener, cells) in &known.listeners {
            let sum = cells.iter().map(|c| pick(c)).fold(0, u64::wrapping_add);
            let _ = writeln!(page, "{}{{listener=\"{}\"}} {sum}", metric.name, escaped(listener));
        }
    }
    head(page, &names::HANDSHAKES);
    for (listener, cells) in &known.listeners {
        let mut sums: Vec<(&str, &str, u64)> = Vec::new();
        for cells in cells.iter() {
            for (index, (result, version, count)) in cells.handshakes.read().enumerate() {
                match sums.get_mut(index) {
                    Some(sum) => sum.2 += count,
                    None => sums.push((result, version, count)),
                }
            }
        }
        // A listener on which nobody speaks TLS has no series.
        let any = sums.iter().any(|(.., count)| *count > 0);
        for (result, version, sum) in sums.into_iter().filter(|_| any) {
            let (name, listener) = (names::HANDSHAKES.name, escaped(listener));
            let labels = format!("listener=\"{listener}\",result=\"{result}\",version=\"{version}\"");
            let _ = writeln!(page, "{name}{{{labels}}} {sum}");
        }
    }
}

fn certificates(page: &mut String, shown: &[Expiry]) {
    head(page, &names::CERTIFICATE_ENDS);
    for one in shown {
        let (tls, name, serial) = (escaped(&one.tls), escaped(&one.name), &one.serial);
        let labels = format!("tls=\"{tls}\",name=\"{name}\",serial=\"{serial}\"");
        let _ = writeln!(page, "{}{{{labels}}} {}", names::CERTIFICATE_ENDS.name, one.ends);
    }
}

fn policies(page: &mut String, known: &Known) {
    head(page, &names::POLICY_WOULD);
    for (policy, counts) in &known.policies {
        let sum = counts.iter().map(|count| count.read()).fold(0, u64::wrapping_add);
        let _ = writeln!(page, "{}{{policy=\"{}\"}} {sum}", names::POLICY_WOULD.name, escaped(policy));
    }
}

fn classes(page: &mut String, metric: &Metric, labels: &str, counts: impl Iterator<Item = [u64; 6]>) {
    let mut sums = [0u64; 6];
    for count in counts {
        sums.iter_mut().zip(count).for_each(|(sum, n)| *sum += n);
    }
    for (class, sum) in CLASSES.iter().zip(sums) {
        let _ = writeln!(page, "{}{{{labels},code=\"{class}\"}} {sum}", metric.name);
    }
}

fn target_labels((upstream, target): &Pair) -> String {
    format!("upstream=\"{}\",target=\"{}\"", escaped(upstream), escaped(target))
}

fn head(page: &mut String, metric: &Metric) {
    let _ = writeln!(page, "# HELP {} {}\n# TYPE {} {}", metric.name, metric.help, metric.name, metric.kind);
}

/// A label's value: backslash, quote and line end escaped.
fn escaped(text: &str) -> String {
    debug_assert!(!NO_ROUTE.contains('"'));
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
