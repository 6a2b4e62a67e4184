//! Chunked bodies: pieces of any size give what one piece gives, and what the writer writes is read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pylos_core::http1::chunked::write_size;
use pylos_core::http1::fields::FieldLimits;
use pylos_core::http1::{ChunkError, ChunkedDecoder, Step};
use pylos_core::message::head::Fields;

const LIMITS: FieldLimits = FieldLimits { line: 64, total: 256, fields: 8 };

fuzz_target!(|data: &[u8]| {
    let Some((&size, body)) = data.split_first() else { return };
    let whole = decode(body, body.len().max(1));
    for piece in [1, usize::from(size) % 16 + 1] {
        match (&whole, decode(body, piece)) {
            (Ok(whole), Ok(pieces)) => assert_eq!(*whole, pieces, "in pieces of {piece}"),
            (Err(_), Err(_)) => {}
            (whole, pieces) => panic!("in one piece {whole:?}, in pieces of {piece} {pieces:?}"),
        }
    }
    round_trip(body, usize::from(size) + 1);
});

/// Content, trailer lines, and what follows.
#[derive(Debug, PartialEq, Eq)]
struct Decoded {
    content: Vec<u8>,
    trailers: Vec<(Vec<u8>, Vec<u8>)>,
    rest: Vec<u8>,
}

/// `None`: the body goes on after `input`.
fn decode(input: &[u8], piece: usize) -> Result<Option<Decoded>, ChunkError> {
    let (mut decoder, mut fields) = (ChunkedDecoder::default(), Fields::default());
    let (mut held, mut content, mut pieces) = (Vec::new(), Vec::new(), input.chunks(piece));
    loop {
        match decoder.step(&held, &mut fields, &LIMITS)? {
            Step::Data { skip, len } => {
                assert!(len > 0, "a step gets on");
                content.extend_from_slice(&held[skip..skip + len]);
                held.drain(..skip + len);
            }
            Step::More { skip } => {
                held.drain(..skip);
                match pieces.next() {
                    Some(more) => held.extend_from_slice(more),
                    None if skip > 0 => {}
                    None => return Ok(None),
                }
            }
            Step::End { skip } => {
                assert!(decoder.is_over());
                let text = |field: &pylos_core::message::head::Field| {
                    (field.name.of(&held).to_vec(), field.value.of(&held).to_vec())
                };
                let trailers = fields.list.iter().map(text).collect();
                held.drain(..skip);
                held.extend(pieces.flatten());
                assert!(content.len() + held.len() <= input.len());
                return Ok(Some(Decoded { content, trailers, rest: held }));
            }
        }
    }
}

fn round_trip(content: &[u8], chunk: usize) {
    let mut encoded = Vec::new();
    for chunk in content.chunks(chunk) {
        write_size(chunk.len(), &mut encoded);
        encoded.extend_from_slice(chunk);
        encoded.extend_from_slice(b"\r\n");
    }
    encoded.extend_from_slice(b"0\r\n\r\nrest");
    let expected = Decoded { content: content.to_vec(), trailers: Vec::new(), rest: b"rest".to_vec() };
    assert_eq!(decode(&encoded, 7), Ok(Some(expected)));
}
