//! What a text must keep to before the parser sees it: the parser calls itself for what is nested and for every
//! operator, so a long text could exhaust the stack.

use super::BadExpression;

const LONGEST: usize = 4096;
const DEEPEST: usize = 24;
/// Marks, of which an operator has one or two.
const MOST_MARKS: usize = 300;

pub(super) fn check(text: &str) -> Result<(), BadExpression> {
    let bad = |at: usize, message: String| BadExpression {
        column: text[..at].chars().count() + 1,
        message,
        hint: Some("several policies can each have a part of it".to_owned()),
    };
    if text.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|&at| text.is_char_boundary(at));
        return Err(bad(end.unwrap_or_default(), format!("an expression has at most {LONGEST} bytes")));
    }
    let (mut depth, mut marks) = (0_usize, 0);
    for (at, byte) in code(text.as_bytes()) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            // A choice holds the next one.
            b'?' => depth += 1,
            _ => {}
        }
        if !(byte.is_ascii_alphanumeric() || byte.is_ascii_whitespace() || byte == b'_') {
            marks += 1;
        }
        if depth > DEEPEST {
            return Err(bad(at, format!("an expression is nested at most {DEEPEST} deep")));
        }
        if marks > MOST_MARKS {
            return Err(bad(at, "the expression is too long".to_owned()));
        }
    }
    Ok(())
}

/// The bytes that are neither in a quoted text nor in a comment. Where in doubt a byte counts as code.
fn code(text: &[u8]) -> impl Iterator<Item = (usize, u8)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let byte = *text.get(at)?;
            match byte {
                b'"' | b'\'' => at = end_of_quoted(text, at),
                b'/' if text.get(at + 1) == Some(&b'/') => {
                    at += text[at..].iter().position(|byte| *byte == b'\n').unwrap_or(text.len() - at);
                }
                _ => {
                    at += 1;
                    return Some((at - 1, byte));
                }
            }
        }
    })
}

/// The end of the quoted text that begins at `at`: a line's end too, unless three quotes began it.
fn end_of_quoted(text: &[u8], at: usize) -> usize {
    let quote = text[at];
    let long = text[at..].starts_with(&[quote; 3]);
    let raw = at > 0 && matches!(text[at - 1], b'r' | b'R');
    let mut end = at + if long { 3 } else { 1 };
    while let Some(&byte) = text.get(end) {
        match byte {
            b'\\' if !raw => end += 1,
            b'\n' if !long => return end,
            byte if byte == quote && !long => return end + 1,
            byte if byte == quote && text[end..].starts_with(&[quote; 3]) => return end + 3,
            _ => {}
        }
        end += 1;
    }
    end.min(text.len())
}
