//! Names and values of fields, as the file gives them.

use crate::http1::is_token;
use crate::table::raw::RawFieldEdits;
use crate::table::{Code, FieldEdits, FieldLine, PathPart, Problems};
use std::collections::BTreeMap;

/// `place` leads to the table that holds `set`, `add` and `remove`.
pub(super) fn edits(raw: &RawFieldEdits, place: Vec<PathPart>, problems: &mut Problems) -> FieldEdits {
    let within = |key: &str| [place.as_slice(), &[PathPart::from(key)]].concat();
    let mut remove = Vec::with_capacity(raw.remove.len());
    for (index, name) in raw.remove.iter().enumerate() {
        check_name(name, [within("remove"), vec![index.into()]].concat(), problems);
        remove.push(name.to_ascii_lowercase().into_bytes().into_boxed_slice());
    }
    FieldEdits {
        remove,
        set: fields(&raw.set, &within("set"), problems),
        add: fields(&raw.add, &within("add"), problems),
    }
}

pub(super) fn fields(
    raw: &BTreeMap<String, String>, place: &[PathPart], problems: &mut Problems,
) -> Vec<FieldLine> {
    let mut fields: Vec<FieldLine> = Vec::with_capacity(raw.len());
    for (name, value) in raw {
        let path = || [place, &[PathPart::from(name)]].concat();
        check_name(name, path(), problems);
        check_value(value, path(), problems);
        if let Some((twin, _)) = fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes()))
        {
            let message = format!("`{name}` is the same field as `{}`", String::from_utf8_lossy(twin));
            problems.report(Code::BadField, path(), message).of_key();
        }
        fields.push((name.as_bytes().into(), value.as_bytes().into()));
    }
    fields
}

/// They frame a message or belong to one connection: the gateway writes them (RFC 9110 7.6.1, RFC 9112 6).
const OWN: [&str; 13] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "max-forwards",
    "proxy",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Whether the gateway writes this field itself.
pub(crate) fn is_own(name: &str) -> bool {
    OWN.iter().any(|own| name.eq_ignore_ascii_case(own))
}

fn check_name(name: &str, path: Vec<PathPart>, problems: &mut Problems) {
    let (message, hint) = if !is_token(name.as_bytes()) {
        (format!("`{}` is not a field name", name.escape_debug()), None)
    } else if name.eq_ignore_ascii_case("host") {
        (
            "`Host` is not changed here".to_owned(),
            Some("`host` of the upstream says which one its targets see"),
        )
    } else if is_own(name) {
        let hint = "it frames a message or belongs to one connection";
        (format!("`{name}` is written by the gateway"), Some(hint))
    } else {
        return;
    };
    problems.report(Code::BadField, path, message).of_key().hint = hint.map(str::to_owned);
}

/// Why a text is no value of a field. RFC 9110 5.5: no controls but the tab, no blanks at the ends.
pub(crate) fn no_value(value: &str) -> Option<&'static str> {
    if value.bytes().any(|byte| (byte < 0x20 && byte != b'\t') || byte == 0x7F) {
        return Some("has a control character");
    }
    (value.trim_matches([' ', '\t']) != value).then_some("begins or ends with a blank")
}

fn check_value(value: &str, path: Vec<PathPart>, problems: &mut Problems) {
    if let Some(why) = no_value(value) {
        problems.report(Code::BadField, path, format!("the value {why}"));
    }
}
