//! A head of HTTP/1.1 that has arrived: its bounds, its framing, and how what is wrong with it is told.

use super::incoming::Request;
use crate::buffer::Buffer;
use crate::error::Refusal;
use pylos_core::http1::fields::FieldLimits;
use pylos_core::http1::{FieldError, FramingError, HeadError, HeadLimits, HeadParser, RequestLine, framing};
use pylos_core::table::Limits;

pub(crate) fn limits(limits: &Limits) -> HeadLimits {
    HeadLimits {
        line: limits.line_bytes as usize,
        total: limits.header_bytes as usize,
        fields: limits.fields as usize,
    }
}

/// Likewise of a trailer section.
pub(crate) fn trailer_limits(limits: &Limits) -> FieldLimits {
    let HeadLimits { line, total, fields } = self::limits(limits);
    FieldLimits { line, total, fields }
}

/// Takes a head apart that is there in one piece. What was understood of a wrong one is in `request` as well.
pub(crate) fn whole(head: &[u8], bounds: &Limits, request: &mut Request) -> Result<(), Refusal> {
    request.block = Buffer::default();
    request.block.push(head);
    let mut parser = HeadParser::<RequestLine>::new();
    let fed = parser.feed(head, &mut request.fields, &limits(bounds));
    if let Some(line) = parser.line() {
        (request.method, request.target, request.version) = (line.method, line.target, line.version);
    }
    match fed {
        Ok(Some(_)) => frame(request),
        Ok(None) => Err(Refusal::malformed("bad_field", "The head does not end.")),
        Err(error) => Err(refusal(error)),
    }
}

/// What follows the head.
pub(crate) fn frame(request: &mut Request) -> Result<(), Refusal> {
    let framed = framing::of_request(request.block.bytes(), &request.fields, request.version);
    request.length = framed.map_err(bad_framing)?;
    Ok(())
}

pub(crate) fn refusal(error: HeadError) -> Refusal {
    match error {
        HeadError::BadFirstLine => Refusal::malformed("bad_request_line", "The request line is malformed."),
        HeadError::BadVersion => {
            Refusal::client(505, "bad_version", "This HTTP version is not spoken here.").closing()
        }
        HeadError::FirstLineTooLong => {
            Refusal::client(414, "target_too_long", "The request line is too long.").closing()
        }
        HeadError::Field(FieldError::BareLf) => Refusal::malformed("bare_lf", "A line ends with LF alone."),
        HeadError::Field(FieldError::ControlByte) => {
            Refusal::malformed("bad_field", "A field has a control character in it.")
        }
        HeadError::Field(FieldError::Folded) => Refusal::malformed("folded_field", "A field line is folded."),
        HeadError::Field(FieldError::BadName) => {
            Refusal::malformed("bad_field", "A field name is malformed.")
        }
        HeadError::Field(FieldError::LineTooLong | FieldError::TooManyFields | FieldError::TooLarge) => {
            too_large()
        }
    }
}

pub(crate) fn too_large() -> Refusal {
    Refusal::client(431, "fields_too_large", "The request's fields are too many or too large.").closing()
}

fn bad_framing(error: FramingError) -> Refusal {
    match error {
        FramingError::Both => {
            Refusal::malformed("two_framings", "There are both Content-Length and Transfer-Encoding.")
        }
        FramingError::BadLength => {
            Refusal::malformed("bad_length", "Content-Length is malformed or repeated.")
        }
        FramingError::BadTransferEncoding | FramingError::CodingInHttp10 => {
            Refusal::malformed("bad_transfer_encoding", "Transfer-Encoding is malformed or not allowed here.")
        }
        FramingError::UnknownCoding => {
            Refusal::client(501, "unknown_coding", "This transfer coding is not known here.").closing()
        }
    }
}
