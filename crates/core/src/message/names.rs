//! The field names that a gateway has to know, as one byte each. Everything else is [`Known::Other`].

/// A field name that some stage acts upon. The discriminant is an index into bit sets, below 64.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Known {
    Other = 0,
    Host,
    ContentLength,
    TransferEncoding,
    Connection,
    KeepAlive,
    ProxyConnection,
    Te,
    Trailer,
    Upgrade,
    Http2Settings,
    Expect,
    XForwardedFor,
    XForwardedProto,
    XForwardedHost,
    /// Any other `x-forwarded-…`.
    XForwardedOther,
    Forwarded,
    XRealIp,
    XRequestId,
    Via,
    Proxy,
    UserAgent,
    Accept,
    Date,
    Server,
    XPoweredBy,
    AltSvc,
    Location,
    ContentLocation,
    Refresh,
    Link,
    SetCookie,
    ContentType,
    PylosReason,
    MaxForwards,
    ClientCert,
    ClientCertChain,
}

impl Known {
    /// The bit of this name in a [`NameSet`].
    pub const fn bit(self) -> u64 {
        1 << self as u8
    }
}

/// A set of known names.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NameSet(pub u64);

impl NameSet {
    pub const fn of(names: &[Known]) -> Self {
        let (mut bits, mut i) = (0, 0);
        while i < names.len() {
            bits |= names[i].bit();
            i += 1;
        }
        NameSet(bits)
    }
    pub const fn has(self, name: Known) -> bool {
        self.0 & name.bit() != 0
    }
    pub const fn with(self, name: Known) -> Self {
        NameSet(self.0 | name.bit())
    }
    pub const fn without(self, others: NameSet) -> Self {
        NameSet(self.0 & !others.0)
    }
    pub const fn meets(self, other: NameSet) -> bool {
        self.0 & other.0 != 0
    }
}

/// Classifies a name, whatever its letter case.
pub fn known(name: &[u8]) -> Known {
    let candidates = BY_LENGTH.get(name.len()).copied().unwrap_or_default();
    let ends = ends_of(name);
    for candidate in candidates {
        if candidate.ends == ends && (name.len() <= 16 || name.eq_ignore_ascii_case(candidate.spelled)) {
            return candidate.known;
        }
    }
    const FORWARDED: &[u8] = b"x-forwarded-";
    if name.len() > FORWARDED.len() && ends.0 == const { ends_of(FORWARDED).0 } {
        let same = name[..FORWARDED.len()].eq_ignore_ascii_case(FORWARDED);
        return if same { Known::XForwardedOther } else { Known::Other };
    }
    Known::Other
}

const BY_LENGTH: [&[Named]; 18] = [
    &[],
    &[],
    &[Named::new(b"te", Known::Te)],
    &[Named::new(b"via", Known::Via)],
    &[Named::new(b"host", Known::Host), Named::new(b"date", Known::Date), Named::new(b"link", Known::Link)],
    &[Named::new(b"proxy", Known::Proxy)],
    &[
        Named::new(b"accept", Known::Accept),
        Named::new(b"expect", Known::Expect),
        Named::new(b"server", Known::Server),
    ],
    &[
        Named::new(b"upgrade", Known::Upgrade),
        Named::new(b"trailer", Known::Trailer),
        Named::new(b"refresh", Known::Refresh),
        Named::new(b"alt-svc", Known::AltSvc),
    ],
    &[Named::new(b"location", Known::Location)],
    &[Named::new(b"forwarded", Known::Forwarded), Named::new(b"x-real-ip", Known::XRealIp)],
    &[
        Named::new(b"connection", Known::Connection),
        Named::new(b"user-agent", Known::UserAgent),
        Named::new(b"keep-alive", Known::KeepAlive),
        Named::new(b"set-cookie", Known::SetCookie),
    ],
    &[Named::new(b"client-cert", Known::ClientCert)],
    &[
        Named::new(b"content-type", Known::ContentType),
        Named::new(b"x-request-id", Known::XRequestId),
        Named::new(b"x-powered-by", Known::XPoweredBy),
        Named::new(b"pylos-reason", Known::PylosReason),
        Named::new(b"max-forwards", Known::MaxForwards),
    ],
    &[],
    &[
        Named::new(b"content-length", Known::ContentLength),
        Named::new(b"http2-settings", Known::Http2Settings),
    ],
    &[Named::new(b"x-forwarded-for", Known::XForwardedFor)],
    &[
        Named::new(b"x-forwarded-host", Known::XForwardedHost),
        Named::new(b"content-location", Known::ContentLocation),
        Named::new(b"proxy-connection", Known::ProxyConnection),
    ],
    &[
        Named::new(b"transfer-encoding", Known::TransferEncoding),
        Named::new(b"x-forwarded-proto", Known::XForwardedProto),
        Named::new(b"client-cert-chain", Known::ClientCertChain),
    ],
];

/// A name as it is looked for.
struct Named {
    ends: (u64, u64),
    spelled: &'static [u8],
    known: Known,
}

impl Named {
    const fn new(spelled: &'static [u8], known: Known) -> Self {
        Named { ends: ends_of(spelled), spelled, known }
    }
}

/// The first and the last eight bytes of a name in lower case: with its length, all of one of up to 16 bytes. Two
/// comparisons of numbers tell names apart, where a loop over bytes would end anywhere.
#[inline]
const fn ends_of(name: &[u8]) -> (u64, u64) {
    if let (Some(first), Some(last)) = (name.first_chunk::<8>(), name.last_chunk::<8>()) {
        return (lower(u64::from_le_bytes(*first)), lower(u64::from_le_bytes(*last)));
    }
    if let (Some(first), Some(last)) = (name.first_chunk::<4>(), name.last_chunk::<4>()) {
        let both = (u32::from_le_bytes(*first) as u64) << 32 | u32::from_le_bytes(*last) as u64;
        return (lower(both), 0);
    }
    let (mut few, mut i) = (0, 0);
    while i < name.len() {
        few = few << 8 | name[i] as u64;
        i += 1;
    }
    (lower(few), 0)
}

/// Eight bytes, each `A` to `Z` of them in lower case.
#[inline]
const fn lower(bytes: u64) -> u64 {
    const ALL: u64 = 0x0101_0101_0101_0101;
    let low = bytes & (0x7f * ALL);
    let from_a = low + (0x80 - b'A' as u64) * ALL;
    let behind_z = low + (0x7f - b'Z' as u64) * ALL;
    let upper = from_a & !behind_z & !bytes & (0x80 * ALL);
    bytes | upper >> 2
}

/// Classifies a name as an application behind CGI or WSGI would read it: `_` and `-` are one there, so that
/// `X_Forwarded_For` is a twin of `X-Forwarded-For`.
pub fn known_as_cgi(name: &[u8]) -> Known {
    let mut folded = [0u8; 32];
    let Some(room) = folded.get_mut(..name.len()) else { return Known::Other };
    for (to, from) in room.iter_mut().zip(name) {
        *to = if *from == b'_' { b'-' } else { *from };
    }
    known(room)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_any_case() {
        assert_eq!(known(b"Content-LENGTH"), Known::ContentLength);
        assert_eq!(known(b"X-Forwarded-Prefix"), Known::XForwardedOther);
        assert_eq!(known(b"X-Custom"), Known::Other);
    }

    #[test]
    fn nothing_else_is_known() {
        let names: [&[u8]; 34] = [
            b"te",
            b"via",
            b"host",
            b"date",
            b"link",
            b"proxy",
            b"accept",
            b"expect",
            b"server",
            b"upgrade",
            b"trailer",
            b"refresh",
            b"alt-svc",
            b"location",
            b"forwarded",
            b"x-real-ip",
            b"connection",
            b"user-agent",
            b"keep-alive",
            b"set-cookie",
            b"content-type",
            b"x-request-id",
            b"x-powered-by",
            b"pylos-reason",
            b"max-forwards",
            b"content-length",
            b"http2-settings",
            b"x-forwarded-for",
            b"x-forwarded-any",
            b"x-forwarded-host",
            b"content-location",
            b"proxy-connection",
            b"transfer-encoding",
            b"x-forwarded-proto",
        ];
        for name in names {
            let expected = known(name);
            assert_ne!(expected, Known::Other, "{name:?}");
            assert_eq!(known(&name.to_ascii_uppercase()), expected, "{name:?}");
            let prefix = if name.starts_with(b"x-forwarded-") { 12 } else { name.len() };
            // Every byte in every place: only the other letter case is the same name.
            for (place, byte) in (0..prefix).flat_map(|place| (0..=255).map(move |byte| (place, byte))) {
                let mut other = name.to_vec();
                other[place] = byte;
                let found = if other.eq_ignore_ascii_case(name) { expected } else { Known::Other };
                assert_eq!(known(&other), found, "{other:?}");
            }
        }
    }

    #[test]
    fn underscores_make_twins_only_for_cgi() {
        assert_eq!(known(b"X_Forwarded_For"), Known::Other);
        assert_eq!(known_as_cgi(b"X_Forwarded-For"), Known::XForwardedFor);
        assert_eq!(known_as_cgi(b"access_key"), Known::Other);
    }
}
