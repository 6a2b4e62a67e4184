//! Every metric's name and help text stands here. Labels come from the configuration, never from a request.

pub(crate) struct Metric {
    pub(crate) name: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) help: &'static str,
}

const fn counter(name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: "counter", help }
}
const fn gauge(name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: "gauge", help }
}

pub(crate) const REQUESTS: Metric = counter("pylos_requests_total", "Requests answered, by class of status.");
pub(crate) const REQUEST_BYTES: Metric =
    counter("pylos_request_body_bytes_total", "Bytes of request bodies received.");
pub(crate) const RESPONSE_BYTES: Metric =
    counter("pylos_response_bytes_total", "Bytes sent to clients, heads included.");
pub(crate) const DURATION: Metric = Metric {
    name: "pylos_request_duration_seconds",
    kind: "histogram",
    help: "From the first byte of a request to the last of its answer.",
};
pub(crate) const UPSTREAM_REQUESTS: Metric =
    counter("pylos_upstream_requests_total", "Answers of upstream targets, by class of status.");
pub(crate) const UPSTREAM_FAILURES: Metric =
    counter("pylos_upstream_failures_total", "Exchanges with a target that ended without a whole answer.");
pub(crate) const CONNECT_FAILURES: Metric =
    counter("pylos_upstream_connect_failures_total", "Connections to a target that could not be made.");
pub(crate) const RETRIES: Metric = counter("pylos_retries_total", "Attempts beyond a request's first.");
pub(crate) const UPSTREAM_STATE: Metric =
    gauge("pylos_upstream_state", "1 when the target takes traffic, 0 when it is down or ejected.");
pub(crate) const UPSTREAM_CONNECTIONS: Metric =
    gauge("pylos_upstream_connections", "Open connections to a target, idle ones included.");
pub(crate) const CONNECTIONS: Metric = gauge("pylos_connections", "Open client connections.");
pub(crate) const ACCEPTED: Metric =
    counter("pylos_connections_accepted_total", "Client connections accepted.");
pub(crate) const REFUSED: Metric = counter(
    "pylos_connections_refused_total",
    "Client connections closed at once because a bound was reached.",
);
pub(crate) const HANDSHAKES: Metric =
    counter("pylos_tls_handshakes_total", "TLS handshakes of clients, by what came of them.");
pub(crate) const CERTIFICATE_ENDS: Metric = gauge(
    "pylos_tls_certificate_not_after_timestamp_seconds",
    "The end of a certificate that clients are shown, in seconds since 1970.",
);
pub(crate) const POLICY_WOULD: Metric = counter(
    "pylos_policy_would_total",
    "Requests on which a policy would have acted, had it been enforced for them.",
);
pub(crate) const POLICY_ASKED: Metric = counter(
    "pylos_policy_asked_total",
    "Requests about which a policy in Python was to be asked, by what came of it.",
);
pub(crate) const POLICY_WAIT: Metric = Metric {
    name: "pylos_policy_wait_seconds",
    kind: "histogram",
    help: "How long a request waited for a policy in Python.",
};
pub(crate) const RATE_LIMIT: Metric = counter(
    "pylos_rate_limit_total",
    "Requests that a limit was asked about and enforced for, by what came of it.",
);
pub(crate) const RATE_LIMIT_KEYS: Metric = gauge(
    "pylos_rate_limit_keys",
    "Keys that a limit has in memory, those that may take all again included.",
);
pub(crate) const LOG_DROPPED: Metric =
    counter("pylos_log_lines_dropped_total", "Access log lines lost because the output was blocked.");
pub(crate) const PANICS: Metric = counter("pylos_panics_total", "Requests ended by a defect of the gateway.");
pub(crate) const MEMORY_USED: Metric = gauge(
    "pylos_memory_used_bytes",
    "Memory that counts for the bound at which requests are refused; 0 where there is no bound.",
);
pub(crate) const MEMORY_LOW: Metric =
    gauge("pylos_memory_low", "1 while requests are refused because memory runs out.");
pub(crate) const GENERATION: Metric =
    gauge("pylos_config_generation", "Number of the configuration in use, one more at each reload.");
pub(crate) const WORKERS: Metric = gauge("pylos_workers", "Worker threads.");
pub(crate) const SNAPSHOTS: Metric = gauge(
    "pylos_config_snapshots",
    "Configurations that a worker or a request still uses, counted for each worker.",
);
