//! The first message of a TLS client (RFC 8446, 4.1.2), read for what it asks for, and not otherwise touched.

/// Bytes of the message at which it is refused; with a post-quantum key share one has some 1,800.
const MOST: usize = 16 * 1024;
/// Content of one record, as a sender may make it (RFC 8446, 5.1).
const MOST_RECORD: usize = 1 << 14;
/// Records that it comes in: each time one arrives all are read anew.
const MOST_RECORDS: usize = 64;
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_NAME: u16 = 0;
const HOST_NAME: u8 = 0;
const PROTOCOLS: u16 = 16;

/// What a client asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientHello {
    /// Of the server, in lower case (RFC 6066, 3); `None` where none is named, or by what can be no name.
    pub name: Option<Box<str>>,
    /// Protocols that it speaks on top (RFC 7301), in its order.
    pub protocols: Vec<Box<[u8]>>,
}

/// These bytes begin no TLS connection, or none that is well-formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotTls;

/// Reads a connection's first bytes; `None` when more are needed.
pub fn peek(bytes: &[u8]) -> Result<Option<ClientHello>, NotTls> {
    let mut whole = Vec::new();
    let mut records = Reader(bytes);
    for _ in 0..MOST_RECORDS {
        if records.0.is_empty() {
            return Ok(None);
        }
        // What is wrong is known before all of it is there.
        let (&kind, version) = (records.0.first().ok_or(NotTls)?, records.0.get(1));
        if kind != HANDSHAKE || version.is_some_and(|major| *major != 3) {
            return Err(NotTls);
        }
        let Some(head) = records.take(5) else { return Ok(None) };
        let length = usize::from(u16::from_be_bytes([head[3], head[4]]));
        if length == 0 || length > MOST_RECORD {
            return Err(NotTls);
        }
        let Some(content) = records.take(length) else { return Ok(None) };
        whole.extend_from_slice(content);
        if whole[0] != CLIENT_HELLO {
            return Err(NotTls);
        }
        let Some(&[_, a, b, c]) = whole.first_chunk::<4>() else { continue };
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        if length > MOST {
            return Err(NotTls);
        }
        if let Some(message) = whole.get(4..4 + length) {
            return hello(message).map(Some).ok_or(NotTls);
        }
    }
    Err(NotTls)
}

fn hello(message: &[u8]) -> Option<ClientHello> {
    let mut message = Reader(message);
    // Version, random bytes, session, cipher suites, compression.
    message.take(2 + 32)?;
    message.vector8()?;
    message.vector16()?;
    message.vector8()?;
    let mut found = ClientHello::default();
    if message.0.is_empty() {
        return Some(found);
    }
    let mut extensions = Reader(message.vector16()?);
    while !extensions.0.is_empty() {
        let kind = extensions.number()?;
        let mut content = Reader(extensions.vector16()?);
        match kind {
            SERVER_NAME => found.name = server_name(&mut content)?,
            PROTOCOLS => found.protocols = protocols(&mut content)?,
            _ => {}
        }
    }
    message.0.is_empty().then_some(found)
}

/// The outer `None`: malformed.
fn server_name(content: &mut Reader<'_>) -> Option<Option<Box<str>>> {
    let mut names = Reader(content.vector16()?);
    while !names.0.is_empty() {
        let kind = names.take(1)?[0];
        let name = names.vector16()?;
        if kind == HOST_NAME {
            return Some(host_name(name));
        }
    }
    Some(None)
}

fn host_name(name: &[u8]) -> Option<Box<str>> {
    let may = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let sound = !name.is_empty() && name.len() <= 255 && name.iter().all(may);
    let name = sound.then(|| std::str::from_utf8(name).ok()).flatten()?;
    Some(name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase().into())
}

fn protocols(content: &mut Reader<'_>) -> Option<Vec<Box<[u8]>>> {
    let (mut list, mut found) = (Reader(content.vector16()?), Vec::new());
    while !list.0.is_empty() {
        found.push(list.vector8()?.into());
    }
    Some(found)
}

/// Bytes that are taken from the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }
    fn number(&mut self) -> Option<u16> {
        let bytes = self.take(2)?;
        Some(u16::from_be_bytes([bytes[0], bytes[1]]))
    }
    /// A vector whose length stands in one byte.
    fn vector8(&mut self) -> Option<&'a [u8]> {
        let length = self.take(1)?[0];
        self.take(usize::from(length))
    }
    fn vector16(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(usize::from(length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn vector16(content: &[u8]) -> Vec<u8> {
        [&(content.len() as u16).to_be_bytes(), content].concat()
    }

    fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
        [&kind.to_be_bytes()[..], &vector16(content)].concat()
    }

    fn named(name: &[u8]) -> Vec<u8> {
        extension(SERVER_NAME, &vector16(&[&[HOST_NAME][..], &vector16(name)].concat()))
    }

    fn message(extensions: &[u8]) -> Vec<u8> {
        let fixed = [&[3, 3][..], &[7; 32], &[2, 1, 1], &[0, 2, 0x13, 0x01], &[1, 0]].concat();
        let body = [fixed, vector16(extensions)].concat();
        [&[CLIENT_HELLO][..], &(body.len() as u32).to_be_bytes()[1..], &body].concat()
    }

    fn records(message: &[u8], piece: usize) -> Vec<u8> {
        let record = |content: &[u8]| [&[HANDSHAKE, 3, 1][..], &vector16(content)].concat();
        message.chunks(piece).flat_map(record).collect()
    }

    fn name_of(bytes: &[u8]) -> Option<String> {
        let hello = peek(bytes).expect("a hello").expect("a whole one");
        hello.name.map(Into::into)
    }

    #[test]
    fn the_name_is_in_lower_case_and_may_be_missing() {
        let named = |name: &[u8]| name_of(&records(&message(&named(name)), 10_000));
        assert_eq!(named(b"Shop.Example").as_deref(), Some("shop.example"));
        assert_eq!(named(b"shop.example.").as_deref(), Some("shop.example"));
        for other in [&b""[..], b"a b", b"\xff", &[b'a'; 256]] {
            assert_eq!(named(other), None);
        }
        assert_eq!(name_of(&records(&message(b""), 10_000)), None);
    }

    #[test]
    fn protocols_are_in_the_order_of_the_client() {
        let list = vector16(b"\x02h2\x08http/1.1");
        let hello = peek(&records(&message(&extension(PROTOCOLS, &list)), 10_000));
        let hello = hello.expect("a hello").expect("a whole one");
        assert_eq!(hello.protocols, [Box::from(&b"h2"[..]), Box::from(&b"http/1.1"[..])]);
    }

    #[test]
    fn what_is_no_tls_is_known_at_once() {
        for bytes in [
            &b"G"[..],
            b"GET / HTTP/1.1",
            b"\x16G",
            b"\x15\x03\x01\0\x02",
            b"\x16\x03\x01\0\0",
            b"\x16\x03\x01\0\x01\x02",
        ] {
            assert_eq!(peek(bytes), Err(NotTls), "{bytes:?}");
        }
        let huge = [&[CLIENT_HELLO][..], &[1, 0, 0], &[0; 100]].concat();
        assert_eq!(peek(&records(&huge, 1000)), Err(NotTls));
        let torn = message(&named(b"a"));
        let mut shorter = torn.clone();
        shorter[3] -= 3;
        assert_eq!(peek(&records(&shorter[..torn.len() - 3], 1000)), Err(NotTls));
    }

    proptest! {
        #[test]
        fn it_is_found_however_it_comes(name in "[a-z]{1,20}(\\.[a-z]{1,9}){0,3}", piece in 8usize..400) {
            let bytes = records(&message(&named(name.as_bytes())), piece);
            for length in 0..bytes.len() {
                prop_assert_eq!(peek(&bytes[..length]), Ok(None));
            }
            prop_assert_eq!(name_of(&bytes), Some(name));
        }

        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = peek(&bytes);
            let _ = peek(&records(&bytes, 50));
            let _ = peek(&records(&message(&bytes), 5000));
        }
    }
}
