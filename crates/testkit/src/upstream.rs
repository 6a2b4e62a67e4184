//! A server that does as the test says.

use crate::connection::Ended;
use crate::{Connection, DEADLINE, Message};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, Weak};
use std::thread::JoinHandle;

/// Listens from its making to its end, which ends its connections and passes on the panics of its script.
pub struct Upstream {
    address: SocketAddr,
    shared: Arc<Shared>,
    requests: Receiver<Message>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// From here on a script that waits for its connection unwinds quietly.
    ending: Arc<AtomicBool>,
    failed: AtomicBool,
    accepted: AtomicUsize,
    connections: Mutex<Vec<(Weak<TcpStream>, JoinHandle<()>)>>,
}

impl Upstream {
    /// Runs `serve` for each connection, on a thread of its own. The number counts connections from 0; the
    /// connection ends when it is dropped. A script that waits for what may not come asks [`Connection::has_more`].
    pub fn serving(serve: impl Fn(Connection, usize) + Send + Sync + 'static) -> Self {
        Self::start(serve, channel().1)
    }

    /// Answers every request with the same bytes, on kept connections. What it got: [`Upstream::next_request`].
    pub fn answering(response: impl AsRef<[u8]>) -> Self {
        let response = response.as_ref().to_vec();
        let (sender, requests) = channel();
        let serve = move |mut connection: Connection, _: usize| {
            while connection.has_more() {
                let request = connection.read_request();
                // The test may be over.
                let _ = sender.send(request);
                if connection.try_send(&response).is_err() {
                    return;
                }
            }
        };
        Self::start(serve, requests)
    }

    fn start(serve: impl Fn(Connection, usize) + Send + Sync + 'static, requests: Receiver<Message>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared::default());
        let accepting = std::thread::spawn({
            let (shared, serve) = (shared.clone(), Arc::new(serve));
            move || accept(&listener, &shared, &serve)
        });
        Upstream { address, shared, requests, accepting: Some(accepting) }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections that have been accepted.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// The next request that [`Upstream::answering`] has read.
    pub fn next_request(&self) -> Message {
        self.requests.recv_timeout(DEADLINE).expect("a request")
    }

    /// Requests that have been read and not been asked for.
    pub fn further_requests(&self) -> Vec<Message> {
        self.requests.try_iter().collect()
    }
}

fn accept<S>(listener: &TcpListener, shared: &Arc<Shared>, serve: &Arc<S>)
where
    S: Fn(Connection, usize) + Send + Sync + 'static,
{
    for stream in listener.incoming() {
        if shared.ending.load(Ordering::SeqCst) {
            return;
        }
        let connection = Connection::over(stream.expect("a connection")).ending_with(shared.ending.clone());
        let handle = connection.handle();
        let number = shared.accepted.fetch_add(1, Ordering::SeqCst);
        let serve = serve.clone();
        let watched = shared.clone();
        let thread = std::thread::spawn(move || {
            let script = catch_unwind(AssertUnwindSafe(|| serve(connection, number)));
            if script.is_err_and(|panic| !panic.is::<Ended>()) {
                watched.failed.store(true, Ordering::SeqCst);
            }
        });
        shared.connections.lock().expect("no panic while it is held").push((handle, thread));
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::SeqCst);
        // Wakes the accepting thread.
        let _ = TcpStream::connect(self.address);
        let accepting = self.accepting.take().map(JoinHandle::join);
        let connections =
            std::mem::take(&mut *self.shared.connections.lock().expect("no panic while it is held"));
        for (stream, thread) in connections {
            if let Some(stream) = stream.upgrade() {
                let _ = stream.shutdown(Shutdown::Both);
            }
            let _ = thread.join();
        }
        let failed = self.shared.failed.load(Ordering::SeqCst) || !matches!(accepting, Some(Ok(())));
        assert!(!failed || std::thread::panicking(), "a script of the upstream failed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_kept_connections_are_told() {
        let upstream = Upstream::answering(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nhi\r\n0\r\nA: b\r\n\r\n",
        );
        let mut client = Connection::to(upstream.address());
        for body in ["", "abc"] {
            client.send(format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
            let response = client.read_response();
            assert_eq!((response.status(), response.text()), (200, "hi".to_owned()));
            assert_eq!(response.trailers, ["A: b"]);
            assert_eq!(upstream.next_request().text(), body);
        }
        assert_eq!((upstream.accepted(), upstream.further_requests().len()), (1, 0));
    }

    #[test]
    #[should_panic(expected = "a script of the upstream failed")]
    fn a_failed_script_fails_the_test() {
        let upstream = Upstream::serving(|mut connection, number| {
            connection.send("x");
            panic!("connection {number}");
        });
        assert_eq!(Connection::to(upstream.address()).read_to_end(), b"x");
    }

    #[test]
    fn a_script_that_still_waits_is_no_failure() {
        let upstream = Upstream::serving(|mut connection, _| {
            connection.send("x");
            connection.read_head();
        });
        let mut client = Connection::to(upstream.address());
        assert_eq!(client.read_exactly(1), b"x");
        drop(upstream);
        client.expect_end();
    }

    #[test]
    fn resets_end_the_reading() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let mut client = Connection::to(listener.local_addr().expect("an address"));
        Connection::over(listener.accept().expect("a connection").0).reset();
        client.expect_end();
    }
}
