//! A set of paths given as templates, as `deny_path` names them.

use super::pattern::PathPattern;
use super::router::{Captures, Methods};
use super::tree::{Endpoint, Given, Search, Tree};
use crate::facts::NoFacts;

#[derive(Debug, Default)]
pub struct PathSet(Option<Tree>);

impl PathSet {
    pub fn new<'a>(paths: impl IntoIterator<Item = &'a PathPattern>) -> Self {
        let mut tree = None;
        for path in paths {
            let tree = tree.get_or_insert_with(Tree::new);
            // All are of one route, so that none ties with another.
            let _ = tree.add(path, Endpoint::default());
        }
        PathSet(tree)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// `path` in normal form, without a query.
    pub fn contains(&self, path: &[u8]) -> bool {
        self.0.as_ref().is_some_and(|tree| {
            path.first() == Some(&b'/')
                && tree
                    .find(&mut Search::new(path, Methods::NONE, Given::Facts(&NoFacts)), &mut Captures::new())
                    .is_some()
        })
    }
}
