//! What do we remember? Counters, and the access log's line.

use super::Exchange;
use crate::connection::tunnel::TunnelLog;
use crate::telemetry::access_log;
use pylos_core::table::{PolicyId, RouteId, UpstreamId};
use std::borrow::Cow;

/// What became of a request; filled in on its way. Times in microseconds since the origin.
#[derive(Default)]
pub(crate) struct Record {
    pub(crate) started_us: u64,
    pub(crate) connect_us: Option<u64>,
    pub(crate) first_byte_us: Option<u64>,
    pub(crate) route: Option<RouteId>,
    pub(crate) upstream: Option<(UpstreamId, usize)>,
    pub(crate) retries: u32,
    /// The body was streamed to an upstream: whether to its end.
    pub(crate) streamed: Option<bool>,
    /// 100 was passed on.
    pub(crate) continued: bool,
    /// Of the answer that was sent; 0 = none was.
    pub(crate) status: u16,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    /// What policies would have done that were not enforced, each with its reason.
    pub(crate) would: Vec<(PolicyId, &'static str)>,
    /// Code of a refusal.
    pub(crate) reason: Option<Cow<'static, str>>,
    /// Why no trusted connection to the target could be made.
    pub(crate) why: Option<Box<str>>,
    /// Why it ended, when not well.
    pub(crate) ended: Option<&'static str>,
    /// Counted and logged.
    pub(crate) over: bool,
    /// Where in the outgoing head the target's own name stands, for upstreams that want it.
    pub(crate) host_at: Option<(usize, usize)>,
}

pub(crate) fn record(x: &mut Exchange<'_>) {
    x.record.over = true;
    let now = crate::clock::exact_us();
    let record = &x.record;
    let cells = x.snapshot.route_cells(x.listener, record.route);
    cells.requests.count(record.status);
    cells.bytes_in.add(record.bytes_in);
    cells.bytes_out.add(record.bytes_out);
    cells.duration.observe(now.saturating_sub(record.started_us));
    count_would(x);
    let Some(mut log) = x.worker.log() else { return };
    access_log::begin(&mut log.block, x);
    access_log::end(
        &mut log.block,
        &access_log::Outcome {
            bytes_in: record.bytes_in,
            bytes_out: record.bytes_out,
            duration_us: now.saturating_sub(record.started_us),
            ended: record.ended.unwrap_or("ok"),
        },
    );
    log.line_done();
}

impl Drop for Exchange<'_> {
    /// The gateway ends before the request does, or a defect has ended it: it has its line all the same.
    fn drop(&mut self) {
        let understood = self.scratch.request.block.is_lent();
        if understood && !self.record.over {
            self.record.ended.get_or_insert("cut");
            record(self);
        }
    }
}

fn count_would(x: &Exchange<'_>) {
    for (policy, _) in &x.record.would {
        x.snapshot.would[policy.index()].add(1);
    }
}

/// A tunnel begins: counted now, without its duration, which would tell nothing about the others; its line is
/// completed when it ends, without the configuration.
pub(crate) fn tunnel(x: &mut Exchange<'_>) -> TunnelLog {
    x.record.over = true;
    x.snapshot.route_cells(x.listener, x.record.route).requests.count(x.record.status);
    count_would(x);
    let mut line = Vec::new();
    if x.worker.log().is_some() {
        access_log::begin(&mut line, x);
    }
    TunnelLog { line, started_us: x.record.started_us }
}
