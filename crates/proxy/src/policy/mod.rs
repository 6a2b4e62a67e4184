//! The built-in policies: what each does to a request and to an answer.

pub(crate) mod headers;
pub(crate) mod rate_limit;
