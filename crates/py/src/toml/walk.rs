//! Through a document, collecting values and positions in the order of the text's tables.

use super::{Lines, Position};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use std::ops::Range;
use toml_edit::{Item, TableLike, Value};

pub(crate) struct Walk<'py, 't> {
    py: Python<'py>,
    lines: &'t Lines<'t>,
    path: Vec<Bound<'py, PyAny>>,
    positions: Vec<Position<'py>>,
}

type Plain<'py> = PyResult<Bound<'py, PyAny>>;

impl<'py, 't> Walk<'py, 't> {
    pub(crate) fn new(py: Python<'py>, lines: &'t Lines<'t>) -> Self {
        Walk { py, lines, path: Vec::new(), positions: Vec::new() }
    }

    pub(crate) fn document(
        mut self, table: &dyn TableLike,
    ) -> PyResult<(Bound<'py, PyDict>, Vec<Position<'py>>)> {
        let dict = self.table(table)?;
        Ok((dict, self.positions))
    }

    fn table(&mut self, table: &dyn TableLike) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(self.py);
        for (name, item) in table.iter() {
            let key = table.key(name).and_then(toml_edit::Key::span);
            self.path.push(name.into_bound_py_any(self.py)?);
            self.note(key, item.span())?;
            dict.set_item(name, self.item(item)?)?;
            self.path.pop();
        }
        Ok(dict)
    }

    fn item(&mut self, item: &Item) -> Plain<'py> {
        match item {
            Item::None => Ok(self.py.None().into_bound(self.py)),
            Item::Value(value) => self.value(value),
            Item::Table(table) => Ok(self.table(table)?.into_any()),
            Item::ArrayOfTables(tables) => {
                let list = PyList::empty(self.py);
                for (index, table) in tables.iter().enumerate() {
                    self.enter(index, table.span())?;
                    list.append(self.table(table)?)?;
                    self.path.pop();
                }
                Ok(list.into_any())
            }
        }
    }

    fn value(&mut self, value: &Value) -> Plain<'py> {
        match value {
            Value::String(text) => text.value().into_bound_py_any(self.py),
            Value::Integer(number) => number.value().into_bound_py_any(self.py),
            Value::Float(number) => number.value().into_bound_py_any(self.py),
            Value::Boolean(flag) => flag.value().into_bound_py_any(self.py),
            Value::Datetime(time) => time.value().to_string().into_bound_py_any(self.py),
            Value::InlineTable(table) => Ok(self.table(table)?.into_any()),
            Value::Array(values) => {
                let list = PyList::empty(self.py);
                for (index, value) in values.iter().enumerate() {
                    self.enter(index, value.span())?;
                    list.append(self.value(value)?)?;
                    self.path.pop();
                }
                Ok(list.into_any())
            }
        }
    }

    fn enter(&mut self, index: usize, span: Option<Range<usize>>) -> PyResult<()> {
        self.path.push(index.into_bound_py_any(self.py)?);
        self.note(None, span)
    }

    /// A table that is only named in the headers of others has no place of its own: its key's serves.
    fn note(&mut self, key: Option<Range<usize>>, value: Option<Range<usize>>) -> PyResult<()> {
        let value = value.or_else(|| key.clone()).unwrap_or(0..0);
        let (line, column, length) = self.lines.place(key.unwrap_or_else(|| value.clone()));
        let (value_line, value_column, value_length) = self.lines.place(value);
        let path = PyTuple::new(self.py, &self.path)?;
        self.positions.push((path, line, column, length, value_line, value_column, value_length));
        Ok(())
    }
}
