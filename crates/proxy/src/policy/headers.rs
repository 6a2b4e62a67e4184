//! `type = "headers"`: fields removed, set and added, in that order.

use pylos_core::message::head::Fields;
use pylos_core::message::names::{NameSet, known};
use pylos_core::table::{Acting, Effective, FieldEdits, PolicyKind, Table};

/// All edits of one direction, in order, of those policies that act on this request.
pub(crate) fn edits<'t>(
    table: &'t Table, effective: &'t Effective, acting: &'t Acting, pick: Direction,
) -> impl Iterator<Item = &'t FieldEdits> + Clone + 't {
    let all = effective.ids.iter().enumerate();
    all.filter(|(place, _)| acting.acts(*place)).flat_map(move |(_, id)| {
        let (first, second) = match (&table.policies[id.index()].kind, pick) {
            (PolicyKind::Headers(h), Direction::Request) => (Some(&h.request), None),
            (PolicyKind::Headers(h), Direction::Response { https }) => {
                (https.then_some(&h.response_https), Some(&h.response))
            }
            (
                PolicyKind::Filter(_) | PolicyKind::RateLimit(_) | PolicyKind::Mtls | PolicyKind::Python(_),
                _,
            ) => (None, None),
        };
        first.into_iter().chain(second)
    })
}

#[derive(Clone, Copy)]
pub(crate) enum Direction {
    Request,
    /// `https`: the public scheme, for the fields that only make sense there.
    Response {
        https: bool,
    },
}

/// Takes the removed and the replaced fields out; gives the known names that were set, so that the gateway's
/// own value does not stand beside the policy's.
pub(crate) fn clear<'t>(
    fields: &mut Fields, block: &[u8], edits: impl Iterator<Item = &'t FieldEdits>,
) -> NameSet {
    let mut set = NameSet::default();
    for edit in edits {
        for name in &edit.remove {
            fields.drop_for_cgi(block, name);
        }
        for (name, _) in &edit.set {
            fields.drop_for_cgi(block, name);
            set = set.with(known(name));
        }
    }
    set
}

/// The names that an edit takes away or sets itself.
pub(crate) fn names(edit: &FieldEdits) -> impl Iterator<Item = &[u8]> {
    edit.remove.iter().chain(edit.set.iter().map(|(name, _)| name)).map(|name| &**name)
}

/// Writes what is set and added as field lines. Of several policies that set one name the last one wins.
pub(crate) fn write<'t>(out: &mut Vec<u8>, edits: impl Iterator<Item = &'t FieldEdits> + Clone) {
    for (i, edit) in edits.clone().enumerate() {
        let later = |name: &[u8]| {
            let taken = |e: &FieldEdits| {
                e.set.iter().map(|(n, _)| n).chain(&e.remove).any(|n| n.eq_ignore_ascii_case(name))
            };
            edits.clone().skip(i + 1).any(taken)
        };
        for (name, value) in edit.set.iter().chain(&edit.add) {
            if !later(name) {
                line(out, name, value);
            }
        }
    }
}

pub(crate) fn line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}
