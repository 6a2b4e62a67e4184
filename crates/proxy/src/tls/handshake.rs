//! From a new connection to an encrypted one: who is asked for, by which rules, within which time.

use super::session::HandshakeError;
use crate::connection::Client;
use crate::stream::{Stream, Wait};
use crate::timer::Slot;
use crate::worker::Worker;
use pylos_core::table::{ListenTls, TlsId};
use pylos_core::tls::ClientHello;
use std::future::poll_fn;
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
}

impl Failure {
    pub(crate) const ALL: [Failure; 13] = [
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
    let Some(tls) = &listener.tls else { return false };
    let worker = std::rc::Rc::clone(&client.worker);
    let Some(_seat) = Seat::take(&worker, listener.limits.handshakes) else {
        client.handshake_failed(Failure::TooMany);
        return false;
    };
    client.timer.set(Slot::Whole, worker.clock.ms() + listener.timeouts.handshake);
    let done = run(client, tls, &snapshot.tls).await;
    client.timer.clear_all();
    match done {
        Ok(resumed) => {
            client.handshake_done(resumed);
            true
        }
        Err(failure) => {
            client.handshake_failed(failure);
            false
        }
    }
}

/// Whether a former session goes on.
async fn run(client: &Client, tls: &ListenTls, configs: &super::Configs) -> Result<bool, Failure> {
    let Stream::Tls(stream) = &client.stream else { return Ok(false) };
    let wait = Wait { timer: &client.timer, clock: &client.worker.clock, slot: Slot::Client, ms: 0 };
    let hello = match within(wait, |cx| stream.poll_hello(cx)).await {
        Err(Failure::NotTls) => {
            if stream.began_with_http() {
                stream.say_plainly(TLS_EXPECTED);
            }
            return Err(Failure::NotTls);
        }
        hello => hello?,
    };
    let Some(id) = choose(tls, &hello) else {
        stream.say_plainly(&UNRECOGNIZED_NAME);
        return Err(Failure::UnknownName);
    };
    stream.begin(configs.of(id)).map_err(|error| failure(&error))?;
    within(wait, |cx| stream.poll_handshake(cx)).await?;
    stream.settle(configs.rules(id)).map_err(|error| failure(&error))?;
    Ok(stream.is_resumed())
}

/// Who answers: by name, else the one that is named as the default.
fn choose(tls: &ListenTls, hello: &ClientHello) -> Option<TlsId> {
    let named = hello.name.as_deref().and_then(|name| tls.names.find(name));
    named.or(tls.default.as_ref()).copied()
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

/// A handshake that is under way.
struct Seat<'w>(&'w Worker);

impl<'w> Seat<'w> {
    fn take(worker: &'w Worker, most: u32) -> Option<Self> {
        let taken = worker.handshakes.get();
        (most == 0 || taken < most).then(|| {
            worker.handshakes.set(taken + 1);
            Seat(worker)
        })
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.0.handshakes.set(self.0.handshakes.get() - 1);
    }
}
