//! A described request, and the head that a client would send for it.

use pylos_core::facts::Client;
use pylos_core::http1::is_token;
use pylos_core::verdict::{Changes, Denial, Verdict};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What `explain` is asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    pub method: String,
    /// `http://host[:port]/path?query`, likewise with https, or a path.
    pub url: String,
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// The address that the connection comes from; absent for a client on a Unix socket.
    #[serde(default)]
    pub peer: Option<IpAddr>,
    /// Name of the listener; absent: the one whose port the URL has, else the first that serves routes.
    #[serde(default)]
    pub listener: Option<String>,
    /// How many other routes are told, the nearest first.
    #[serde(default)]
    pub nearest: usize,
    /// Who the client is, for conditions that ask.
    #[serde(default, rename = "as")]
    pub client: Option<Identity>,
    /// By policy in Python: what it is taken to say.
    #[serde(default)]
    pub given: BTreeMap<String, Given>,
}

/// A verdict.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Given {
    Allow(Changes),
    Deny(Denial),
    Fail,
}

impl Given {
    pub(super) fn verdict(&self) -> Result<Verdict, String> {
        match self {
            Given::Allow(changes) if *changes == Changes::default() => Ok(Verdict::Pass),
            Given::Allow(changes) => changes.clone().checked().map(|c| Verdict::Allow(c.into())),
            Given::Deny(denial) => denial.clone().checked().map(|d| Verdict::Deny(d.into())),
            Given::Fail => Ok(Verdict::Failed),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    pub id: String,
    #[serde(default)]
    pub plan: Option<String>,
    #[serde(default)]
    pub claims: serde_json::Map<String, serde_json::Value>,
}

impl Identity {
    pub(super) fn client(&self) -> Client {
        let plan = self.plan.as_deref().map(Into::into);
        Client { id: self.id.as_str().into(), named: true, plan, claims: self.claims.clone() }
    }
}

/// The question's URL, taken apart.
pub(super) struct Url<'q> {
    pub(super) secure: bool,
    /// Empty for a bare path.
    pub(super) authority: &'q str,
    /// Path and query.
    pub(super) target: &'q str,
    pub(super) port: Option<u16>,
}

impl Question {
    pub(super) fn url(&self) -> Result<Url<'_>, String> {
        let url = self.url.split('#').next().unwrap_or_default();
        if url.starts_with('/') || url == "*" {
            return Ok(Url { secure: false, authority: "", target: url, port: None });
        }
        let (secure, rest) = match url.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            _ => return Err(format!("`{url}` is neither a path nor a URL with http or https")),
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        let explicit = authority.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        let port = explicit.or(Some(if secure { 443 } else { 80 }));
        Ok(Url { secure, authority, target, port })
    }

    /// The head as HTTP/1.1, which is then understood as any other.
    pub(super) fn head(&self, url: &Url<'_>) -> Result<Vec<u8>, String> {
        let mut head = format!("{} ", self.method);
        match url.target {
            "" => head.push('/'),
            query if query.starts_with('?') => head.extend(["/", query]),
            target => head.push_str(target),
        }
        head.push_str(" HTTP/1.1\r\n");
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            head.extend(["host: ", url.authority, "\r\n"]);
        }
        for (name, value) in &self.headers {
            if !is_token(name.as_bytes()) {
                return Err(format!("`{}` cannot be the name of a field", name.escape_debug()));
            }
            if value.bytes().any(|byte| (byte < 0x20 && byte != b'\t') || byte == 0x7F) {
                return Err(format!("the value of `{name}` has a control character"));
            }
            head.extend([name, ": ", value, "\r\n"]);
        }
        head.push_str("\r\n");
        Ok(head.into_bytes())
    }
}
