//! The head of an upstream's answer: understood strictly, or the upstream is at fault.

use crate::request::incoming::{Answer, Request};
use crate::stream::Broken;
use pylos_core::http1::framing;
use pylos_core::http1::{HeadError, HeadLimits, HeadParser, StatusLine};
use pylos_core::message::head::{Version, members};
use pylos_core::message::names::Known;

/// Bounds for what an upstream may say, in bytes and fields.
pub(crate) const LIMITS: HeadLimits = HeadLimits { line: 16 * 1024, total: 64 * 1024, fields: 200 };
/// Interim answers to one request.
pub(crate) const MAX_INTERIM: u32 = 16;

/// Why there is no answer to pass on.
#[derive(Debug)]
pub(crate) enum AnswerFailure {
    /// The connection ended before a byte of an answer.
    Silent,
    /// It ended, failed or timed out; `Broken` says which.
    Broken(Broken),
    /// It ended within the head.
    Truncated,
    /// What came cannot be understood in one way only.
    Malformed,
}

/// Parses the head at the front of `bytes`; gives its length once it is whole.
pub(crate) fn parse(
    parser: &mut HeadParser<StatusLine>, bytes: &[u8], answer: &mut Answer, request: &Request,
) -> Result<Option<usize>, AnswerFailure> {
    let malformed = |_: HeadError| AnswerFailure::Malformed;
    let Some(head) = parser.feed(bytes, &mut answer.fields, &LIMITS).map_err(malformed)? else {
        return Ok(None);
    };
    answer.status = head.line.status;
    answer.version = head.line.version;
    let length =
        framing::of_response(bytes, &answer.fields, answer.version, answer.status, request.is_head());
    answer.length = length.map_err(|_| AnswerFailure::Malformed)?;
    let listed = |token: &[u8]| {
        let mut tokens = answer.fields.all(bytes, Known::Connection).flat_map(members);
        tokens.any(|t| t.eq_ignore_ascii_case(token))
    };
    answer.close = match answer.version {
        Version::Http11 => listed(b"close"),
        Version::Http10 => !listed(b"keep-alive"),
    };
    Ok(Some(head.len))
}
