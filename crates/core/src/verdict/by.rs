//! What requests have to be alike in, for a decision that is remembered to hold for both, or to be counted together.

use crate::facts::unseen;
use crate::http1::is_token;
use serde::Deserialize;

/// One of them; written `request.path`, `client.claims.org`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum By {
    Method,
    Scheme,
    Host,
    Path,
    Query,
    Route,
    /// The name as it was written: letter case and `_` for `-` make no difference.
    Header(Box<[u8]>),
    /// Letter case counts.
    Cookie(Box<[u8]>),
    ClientId,
    ClientIp,
    ClientPlan,
    Claim(Box<str>),
}

/// Entries of a list.
pub(crate) const MOST: usize = 16;
/// Bytes of a name.
const LONGEST: usize = 256;

impl TryFrom<String> for By {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        By::read(&text).map_err(|why| format!("`by`: {why}"))
    }
}

impl By {
    /// The error says what is wrong with it.
    pub fn read(text: &str) -> Result<Self, String> {
        Ok(match text {
            "request.method" => By::Method,
            "request.scheme" => By::Scheme,
            "request.host" => By::Host,
            "request.path" => By::Path,
            "request.query" => By::Query,
            "request.route" => By::Route,
            "client.id" => By::ClientId,
            "client.ip" => By::ClientIp,
            "client.plan" => By::ClientPlan,
            other => {
                return if let Some(name) = other.strip_prefix("request.headers.") {
                    header(name)
                } else if let Some(name) = other.strip_prefix("request.cookies.") {
                    cookie(name)
                } else if let Some(name) = other.strip_prefix("client.claims.") {
                    claim(name)
                } else {
                    Err(format!("{text:?} is nothing of a request or its client"))
                };
            }
        })
    }
}

/// A field that no policy sees, or that cannot be, would make all requests alike.
fn header(name: &str) -> Result<By, String> {
    match unseen(name) {
        _ if name.len() > LONGEST || !is_token(name.as_bytes()) => {
            Err(format!("{name:?} is no name of a field"))
        }
        Some((why, _)) => Err(format!("`request.headers.{name}`: {why}")),
        None => Ok(By::Header(name.as_bytes().into())),
    }
}

/// The name of a cookie is a token (RFC 6265, 4.1.1).
fn cookie(name: &str) -> Result<By, String> {
    match name.len() {
        1..=LONGEST if is_token(name.as_bytes()) => Ok(By::Cookie(name.as_bytes().into())),
        _ => Err(format!("{name:?} is no name of a cookie")),
    }
}

fn claim(name: &str) -> Result<By, String> {
    match name.len() {
        1..=LONGEST => Ok(By::Claim(name.into())),
        _ => Err(format!("{name:?} is no name of a claim")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_request_has_makes_none_alike() {
        for sound in [
            "request.query",
            "request.headers.X_Tenant",
            "request.cookies.sid",
            "client.claims.org.id",
            "client.claims.https://a.example/r",
        ] {
            assert!(By::try_from(sound.to_owned()).is_ok(), "{sound}");
        }
        for wrong in [
            "",
            "scheme",
            "request.body",
            "request.headers.",
            "request.cookies.",
            "request.cookies.a=b",
            "request.headers.x tenant",
            "request.headers.host",
            "request.headers.Connection",
            "request.headers.x-forwarded-for",
            "client.shoe_size",
            "client.claims.",
            "client.claims",
        ] {
            assert!(By::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}
