//! The first message of a TLS client: pieces of any size say what the whole says, whatever the bytes are.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pylos_core::tls::peek;

fuzz_target!(|data: &[u8]| {
    let whole = peek(data);
    // What was understood, or refused, from the beginning alone stays that when more comes.
    for end in 0..data.len() {
        match peek(&data[..end]) {
            Ok(None) => {}
            known => assert_eq!(known, whole, "{end} bytes"),
        }
    }
    if let Ok(Some(hello)) = whole {
        let name = hello.name.as_deref().unwrap_or_default();
        assert!(name.bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase()), "{name:?}");
    }
});
