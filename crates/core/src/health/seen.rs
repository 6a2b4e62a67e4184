//! How many of a target's latest answers were failures, in one word that threads share.

use crate::table::Share;

const COUNT_BITS: u32 = 22;
const MOST: u64 = (1 << COUNT_BITS) - 1;
const SPAN_BITS: u32 = 64 - 2 * COUNT_BITS;

/// The word after one more answer; 0 is that of a new target. It counts what was in one span of `over_ms`, and begins
/// anew with the next.
pub fn seen(word: u64, share: &Share, now_ms: u64, failed: bool) -> u64 {
    let span = (now_ms / share.over_ms.max(1)) & ((1 << SPAN_BITS) - 1);
    let (known, all, bad) = (word >> (2 * COUNT_BITS), (word >> COUNT_BITS) & MOST, word & MOST);
    let (all, bad) = if known == span { (all, bad) } else { (0, 0) };
    // Nobody counts further: their relation stays what it is.
    let (all, bad) = if all == MOST { (all / 2, bad / 2) } else { (all, bad) };
    (span << (2 * COUNT_BITS)) | ((all + 1) << COUNT_BITS) | (bad + u64::from(failed))
}

/// Whether those are too many.
pub fn too_many(word: u64, share: &Share) -> bool {
    let (all, bad) = ((word >> COUNT_BITS) & MOST, word & MOST);
    all >= u64::from(share.requests) && bad as f64 >= share.most * all as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: Share = Share { most: 0.5, requests: 10, over_ms: 1000 };

    #[test]
    fn a_share_counts_when_there_are_enough() {
        let after = |pattern: &str, at: u64| {
            pattern.chars().fold(0, |word, answer| seen(word, &HALF, at, answer == '-'))
        };
        assert!(!too_many(after("---------", 5), &HALF), "nine are not enough");
        assert!(too_many(after("----------", 5), &HALF));
        assert!(too_many(after("+-+-+-+-+-", 5), &HALF));
        assert!(!too_many(after("+-+-+-+-++", 5), &HALF));
    }

    #[test]
    fn what_was_before_is_forgotten() {
        let word = (0..9).fold(0, |word, _| seen(word, &HALF, 999, true));
        assert!(!too_many(seen(word, &HALF, 1000, true), &HALF));
        assert!(too_many(seen(word, &HALF, 999, true), &HALF));
    }

    #[test]
    fn it_never_overflows() {
        let word = (0..2 * MOST).fold(0, |word, _| seen(word, &HALF, 7, true));
        assert!(too_many(word, &HALF));
        let word = (0..2 * MOST).fold(word, |word, _| seen(word, &HALF, 7, false));
        assert!(!too_many(word, &HALF));
    }
}
