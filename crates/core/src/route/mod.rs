//! Which route a request takes, and what becomes of its path.
//!
//! A match string becomes a [`pattern`]; the patterns of all routes become one [`tree`] of segments per host
//! pattern; the [`router`] walks the trees from the most specific host to the least. A route's path is
//! changed by a [`path_edit`] and its redirects are made from a [`template`]; [`listing`] shows the order.

pub mod pattern;
mod regular;
mod when;
mod fast_hash;
mod tree;
mod path_set;
pub mod router;
pub mod template;
mod substitution;
pub mod path_edit;
pub mod listing;
mod fit;

pub use fit::{Misfit, PathMisfit};
pub use listing::{Row, rows};
pub use path_edit::PathEdit;
pub use path_set::PathSet;
pub use pattern::{HostPattern, PathPattern, Pattern, Segment};
pub(crate) use regular::regular_expression;
pub use router::{Captures, Found, Router};
pub(crate) use substitution::Part;
pub use substitution::Substitution;
pub use template::Template;
pub use when::{Check, Place, Test, When};
