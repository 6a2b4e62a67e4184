//! Goes through an expression once: every name and function must be known, and what is plainly no condition is
//! refused. On the way it notes what will have to be looked up, and compiles the regular expressions.

use super::functions::{FUNCTIONS, MACROS, METHODS, TYPES};
use super::variables::{FIELDS, Keys, Variable};
use super::{BadExpression, depth, pattern};
use crate::facts::{Asked, unseen};
use cel::common::ast::{
    CallExpr, ComprehensionExpr, Expr, IdedExpr, LiteralValue, SelectExpr, SourceInfo, operators,
};
use regex::bytes::Regex;

#[derive(Debug, Default)]
pub(super) struct Checked {
    pub(super) variables: Vec<Variable>,
    pub(super) patterns: Vec<Regex>,
}

/// What is plain about a value before there is a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Truth,
    Text,
    Number,
    List,
    Map,
    /// It depends.
    Open,
}

impl Kind {
    fn words(self) -> &'static str {
        match self {
            Kind::Truth => "true or false",
            Kind::Text => "a text",
            Kind::Number => "a number",
            Kind::List => "a list",
            Kind::Map => "a map",
            Kind::Open => "anything",
        }
    }
}

/// A tree deeper than this is refused: evaluation calls itself for each level.
const DEEPEST: usize = 160;

/// One loop may run over what another one made, twice as long each time.
const MOST_LOOPS: usize = 4;

pub(super) fn check(
    text: &str, expression: &mut IdedExpr, source: &SourceInfo,
) -> Result<Checked, BadExpression> {
    let mut walk =
        Walk { text, source, found: Checked::default(), bound: Vec::new(), looping: false, loops: 0 };
    if depth(expression) > DEEPEST {
        return Err(walk.bad(
            expression.id,
            "the expression is too long",
            "several policies can each have a part of it",
        ));
    }
    let (id, kind) = (expression.id, walk.visit(expression)?);
    walk.wants_truth(id, kind)?;
    Ok(walk.found)
}

struct Walk<'t> {
    text: &'t str,
    source: &'t SourceInfo,
    found: Checked,
    /// Names that loops give to their elements.
    bound: Vec<String>,
    looping: bool,
    loops: usize,
}

type Found = Result<Kind, BadExpression>;

impl Walk<'_> {
    fn bad(&self, id: u64, message: impl Into<String>, hint: impl Into<String>) -> BadExpression {
        let start = self.source.offset_for(id).map_or(0, |(start, _)| start as usize);
        let hint = Some(hint.into()).filter(|hint| !hint.is_empty());
        BadExpression { column: start.min(self.text.chars().count()) + 1, message: message.into(), hint }
    }

    fn wants_truth(&self, id: u64, kind: Kind) -> Result<(), BadExpression> {
        match kind {
            Kind::Truth | Kind::Open => Ok(()),
            other => Err(self.bad(
                id,
                format!("this is {}, not true or false", other.words()),
                "compare it: `==`, `!=`, `in`",
            )),
        }
    }

    fn visit(&mut self, node: &mut IdedExpr) -> Found {
        let id = node.id;
        if let Some(key) = self.known_key(node)? {
            return Ok(key);
        }
        match &mut node.expr {
            Expr::Literal(value) => Ok(literal(value)),
            Expr::Ident(name) => self.name(id, name),
            Expr::Select(select) => self.select(id, select),
            Expr::List(list) => {
                list.elements.iter_mut().try_for_each(|element| self.visit(element).map(drop))?;
                Ok(Kind::List)
            }
            Expr::Comprehension(loop_) => self.comprehension(id, loop_),
            Expr::Call(_) => self.call(node),
            Expr::Map(_) | Expr::Struct(_) => Err(self.bad(id, "a condition makes no maps", "")),
            Expr::Unspecified => Err(self.bad(id, "the expression cannot be read", "")),
        }
    }

    fn name(&self, id: u64, name: &str) -> Found {
        if name.starts_with('@') || self.bound.iter().any(|bound| bound == name) || TYPES.contains(&name) {
            return Ok(Kind::Open);
        }
        if let Some((root, fields)) = FIELDS.iter().find(|(root, _)| *root == name) {
            let fields: Vec<String> = fields.iter().map(|field| format!("`{root}.{field}`")).collect();
            return Err(self.bad(id, format!("`{root}` is not used as a whole"), fields.join(", ")));
        }
        let field = FIELDS
            .iter()
            .find(|(_, fields)| fields.contains(&name))
            .map(|(root, _)| format!("{root}.{name}"));
        let near = || closest(name, FIELDS.iter().map(|(root, _)| *root)).map(str::to_owned);
        let hint = match field.or_else(near) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "there are `request` and `client`".to_owned(),
        };
        Err(self.bad(id, format!("there is no `{name}`"), hint))
    }

    /// `request.headers`: notes the variable; which of its entries is up to the caller.
    fn variable(&mut self, id: u64, root: &str, field: &str) -> Result<&mut Variable, BadExpression> {
        let Some(variable) = Variable::named(root, field) else {
            let fields = FIELDS.iter().find(|(name, _)| *name == root).map_or(&[][..], |(_, fields)| fields);
            let hint = match closest(field, fields.iter().copied()) {
                Some(meant) => format!("did you mean `{root}.{meant}`?"),
                None => format!("it has {}", fields.join(", ")),
            };
            return Err(self.bad(id, format!("`{root}` has no `{field}`"), hint));
        };
        Ok(self.noted(variable))
    }

    fn noted(&mut self, variable: Variable) -> &mut Variable {
        let variables = &mut self.found.variables;
        let at = variables.iter().position(|known| known.name() == variable.name()).unwrap_or_else(|| {
            variables.push(variable);
            variables.len() - 1
        });
        &mut variables[at]
    }

    /// The root of a selection, when it is one of ours.
    fn root<'n>(&self, node: &'n IdedExpr) -> Option<&'n str> {
        match &node.expr {
            Expr::Ident(name)
                if FIELDS.iter().any(|(root, _)| root == name) && !self.bound.contains(name) =>
            {
                Some(name)
            }
            _ => None,
        }
    }

    /// `request.headers` and the like, as root and field.
    fn map<'n>(&self, node: &'n IdedExpr) -> Option<(&'n str, &'n str)> {
        let Expr::Select(select) = &node.expr else { return None };
        let root = self.root(&select.operand)?;
        let map =
            !select.test && Variable::named(root, &select.field).is_some_and(|variable| variable.is_map());
        map.then_some((root, select.field.as_str()))
    }

    /// `request.headers.x`, `request.headers['x']`, `'x' in request.headers`, `has(request.headers.x)`: one entry
    /// of a map, whose name stands in the expression.
    ///
    /// As a value it is "" where it is not there: the map is replaced by one that says so.
    fn known_key(&mut self, node: &mut IdedExpr) -> Result<Option<Kind>, BadExpression> {
        let (map, key, kind) = match &node.expr {
            Expr::Select(select) => {
                let kind = if select.test { Kind::Truth } else { Kind::Text };
                (&*select.operand, select.field.as_str(), kind)
            }
            Expr::Call(CallExpr { func_name, args, target: None }) => {
                match (func_name.as_str(), args.as_slice()) {
                    (operators::INDEX, [map, key]) => match text(key) {
                        Some(key) => (map, key, Kind::Text),
                        None => return Ok(None),
                    },
                    (operators::IN, [key, map]) => match text(key) {
                        Some(key) => (map, key, Kind::Truth),
                        None => return Ok(None),
                    },
                    _ => return Ok(None),
                }
            }
            _ => return Ok(None),
        };
        let Some((root, field)) = self.map(map) else { return Ok(None) };
        if field == "headers" && key.bytes().any(|byte| byte.is_ascii_uppercase()) {
            let hint = format!("`request.headers['{}']`", key.to_ascii_lowercase());
            return Err(self.bad(node.id, "names of fields are in lower case here", hint));
        }
        if field == "headers" {
            self.field_name(node.id, key)?;
        }
        let (id, key, claim) = (map.id, key.to_owned(), field == "claims");
        let map = Variable::named(root, field);
        let values = map.and_then(|map| map.values()).filter(|_| kind == Kind::Text);
        let variable = match values {
            Some(values) => {
                if let Some(map) = map_of(node) {
                    map.expr = Expr::Ident(values.name().to_owned());
                }
                self.noted(values)
            }
            None => self.variable(id, root, field)?,
        };
        if let Some(keys) = variable.keys_mut() {
            keys.ask(&key);
        }
        // A claim can be anything.
        Ok(Some(if claim && kind == Kind::Text { Kind::Open } else { kind }))
    }

    fn field_name(&self, id: u64, name: &str) -> Result<(), BadExpression> {
        if name.contains('_') {
            let hint = format!("`request.headers['{}']`", name.replace('_', "-"));
            return Err(self.bad(id, "`_` in the name of a field counts as `-`", hint));
        }
        match unseen(name) {
            Some((why, Asked::Host)) => Err(self.bad(id, why, "`request.host`")),
            Some((why, Asked::Address)) => {
                Err(self.bad(id, why, "`client.ip` is the client's address, which `trusted_proxies` tell"))
            }
            Some((why, Asked::Nothing)) => Err(self.bad(id, why, "")),
            None => Ok(()),
        }
    }

    fn select(&mut self, id: u64, select: &mut SelectExpr) -> Found {
        let Some(root) = self.root(&select.operand).map(str::to_owned) else {
            self.visit(&mut select.operand)?;
            return Ok(if select.test { Kind::Truth } else { Kind::Open });
        };
        if select.test && Variable::named(&root, &select.field).is_some() {
            let hint = format!("compare it: `{root}.{} != ''`", select.field);
            return Err(self.bad(id, format!("`{root}.{}` is always there", select.field), hint));
        }
        let variable = self.variable(id, &root, &select.field)?;
        let kind = if variable.is_map() { Kind::Map } else { Kind::Text };
        if let Some(keys) = variable.keys_mut() {
            *keys = Keys::All;
        }
        Ok(kind)
    }

    fn comprehension(&mut self, id: u64, loop_: &mut ComprehensionExpr) -> Found {
        if self.looping {
            return Err(self.bad(
                id,
                "a loop inside of a loop takes too long",
                "several policies can each have a part of it",
            ));
        }
        self.loops += 1;
        if self.loops > MOST_LOOPS {
            return Err(self.bad(
                id,
                format!("more than {MOST_LOOPS} loops take too long"),
                "several policies can each have a part of it",
            ));
        }
        self.visit(&mut loop_.iter_range)?;
        self.looping = true;
        let names = std::iter::once(&loop_.iter_var).chain(&loop_.iter_var2);
        for name in names {
            if FIELDS.iter().any(|(root, _)| root == name) {
                return Err(self.bad(id, format!("`{name}` is taken"), "give the element another name"));
            }
            self.bound.push(name.clone());
        }
        let start = self.visit(&mut loop_.accu_init)?;
        self.visit(&mut loop_.loop_cond)?;
        self.visit(&mut loop_.loop_step)?;
        let result = self.visit(&mut loop_.result)?;
        self.bound.clear();
        self.looping = false;
        let same = matches!(&loop_.result.expr, Expr::Ident(name) if *name == loop_.accu_var);
        Ok(if same { start } else { result })
    }

    fn call(&mut self, node: &mut IdedExpr) -> Found {
        let id = node.id;
        let Expr::Call(call) = &mut node.expr else { return Ok(Kind::Open) };
        let name = call.func_name.clone();
        self.known_function(id, call)?;
        let mut kinds = Vec::new();
        for part in call.target.as_deref_mut().into_iter().chain(&mut call.args) {
            kinds.push((part.id, self.visit(part)?));
        }
        if name == "matches" {
            self.compile_pattern(node)?;
            return Ok(Kind::Truth);
        }
        self.result(id, &name, &kinds)
    }

    fn known_function(&self, id: u64, call: &CallExpr) -> Result<(), BadExpression> {
        let (name, count) = (call.func_name.as_str(), call.args.len());
        if is_operator(name) {
            return Ok(());
        }
        if let Some((_, usage)) = MACROS.iter().find(|(known, _)| *known == name) {
            return Err(self.bad(id, format!("`{name}` is not used like this"), *usage));
        }
        let method = METHODS.iter().find(|(known, _)| *known == name);
        let function = FUNCTIONS.contains(&name);
        let fits = match &call.target {
            Some(_) => method.is_some_and(|(_, counts)| counts.contains(&count)),
            None => function && count == 1,
        };
        if fits {
            return Ok(());
        }
        Err(match (method, function) {
            (Some((_, counts)), _) if call.target.is_some() => {
                let (least, most) = (counts.start(), counts.end());
                let counts = if least == most { least.to_string() } else { format!("{least} or {most}") };
                self.bad(id, format!("`{name}` takes {counts} in its parentheses, not {count}"), "")
            }
            (Some(_), false) => {
                self.bad(id, format!("`{name}` is called on a value"), format!("`request.path.{name}(...)`"))
            }
            (_, true) => self.bad(id, format!("`{name}` takes one value"), format!("`{name}(request.path)`")),
            (None, false) => {
                let known = METHODS.iter().map(|(name, _)| *name).chain(FUNCTIONS.iter().copied());
                let known = known.chain(MACROS.iter().map(|(name, _)| *name));
                let hint = closest(name, known).map(|meant| format!("did you mean `{meant}`?"));
                self.bad(id, format!("there is no function `{name}`"), hint.unwrap_or_default())
            }
        })
    }

    /// `TEXT.matches('re')` becomes `@re0[TEXT]`.
    fn compile_pattern(&mut self, node: &mut IdedExpr) -> Result<(), BadExpression> {
        let Expr::Call(call) = &mut node.expr else { return Ok(()) };
        let (Some(target), Some(argument)) = (call.target.take(), call.args.pop()) else { return Ok(()) };
        let Some(re) = text(&argument) else {
            return Err(self.bad(
                argument.id,
                "a regular expression stands in quotes",
                "`request.path.matches('^/v[0-9]+/')`",
            ));
        };
        let compiled = crate::route::regular_expression(re)
            .map_err(|error| self.bad(argument.id, error.message, error.hint.unwrap_or_default()))?;
        let variable = Expr::Ident(pattern::name(self.found.patterns.len()));
        self.found.patterns.push(compiled);
        call.func_name = operators::INDEX.to_owned();
        call.args = vec![IdedExpr { id: argument.id, expr: variable }, *target];
        Ok(())
    }

    /// What comes out, where it is plain.
    fn result(&self, id: u64, name: &str, kinds: &[(u64, Kind)]) -> Found {
        match name {
            operators::LOGICAL_AND | operators::LOGICAL_OR | operators::LOGICAL_NOT => {
                kinds.iter().try_for_each(|(id, kind)| self.wants_truth(*id, *kind))?;
                Ok(Kind::Truth)
            }
            operators::CONDITIONAL => {
                self.wants_truth(kinds[0].0, kinds[0].1)?;
                Ok(if kinds[1].1 == kinds[2].1 { kinds[1].1 } else { Kind::Open })
            }
            operators::EQUALS
            | operators::NOT_EQUALS
            | operators::LESS
            | operators::LESS_EQUALS
            | operators::GREATER
            | operators::GREATER_EQUALS => {
                let (a, b) = (kinds[0].1, kinds[1].1);
                if a != b && a != Kind::Open && b != Kind::Open {
                    let message = format!("{} and {} do not compare", a.words(), b.words());
                    return Err(self.bad(
                        id,
                        message,
                        "a text stands in quotes; `int(...)` makes a number of one",
                    ));
                }
                Ok(Kind::Truth)
            }
            operators::IN | "contains" | "endsWith" | "startsWith" | "bool" => Ok(Kind::Truth),
            operators::ADD => {
                let (a, b) = (kinds[0].1, kinds[1].1);
                let adds = |kind| matches!(kind, Kind::Text | Kind::Number | Kind::List | Kind::Open);
                if !adds(a) || !adds(b) || (a != b && a != Kind::Open && b != Kind::Open) {
                    let message = format!("{} and {} do not add up", a.words(), b.words());
                    return Err(self.bad(id, message, "`string(...)` makes a text of a number"));
                }
                Ok(if a == b { a } else { Kind::Open })
            }
            operators::SUBSTRACT
            | operators::MULTIPLY
            | operators::DIVIDE
            | operators::MODULO
            | operators::NEGATE => {
                let number = |kind: Kind| matches!(kind, Kind::Number | Kind::Open);
                if let Some((id, kind)) = kinds.iter().find(|(_, kind)| !number(*kind)) {
                    return Err(self.bad(*id, format!("this is {}, not a number", kind.words()), ""));
                }
                Ok(Kind::Number)
            }
            "size" | "indexOf" | "lastIndexOf" | "int" | "uint" | "double" => Ok(Kind::Number),
            "charAt" | "lowerAscii" | "string" | "substring" | "trim" | "upperAscii" => Ok(Kind::Text),
            _ => Ok(Kind::Open),
        }
    }
}

fn is_operator(name: &str) -> bool {
    const OPERATORS: [&str; 19] = [
        operators::CONDITIONAL,
        operators::LOGICAL_AND,
        operators::LOGICAL_OR,
        operators::LOGICAL_NOT,
        operators::NEGATE,
        operators::INDEX,
        operators::NOT_STRICTLY_FALSE,
        operators::IN,
        operators::ADD,
        operators::SUBSTRACT,
        operators::MULTIPLY,
        operators::DIVIDE,
        operators::MODULO,
        operators::EQUALS,
        operators::NOT_EQUALS,
        operators::LESS,
        operators::LESS_EQUALS,
        operators::GREATER,
        operators::GREATER_EQUALS,
    ];
    OPERATORS.contains(&name)
}

fn literal(value: &LiteralValue) -> Kind {
    match value {
        LiteralValue::Boolean(_) => Kind::Truth,
        LiteralValue::String(_) => Kind::Text,
        LiteralValue::Int(_) | LiteralValue::UInt(_) | LiteralValue::Double(_) => Kind::Number,
        LiteralValue::Bytes(_) | LiteralValue::Null => Kind::Open,
    }
}

/// The map of `map.key` and of `map['key']`.
fn map_of(node: &mut IdedExpr) -> Option<&mut IdedExpr> {
    match &mut node.expr {
        Expr::Select(select) => Some(&mut select.operand),
        Expr::Call(call) => call.args.first_mut(),
        _ => None,
    }
}

fn text(node: &IdedExpr) -> Option<&str> {
    match &node.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}

/// What was probably meant: at most a third of the letters differ.
fn closest<'c>(name: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let lower = name.to_ascii_lowercase();
    let near = candidates.map(|known| (distance(&lower, &known.to_ascii_lowercase()), known));
    let (far, meant) = near.min_by_key(|(far, _)| *far)?;
    (far * 3 <= name.len().max(3)).then_some(meant)
}

/// Of Levenshtein.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, right) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(left != right);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
