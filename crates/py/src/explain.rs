//! Questions about where a request would go.

use crate::{plain, sound};
use pylos_core::table::Table;
use pylos_proxy::Question;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// A sound table, ready for questions.
#[pyclass(frozen, module = "pylos._core")]
pub(crate) struct Explainer(Table);

#[pymethods]
impl Explainer {
    #[new]
    fn new(py: Python<'_>, table: &[u8]) -> PyResult<Self> {
        sound(py, table).map(Explainer)
    }

    /// Where a described request (JSON) would go, and why.
    fn explain<'py>(&self, py: Python<'py>, request: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        let question: Question = serde_json::from_slice(request)
            .map_err(|error| PyValueError::new_err(format!("not a request: {error}")))?;
        let explained = py.detach(|| pylos_proxy::explain(&self.0, &question));
        plain(py, &explained.map_err(PyValueError::new_err)?)
    }
}
