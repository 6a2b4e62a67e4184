//! JSON text from whatever bytes the network sent: always valid, always one line, never too long.

/// Longest text of one member, in bytes of input; a longer one is cut and marked.
pub(crate) const MAX_TEXT: usize = 2048;
/// What a cut text ends with.
const CUT: &str = "…(cut)";

/// Writes `"text"`. Bytes that are not UTF-8 become U+FFFD; control characters, DEL included, are escaped.
pub(crate) fn write_text(out: &mut Vec<u8>, bytes: &[u8]) {
    let cut = bytes.len() > MAX_TEXT;
    let bytes = if cut { &bytes[..MAX_TEXT] } else { bytes };
    out.push(b'"');
    // Nearly all text needs nothing done.
    if bytes.iter().fold(true, |ok, b| ok & (0x20..0x7f).contains(b) & (*b != b'"') & (*b != b'\\')) {
        out.extend_from_slice(bytes);
    } else {
        write_escaped(out, bytes);
    }
    if cut {
        out.extend_from_slice(CUT.as_bytes());
    }
    out.push(b'"');
}

fn write_escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' => out.extend_from_slice(b"\\\""),
                '\\' => out.extend_from_slice(b"\\\\"),
                // Line separators are legal in JSON but end lines for some readers.
                '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' => {
                    out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes());
                }
                c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

/// Writes a decimal number.
pub(crate) fn write_number(out: &mut Vec<u8>, n: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
}

/// Writes microseconds as milliseconds with three decimals, `12.345`.
pub(crate) fn write_ms(out: &mut Vec<u8>, us: u64) {
    write_number(out, us / 1000);
    let rest = us % 1000;
    out.extend_from_slice(&[b'.', digit(rest / 100), digit(rest / 10 % 10), digit(rest % 10)]);
}

fn digit(n: u64) -> u8 {
    b'0' + n as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        write_text(&mut out, bytes);
        let shown = String::from_utf8(out).expect("UTF-8");
        assert!(!shown.contains('\n'));
        serde_json::from_str(&shown).expect("one JSON string")
    }

    #[test]
    fn any_bytes_become_one_json_string() {
        assert_eq!(text(b"plain"), "plain");
        assert_eq!(text(b"x\" 200 \"forged\\"), "x\" 200 \"forged\\");
        assert_eq!(text(b"\xff\xfe\x1b[31m\r\n"), "\u{fffd}\u{fffd}\u{1b}[31m\r\n");
        assert_eq!(text("é\u{2028}".as_bytes()), "é\u{2028}");
        assert!(text(&vec![b'a'; 100_000]).ends_with("…(cut)"));
        let all: Vec<u8> = (0..=255).collect();
        text(&all);
    }

    #[test]
    fn milliseconds_keep_three_decimals() {
        let mut out = Vec::new();
        write_ms(&mut out, 12_045);
        assert_eq!(out, b"12.045");
    }
}
