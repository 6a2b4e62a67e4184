//! Plain numbers within their bounds.

use crate::table::{Code, PathPart, Problems};
use std::fmt::Display;
use std::ops::RangeInclusive;

/// The longest time that can be configured: a year. Sums of times never overflow.
pub(super) const LONGEST_MS: u64 = 366 * 24 * 3600 * 1000;

/// A wait must end: 0 is refused.
pub(super) fn wait(value: u64, path: Vec<PathPart>, problems: &mut Problems) {
    range(value, 1..=LONGEST_MS, "ms", path, problems);
}

/// 0 switches it off.
pub(super) fn wait_or_off(value: u64, path: Vec<PathPart>, problems: &mut Problems) {
    range(value, 0..=LONGEST_MS, "ms", path, problems);
}

pub(super) fn range<N: PartialOrd + Display>(
    value: N, range: RangeInclusive<N>, unit: &str, path: Vec<PathPart>, problems: &mut Problems,
) {
    if !range.contains(&value) {
        let (least, most) = range.into_inner();
        let blank = if unit.is_empty() { "" } else { " " };
        let message = format!("{value}{blank}{unit} is out of range: {least} to {most}");
        problems.report(Code::BadValue, path, message);
    }
}
