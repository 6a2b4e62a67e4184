//! The end of a connection whose client may still be sending: closed at once, it would be reset, and the answer
//! lost with it. So: FIN, then read and forget for a while (RFC 9112, 9.6).

use super::Client;
use crate::stream::Wait;
use crate::timer::Slot;

/// For how long in all, for how long without a byte, and for how many bytes.
const MOST_MS: u64 = 30_000;
const IDLE_MS: u64 = 5_000;
/// In all while the gateway drains.
const DRAIN_MS: u64 = 500;
const MOST_BYTES: usize = 64 << 20;

pub(crate) async fn linger(mut client: Box<Client>) {
    if client.eof {
        return client.stream.say_goodbye();
    }
    client.stream.shut_writing();
    client.inbuf.clear();
    let most = if client.worker.draining() { DRAIN_MS } else { MOST_MS };
    client.timer.set(Slot::Whole, client.worker.clock.ms() + most);
    client.timer.idle.set(true);
    if !client.inbuf.is_lent() {
        client.inbuf = client.worker.buffers.small();
    }
    let client = &mut *client;
    let wait = Wait { timer: &client.timer, clock: &client.worker.clock, slot: Slot::Client, ms: IDLE_MS };
    let (mut from, _) = client.stream.split();
    let mut forgotten = 0;
    while forgotten < MOST_BYTES {
        match from.read(&mut client.inbuf, wait).await {
            Ok(n) if n > 0 => forgotten += n,
            _ => break,
        }
        client.inbuf.clear();
    }
}
