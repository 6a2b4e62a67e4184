//! Heads of requests and responses: dripped they read as in one piece, and what is accepted here is accepted,
//! and read alike, by another parser that is known to be the more lenient.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pylos_core::http1::head::FirstLine;
use pylos_core::http1::{HeadLimits, HeadParser, RequestLine, StatusLine};
use pylos_core::message::head::Fields;

/// Small, so that the bounds are met.
const LIMITS: HeadLimits = HeadLimits { line: 64, total: 256, fields: 8 };

fuzz_target!(|data: &[u8]| {
    if let Some((line, fields)) = parse::<RequestLine>(data) {
        request_reads_alike(data, &line, &fields);
    }
    if let Some((line, fields)) = parse::<StatusLine>(data) {
        response_reads_alike(data, line, &fields);
    }
});

/// The head, when it is whole and sound.
fn parse<L: FirstLine>(data: &[u8]) -> Option<(L, Fields)> {
    let mut fields = Fields::default();
    let whole = HeadParser::<L>::new().feed(data, &mut fields, &LIMITS);
    let (mut parser, mut dripped_fields) = (HeadParser::<L>::new(), Fields::default());
    let mut dripped = Ok(None);
    for end in 1..=data.len() {
        dripped = parser.feed(&data[..end], &mut dripped_fields, &LIMITS);
        if !matches!(dripped, Ok(None)) {
            break;
        }
    }
    match (whole, dripped) {
        (Ok(Some(whole)), Ok(Some(dripped))) => {
            assert_eq!(whole.len, dripped.len);
            assert_eq!(texts(data, &fields), texts(data, &dripped_fields));
            Some((whole.line, fields))
        }
        (Ok(None), Ok(None)) | (Err(_), Err(_)) => None,
        (whole, dripped) => {
            panic!("in one piece {:?}, dripped {:?}", whole.map(|h| h.map(|h| h.len)), dripped.map(|h| h.map(|h| h.len)))
        }
    }
}

fn texts<'d>(data: &'d [u8], fields: &Fields) -> Vec<(&'d [u8], &'d [u8])> {
    fields.list.iter().map(|field| (field.name.of(data), field.value.of(data))).collect()
}

fn request_reads_alike(data: &[u8], line: &RequestLine, fields: &Fields) {
    let mut slots = [httparse::EMPTY_HEADER; LIMITS.fields];
    let mut other = httparse::Request::new(&mut slots);
    match other.parse(data) {
        Ok(httparse::Status::Complete(_)) => {}
        // It knows no other minor versions.
        Err(httparse::Error::Version) => return,
        result => panic!("accepted here, and there {result:?}"),
    }
    assert_eq!(other.method.map(str::as_bytes), Some(line.method.of(data)));
    assert_eq!(other.path.map(str::as_bytes), Some(line.target.of(data)));
    fields_read_alike(data, fields, other.headers);
}

fn response_reads_alike(data: &[u8], line: StatusLine, fields: &Fields) {
    let mut slots = [httparse::EMPTY_HEADER; LIMITS.fields];
    let mut other = httparse::Response::new(&mut slots);
    match other.parse(data) {
        Ok(httparse::Status::Complete(_)) => {}
        Err(httparse::Error::Version) => return,
        result => panic!("accepted here, and there {result:?}"),
    }
    assert_eq!(other.code, Some(line.status));
    fields_read_alike(data, fields, other.headers);
}

fn fields_read_alike(data: &[u8], fields: &Fields, others: &[httparse::Header<'_>]) {
    let others: Vec<_> = others.iter().map(|other| (other.name.as_bytes(), other.value.trim_ascii())).collect();
    assert_eq!(texts(data, fields), others);
}
