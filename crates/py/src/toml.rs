//! TOML as plain values, with the place of each.

mod lines;
mod walk;

use lines::Lines;
use pyo3::create_exception;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use toml_edit::Document;
use walk::Walk;

create_exception!(
    pylos._core,
    TomlError,
    PyValueError,
    "The text is not TOML. Attributes: message, line, column (both from 1)."
);

/// Where a key and its value stand: path, then line, column and length of the key, then those of the value.
type Position<'py> = (Bound<'py, PyTuple>, usize, usize, usize, usize, usize, usize);

/// Plain values and positions. Lines and columns count from 1, columns and lengths in characters; a length ends
/// with its line. An element of an array has no key: its own place stands for it.
#[pyfunction]
pub(crate) fn parse_toml<'py>(
    py: Python<'py>, text: &str,
) -> PyResult<(Bound<'py, PyDict>, Vec<Position<'py>>)> {
    let lines = Lines::of(text);
    match Document::parse(text) {
        Ok(document) => Walk::new(py, &lines).document(document.as_table()),
        Err(error) => Err(toml_error(py, &lines, &error)),
    }
}

fn toml_error(py: Python<'_>, lines: &Lines<'_>, error: &toml_edit::TomlError) -> PyErr {
    let (line, column, _) = lines.place(error.span().unwrap_or(0..0));
    let message = error.message().to_owned();
    let raised = TomlError::new_err((message.clone(), line, column));
    let value = raised.value(py);
    let told = value.setattr("message", message);
    match told.and_then(|()| value.setattr("line", line)).and_then(|()| value.setattr("column", column)) {
        Ok(()) => raised,
        Err(error) => error,
    }
}
