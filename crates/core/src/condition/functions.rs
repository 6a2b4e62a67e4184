//! The functions of conditions: those whose cost is bounded by what they look at. Nothing that makes long
//! texts of short ones, and no clock.

use cel::{Env, extensions};

/// Name, and how many arguments it takes besides the value that it is called on.
pub(super) const METHODS: &[(&str, std::ops::RangeInclusive<usize>)] = &[
    ("charAt", 1..=1),
    ("contains", 1..=1),
    ("endsWith", 1..=1),
    ("indexOf", 1..=2),
    ("lastIndexOf", 1..=2),
    ("lowerAscii", 0..=0),
    ("matches", 1..=1),
    ("size", 0..=0),
    ("startsWith", 1..=1),
    ("substring", 1..=2),
    ("trim", 0..=0),
    ("upperAscii", 0..=0),
];

/// Each takes one value.
pub(super) const FUNCTIONS: &[&str] = &["bool", "double", "dyn", "int", "size", "string", "type", "uint"];

/// What the parser takes apart itself; a call that is left over is not well-formed.
pub(super) const MACROS: &[(&str, &str)] = &[
    ("all", "`LIST.all(x, CONDITION)`"),
    ("exists", "`LIST.exists(x, CONDITION)`"),
    ("exists_one", "`LIST.exists_one(x, CONDITION)`"),
    ("filter", "`LIST.filter(x, CONDITION)`"),
    ("has", "`has(request.headers.accept)`"),
    ("map", "`LIST.map(x, VALUE)`"),
];

/// Names of types, for `type(x) == string`.
pub(super) const TYPES: &[&str] =
    &["bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint"];

pub(super) fn environment() -> Env {
    let mut environment = Env::stdlib().with_optional_support(false);
    environment.add_extension(extensions::strings).expect("the functions of the library go together");
    environment
}
