//! The side worker's line to the supervisor: a Unix stream of messages, each a length (4 bytes, big-endian) and JSON.
//! Many questions may be under way; an answer has its question's number.

use super::Rights;
use crate::error::Refusal;
use crate::shared::Shared;
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

/// Questions that may be under way: more are refused, so that what they hold is bounded.
const MOST_WAITING: usize = 16;
/// How long an answer is waited for: a configuration may take its time.
const PATIENCE: Duration = Duration::from_secs(60);
const MOST_BYTES: usize = 64 << 20;

#[derive(Serialize)]
pub(super) struct Question<'a> {
    pub(super) rights: Rights,
    pub(super) method: &'a str,
    /// In normal form.
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    pub(super) fields: Vec<(&'a str, &'a str)>,
    pub(super) body: &'a str,
}

#[derive(Serialize)]
struct Numbered<'a> {
    r#type: &'static str,
    id: u64,
    #[serde(flatten)]
    question: &'a Question<'a>,
}

#[derive(Deserialize)]
pub(super) struct Answer {
    id: u64,
    pub(super) status: u16,
    pub(super) content_type: String,
    pub(super) fields: Vec<(String, String)>,
    pub(super) body: String,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Silence {
    Busy,
    Gone,
    Late,
}

impl Silence {
    pub(super) fn refusal(self) -> Refusal {
        match self {
            Silence::Busy => {
                Refusal::gateway(503, "admin_busy", "Too many requests of this kind are under way.")
            }
            Silence::Gone => Refusal::gateway(503, "admin_gone", "There is no supervisor that could answer."),
            Silence::Late => Refusal::gateway(504, "admin_late", "The supervisor has not answered in time."),
        }
    }
}

type Waiting = Rc<RefCell<HashMap<u64, oneshot::Sender<Answer>>>>;

/// Made empty; the first question takes the line that the supervisor has sent.
#[derive(Default)]
pub(crate) struct AdminLine {
    to: RefCell<Option<UnboundedSender<Vec<u8>>>>,
    waiting: Waiting,
    numbers: Cell<u64>,
}

impl AdminLine {
    pub(super) async fn ask(&self, shared: &Shared, question: &Question<'_>) -> Result<Answer, Silence> {
        if self.waiting.borrow().len() >= MOST_WAITING {
            return Err(Silence::Busy);
        }
        let id = self.numbers.get() + 1;
        self.numbers.set(id);
        let message = framed(&Numbered { r#type: "request", id, question }).ok_or(Silence::Gone)?;
        let (told, answer) = oneshot::channel();
        self.waiting.borrow_mut().insert(id, told);
        // Whoever leaves is waited for no more.
        let _place = Place { id, waiting: &self.waiting };
        self.send(shared, message)?;
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(answer) => answer.map_err(|_| Silence::Gone),
            Err(_) => Err(Silence::Late),
        }
    }

    fn send(&self, shared: &Shared, message: Vec<u8>) -> Result<(), Silence> {
        let mut to = self.to.borrow_mut();
        // Another supervisor may have taken over.
        if to.as_ref().is_none_or(UnboundedSender::is_closed) {
            let line = shared.take_admin_line().ok_or(Silence::Gone)?;
            let stream = stream_of(line).map_err(|_| Silence::Gone)?;
            let (sender, from) = unbounded_channel();
            tokio::task::spawn_local(run(stream, from, Rc::clone(&self.waiting)));
            *to = Some(sender);
        }
        let sender = to.as_ref().ok_or(Silence::Gone)?;
        sender.send(message).map_err(|_| Silence::Gone)
    }
}

/// A question's place among those that wait.
struct Place<'a> {
    id: u64,
    waiting: &'a Waiting,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.waiting.borrow_mut().remove(&self.id);
    }
}

fn stream_of(line: OwnedFd) -> io::Result<UnixStream> {
    let stream = std::os::unix::net::UnixStream::from(line);
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}

fn framed(message: &Numbered<'_>) -> Option<Vec<u8>> {
    let mut framed = vec![0; 4];
    serde_json::to_writer(&mut framed, message).ok()?;
    let length = u32::try_from(framed.len() - 4).ok()?;
    framed[..4].copy_from_slice(&length.to_be_bytes());
    Some(framed)
}

/// Carries questions and answers until one side has ended. Who still waits then is told by the end of its channel.
async fn run(stream: UnixStream, mut from: UnboundedReceiver<Vec<u8>>, waiting: Waiting) {
    let (mut reader, mut writer) = stream.into_split();
    let writing = async {
        while let Some(message) = from.recv().await {
            if writer.write_all(&message).await.is_err() {
                return;
            }
        }
    };
    let reading = async {
        while let Ok(answer) = receive(&mut reader).await {
            let asker = waiting.borrow_mut().remove(&answer.id);
            if let Some(asker) = asker {
                let _ = asker.send(answer);
            }
        }
    };
    tokio::select! {
        () = writing => {}
        () = reading => {}
    }
    drop(from);
    waiting.borrow_mut().clear();
}

async fn receive(reader: &mut tokio::net::unix::OwnedReadHalf) -> io::Result<Answer> {
    let length = reader.read_u32().await? as usize;
    if length > MOST_BYTES {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut text = vec![0; length];
    reader.read_exact(&mut text).await?;
    Ok(serde_json::from_slice(&text)?)
}
