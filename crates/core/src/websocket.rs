//! Where frames of the WebSocket protocol end (RFC 6455, 5.2): what is passed on as bytes can then be ended in order.

/// The frame by which a server says that it goes away: close, 1001 (RFC 6455, 5.5.1 and 7.4.1).
pub const GOING_AWAY: [u8; 4] = [0x88, 2, 0x03, 0xe9];

/// The same from a client, whose frames are masked.
pub fn going_away_masked(mask: [u8; 4]) -> [u8; 8] {
    let [first, length, high, low] = GOING_AWAY;
    [first, length | MASKED, mask[0], mask[1], mask[2], mask[3], high ^ mask[0], low ^ mask[1]]
}

const MASKED: u8 = 0x80;
const CLOSE: u8 = 8;
/// Two bytes, eight of a long length, four of a mask.
const LONGEST_HEAD: usize = 14;

/// Follows the frames of one direction. It looks at their lengths alone, and forgives all else.
#[derive(Debug, Default)]
pub struct Frames {
    head: [u8; LONGEST_HEAD],
    /// So much of it is there.
    held: usize,
    /// Bytes of the frame's content that are to come.
    left: u64,
    closed: bool,
}

impl Frames {
    /// Takes note of bytes that were passed on.
    pub fn pass(&mut self, mut bytes: &[u8]) {
        loop {
            let content = usize::try_from(self.left).map_or(bytes.len(), |left| left.min(bytes.len()));
            self.left -= content as u64;
            bytes = &bytes[content..];
            let Some((first, rest)) = bytes.split_first() else { return };
            self.head[self.held] = *first;
            self.held += 1;
            bytes = rest;
            if self.held == head_length(&self.head[..self.held]) {
                self.left = content_length(&self.head);
                self.closed |= self.head[0] & 0x0f == CLOSE;
                self.held = 0;
            }
        }
    }

    /// Whether another frame may come here: one has ended, and it was not the last.
    pub fn may_begin(&self) -> bool {
        self.held == 0 && self.left == 0 && !self.closed
    }
}

/// As far as its first bytes tell.
fn head_length(head: &[u8]) -> usize {
    let Some(second) = head.get(1) else { return 2 };
    let length = match second & !MASKED {
        127 => 8,
        126 => 2,
        _ => 0,
    };
    2 + length + if second & MASKED == 0 { 0 } else { 4 }
}

fn content_length(head: &[u8; LONGEST_HEAD]) -> u64 {
    let [_, second, a, b, c, d, e, f, g, h, ..] = *head;
    match second & !MASKED {
        127 => u64::from_be_bytes([a, b, c, d, e, f, g, h]),
        126 => u64::from(u16::from_be_bytes([a, b])),
        length => u64::from(length),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn frame(first: u8, mask: Option<[u8; 4]>, length: usize) -> Vec<u8> {
        let masked = mask.map_or(0, |_| MASKED);
        let mut bytes = vec![first];
        match length {
            0..126 => bytes.push(length as u8 | masked),
            126..65536 => {
                bytes.push(126 | masked);
                bytes.extend((length as u16).to_be_bytes());
            }
            _ => {
                bytes.push(127 | masked);
                bytes.extend((length as u64).to_be_bytes());
            }
        }
        bytes.extend(mask.iter().flatten());
        bytes.resize(bytes.len() + length, 0x88);
        bytes
    }

    #[test]
    fn the_last_frames_are_such() {
        let mut frames = Frames::default();
        assert!(frames.may_begin());
        frames.pass(&GOING_AWAY[..1]);
        assert!(!frames.may_begin());
        frames.pass(&GOING_AWAY[1..]);
        assert!(!frames.may_begin(), "nothing comes behind it");
        let masked = going_away_masked([1, 2, 3, 4]);
        assert_eq!(masked, [0x88, 0x82, 1, 2, 3, 4, 0x03 ^ 1, 0xe9 ^ 2]);
        let mut frames = Frames::default();
        frames.pass(&masked[..7]);
        assert!(frames.left == 1 && !frames.may_begin());
    }

    #[test]
    fn a_length_that_cannot_be_never_ends() {
        let mut frames = Frames::default();
        frames.pass(&[0x82, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        frames.pass(&[0; 1000]);
        assert!(!frames.may_begin());
    }

    proptest! {
        #[test]
        fn ends_are_found_however_the_bytes_come(
            sent in vec((0u8..8, any::<Option<[u8; 4]>>(), prop_oneof![0usize..300, 65_500usize..65_600]), 1..6),
            piece in 1usize..5000,
        ) {
            let mut frames = Frames::default();
            let (mut bytes, mut ends) = (Vec::new(), Vec::new());
            for (opcode, mask, length) in sent {
                bytes.extend(frame(0x80 | opcode, mask, length));
                ends.push(bytes.len());
            }
            let mut passed = 0;
            for some in bytes.chunks(piece) {
                frames.pass(some);
                passed += some.len();
                prop_assert_eq!(frames.may_begin(), ends.contains(&passed));
            }
        }
    }
}
