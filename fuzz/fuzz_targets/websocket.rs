//! Frames of WebSockets: pieces of any size end where one piece ends, whatever the bytes are.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pylos_core::websocket::Frames;

fuzz_target!(|data: &[u8]| {
    let Some((&size, bytes)) = data.split_first() else { return };
    let (mut whole, mut pieces) = (Frames::default(), Frames::default());
    whole.pass(bytes);
    bytes.chunks(usize::from(size) % 16 + 1).for_each(|piece| pieces.pass(piece));
    assert_eq!(whole.may_begin(), pieces.may_begin());
    assert_eq!(format!("{whole:?}"), format!("{pieces:?}"));
});
