//! The module `pylos._core`: convert, call, convert back. No decision is made here.

mod compiled;
mod convert;
#[cfg(target_os = "linux")]
mod lane;
mod toml;

use mimalloc::MiMalloc;
use pylos_core::table::RawTable;
use pylos_core::verdict;
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
    #[cfg(target_os = "linux")]
    #[pymodule_export]
    use super::lane::{Call, Caller, Lane};
    #[pymodule_export]
    use super::toml::{TomlError, parse_toml};
    #[pymodule_export]
    use super::{check_by, run_gateway, version};
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
    let _ = pylos_proxy::RELEASE.set(release);
    Ok(py.detach(|| pylos_proxy::run(control)))
}

/// Gives back to the system what this thread has freed.
fn release() {
    #[expect(unsafe_code, reason = "the allocator is C")]
    // SAFETY: it may be called by any thread at any time.
    unsafe {
        libmimalloc_sys::mi_collect(true);
    }
}

#[pyfunction]
fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// Raises ValueError for a list in `by` of a verdict that no request can be told apart with.
#[pyfunction]
fn check_by(by: Vec<String>) -> PyResult<()> {
    verdict::check_by(by).map_err(PyValueError::new_err)
}

/// The shape is checked by the configuration language: an error here is a mistake of ours.
fn read(table: &[u8]) -> PyResult<RawTable> {
    serde_json::from_slice(table).map_err(|error| PyValueError::new_err(format!("not a table: {error}")))
}

fn plain<'py>(py: Python<'py>, value: &impl Serialize) -> PyResult<Bound<'py, PyAny>> {
    let value = serde_json::to_value(value).map_err(|error| PyValueError::new_err(error.to_string()))?;
    convert::to_python(py, &value)
}
