//! A table, compiled once, and what can be asked about it.

use crate::{plain, read};
use pylos_core::table::{Problem, Table, compile};
use pylos_proxy::Question;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::collections::BTreeMap;

/// A sound table.
#[pyclass(frozen, module = "pylos._core")]
pub(crate) struct Compiled(Table);

/// The problems of a table, errors and warnings, and the table where none is an error.
#[pyfunction]
pub(crate) fn compile_table<'py>(
    py: Python<'py>, table: &[u8],
) -> PyResult<(Bound<'py, PyAny>, Option<Compiled>)> {
    let raw = read(table)?;
    let (problems, table): (Vec<Problem>, Option<Table>) = match py.detach(|| compile(raw)) {
        Ok((table, warnings)) => (warnings, Some(table)),
        Err(problems) => (problems, None),
    };
    Ok((plain(py, &problems)?, table.map(Compiled)))
}

#[pymethods]
impl Compiled {
    /// The routes in the order of precedence.
    fn routes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        plain(py, &pylos_core::route::rows(&self.0))
    }

    /// By listener, the policies that hold for what no route takes, in the order of execution.
    fn unrouted(&self) -> BTreeMap<&str, Vec<&str>> {
        let names = |listener: &pylos_core::table::Listener| {
            let ids = listener.unrouted.ids.iter();
            ids.map(|id| &*self.0.policies[id.index()].name).collect()
        };
        self.0.listeners.iter().map(|listener| (&*listener.name, names(listener))).collect()
    }

    /// By policy, what its `if` asks for: `client.ip`, `request.headers`.
    fn asks(&self) -> BTreeMap<&str, Vec<&str>> {
        let conditional =
            self.0.policies.iter().filter_map(|policy| Some((policy, policy.condition.as_ref()?)));
        conditional.map(|(policy, condition)| (&*policy.name, condition.asks())).collect()
    }

    /// Where a described request (JSON) would go, and why.
    fn explain<'py>(&self, py: Python<'py>, request: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        let question: Question = serde_json::from_slice(request)
            .map_err(|error| PyValueError::new_err(format!("not a request: {error}")))?;
        let explained = py.detach(|| pylos_proxy::explain(&self.0, &question));
        plain(py, &explained.map_err(PyValueError::new_err)?)
    }
}
