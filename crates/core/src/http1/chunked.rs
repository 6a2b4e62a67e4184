//! The chunked transfer coding (RFC 9112, 7.1), strict. Extensions are checked and dropped: what goes on is
//! chunked anew.

use super::fields::{FieldError, FieldLimits, FieldsParser, is_token};
use crate::message::head::Fields;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChunkError {
    /// A chunk line ends with LF alone, or a CR is not followed by LF.
    BadLineEnd,
    /// Not `1*HEXDIG`, or more than 63 bits.
    BadSize,
    BadExtension,
    /// Chunk lines are longer than anyone needs, together or one alone.
    TooLong,
    Trailer(FieldError),
}

/// What comes next in the input, behind `skip` bytes of framing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// `len` bytes of content stand at `skip`.
    Data { skip: usize, len: usize },
    /// All of the input is used but for an unfinished line; `skip` bytes are done with.
    More { skip: usize },
    /// The body is over; its trailers are in the `fields` that were given, as offsets into this input.
    End { skip: usize },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Size,
    Data,
    DataEnd,
    Trailers,
    Over,
}

/// Longest chunk line with its extension, in bytes.
const MAX_LINE: usize = 1024;
/// All extensions of one body together, in bytes: they carry nothing and cost work.
const MAX_EXTENSIONS: usize = 16 * 1024;

/// Takes one chunked body apart. Feed it the bytes not yet skipped; it keeps no copy of them.
#[derive(Debug)]
pub struct ChunkedDecoder {
    state: State,
    left: u64,
    extensions: usize,
    trailers: FieldsParser,
}

impl Default for ChunkedDecoder {
    fn default() -> Self {
        ChunkedDecoder { state: State::Size, left: 0, extensions: 0, trailers: FieldsParser::default() }
    }
}

impl ChunkedDecoder {
    /// Whether the body has ended.
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// The next step for `input`. After `Data` the caller drops `skip + len` bytes, after the others `skip`.
    pub fn step(
        &mut self, input: &[u8], fields: &mut Fields, limits: &FieldLimits,
    ) -> Result<Step, ChunkError> {
        let mut skip = 0;
        loop {
            let rest = &input[skip..];
            match self.state {
                State::Size => match self.size_line(rest)? {
                    Some(used) => skip += used,
                    None => return Ok(Step::More { skip }),
                },
                State::Data => {
                    if rest.is_empty() {
                        return Ok(Step::More { skip });
                    }
                    let len = self.left.min(rest.len() as u64) as usize;
                    self.left -= len as u64;
                    if self.left == 0 {
                        self.state = State::DataEnd;
                    }
                    return Ok(Step::Data { skip, len });
                }
                State::DataEnd => match rest {
                    [b'\r', b'\n', ..] => {
                        skip += 2;
                        self.state = State::Size;
                    }
                    [] | [b'\r'] => return Ok(Step::More { skip }),
                    _ => return Err(ChunkError::BadLineEnd),
                },
                State::Trailers => {
                    // The section is read as one, from its first byte: what was skipped before is gone by then.
                    if skip > 0 {
                        return Ok(Step::More { skip });
                    }
                    let end = self.trailers.feed(rest, fields, limits).map_err(ChunkError::Trailer)?;
                    let Some(end) = end else { return Ok(Step::More { skip }) };
                    self.state = State::Over;
                    return Ok(Step::End { skip: end });
                }
                State::Over => return Ok(Step::End { skip }),
            }
        }
    }

    /// `chunk-size [ chunk-ext ] CRLF`; gives the bytes used, or nothing when the line is not whole.
    fn size_line(&mut self, input: &[u8]) -> Result<Option<usize>, ChunkError> {
        let Some(lf) = memchr::memchr(b'\n', &input[..input.len().min(MAX_LINE + 1)]) else {
            // What is there already may be wrong beyond repair: say so now.
            let digits = input.iter().take_while(|b| b.is_ascii_hexdigit()).count();
            if digits > 16 || (digits == 0 && !input.is_empty()) {
                return Err(ChunkError::BadSize);
            }
            return if input.len() > MAX_LINE { Err(ChunkError::TooLong) } else { Ok(None) };
        };
        if lf == 0 || input[lf - 1] != b'\r' {
            return Err(ChunkError::BadLineEnd);
        }
        let line = &input[..lf - 1];
        let digits = line.iter().take_while(|b| b.is_ascii_hexdigit()).count();
        if digits == 0 || digits > 16 {
            return Err(ChunkError::BadSize);
        }
        let size = line[..digits].iter().fold(0u64, |n, d| n << 4 | u64::from(hex(*d)));
        if size > i64::MAX as u64 {
            return Err(ChunkError::BadSize);
        }
        self.extension(&line[digits..])?;
        self.left = size;
        self.state = if size == 0 { State::Trailers } else { State::Data };
        Ok(Some(lf + 1))
    }

    fn extension(&mut self, text: &[u8]) -> Result<(), ChunkError> {
        self.extensions += text.len();
        if self.extensions > MAX_EXTENSIONS {
            return Err(ChunkError::TooLong);
        }
        if extensions_are_sound(text) { Ok(()) } else { Err(ChunkError::BadExtension) }
    }
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

/// `*( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )` (RFC 9112, 7.1.1).
fn extensions_are_sound(mut text: &[u8]) -> bool {
    while !text.is_empty() {
        let Some(rest) = after_mark(text, b';') else { return false };
        let name = rest.iter().take_while(|b| is_token(&[**b])).count();
        if name == 0 {
            return false;
        }
        text = &rest[name..];
        if let Some(value) = after_mark(text, b'=') {
            let Some(end) = extension_value(value) else { return false };
            text = &value[end..];
        }
    }
    true
}

/// What stands behind `BWS mark BWS`, if that is what the text starts with.
fn after_mark(text: &[u8], mark: u8) -> Option<&[u8]> {
    trim_start(text).strip_prefix(&[mark]).map(trim_start)
}

fn trim_start(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    &text[blanks..]
}

/// The length of a token or quoted string (RFC 9110, 5.6.4).
fn extension_value(text: &[u8]) -> Option<usize> {
    if text.first() != Some(&b'"') {
        let len = text.iter().take_while(|b| is_token(&[**b])).count();
        return (len > 0).then_some(len);
    }
    let mut at = 1;
    loop {
        match *text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => {
                let quoted = *text.get(at + 1)?;
                if quoted != b'\t' && (quoted < 0x20 || quoted == 0x7f) {
                    return None;
                }
                at += 2;
            }
            b'\t' | 0x20..=0x7e | 0x80..=0xff => at += 1,
            _ => return None,
        }
    }
}

/// Writes `size CRLF` of a chunk into `out`.
pub fn write_size(size: usize, out: &mut Vec<u8>) {
    let mut digits = [0u8; 16];
    let (mut at, mut n) = (16, size);
    loop {
        at -= 1;
        digits[at] = b"0123456789abcdef"[n & 15];
        n >>= 4;
        if n == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: FieldLimits = FieldLimits { line: 100, total: 200, fields: 4 };

    /// Decodes input that arrives in pieces of `piece` bytes; gives content and what stands behind the body.
    fn decode(input: &[u8], piece: usize) -> Result<Option<(Vec<u8>, Vec<u8>)>, ChunkError> {
        let (mut decoder, mut fields) = (ChunkedDecoder::default(), Fields::default());
        let (mut held, mut content) = (Vec::new(), Vec::new());
        let mut pieces = input.chunks(piece);
        loop {
            match decoder.step(&held, &mut fields, &LIMITS)? {
                Step::Data { skip, len } => {
                    content.extend_from_slice(&held[skip..skip + len]);
                    held.drain(..skip + len);
                }
                Step::More { skip } => {
                    held.drain(..skip);
                    if skip == 0 {
                        match pieces.next() {
                            Some(more) => held.extend_from_slice(more),
                            None => return Ok(None),
                        }
                    }
                }
                Step::End { skip } => {
                    held.drain(..skip);
                    held.extend(pieces.flatten());
                    return Ok(Some((content, held)));
                }
            }
        }
    }

    #[test]
    fn sound_bodies() {
        let table: &[(&[u8], &[u8])] = &[
            (b"5\r\nhello\r\n0\r\n\r\nG", b"hello"),
            (b"05\r\nhello\r\n00\r\n\r\nG", b"hello"),
            (b"5;a=b\r\nhello\r\n0\r\n\r\nG", b"hello"),
            (b"5;a=\"x;y\"\r\nhello\r\n0;z\r\n\r\nG", b"hello"),
            (b"5 ; a = \"\\\"\"\r\nhello\r\n0\r\n\r\nG", b"hello"),
            (b"2\r\nhe\r\n3\r\nllo\r\n0\r\nX-T: 1\r\n\r\nG", b"hello"),
            (b"0\r\n\r\nG", b""),
        ];
        for (input, content) in table {
            for piece in [1, 2, 3, 100] {
                let got = decode(input, piece).expect("sound").expect("whole");
                assert_eq!((&got.0[..], &got.1[..]), (*content, &b"G"[..]), "piece {piece}");
            }
        }
    }

    #[test]
    fn refused_bodies() {
        use ChunkError::*;
        let table: &[(&[u8], ChunkError)] = &[
            (b"5\nhello\r\n0\r\n\r\n", BadLineEnd),
            (b"5\r\nhello\n0\r\n\r\n", BadLineEnd),
            (b"5\r\nhelloX\r\n0\r\n\r\n", BadLineEnd),
            (b"5;a=\nb\r\nhello\r\n0\r\n\r\n", BadLineEnd),
            (b"5;a=\rb\r\nhello\r\n0\r\n\r\n", BadExtension),
            (b"5;\r\nhello\r\n0\r\n\r\n", BadExtension),
            (b"5 \r\nhello\r\n0\r\n\r\n", BadExtension),
            (b"5;a=\"x\r\nhello\r\n0\r\n\r\n", BadExtension),
            (b"+5\r\nhello\r\n0\r\n\r\n", BadSize),
            (b"0x5\r\nhello\r\n0\r\n\r\n", BadExtension),
            (b"\r\nhello\r\n0\r\n\r\n", BadSize),
            (b"5_0\r\nhello\r\n0\r\n\r\n", BadExtension),
            (b"ffffffffffffffff\r\nhello", BadSize),
            (b"10000000000000005\r\nhello", BadSize),
            (b"0\r\nA : b\r\n\r\n", Trailer(FieldError::BadName)),
            (b"0\r\nA: b\n\r\n", Trailer(FieldError::BareLf)),
        ];
        for (input, error) in table {
            let shown = String::from_utf8_lossy(input);
            assert_eq!(decode(input, 1000).expect_err(&shown), *error, "{shown}");
            assert!(decode(input, 1).is_err(), "dripped {shown}");
        }
    }

    #[test]
    fn a_body_without_its_last_line_end_is_not_whole() {
        assert_eq!(decode(b"4\r\ntrun\r\n", 1), Ok(None));
        assert_eq!(decode(b"4\r\ntrun\r\n0\r\n", 1), Ok(None));
    }

    #[test]
    fn sizes_are_written_in_hex() {
        for (n, text) in [(0usize, "0\r\n"), (15, "f\r\n"), (16, "10\r\n"), (0xabc, "abc\r\n")] {
            let mut out = Vec::new();
            write_size(n, &mut out);
            assert_eq!(out, text.as_bytes());
        }
    }
}
