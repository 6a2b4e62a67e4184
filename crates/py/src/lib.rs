//! The module `pylos._core`: convert, call, convert back. No decision is made here.

mod compiled;
mod convert;
mod explain;
mod toml;

use mimalloc::MiMalloc;
use pylos_core::table::{Problem, RawTable, Table, compile};
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use serde::Serialize;
use std::os::fd::{FromRawFd, OwnedFd};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[pymodule]
#[pyo3(name = "_core")]
mod core_module {
    #[pymodule_export]
    use super::compiled::{Compiled, compile_table};
    #[pymodule_export]
    use super::explain::Explainer;
    #[pymodule_export]
    use super::toml::{TomlError, parse_toml};
    #[pymodule_export]
    use super::{check, routes, run_gateway, version};
}

/// The problems of a table, errors and warnings; an empty list for a sound one.
#[pyfunction]
fn check<'py>(py: Python<'py>, table: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let raw = read(table)?;
    let problems: Vec<Problem> = match py.detach(|| compile(raw)) {
        Ok((_, warnings)) => warnings,
        Err(problems) => problems,
    };
    plain(py, &problems)
}

/// The routes of a sound table in the order of precedence.
#[pyfunction]
fn routes<'py>(py: Python<'py>, table: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let table = sound(py, table)?;
    plain(py, &pylos_core::route::rows(&table))
}

/// Runs the gateway process over its control socket, which it takes over; returns the exit code.
#[pyfunction]
fn run_gateway(py: Python<'_>, control_fd: i32) -> PyResult<i32> {
    if control_fd < 0 {
        return Err(PyOSError::new_err(format!("{control_fd} is no descriptor")));
    }
    #[expect(unsafe_code, reason = "Python hands descriptors over as numbers")]
    // SAFETY: the number is not -1, and the caller's contract is that it owns the descriptor and gives it away
    // with this call: the supervisor's bare child inherits it for nothing else.
    let control = unsafe { OwnedFd::from_raw_fd(control_fd) };
    Ok(py.detach(|| pylos_proxy::run(control)))
}

#[pyfunction]
fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// A table that compiles, or ValueError.
fn sound(py: Python<'_>, table: &[u8]) -> PyResult<Table> {
    let raw = read(table)?;
    py.detach(|| compile(raw)).map(|(table, _)| table).map_err(|problems| {
        let first = problems.first().map_or("no reason", |problem| &problem.message);
        PyValueError::new_err(format!("the table has {} problems: {first}", problems.len()))
    })
}

/// The shape is checked by the configuration language: an error here is a mistake of ours.
fn read(table: &[u8]) -> PyResult<RawTable> {
    serde_json::from_slice(table).map_err(|error| PyValueError::new_err(format!("not a table: {error}")))
}

fn plain<'py>(py: Python<'py>, value: &impl Serialize) -> PyResult<Bound<'py, PyAny>> {
    let value = serde_json::to_value(value).map_err(|error| PyValueError::new_err(error.to_string()))?;
    convert::to_python(py, &value)
}
