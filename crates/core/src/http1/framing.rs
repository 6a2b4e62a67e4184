//! How long is the body? (RFC 9112, 6.3; strict: what two readers could understand in two ways is refused.)

use crate::message::head::{Fields, Version};
use crate::message::names::{Known, NameSet};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FramingError {
    /// Content-Length and Transfer-Encoding together (RFC 9112, 6.1).
    Both,
    /// Content-Length is not digits, too large, or there more than once.
    BadLength,
    /// Transfer-Encoding is malformed, repeated, or `chunked` is not its end.
    BadTransferEncoding,
    /// A transfer coding other than `chunked`.
    UnknownCoding,
    /// Transfer-Encoding in an HTTP/1.0 message.
    CodingInHttp10,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Length {
    /// No body at all.
    #[default]
    None,
    /// So many bytes.
    Known(u64),
    Chunked,
    /// Until the connection ends; answers only.
    UntilClose,
}

const FRAMING: NameSet = NameSet::of(&[Known::ContentLength, Known::TransferEncoding]);

/// The body of a request.
pub fn of_request(block: &[u8], fields: &Fields, version: Version) -> Result<Length, FramingError> {
    if !fields.seen.meets(FRAMING) {
        return Ok(Length::None);
    }
    declared(block, fields, version).map(|d| match d {
        Some(Length::Known(0)) | None => Length::None,
        Some(length) => length,
    })
}

/// The body of an answer, to a request of which `to_head` says whether its method was HEAD. A final status.
pub fn of_response(
    block: &[u8], fields: &Fields, version: Version, status: u16, to_head: bool,
) -> Result<Length, FramingError> {
    let declared = if bodyless(status) { None } else { declared(block, fields, version)? };
    if to_head || bodyless(status) {
        return Ok(Length::None);
    }
    Ok(declared.unwrap_or(Length::UntilClose))
}

/// Statuses whose answers end at the blank line, whatever their fields say (RFC 9112, 6.3, 1).
pub fn bodyless(status: u16) -> bool {
    status < 200 || status == 204 || status == 304
}

fn declared(block: &[u8], fields: &Fields, version: Version) -> Result<Option<Length>, FramingError> {
    let coded = fields.seen.has(Known::TransferEncoding);
    if coded && fields.seen.has(Known::ContentLength) {
        return Err(FramingError::Both);
    }
    if coded {
        return transfer_encoding(block, fields, version).map(Some);
    }
    content_length(block, fields).map(|n| n.map(Length::Known))
}

/// The one Content-Length, if any.
pub fn content_length(block: &[u8], fields: &Fields) -> Result<Option<u64>, FramingError> {
    let mut values = fields.all(block, Known::ContentLength);
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(FramingError::BadLength);
    }
    digits(value).map(Some).ok_or(FramingError::BadLength)
}

fn transfer_encoding(block: &[u8], fields: &Fields, version: Version) -> Result<Length, FramingError> {
    if version == Version::Http10 {
        return Err(FramingError::CodingInHttp10);
    }
    let mut values = fields.all(block, Known::TransferEncoding);
    let value = values.next().unwrap_or_default();
    if values.next().is_some() || value.is_empty() {
        return Err(FramingError::BadTransferEncoding);
    }
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(Length::Chunked);
    }
    let mut codings = value.split(|b| *b == b',').map(<[u8]>::trim_ascii);
    let last = codings.next_back().unwrap_or_default();
    if !last.eq_ignore_ascii_case(b"chunked") {
        let plain = super::fields::is_token(value) && !value.eq_ignore_ascii_case(b"identity");
        return Err(if plain { FramingError::UnknownCoding } else { FramingError::BadTransferEncoding });
    }
    let sound = codings.clone().all(|c| super::fields::is_token(c) && !c.eq_ignore_ascii_case(b"chunked"));
    Err(if sound { FramingError::UnknownCoding } else { FramingError::BadTransferEncoding })
}

/// `1*DIGIT`, at most 19 of them and within 63 bits: no sign, no blank, no list.
fn digits(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 19 {
        return None;
    }
    let mut n = 0u64;
    for byte in value {
        n = n.checked_mul(10)?.checked_add(u64::from(byte.is_ascii_digit().then(|| byte - b'0')?))?;
    }
    (n <= i64::MAX as u64).then_some(n)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::{HeadLimits, HeadParser, RequestLine};

    fn framing(fields_text: &str) -> Result<Length, FramingError> {
        let block = format!("POST / HTTP/1.1\r\n{fields_text}\r\n\r\n");
        let mut fields = Fields::default();
        let limits = HeadLimits { line: 1000, total: 1000, fields: 9 };
        let head = HeadParser::<RequestLine>::new().feed(block.as_bytes(), &mut fields, &limits);
        let version = head.expect("sound").expect("whole").line.version;
        of_request(block.as_bytes(), &fields, version)
    }

    #[test]
    fn lengths() {
        use FramingError::*;
        let table = [
            ("Content-Length: 5", Ok(Length::Known(5))),
            ("Content-Length: 005", Ok(Length::Known(5))),
            ("Content-Length: 0", Ok(Length::None)),
            ("Content-Length: +5", Err(BadLength)),
            ("Content-Length: -0", Err(BadLength)),
            ("Content-Length: 0_5", Err(BadLength)),
            ("Content-Length:", Err(BadLength)),
            ("Content-Length: 5 5", Err(BadLength)),
            ("Content-Length: 0x5", Err(BadLength)),
            ("Content-Length: 5, 5", Err(BadLength)),
            ("Content-Length: 5\r\nContent-Length: 5", Err(BadLength)),
            ("Content-Length: 18446744073709551621", Err(BadLength)),
            ("Content-Length: 5\r\nTransfer-Encoding: chunked", Err(Both)),
            ("Transfer-Encoding: Chunked", Ok(Length::Chunked)),
            ("Transfer-Encoding: chunked\t", Ok(Length::Chunked)),
            ("Transfer-Encoding: gzip, chunked", Err(UnknownCoding)),
            ("Transfer-Encoding: gzip", Err(UnknownCoding)),
            ("Transfer-Encoding: chunked, chunked", Err(BadTransferEncoding)),
            ("Transfer-Encoding: chunked, gzip", Err(BadTransferEncoding)),
            ("Transfer-Encoding: chunked,", Err(BadTransferEncoding)),
            ("Transfer-Encoding: identity", Err(BadTransferEncoding)),
            ("Transfer-Encoding: \"chunked\"", Err(BadTransferEncoding)),
            ("Transfer-Encoding: xchunked", Err(UnknownCoding)),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", Err(BadTransferEncoding)),
            ("Transfer-Encoding:", Err(BadTransferEncoding)),
        ];
        for (text, expected) in table {
            assert_eq!(framing(text), expected, "{text}");
        }
    }
}
