//! The `if` of a policy. The first line of an input is the expression, the others are fields of a request.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pylos_core::condition::Condition;
use pylos_core::facts::{Client, Facts};
use std::net::IpAddr;

struct Sent<'a> {
    lines: Vec<(&'a [u8], &'a [u8])>,
    client: Client,
}

impl Facts for Sent<'_> {
    fn method(&self) -> &[u8] {
        b"GET"
    }
    fn host(&self) -> &[u8] {
        b"a.example"
    }
    fn path(&self) -> &[u8] {
        b"/x%20y/z"
    }
    fn query(&self) -> Option<&[u8]> {
        self.lines.first().map(|(_, value)| &value[1..])
    }
    fn https(&self) -> bool {
        true
    }
    fn client_ip(&self) -> Option<IpAddr> {
        Some(IpAddr::from([10, 0, 0, 1]))
    }
    fn any_field(&self, test: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> bool {
        self.lines.iter().any(|(name, value)| test(name, &value[1..]))
    }
    fn client(&self) -> Option<&Client> {
        Some(&self.client)
    }
}

/// A field's name, and its value with the colon before it.
fn pair(line: &[u8]) -> Option<(&[u8], &[u8])> {
    line.iter().position(|&byte| byte == b':').map(|at| line.split_at(at))
}

fuzz_target!(|data: &[u8]| {
    let mut lines = data.split(|&byte| byte == b'\n');
    let Ok(text) = str::from_utf8(lines.next().unwrap_or_default()) else { return };
    match Condition::parse(text) {
        Ok(condition) => {
            let sent = Sent { lines: lines.filter_map(pair).collect(), client: Client::default() };
            let told = condition.holds(&sent);
            assert_eq!(told, condition.holds(&sent), "the same request has the same answer");
        }
        Err(error) => {
            assert!((1..=text.chars().count() + 1).contains(&error.column), "a mistake is in the text");
            assert!(!error.message.is_empty());
        }
    }
});
