//! From byte offsets to lines and columns.

use std::ops::Range;

pub(crate) struct Lines<'t> {
    text: &'t str,
    /// Where each line begins, in bytes.
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub(crate) fn of(text: &'t str) -> Self {
        let after_newlines =
            text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Lines { text, starts: std::iter::once(0).chain(after_newlines).collect() }
    }

    /// Line and column from 1, and the length up to the end of the line; columns and length in characters.
    pub(crate) fn place(&self, span: Range<usize>) -> (usize, usize, usize) {
        let line = self.starts.partition_point(|&start| start <= span.start);
        let start = self.starts[line - 1];
        let column = self.characters(start..span.start) + 1;
        let end = self.starts.get(line).map_or(self.text.len(), |next| next - 1).min(span.end);
        (line, column, self.characters(span.start..end))
    }

    /// Counts the first bytes of characters, so that a span inside of one is harmless.
    fn characters(&self, span: Range<usize>) -> usize {
        let bytes = self.text.as_bytes().get(span).unwrap_or_default();
        bytes.iter().filter(|byte| **byte & 0xC0 != 0x80 && **byte != b'\r').count()
    }
}
