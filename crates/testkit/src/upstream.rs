//! A server that does as the test says.

use crate::{Connection, DEADLINE, Message};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
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
    ending: AtomicBool,
    accepted: AtomicUsize,
    connections: Mutex<Vec<(TcpStream, JoinHandle<()>)>>,
}

impl Upstream {
    /// Runs `serve` for each connection, on a thread of its own.
    pub fn serving(serve: impl Fn(&mut Connection) + Send + Sync + 'static) -> Self {
        Self::start(move |connection, _| serve(connection), Receiver::from(channel().1))
    }

    /// Answers every request with the same bytes, on kept connections. What it got: [`Upstream::next_request`].
    pub fn answering(response: impl AsRef<[u8]>) -> Self {
        let response = response.as_ref().to_vec();
        let (sender, requests) = channel();
        let serve = move |connection: &mut Connection, _: usize| {
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

    fn start(
        serve: impl Fn(&mut Connection, usize) + Send + Sync + 'static,
        requests: Receiver<Message>,
    ) -> Self {
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

fn accept<S>(listener: &TcpListener, shared: &Shared, serve: &Arc<S>)
where
    S: Fn(&mut Connection, usize) + Send + Sync + 'static,
{
    for stream in listener.incoming() {
        if shared.ending.load(Ordering::SeqCst) {
            return;
        }
        let stream = stream.expect("a connection");
        let handle = stream.try_clone().expect("a descriptor");
        let number = shared.accepted.fetch_add(1, Ordering::SeqCst);
        let serve = serve.clone();
        let thread = std::thread::spawn(move || serve(&mut Connection::over(stream), number));
        shared.connections.lock().expect("no panic while it is held").push((handle, thread));
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::SeqCst);
        // Wakes the accepting thread.
        let _ = TcpStream::connect(self.address);
        let mut ended = self.accepting.take().map(JoinHandle::join).into_iter().collect::<Vec<_>>();
        let connections = std::mem::take(&mut *self.shared.connections.lock().expect("no panic while it is held"));
        for (stream, thread) in connections {
            let _ = stream.shutdown(Shutdown::Both);
            ended.push(thread.join());
        }
        let failed = ended.iter().any(Result::is_err);
        assert!(!failed || std::thread::panicking(), "a script of the upstream failed");
    }
}
