//! What the parser says, in words for the one who wrote the expression.

use super::BadExpression;
use cel::ParseErrors;

pub(super) fn error(text: &str, errors: &ParseErrors) -> BadExpression {
    let first = errors.errors.iter().filter(|error| error.pos.0 > 0).min_by_key(|error| error.pos);
    let Some(first) = first else {
        return BadExpression { column: 1, message: "the expression cannot be read".to_owned(), hint: None };
    };
    let column = column(text, first.pos);
    let said = first.msg.strip_prefix("Syntax error: ").unwrap_or(&first.msg);
    let quoted = said.split_once('\'').and_then(|(_, rest)| {
        let end = rest.find("' expecting").or_else(|| rest.rfind('\''))?;
        Some(&rest[..end])
    });
    let (message, hint) = match quoted {
        Some("<EOF>") if text.trim().is_empty() => ("there is no expression".to_owned(), None),
        Some("<EOF>") => ("the expression ends too early".to_owned(), None),
        Some(token) if said.starts_with("token recognition") => {
            (format!("`{token}` cannot be read"), hint(token))
        }
        Some(token) if said.contains("input") => (format!("`{token}` is out of place"), hint(token)),
        _ => (said.to_owned(), None),
    };
    BadExpression { column, message, hint: hint.map(str::to_owned) }
}

/// What is often meant by what is no CEL.
fn hint(token: &str) -> Option<&'static str> {
    match token.trim() {
        token if token.starts_with(['"', '\'']) => Some("a text ends with the quote that it begins with"),
        token if token.starts_with('=') => Some("`==` compares"),
        "and" | "or" | "not" | "&" | "|" => Some("`&&`, `||` and `!` join conditions"),
        "~" | "=~" => Some("`TEXT.matches('re')` looks for a regular expression"),
        _ => None,
    }
}

/// Of a place given as line and column, both from 1, counted over the whole text.
fn column(text: &str, (line, column): (isize, isize)) -> usize {
    let before: usize =
        text.split_inclusive('\n').take(line.max(1) as usize - 1).map(|line| line.chars().count()).sum();
    (before + column.max(1) as usize).min(text.chars().count() + 1)
}
