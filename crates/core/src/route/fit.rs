//! Whether one pattern fits a request, and if not, what about it does not: the slow, telling counterpart of the
//! router, for `explain`.

use super::path_set::PathSet;
use super::pattern::{HostPattern, PathPattern, Pattern, Segment};

/// What keeps a pattern from a request; the first of them in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Misfit {
    Host,
    Path(PathMisfit),
    Method,
}

/// How near a path comes to a pattern's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathMisfit {
    /// It would fit with, or without, a slash at its end.
    TrailingSlash,
    /// It would fit with other letter case.
    LetterCase,
    /// It would fit with fewer slashes in a row.
    DoubledSlash,
    /// So many of its first segments fit.
    After(usize),
}

impl Pattern {
    /// `None`: it fits. The host is lower case and without a port, the path in normal form without a query.
    pub fn misfit(&self, host: &[u8], method: &[u8], path: &[u8]) -> Option<Misfit> {
        if !self.host.fits(host) {
            return Some(Misfit::Host);
        }
        if !self.path.fits(path) {
            return Some(Misfit::Path(self.path.nearness(path)));
        }
        let takes =
            self.methods.as_ref().is_none_or(|names| names.iter().any(|name| name.as_bytes() == method));
        (!takes).then_some(Misfit::Method)
    }
}

impl HostPattern {
    pub fn fits(&self, host: &[u8]) -> bool {
        let below =
            |suffix: &str| host.strip_suffix(suffix.as_bytes()).and_then(|front| front.strip_suffix(b"."));
        match self {
            HostPattern::Exact(name) => name.as_bytes() == host,
            HostPattern::OneLabel(suffix) => {
                below(suffix).is_some_and(|front| !front.is_empty() && !front.contains(&b'.'))
            }
            HostPattern::AnyDepth(suffix) => below(suffix).is_some_and(|front| !front.is_empty()),
            HostPattern::Any => true,
        }
    }
}

impl PathPattern {
    pub fn fits(&self, path: &[u8]) -> bool {
        PathSet::new([self]).contains(path)
    }

    /// How near a path comes that does not fit.
    fn nearness(&self, path: &[u8]) -> PathMisfit {
        let slashed = match path.strip_suffix(b"/") {
            Some(bare) => bare.to_vec(),
            None => [path, b"/"].concat(),
        };
        if self.fits(&slashed) {
            return PathMisfit::TrailingSlash;
        }
        if self.lowered().fits(&path.to_ascii_lowercase()) {
            return PathMisfit::LetterCase;
        }
        let mut single = path.to_vec();
        single.dedup_by(|next, before| *next == b'/' && *before == b'/');
        if single.len() < path.len() && self.fits(&single) {
            return PathMisfit::DoubledSlash;
        }
        let segments = path.strip_prefix(b"/").unwrap_or(path).split(|byte| *byte == b'/');
        let alike = self.0.iter().zip(segments).take_while(|(segment, sent)| match segment {
            Segment::Literal(bytes) => **bytes == **sent,
            Segment::Capture(_) => !sent.is_empty(),
            Segment::Rest(_) => true,
        });
        PathMisfit::After(alike.count())
    }

    fn lowered(&self) -> PathPattern {
        let lower = |segment: &Segment| match segment {
            Segment::Literal(bytes) => Segment::Literal(bytes.to_ascii_lowercase().into()),
            other => other.clone(),
        };
        PathPattern(self.0.iter().map(lower).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn misfit(pattern: &str, host: &str, method: &str, path: &str) -> Option<Misfit> {
        let pattern = Pattern::parse(pattern).expect("a sound pattern");
        pattern.misfit(host.as_bytes(), method.as_bytes(), path.as_bytes())
    }

    #[test]
    fn a_pattern_that_fits_has_no_misfit() {
        assert_eq!(misfit("GET a.example/x/{id}", "a.example", "GET", "/x/1"), None);
        assert_eq!(misfit("*.a.example/{rest:path}", "b.a.example", "PUT", "/x"), None);
        assert_eq!(misfit("**.a.example/", "c.b.a.example", "PUT", "/"), None);
    }

    #[test]
    fn the_first_difference_is_told() {
        assert_eq!(misfit("GET a.example/x", "b.example", "PUT", "/y"), Some(Misfit::Host));
        assert_eq!(misfit("*.a.example/x", "c.b.a.example", "PUT", "/x"), Some(Misfit::Host));
        assert_eq!(misfit("*.a.example/x", "a.example", "PUT", "/x"), Some(Misfit::Host));
        assert_eq!(misfit("GET /x", "b.example", "PUT", "/x"), Some(Misfit::Method));
    }

    #[test]
    fn near_paths_are_told_apart() {
        let path = |pattern, path| misfit(pattern, "", "GET", path);
        assert_eq!(path("/x/{id}", "/x/1/"), Some(Misfit::Path(PathMisfit::TrailingSlash)));
        assert_eq!(path("/x/", "/x"), Some(Misfit::Path(PathMisfit::TrailingSlash)));
        assert_eq!(path("/Xy/{id}", "/xY/1"), Some(Misfit::Path(PathMisfit::LetterCase)));
        assert_eq!(path("/x/y", "//x//y"), Some(Misfit::Path(PathMisfit::DoubledSlash)));
        assert_eq!(path("/x/y/z", "/x/y/q"), Some(Misfit::Path(PathMisfit::After(2))));
    }
}
