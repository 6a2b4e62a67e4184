//! What a route does to the path on the way in (`strip`, `rewrite`), and how a path of the upstream is told to
//! the client on the way back.

use super::router::Captures;
use super::substitution::Substitution;
use super::template::{Template, captured};
use crate::message::path::PathError;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum PathEdit {
    #[default]
    Keep,
    /// Without its first segments, which the route's match holds equal to the stripped prefix.
    Strip {
        segments: usize,
    },
    Rewrite(Template),
    Substitute(Substitution),
}

impl PathEdit {
    pub fn is_keep(&self) -> bool {
        *self == PathEdit::Keep
    }

    /// Appends the upstream's path for this request's path. It always begins with a slash. Only a regular
    /// expression can fail, for what the client has sent; then nothing is appended.
    pub fn apply(&self, path: &[u8], captures: &Captures, out: &mut Vec<u8>) -> Result<(), PathError> {
        let base = out.len();
        match self {
            PathEdit::Keep => out.extend_from_slice(path),
            PathEdit::Strip { segments } => out.extend_from_slice(&path[segments_end(path, *segments)..]),
            PathEdit::Rewrite(template) => template.expand(path, captures, out),
            PathEdit::Substitute(substitution) => substitution.apply(path, out)?,
        }
        if out.len() == base {
            out.push(b'/');
        }
        Ok(())
    }

    /// The public path of `upstream_path`, which the upstream named in its answer to `request_path`. `None`:
    /// leave it as it is, for it is public already or cannot be told.
    pub fn map_back(
        &self, upstream_path: &[u8], request_path: &[u8], captures: &Captures,
    ) -> Option<Vec<u8>> {
        let mut public = match self {
            PathEdit::Keep | PathEdit::Substitute(_) => return None,
            PathEdit::Strip { segments } => {
                let prefix = &request_path[..segments_end(request_path, *segments)];
                [prefix, upstream_path.strip_prefix(b"/").map(|_| upstream_path)?].concat()
            }
            PathEdit::Rewrite(template) => {
                let (before, slot) = template.split_last()?;
                let mut prefix = Vec::new();
                before.expand(request_path, captures, &mut prefix);
                let tail = upstream_path.strip_prefix(prefix.as_slice())?;
                if !tail.is_empty() && tail[0] != b'/' {
                    return None;
                }
                let (start, end) = captures.get(slot as usize).copied()?;
                // Only a `{rest:path}` reaches to the end of the path and begins at a slash.
                let rest = captured(request_path, captures, slot);
                if end as usize != request_path.len() || !(rest.is_empty() || rest[0] == b'/') {
                    return None;
                }
                [&request_path[..start as usize], tail].concat()
            }
        };
        if public.is_empty() {
            public.push(b'/');
        }
        collapse_leading_slashes(&mut public, 0);
        Some(public)
    }
}

/// The end of the first `count` segments.
fn segments_end(path: &[u8], count: usize) -> usize {
    memchr::memchr_iter(b'/', path).nth(count).unwrap_or(path.len())
}

/// A reference that begins with `//` would name another host (RFC 3986 4.2). Looks from `at` on.
pub(crate) fn collapse_leading_slashes(reference: &mut Vec<u8>, at: usize) {
    let slashes = reference[at..].iter().take_while(|&&byte| byte == b'/').count();
    if slashes > 1 {
        reference.drain(at..at + slashes - 1);
    }
}

#[cfg(test)]
mod tests;
