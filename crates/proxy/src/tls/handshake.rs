//! From a new connection to an encrypted one: who is asked for, by which rules, within which time.

use super::session::HandshakeError;
use crate::challenges::ALPN;
use crate::connection::Client;
use crate::stream::{Stream, Wait};
use crate::telemetry::cells::Count;
use crate::timer::Slot;
use pylos_core::table::{ListenTls, Listener, TlsId};
use pylos_core::tls::ClientHello;
use rustls::ServerConfig;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

/// A fatal alert: there is nobody of that name (RFC 6066, 3).
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];
/// To who speaks HTTP without TLS.
const TLS_EXPECTED: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\npylos-reason: tls_expected\r\ncontent-type: text/plain\r\n\
content-length: 46\r\nconnection: close\r\n\r\nThis port speaks HTTPS: ask with https:// here";

/// Why there is no encrypted connection, as metrics name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// As many are under way as may be.
    TooMany,
    Timeout,
    /// The client has left.
    Left,
    /// The client does not believe our certificate.
    NotBelieved,
    /// It speaks something else.
    NotTls,
    /// It names nobody who is here.
    UnknownName,
    /// No version, cipher suite or protocol in common.
    NothingInCommon,
    /// The client has none to show.
    NoCertificate,
    /// It is from nobody who is believed, or does not hold.
    Certificate,
    Revoked,
    /// The list of revoked ones is out of date.
    ListExpired,
    /// There is no list of who has issued it.
    NoList,
    Malformed,
    /// None was wanted: an authority of ACME has seen what it looked for.
    Challenge,
}

impl Failure {
    pub(crate) const ALL: [Failure; 14] = [
        Failure::TooMany,
        Failure::Timeout,
        Failure::Left,
        Failure::NotBelieved,
        Failure::NotTls,
        Failure::UnknownName,
        Failure::NothingInCommon,
        Failure::NoCertificate,
        Failure::Certificate,
        Failure::Revoked,
        Failure::ListExpired,
        Failure::NoList,
        Failure::Malformed,
        Failure::Challenge,
    ];

    /// Whether one of both ends does not believe the other: somebody has to do something about that.
    pub(crate) fn is_about_certificates(self) -> bool {
        use Failure::{Certificate, ListExpired, NoCertificate, NoList, NotBelieved, Revoked};
        matches!(self, NotBelieved | NoCertificate | Certificate | Revoked | ListExpired | NoList)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Failure::TooMany => "too_many",
            Failure::Timeout => "timeout",
            Failure::Left => "client_gone",
            Failure::NotBelieved => "refused_by_client",
            Failure::NotTls => "not_tls",
            Failure::UnknownName => "unknown_name",
            Failure::NothingInCommon => "nothing_in_common",
            Failure::NoCertificate => "no_certificate",
            Failure::Certificate => "certificate",
            Failure::Revoked => "revoked",
            Failure::ListExpired => "crl_expired",
            Failure::NoList => "no_crl",
            Failure::Malformed => "malformed",
            Failure::Challenge => "acme_challenge",
        }
    }
}

/// Makes a client's connection one that is encrypted, where its listener wants that; false when nothing came of it.
pub(crate) async fn handshake(client: &mut Client) -> bool {
    if !matches!(client.stream, Stream::Tls(_)) {
        return true;
    }
    let Some(index) = client.socket.listener() else { return false };
    let snapshot = client.worker.snapshot();
    let listener = &snapshot.table.listeners[index];
    if listener.tls.is_none() {
        return false;
    }
    let worker = std::rc::Rc::clone(&client.worker);
    let until = worker.clock.ms() + listener.timeouts.handshake;
    client.timer.set(Slot::Whole, until);
    let done = run(client, listener, until).await;
    client.timer.clear_all();
    match done {
        Ok(resumed) => {
            client.handshake_done(resumed);
            true
        }
        Err(Failure::Challenge) => {
            client.handshake_failed(Failure::Challenge);
            client.stream.say_goodbye();
            false
        }
        Err(failure) => {
            client.handshake_failed(failure);
            false
        }
    }
}

/// Whether a former session goes on.
async fn run(client: &Client, listener: &Listener, until: u64) -> Result<bool, Failure> {
    let Stream::Tls(stream) = &client.stream else { return Ok(false) };
    let wait = Wait { timer: &client.timer, clock: &client.worker.clock, slot: Slot::Client, ms: 0 };
    // Who has said nothing yet is not waited for when the gateway drains.
    client.timer.idle.set(true);
    let heard = within(wait, |cx| stream.poll_hello(cx)).await;
    client.timer.idle.set(false);
    client.timer.set(Slot::Whole, until);
    let hello = match heard {
        Err(Failure::NotTls) => {
            if stream.began_with_http() {
                stream.say_plainly(TLS_EXPECTED);
            }
            return Err(Failure::NotTls);
        }
        hello => hello?,
    };
    let _seat = Seat::take(&client.cells.under_way, listener.limits.handshakes).ok_or(Failure::TooMany)?;
    if let Some(config) = challenged(client, &hello) {
        stream.begin(config).map_err(|error| failure(&error))?;
        within(wait, |cx| stream.poll_handshake(cx)).await?;
        return Err(Failure::Challenge);
    }
    // It may have been waited for, and the configuration be another one by now.
    let snapshot = client.worker.snapshot();
    let now = client.socket.listener().map(|index| &snapshot.table.listeners[index]);
    let Some(id) = now.and_then(|listener| choose(listener.tls.as_ref()?, &hello)) else {
        stream.say_plainly(&UNRECOGNIZED_NAME);
        return Err(Failure::UnknownName);
    };
    let configs = &snapshot.tls;
    stream.begin(configs.of(id)).map_err(|error| failure(&error))?;
    within(wait, |cx| stream.poll_handshake(cx)).await?;
    stream.settle(configs.rules(id)).map_err(|error| failure(&error))?;
    Ok(stream.is_resumed())
}

/// By what an authority is answered that looks for something.
fn challenged(client: &Client, hello: &ClientHello) -> Option<Arc<ServerConfig>> {
    let asks = hello.protocols.iter().any(|protocol| **protocol == *ALPN);
    let challenges = asks.then(|| client.worker.shared.challenges()).flatten()?;
    challenges.config(hello.name.as_deref()?)
}

/// Who answers: by name, else the one that is named as the default.
fn choose(tls: &ListenTls, hello: &ClientHello) -> Option<TlsId> {
    tls.of_host(hello.name.as_deref().unwrap_or_default().as_bytes())
}

async fn within<T>(
    wait: Wait<'_>, mut poll: impl FnMut(&mut Context<'_>) -> Poll<Result<T, HandshakeError>>,
) -> Result<T, Failure> {
    poll_fn(|cx| match poll(cx) {
        Poll::Ready(done) => Poll::Ready(done.map_err(|error| failure(&error))),
        Poll::Pending => wait.pending(cx).map_or(Poll::Pending, |_| Poll::Ready(Err(Failure::Timeout))),
    })
    .await
}

fn failure(error: &HandshakeError) -> Failure {
    use rustls::{AlertDescription, CertificateError, Error};
    match error {
        HandshakeError::Left | HandshakeError::Io => Failure::Left,
        HandshakeError::NotTls => Failure::NotTls,
        HandshakeError::Endless => Failure::Malformed,
        HandshakeError::Tls(error) => match error {
            Error::PeerIncompatible(_) | Error::NoApplicationProtocol => Failure::NothingInCommon,
            Error::NoCertificatesPresented => Failure::NoCertificate,
            Error::InvalidCertificate(CertificateError::Revoked) => Failure::Revoked,
            Error::InvalidCertificate(
                CertificateError::ExpiredRevocationList
                | CertificateError::ExpiredRevocationListContext { .. },
            ) => Failure::ListExpired,
            Error::InvalidCertificate(CertificateError::UnknownRevocationStatus) => Failure::NoList,
            Error::InvalidCertificate(_) | Error::InvalidCertRevocationList(_) => Failure::Certificate,
            // Who only leaves says so as well.
            Error::AlertReceived(AlertDescription::CloseNotify | AlertDescription::UserCanceled) => {
                Failure::Left
            }
            Error::AlertReceived(_) => Failure::NotBelieved,
            _ => Failure::Malformed,
        },
    }
}

/// A handshake that is under way, of a listener in a worker. Silent connections have none: they cost nothing.
struct Seat<'c>(&'c Count);

impl<'c> Seat<'c> {
    fn take(taken: &'c Count, most: u32) -> Option<Self> {
        (most == 0 || taken.read() < u64::from(most)).then(|| {
            taken.add(1);
            Seat(taken)
        })
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.0.sub(1);
    }
}
