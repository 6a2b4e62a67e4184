//! Regular expressions of conditions, compiled with the table: `TEXT.matches('re')` becomes an index into a
//! variable, so that nothing is compiled while a request waits.

use cel::ExecutionError;
use cel::common::traits::Indexer;
use cel::common::types::{CelBool, CelString, DYN_TYPE, Type};
use cel::common::value::{CowVal, Val};
use regex::bytes::Regex;

/// The variable's name. No text can spell it.
pub(super) fn name(index: usize) -> String {
    format!("@re{index}")
}

/// A map from every text to whether the expression is found in it.
#[derive(Debug)]
pub(super) struct Pattern<'r>(pub(super) &'r Regex);

impl Val for Pattern<'_> {
    fn get_type(&self) -> &Type {
        &DYN_TYPE
    }

    fn cel_type() -> &'static Type {
        &DYN_TYPE
    }

    fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(Pattern(self.0))
    }
}

impl Indexer for Pattern<'_> {
    fn get<'b, 'v>(&'b self, text: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let text = text
            .downcast_ref::<CelString>()
            .ok_or_else(|| ExecutionError::function_error("matches", "this is no text"))?;
        Ok(CowVal::owned(CelBool::from(self.0.is_match(text.inner().as_bytes()))))
    }

    fn steal<'v>(self: Box<Self>, text: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.get(text).map(CowVal::into_owned)
    }
}
