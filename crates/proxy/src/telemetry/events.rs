//! What operators should know, as one JSON line each on standard error: a target went down, a defect was caught.
//! Rare by nature; nothing of a request's own is written here.

use super::json::write_text;
use crate::clock::wall_us;
use pylos_core::message::date::rfc3339;
use std::io::Write;

pub(crate) fn info(event: &str, facts: &[(&str, &str)]) {
    write("info", event, facts);
}

pub(crate) fn warn(event: &str, facts: &[(&str, &str)]) {
    write("warn", event, facts);
}

pub(crate) fn error(event: &str, facts: &[(&str, &str)]) {
    write("error", event, facts);
}

fn write(level: &str, event: &str, facts: &[(&str, &str)]) {
    let mut line = format!("{{\"ts\":\"{}\",\"level\":", rfc3339(wall_us() / 1000)).into_bytes();
    write_text(&mut line, level.as_bytes());
    line.extend_from_slice(b",\"event\":");
    write_text(&mut line, event.as_bytes());
    for (name, value) in facts {
        line.push(b',');
        write_text(&mut line, name.as_bytes());
        line.push(b':');
        write_text(&mut line, value.as_bytes());
    }
    line.extend_from_slice(b"}\n");
    // Nobody to tell when this fails.
    let _ = std::io::stderr().write_all(&line);
}
