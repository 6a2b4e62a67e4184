//! The head of a message, whatever protocol carried it: a byte block and an index of offsets into it.
//! HTTP/1.1 indexes its read buffer in place; HTTP/2 and 3 decode their header blocks into such a block.

use super::names::{Known, NameSet};

/// A stretch of the head's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Span {
    pub at: u32,
    pub len: u32,
}

impl Span {
    /// The span of `start..end`; heads are bounded far below 4 GiB.
    pub fn new(start: usize, end: usize) -> Self {
        debug_assert!(start <= end && end <= u32::MAX as usize);
        Span { at: start as u32, len: (end - start) as u32 }
    }
    pub fn of(self, block: &[u8]) -> &[u8] {
        &block[self.at as usize..(self.at + self.len) as usize]
    }
    pub fn end(self) -> usize {
        (self.at + self.len) as usize
    }
    pub fn is_empty(self) -> bool {
        self.len == 0
    }
}

/// One field line: 20 bytes, in the order of arrival.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    pub name: Span,
    pub value: Span,
    pub known: Known,
    /// The name has a `_`, so that it may be read as another name behind CGI.
    pub underscore: bool,
    /// Not forwarded: hop-by-hop, replaced or removed by an edit.
    pub dropped: bool,
    /// A policy has set it: it is forwarded, whatever it is.
    pub given: bool,
}

/// Copies field lines, those that stand side by side in one piece. A line that is not spelled in the usual way,
/// `name: value` with one blank, is written anew so.
pub struct LineCopier<'a> {
    block: &'a [u8],
    from: usize,
    to: usize,
}

impl<'a> LineCopier<'a> {
    pub fn new(block: &'a [u8]) -> Self {
        LineCopier { block, from: 0, to: 0 }
    }

    /// The next line to be copied.
    pub fn push(&mut self, field: &Field, out: &mut Vec<u8>) {
        let (start, end) = (field.name.at as usize, field.value.end());
        let usual = field.value.at as usize == field.name.end() + 2
            && self.block[field.name.end() + 1] == b' '
            && self.block.get(end..end + 2) == Some(b"\r\n");
        if usual && start == self.to && self.to > self.from {
            self.to = end + 2;
            return;
        }
        self.flush(out);
        if usual {
            (self.from, self.to) = (start, end + 2);
        } else {
            for part in [field.name.of(self.block), b": ", field.value.of(self.block), b"\r\n"] {
                out.extend_from_slice(part);
            }
        }
    }

    /// Writes what is still held back.
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.block[self.from..self.to]);
        (self.from, self.to) = (0, 0);
    }
}

/// The fields of a head or of a trailer section.
#[derive(Debug, Default)]
pub struct Fields {
    pub list: Vec<Field>,
    /// Which known names occur.
    pub seen: NameSet,
}

impl Fields {
    pub fn clear(&mut self) {
        self.list.clear();
        self.seen = NameSet::default();
    }

    /// All values of a known name, in order.
    pub fn all<'a>(
        &'a self, block: &'a [u8], known: Known,
    ) -> impl DoubleEndedIterator<Item = &'a [u8]> + 'a {
        let some = self.seen.has(known);
        let list: &[Field] = if some { &self.list } else { &[] };
        list.iter().filter(move |f| f.known == known).map(move |f| f.value.of(block))
    }

    /// The first value of a known name.
    pub fn first<'a>(&'a self, block: &'a [u8], known: Known) -> Option<&'a [u8]> {
        self.all(block, known).next()
    }

    /// Likewise, and what an application behind CGI would take for that name, where `_` and `-` are one.
    pub fn drop_for_cgi(&mut self, block: &[u8], name: &[u8]) {
        for field in &mut self.list {
            field.dropped |= same_for_cgi(field.name.of(block), name);
        }
    }

    /// Keeps every field of this name from being forwarded.
    pub fn drop_named(&mut self, block: &[u8], name: &[u8]) {
        for field in &mut self.list {
            if field.name.of(block).eq_ignore_ascii_case(name) {
                field.dropped = true;
            }
        }
    }
}

/// Whether two names are one for an application behind CGI.
pub fn same_for_cgi(a: &[u8], b: &[u8]) -> bool {
    let cgi = |byte: u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| cgi(*a) == cgi(*b))
}

/// The version that the sender speaks, as far as semantics go.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Version {
    Http10,
    #[default]
    Http11,
}

/// Splits a comma-separated list value (RFC 9110, 5.6.1), blanks trimmed, empty members left out.
pub fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|b| *b == b',').map(<[u8]>::trim_ascii).filter(|m| !m.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::{HeadLimits, HeadParser, RequestLine};

    #[test]
    fn lines_are_copied_in_the_usual_spelling() {
        let block = b"GET / HTTP/1.1\r\nA: 1\r\nB: 2\r\nC:3\r\nD:\t4 \r\nE: 5\r\nF:\r\nG: 6\r\n\r\n";
        let (mut fields, limits) = (Fields::default(), HeadLimits { line: 99, total: 999, fields: 9 });
        let head = HeadParser::<RequestLine>::new().feed(block, &mut fields, &limits);
        assert!(head.is_ok_and(|h| h.is_some()));
        let (mut copier, mut out) = (LineCopier::new(block), Vec::new());
        for field in fields.list.iter().filter(|f| f.name.of(block) != b"B") {
            copier.push(field, &mut out);
        }
        copier.flush(&mut out);
        assert_eq!(out, b"A: 1\r\nC: 3\r\nD: 4\r\nE: 5\r\nF: \r\nG: 6\r\n");
    }
}
