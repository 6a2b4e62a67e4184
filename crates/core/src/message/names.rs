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
    pub const fn meets(self, other: NameSet) -> bool {
        self.0 & other.0 != 0
    }
}

/// Classifies a name, whatever its letter case.
pub fn known(name: &[u8]) -> Known {
    let candidates: &[(&[u8], Known)] = match name.len() {
        2 => &[(b"te", Known::Te)],
        3 => &[(b"via", Known::Via)],
        4 => &[(b"host", Known::Host), (b"date", Known::Date), (b"link", Known::Link)],
        5 => &[(b"proxy", Known::Proxy)],
        6 => &[(b"accept", Known::Accept), (b"expect", Known::Expect), (b"server", Known::Server)],
        7 => &[
            (b"upgrade", Known::Upgrade),
            (b"trailer", Known::Trailer),
            (b"refresh", Known::Refresh),
            (b"alt-svc", Known::AltSvc),
        ],
        8 => &[(b"location", Known::Location)],
        9 => &[(b"forwarded", Known::Forwarded), (b"x-real-ip", Known::XRealIp)],
        10 => &[
            (b"connection", Known::Connection),
            (b"user-agent", Known::UserAgent),
            (b"keep-alive", Known::KeepAlive),
            (b"set-cookie", Known::SetCookie),
        ],
        12 => &[
            (b"content-type", Known::ContentType),
            (b"x-request-id", Known::XRequestId),
            (b"x-powered-by", Known::XPoweredBy),
            (b"pylos-reason", Known::PylosReason),
            (b"max-forwards", Known::MaxForwards),
        ],
        14 => &[(b"content-length", Known::ContentLength), (b"http2-settings", Known::Http2Settings)],
        15 => &[(b"x-forwarded-for", Known::XForwardedFor)],
        16 => &[
            (b"x-forwarded-host", Known::XForwardedHost),
            (b"content-location", Known::ContentLocation),
            (b"proxy-connection", Known::ProxyConnection),
        ],
        17 => {
            &[(b"transfer-encoding", Known::TransferEncoding), (b"x-forwarded-proto", Known::XForwardedProto)]
        }
        _ => &[],
    };
    // The first byte tells nearly all of them apart.
    let first = name.first().map_or(0, u8::to_ascii_lowercase);
    for (spelled, known) in candidates {
        if spelled[0] == first && name.eq_ignore_ascii_case(spelled) {
            return *known;
        }
    }
    if name.len() > 12 && name[..12].eq_ignore_ascii_case(b"x-forwarded-") {
        return Known::XForwardedOther;
    }
    Known::Other
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
    fn underscores_make_twins_only_for_cgi() {
        assert_eq!(known(b"X_Forwarded_For"), Known::Other);
        assert_eq!(known_as_cgi(b"X_Forwarded-For"), Known::XForwardedFor);
        assert_eq!(known_as_cgi(b"access_key"), Known::Other);
    }
}
