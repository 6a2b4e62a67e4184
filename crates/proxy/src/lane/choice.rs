//! Which of several lanes is asked.

use super::Link;
use std::rc::Rc;

/// A wait that is too short to wake another lane for, us: one that is awake answers many for what a switch costs.
const SHORT_US: u64 = 200;

/// The first lane at which a question would wait for a moment only; where there is none, the one with the shortest wait.
pub fn choose<'l, T>(
    all: &'l [T], now_us: u64, link: impl Fn(&'l T) -> &'l Rc<Link>,
) -> Option<&'l Rc<Link>> {
    let mut best: Option<(u64, &Rc<Link>)> = None;
    for link in all.iter().map(link).filter(|link| !link.is_lost()) {
        let wait = link.wait_us(now_us);
        if wait <= SHORT_US {
            return Some(link);
        }
        if best.is_none_or(|(least, _)| wait < least) {
            best = Some((wait, link));
        }
    }
    best.map(|(_, link)| link)
}
