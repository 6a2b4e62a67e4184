//! Field lines: `name ":" OWS value OWS CRLF` (RFC 9112, 5), up to the empty line. Used for heads and trailers.
//!
//! Nothing is repaired: a bare LF, a blank before the colon, a folded line and a control byte are errors.

use crate::message::head::{Field, Fields, Span};
use crate::message::names::known;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FieldError {
    /// A line ends with LF alone.
    BareLf,
    /// A control byte (CR within a line included) in a value.
    ControlByte,
    /// The line starts with a blank: obsolete folding (RFC 9112, 5.2).
    Folded,
    /// Not `token ":"`; a blank before the colon falls under this.
    BadName,
    LineTooLong,
    TooManyFields,
    TooLarge,
}

/// Bounds of a field section, in bytes and fields.
#[derive(Clone, Copy, Debug)]
pub struct FieldLimits {
    pub line: usize,
    pub total: usize,
    pub fields: usize,
}

/// Takes a field section apart as its lines arrive; each byte is searched once, however slowly it comes.
#[derive(Debug, Default)]
pub struct FieldsParser {
    /// Where the first line not yet understood starts.
    at: usize,
    /// Up to where no LF was found.
    searched: usize,
}

impl FieldsParser {
    /// A parser whose section starts at offset `start` of the block.
    pub fn starting_at(start: usize) -> Self {
        FieldsParser { at: start, searched: start }
    }

    /// Goes on with what `block` now holds. Gives the offset behind the empty line, once it is there.
    pub fn feed(
        &mut self, block: &[u8], fields: &mut Fields, limits: &FieldLimits,
    ) -> Result<Option<usize>, FieldError> {
        let from = self.at;
        let mut lines = 0;
        let mut done = None;
        let start = self.searched;
        self.searched = block.len();
        // One search over all lines: starting it costs more than going on with it.
        for lf in memchr::memchr_iter(b'\n', &block[start..]).map(|found| start + found) {
            if lf == self.at || block[lf - 1] != b'\r' {
                return Err(FieldError::BareLf);
            }
            let line = Span::new(self.at, lf - 1);
            self.at = lf + 1;
            lines += 1;
            if line.is_empty() {
                done = Some(lf + 1);
                break;
            }
            if line.len as usize > limits.line {
                return Err(FieldError::LineTooLong);
            }
            if fields.list.len() == limits.fields {
                return Err(FieldError::TooManyFields);
            }
            push_field(block, line, fields)?;
        }
        // The CR may be there without its LF.
        if done.is_none() && block.len() - self.at > limits.line + 1 {
            return Err(FieldError::LineTooLong);
        }
        if self.at > limits.total {
            return Err(FieldError::TooLarge);
        }
        // Each whole line has one CR and one LF, at its end: any other control byte makes the count too high.
        if control_bytes(&block[from..self.at]) != 2 * lines {
            return Err(FieldError::ControlByte);
        }
        Ok(done)
    }
}

fn push_field(block: &[u8], line: Span, fields: &mut Fields) -> Result<(), FieldError> {
    let bytes = line.of(block);
    let mut colon = plain(bytes);
    let mut underscore = false;
    for byte in &bytes[colon..] {
        match NAME_BYTE[*byte as usize] {
            OK => {}
            UNDERSCORE => underscore = true,
            _ => break,
        }
        colon += 1;
    }
    if colon == 0 || bytes.get(colon) != Some(&b':') {
        let folded = matches!(bytes.first(), Some(b' ' | b'\t'));
        return Err(if folded { FieldError::Folded } else { FieldError::BadName });
    }
    let (mut start, mut end) = (colon + 1, bytes.len());
    while start < end && is_blank(bytes[start]) {
        start += 1;
    }
    while end > start && is_blank(bytes[end - 1]) {
        end -= 1;
    }
    let known = known(&bytes[..colon]);
    let base = line.at as usize;
    fields.seen = fields.seen.with(known);
    fields.list.push(Field {
        name: Span::new(base, base + colon),
        value: Span::new(base + start, base + end),
        known,
        underscore,
        dropped: false,
        given: false,
    });
    Ok(())
}

/// How many bytes at the start of a line are letters, digits and `-`, as those of nearly all names are: counted
/// eight at a time, and no more once fewer than eight are left.
#[inline]
fn plain(line: &[u8]) -> usize {
    const ALL: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * ALL;
    /// In each byte below 0x80, the high bit where it is at least `least`.
    #[inline]
    const fn from(bytes: u64, least: u8) -> u64 {
        bytes + (0x80 - least as u64) * ALL
    }
    let mut count = 0;
    for eight in line.as_chunks::<8>().0 {
        let bytes = u64::from_le_bytes(*eight);
        let low = bytes & !HIGH;
        let folded = low | (0x20 * ALL);
        let letter = from(folded, b'a') & !from(folded, b'z' + 1);
        let digit = from(low, b'0') & !from(low, b'9' + 1);
        let dash = from(low, b'-') & !from(low, b'-' + 1);
        let other = !((letter | digit | dash) & !bytes) & HIGH;
        if other != 0 {
            return count + (other.trailing_zeros() / 8) as usize;
        }
        count += 8;
    }
    count
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// How many bytes may not stand in a field value: controls but HTAB, and DEL (RFC 9110, 5.5). Written as a sum
/// over bytes, without a branch, so that it compiles to vector code.
pub(super) fn control_bytes(bytes: &[u8]) -> usize {
    let mut total = 0usize;
    // Blocks of 128, so that a block's count fits one byte.
    for block in bytes.chunks(128) {
        let mut count = 0u8;
        for byte in block {
            count += u8::from((*byte < 0x20) & (*byte != b'\t')) | u8::from(*byte == 0x7f);
        }
        total += count as usize;
    }
    total
}

const OK: u8 = 1;
const UNDERSCORE: u8 = 2;

/// `tchar` of RFC 9110, 5.6.2; `_` marked apart.
const NAME_BYTE: [u8; 256] = {
    let mut table = [0u8; 256];
    let mut i = 0;
    while i < 256 {
        let b = i as u8;
        if b.is_ascii_alphanumeric() {
            table[i] = OK;
        }
        i += 1;
    }
    let marks = b"!#$%&'*+-.^`|~";
    let mut m = 0;
    while m < marks.len() {
        table[marks[m] as usize] = OK;
        m += 1;
    }
    table[b'_' as usize] = UNDERSCORE;
    table
};

/// Whether all bytes are `tchar` and there is at least one.
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|b| NAME_BYTE[*b as usize] != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_bytes_are_counted_as_one_by_one() {
        for (place, byte) in (0..24).flat_map(|place| (0..=255u8).map(move |byte| (place, byte))) {
            let mut line = *b"Content-Security-Policy-";
            line[place] = byte;
            let is_plain = byte.is_ascii_alphanumeric() || byte == b'-';
            let one_by_one = if is_plain { line.len() } else { place };
            assert_eq!(plain(&line), one_by_one, "{byte:#x} at {place}");
            assert_eq!(plain(&line[..place]), place / 8 * 8);
        }
    }
}
