//! Regular expressions of the configuration. They run in linear time, whatever a client sends; what one may
//! cost in memory is bounded here.

use super::pattern::Unreadable;
use regex::bytes::{Regex, RegexBuilder};

/// Bytes of the text of one.
const LONGEST: usize = 4096;
/// Bytes of one compiled, and of the states that it keeps while it runs.
const LARGEST: usize = 1 << 20;
const DEEPEST: u32 = 64;

pub(crate) fn regular_expression(text: &str) -> Result<Regex, Unreadable> {
    if text.len() > LONGEST {
        return Err(Unreadable::new(format!("a regular expression has at most {LONGEST} bytes")));
    }
    let built =
        RegexBuilder::new(text).size_limit(LARGEST).dfa_size_limit(LARGEST).nest_limit(DEEPEST).build();
    built.map_err(|error| match error {
        regex::Error::Syntax(report) => bad_syntax(text, &report),
        regex::Error::CompiledTooBig(_) => Unreadable::hinted(
            format!("`{text}` becomes too large"),
            "smaller repetitions; `(?-u)` makes `\\w`, `\\d` and `.` small",
        ),
        other => Unreadable::new(format!("`{text}` is no regular expression: {other}")),
    })
}

/// The report has the expression, a line of marks and the reason, each on a line of its own.
fn bad_syntax(text: &str, report: &str) -> Unreadable {
    let reason = report.lines().rev().find_map(|line| line.strip_prefix("error: "));
    let marks = report.lines().find(|line| line.starts_with("    ") && line.trim_start().starts_with('^'));
    let column = marks.and_then(|line| line.find('^')).and_then(|at| at.checked_sub(4));
    let place = column.map(|at| format!(", at column {}", at + 1)).unwrap_or_default();
    let reason = reason.unwrap_or("it cannot be read");
    let message = format!("`{text}` is no regular expression: {reason}{place}");
    match reason {
        reason if reason.contains("look-around") || reason.contains("backreferences") => {
            Unreadable::hinted(message, "those take exponential time; the syntax is that of RE2")
        }
        _ => Unreadable::new(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_told_with_its_column() {
        for (text, words) in [
            ("a(b", "unclosed group, at column 2"),
            ("(?=x)", "look-around"),
            (r"(a)\1", "RE2"),
            ("[", "unclosed character class, at column 1"),
            (r"\w{1000}{1000}", "(?-u)"),
            (&"(".repeat(5000), "4096 bytes"),
            (&format!("{}x{}", "(".repeat(100), ")".repeat(100)), "exceed"),
        ] {
            let Unreadable { message, hint } = regular_expression(text).expect_err(text);
            let told = format!("{message} {}", hint.unwrap_or_default());
            assert!(told.contains(words), "{told}");
        }
    }
}
