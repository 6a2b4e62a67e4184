//! The head of a request or of an answer: its first line, then its field section (RFC 9112, 2 to 5).

use super::fields::{FieldError, FieldLimits, FieldsParser, control_bytes, is_token};
use crate::message::head::{Fields, Span, Version};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HeadError {
    /// The first line is not what RFC 9112, 3 or 4 ask for.
    BadFirstLine,
    /// `HTTP/2.0`, `HTTP/9.9`: a major version that is not spoken here.
    BadVersion,
    /// The first line is longer than the bound.
    FirstLineTooLong,
    Field(FieldError),
}

/// Bounds of a head, in bytes and fields.
#[derive(Clone, Copy, Debug)]
pub struct HeadLimits {
    /// The first line, and each field line.
    pub line: usize,
    /// The whole head.
    pub total: usize,
    pub fields: usize,
}

impl HeadLimits {
    /// The part that holds for a field section.
    pub fn section(&self) -> FieldLimits {
        FieldLimits { line: self.line, total: self.total, fields: self.fields }
    }
}

/// `method SP request-target SP HTTP-version` (RFC 9112, 3).
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestLine {
    pub method: Span,
    pub target: Span,
    pub version: Version,
}

/// `HTTP-version SP status-code SP [ reason-phrase ]` (RFC 9112, 4). The reason is checked and forgotten.
#[derive(Clone, Copy, Debug, Default)]
pub struct StatusLine {
    pub version: Version,
    pub status: u16,
}

/// A head that is whole.
#[derive(Clone, Copy, Debug)]
pub struct Head<L> {
    pub line: L,
    /// Where the body starts.
    pub len: usize,
}

/// Takes a head apart as it arrives. One parser serves one message.
#[derive(Debug, Default)]
pub struct HeadParser<L> {
    line: Option<L>,
    searched: usize,
    fields: FieldsParser,
}

/// A first line of either kind.
pub trait FirstLine: Copy + Sized {
    /// Parses the line, which lies in `block` and ends before its CRLF.
    fn parse(block: &[u8], line: Span) -> Result<Self, HeadError>;
}

impl<L: FirstLine> HeadParser<L> {
    pub fn new() -> Self {
        HeadParser { line: None, searched: 0, fields: FieldsParser::default() }
    }

    /// The first line, once it is there: also when what follows it turns out to be wrong.
    pub fn line(&self) -> Option<L> {
        self.line
    }

    /// Goes on with what `block` now holds; `block` starts at the first line and only ever grows.
    pub fn feed(
        &mut self, block: &[u8], fields: &mut Fields, limits: &HeadLimits,
    ) -> Result<Option<Head<L>>, HeadError> {
        let line = match self.line {
            Some(line) => line,
            None => match self.first_line(block, limits)? {
                Some(line) => line,
                None => return Ok(None),
            },
        };
        let end = self.fields.feed(block, fields, &limits.section()).map_err(HeadError::Field)?;
        Ok(end.map(|len| Head { line, len }))
    }

    fn first_line(&mut self, block: &[u8], limits: &HeadLimits) -> Result<Option<L>, HeadError> {
        let Some(found) = memchr::memchr(b'\n', &block[self.searched..]) else {
            self.searched = block.len();
            let long = block.len() > limits.line + 1;
            return if long { Err(HeadError::FirstLineTooLong) } else { Ok(None) };
        };
        let lf = self.searched + found;
        if lf > limits.line + 1 {
            return Err(HeadError::FirstLineTooLong);
        }
        if lf == 0 || block[lf - 1] != b'\r' {
            return Err(HeadError::Field(FieldError::BareLf));
        }
        let line = L::parse(block, Span::new(0, lf - 1))?;
        self.line = Some(line);
        self.fields = FieldsParser::starting_at(lf + 1);
        Ok(Some(line))
    }
}

impl FirstLine for RequestLine {
    fn parse(block: &[u8], line: Span) -> Result<Self, HeadError> {
        let bytes = line.of(block);
        let first = memchr::memchr(b' ', bytes).ok_or(HeadError::BadFirstLine)?;
        let last = memchr::memrchr(b' ', bytes).ok_or(HeadError::BadFirstLine)?;
        if last <= first + 1 {
            return Err(HeadError::BadFirstLine);
        }
        let target = &bytes[first + 1..last];
        // One SP on either side, and nothing but visible ASCII between.
        if !is_token(&bytes[..first]) || !target.iter().fold(true, |ok, b| ok & (0x21..=0x7e).contains(b)) {
            return Err(HeadError::BadFirstLine);
        }
        let version = version(&bytes[last + 1..])?;
        Ok(RequestLine { method: Span::new(0, first), target: Span::new(first + 1, last), version })
    }
}

impl FirstLine for StatusLine {
    fn parse(block: &[u8], line: Span) -> Result<Self, HeadError> {
        let bytes = line.of(block);
        if bytes.len() < 12 || bytes[8] != b' ' || control_bytes(bytes) != 0 {
            return Err(HeadError::BadFirstLine);
        }
        let version = version(&bytes[..8])?;
        let digits = &bytes[9..12];
        if !digits.iter().all(u8::is_ascii_digit) || !matches!(bytes.get(12), None | Some(b' ')) {
            return Err(HeadError::BadFirstLine);
        }
        let status = digits.iter().fold(0u16, |n, d| n * 10 + u16::from(d - b'0'));
        if !(100..600).contains(&status) {
            return Err(HeadError::BadFirstLine);
        }
        Ok(StatusLine { version, status })
    }
}

/// `HTTP/1.0` and `HTTP/1.1`. A higher minor version is understood as 1.1 (RFC 9110, 2.5); another major version
/// is not spoken; anything else is not a version.
fn version(bytes: &[u8]) -> Result<Version, HeadError> {
    match bytes {
        b"HTTP/1.1" => Ok(Version::Http11),
        b"HTTP/1.0" => Ok(Version::Http10),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            if *major == b'1' {
                Ok(Version::Http11)
            } else {
                Err(HeadError::BadVersion)
            }
        }
        _ => Err(HeadError::BadFirstLine),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HeadLimits = HeadLimits { line: 200, total: 1000, fields: 5 };

    fn request(bytes: &[u8]) -> Result<Option<(RequestLine, usize, usize)>, HeadError> {
        let mut fields = Fields::default();
        let head = HeadParser::<RequestLine>::new().feed(bytes, &mut fields, &LIMITS)?;
        Ok(head.map(|h| (h.line, h.len, fields.list.len())))
    }

    /// The same bytes, one at a time, must give the same end.
    fn dripped(bytes: &[u8]) -> Result<Option<usize>, HeadError> {
        let (mut parser, mut fields) = (HeadParser::<RequestLine>::new(), Fields::default());
        for n in 1..=bytes.len() {
            if let Some(head) = parser.feed(&bytes[..n], &mut fields, &LIMITS)? {
                return Ok(Some(head.len));
            }
        }
        Ok(None)
    }

    #[test]
    fn whole_heads() {
        let bytes = b"GET /x?y HTTP/1.1\r\nHost: a\r\nX-A:\t b c \r\n\r\nrest";
        let (line, len, fields) = request(bytes).expect("sound").expect("whole");
        assert_eq!(line.method.of(bytes), b"GET");
        assert_eq!(line.target.of(bytes), b"/x?y");
        assert_eq!((len, fields), (bytes.len() - 4, 2));
        assert_eq!(dripped(bytes), Ok(Some(len)));
    }

    #[test]
    fn refused_heads() {
        use FieldError::*;
        use HeadError::*;
        let table: &[(&[u8], HeadError)] = &[
            (b"GET / HTTP/1.1\nHost: a\r\n\r\n", Field(BareLf)),
            (b"GET / HTTP/1.1\r\nHost: a\n\r\n", Field(BareLf)),
            (b"GET / HTTP/1.1\r\nHost: a\r\n\n", Field(BareLf)),
            (b"GET  / HTTP/1.1\r\n\r\n", BadFirstLine),
            (b"GET / HTTP/1.1 \r\n\r\n", BadFirstLine),
            (b"GET /a b HTTP/1.1\r\n\r\n", BadFirstLine),
            (b"GET\t/ HTTP/1.1\r\n\r\n", BadFirstLine),
            (b" GET / HTTP/1.1\r\n\r\n", BadFirstLine),
            (b"GET /\r\n\r\n", BadFirstLine),
            (b"GET / http/1.1\r\n\r\n", BadFirstLine),
            (b"GET / HTTP/9.9\r\n\r\n", BadVersion),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", BadVersion),
            (b"GET / HTTP/1.1\r\nA : b\r\n\r\n", Field(BadName)),
            (b"GET / HTTP/1.1\r\n: b\r\n\r\n", Field(BadName)),
            (b"GET / HTTP/1.1\r\nab\r\n\r\n", Field(BadName)),
            (b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", Field(Folded)),
            (b"GET / HTTP/1.1\r\n A: b\r\n\r\n", Field(Folded)),
            (b"GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", Field(ControlByte)),
            (b"GET / HTTP/1.1\r\nA: b\0c\r\n\r\n", Field(ControlByte)),
            (b"GET / HTTP/1.1\r\nA: \x7f\r\n\r\n", Field(ControlByte)),
            (b"GET / HTTP/1.1\r\nA:1\r\nA:1\r\nA:1\r\nA:1\r\nA:1\r\nA:1\r\n\r\n", Field(TooManyFields)),
        ];
        for (bytes, error) in table {
            let shown = String::from_utf8_lossy(bytes);
            assert_eq!(request(bytes).expect_err(&shown), *error, "{shown}");
            assert_eq!(dripped(bytes).expect_err(&shown), *error, "dripped {shown}");
        }
    }

    #[test]
    fn bounds_hold_before_a_line_ends() {
        assert_eq!(request(&[b'A'; 202]).expect_err("long"), HeadError::FirstLineTooLong);
        let mut bytes = b"GET / HTTP/1.1\r\nA: ".to_vec();
        bytes.extend([b'x'; 200]);
        assert_eq!(request(&bytes).expect_err("long"), HeadError::Field(FieldError::LineTooLong));
    }

    #[test]
    fn status_lines() {
        let parse = |line: &[u8]| StatusLine::parse(line, Span::new(0, line.len())).map(|l| l.status);
        assert_eq!(parse(b"HTTP/1.1 200 OK"), Ok(200));
        assert_eq!(parse(b"HTTP/1.0 404"), Ok(404));
        for bad in
            [&b"HTTP/1.1 20 OK"[..], b"HTTP/1.1 2000", b"HTTP/1.1  200", b"HTTP/1.1 099 x", b"ICY 200 OK"]
        {
            assert!(parse(bad).is_err());
        }
    }
}
