//! `if` of a policy: an expression in CEL (cel.dev) about the request and its client.
//!
//! An expression is read once, with the table: its text within bounds ([`bounds`]), its tree with every name,
//! function and plain type settled ([`check`]), its regular expressions compiled ([`pattern`]). For a request
//! only what it names is looked up ([`variables`]).

mod bounds;
mod check;
mod functions;
mod pattern;
mod readings;
mod syntax;
mod variables;

use crate::facts::Facts;
use cel::common::ast::{Expr, IdedExpr};
use cel::{Context, Env, ExecutionError, Value};
use pattern::Pattern;
use readings::Reading;
use regex::bytes::Regex;
use std::sync::Arc;
use variables::Variable;

/// One expression, ready to be asked.
#[derive(Debug)]
pub struct Condition {
    text: Box<str>,
    expression: IdedExpr,
    /// What it names, each once.
    variables: Vec<Variable>,
    /// Of its `matches`, by place; the expression has [`pattern::name`] where they were.
    patterns: Vec<Regex>,
}

/// Why a text is no condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadExpression {
    /// Of the first character that is wrong, from 1, in characters.
    pub column: usize,
    pub message: String,
    pub hint: Option<String>,
}

/// Why a condition has no answer for this request: it looks for a claim that is not there, compares what cannot
/// be compared, applications would read the request in several ways, or the like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CannotTell(pub String);

thread_local! {
    /// Of each thread its own, so that threads do not count references in one place.
    static ENVIRONMENT: Arc<Env> = Arc::new(functions::environment());
}

impl Condition {
    pub fn parse(text: &str) -> Result<Self, BadExpression> {
        bounds::check(text)?;
        let program =
            ENVIRONMENT.with(|environment| environment.compile(text)).map_err(|e| syntax::error(text, &e))?;
        let mut expression = program.expression().clone();
        let found = check::check(text, &mut expression, program.source_info())?;
        Ok(Condition { text: text.into(), expression, variables: found.variables, patterns: found.patterns })
    }

    /// What it names, each once: `request.headers`, `client.ip`.
    pub fn asks(&self) -> Vec<&'static str> {
        let mut names: Vec<&str> = self.variables.iter().map(Variable::spelled).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// As in the file.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it holds for this request.
    pub fn holds(&self, facts: &dyn Facts) -> Result<bool, CannotTell> {
        let told = self.told(facts, &Reading::default())?;
        let agrees = |reading: &Reading| self.told(facts, reading) == Ok(told);
        if !readings::others(&self.variables, facts).is_some_and(|others| others.iter().all(agrees)) {
            return Err(CannotTell("the request can be read in more than one way".to_owned()));
        }
        Ok(told)
    }

    fn told(&self, facts: &dyn Facts, reading: &Reading) -> Result<bool, CannotTell> {
        let mut context = Context::with_env(ENVIRONMENT.with(Arc::clone));
        for variable in &self.variables {
            context.add_variable_as_val(variable.name(), variable.value(facts, reading));
        }
        for (index, pattern) in self.patterns.iter().enumerate() {
            context.add_variable_as_val(pattern::name(index), Box::new(Pattern(pattern)));
        }
        match Value::resolve(&self.expression, &context) {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(_) => Err(CannotTell("the result is neither true nor false".to_owned())),
            Err(error) => Err(CannotTell(reason(&error))),
        }
    }
}

/// In words that hold no value of the request: those may be secret, and long.
fn reason(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(name) => format!("there is no `{name}`"),
        ExecutionError::NoSuchOverload(error) => format!("`{}` does not take these values", error.function()),
        ExecutionError::FunctionError { function, .. } => format!("`{function}` failed"),
        ExecutionError::IndexOutOfBounds(_) => "an index is out of bounds".to_owned(),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "a division by zero".to_owned()
        }
        ExecutionError::Overflow(..) => "a number becomes too large".to_owned(),
        _ => "values do not go together".to_owned(),
    }
}

/// How many levels a tree has; the parser's bounds keep this call's own depth small.
fn depth(expression: &IdedExpr) -> usize {
    1 + match &expression.expr {
        Expr::Call(call) => {
            call.target.as_deref().into_iter().chain(&call.args).map(depth).max().unwrap_or(0)
        }
        Expr::Select(select) => depth(&select.operand),
        Expr::List(list) => list.elements.iter().map(depth).max().unwrap_or(0),
        Expr::Comprehension(loop_) => {
            [&loop_.iter_range, &loop_.accu_init, &loop_.loop_cond, &loop_.loop_step, &loop_.result]
                .into_iter()
                .map(depth)
                .max()
                .unwrap_or(0)
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests;
