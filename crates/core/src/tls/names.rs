//! Who answers for which name: exact ones first, then wildcards of one label (RFC 9525, 6.3).

use std::collections::HashMap;

/// Names and patterns, `shop.example` and `*.shop.example`, each with what answers for it.
#[derive(Debug, Clone)]
pub struct Names<T> {
    exact: HashMap<Box<str>, T>,
    /// By what stands behind `*.`.
    wild: HashMap<Box<str>, T>,
}

impl<T> Default for Names<T> {
    fn default() -> Self {
        Names { exact: HashMap::new(), wild: HashMap::new() }
    }
}

impl<T> Names<T> {
    /// What answers for this pattern, in whatever letter case, and is made where nothing did.
    pub fn entry(&mut self, pattern: &str, make: impl FnOnce() -> T) -> &mut T {
        let pattern = pattern.to_ascii_lowercase();
        match pattern.strip_prefix("*.") {
            Some(rest) => self.wild.entry(rest.into()).or_insert_with(make),
            None => self.exact.entry(pattern.into()).or_insert_with(make),
        }
    }

    /// What answers for a name in lower case.
    pub fn find(&self, name: &str) -> Option<&T> {
        let wild = || name.split_once('.').filter(|(label, _)| !label.is_empty());
        self.exact.get(name).or_else(|| self.wild.get(wild()?.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_ones_come_first_and_a_wildcard_is_one_label() {
        let mut names = Names::default();
        for (index, pattern) in ["A.Example", "*.w.example", "b.w.example"].into_iter().enumerate() {
            names.entry(pattern, || index);
        }
        for (name, found) in [
            ("a.example", Some(0)),
            ("x.w.example", Some(1)),
            ("b.w.example", Some(2)),
            ("w.example", None),
            ("x.y.w.example", None),
            (".w.example", None),
            ("unknown.test", None),
        ] {
            assert_eq!(names.find(name).copied(), found, "{name}");
        }
        assert_eq!(*names.entry("a.EXAMPLE", || 7), 0, "who came first stays");
    }
}
