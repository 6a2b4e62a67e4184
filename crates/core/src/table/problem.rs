//! What can be wrong with a table, told so that the file's line can be found.

use serde::Serialize;

/// One finding: stable code, the place as keys from the document's root (spelled as in the file), and words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    pub code: Code,
    pub severity: Severity,
    pub path: Vec<PathPart>,
    /// Whether it is the last key of the path that is wrong, and not its value.
    pub of_key: bool,
    /// Other places that it is about.
    pub also: Vec<Vec<PathPart>>,
    pub message: String,
    pub hint: Option<String>,
}

impl Problem {
    pub(crate) fn hint(&mut self, hint: impl Into<String>) -> &mut Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn of_key(&mut self) -> &mut Self {
        self.of_key = true;
        self
    }

    pub(crate) fn also(&mut self, place: Vec<PathPart>) -> &mut Self {
        self.also.push(place);
        self
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Error,
    Warning,
}

/// A step from the root of the document to the place of a problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum PathPart {
    Key(String),
    Index(usize),
}

impl From<&str> for PathPart {
    fn from(key: &str) -> Self {
        PathPart::Key(key.to_owned())
    }
}

impl From<&String> for PathPart {
    fn from(key: &String) -> Self {
        PathPart::Key(key.clone())
    }
}

impl From<usize> for PathPart {
    fn from(index: usize) -> Self {
        PathPart::Index(index)
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $severity:ident;)*) => {
        /// Stable codes: P1xx are found by the configuration language as well, P2xx only here.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
        pub enum Code {
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
        }

        impl Code {
            pub const ALL: &[Code] = &[$(Code::$name),*];

            pub fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text),* }
            }

            /// A code has one severity, always.
            pub fn severity(self) -> Severity {
                match self { $(Code::$name => Severity::$severity),* }
            }
        }
    };
}

codes! {
    /// A name that stands nowhere.
    UnknownReference = "P107", Error;
    /// Keys that exclude each other, or none of a choice.
    Conflict = "P108", Error;
    /// A match string that cannot be read.
    BadMatch = "P201", Error;
    /// Two routes that match the same requests equally well.
    Tie = "P202", Error;
    /// A match that never decides anything.
    Shadowed = "P203", Warning;
    /// A `rewrite`, `strip` or redirect that does not fit the route's match.
    BadTemplate = "P204", Error;
    /// A target that cannot be reached as written.
    BadTarget = "P205", Error;
    /// Neither an address nor a network.
    BadNetwork = "P206", Error;
    /// A bind that cannot be listened on, or stands twice.
    BadBind = "P207", Error;
    /// A chain that contains itself.
    ChainLoop = "P208", Error;
    /// A field name or value that may not be sent or changed.
    BadField = "P209", Error;
    /// A `without` that takes nothing away.
    UnusedWithout = "P210", Warning;
    /// A value out of its range.
    BadValue = "P211", Error;
    /// A route without a policy that every route must have.
    Unprotected = "P212", Error;
    /// Another spelling of a path gets around a policy.
    Bypass = "P213", Warning;
    /// An `if` that cannot be read.
    BadExpression = "P214", Error;
    /// A `when` that cannot be read.
    BadCondition = "P215", Error;
    /// What a limit is to count by, and cannot have.
    BadKey = "P216", Error;
}

/// The findings of one compilation, in the order of finding.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<Problem>);

impl Problems {
    pub(crate) fn report(
        &mut self, code: Code, path: Vec<PathPart>, message: impl Into<String>,
    ) -> &mut Problem {
        self.0.push(Problem {
            code,
            severity: code.severity(),
            path,
            of_key: false,
            also: Vec::new(),
            message: message.into(),
            hint: None,
        });
        self.0.last_mut().expect("one was pushed just now")
    }

    pub(crate) fn any_error(&self) -> bool {
        self.0.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// Warnings beside a table that can be used, or everything when it cannot.
    pub(crate) fn verdict(self) -> Result<Vec<Problem>, Vec<Problem>> {
        if self.any_error() { Err(self.0) } else { Ok(self.0) }
    }
}

/// `place!["route", name, "match", 0]`: the path of a problem.
macro_rules! place {
    ($($part:expr),+ $(,)?) => { vec![$($crate::table::PathPart::from($part)),+] };
}
pub(crate) use place;
