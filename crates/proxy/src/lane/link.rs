//! One worker's link to one lane: jobs go out, answers come back.
//!
//! A job is not handed over at once: what the tasks of one turn of the event loop ask is collected, and one flusher,
//! which runs behind them, shows it to the lane and wakes it once. Else the kernel would let the lane run after the
//! first job already, and every job would cost two switches and two system calls.

use pylos_lane::{Bell, Broken, Job, Reader, Writer, memory_of};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The lane is gone, or has written what cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost;

/// What a policy said: its kind, and what else belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub kind: u8,
    pub rest: Vec<u8>,
}

/// The lane's ends.
#[derive(Debug)]
pub struct Ends {
    pub jobs: OwnedFd,
    pub answers: OwnedFd,
    /// Rung when there are jobs.
    pub bell: Bell,
    /// To be rung when there are answers.
    pub back: Bell,
}

pub struct Link {
    jobs: RefCell<Writer>,
    /// Jobs that found no room.
    backlog: RefCell<VecDeque<Vec<u8>>>,
    calls: RefCell<Calls>,
    bell: Bell,
    /// There is something to flush.
    dirty: Cell<bool>,
    flusher: Cell<Option<Waker>>,
    lost: Cell<bool>,
}

impl Link {
    /// Makes both ends. `capacity` is that of each ring, a power of two. The link works while [`Link::run`] does.
    pub fn new(capacity: usize) -> io::Result<(Rc<Self>, Listening, Ends)> {
        let (jobs, answers) = (memory_of(capacity)?, memory_of(capacity)?);
        let (bell, back) = (Bell::new()?, Bell::new()?);
        let listening = Listening { answers: Reader::new(&answers)?, bell: registered(back.try_clone()?)? };
        let link = Link {
            jobs: RefCell::new(Writer::new(&jobs)?),
            backlog: RefCell::default(),
            calls: RefCell::default(),
            bell: bell.try_clone()?,
            dirty: Cell::new(false),
            flusher: Cell::new(None),
            lost: Cell::new(false),
        };
        Ok((Rc::new(link), listening, Ends { jobs, answers, bell, back }))
    }

    /// Asks the lane. Dropping what it gives takes the question back: its answer will be nobody's.
    pub fn ask(&self, mut job: Job<'_>) -> Asking<'_> {
        let (place, id) = self.calls.borrow_mut().begin();
        job.id = id;
        let mut record = Vec::with_capacity(512);
        job.encode(&mut record);
        let mut backlog = self.backlog.borrow_mut();
        if !backlog.is_empty() || self.jobs.borrow_mut().push(&[&record]).is_err() {
            backlog.push_back(record);
        }
        drop(backlog);
        self.flush_soon();
        Asking { link: self, place, id }
    }

    fn flush_soon(&self) {
        self.dirty.set(true);
        if let Some(flusher) = self.flusher.take() {
            flusher.wake();
        }
    }

    /// Hands jobs over and takes answers, until the lane is lost.
    pub async fn run(self: Rc<Self>, listening: Listening) {
        let flusher = Rc::clone(&self);
        let flushing = tokio::task::spawn_local(async move { flusher.flush().await });
        let _ = self.listen(listening).await;
        self.lose();
        flushing.abort();
    }

    async fn flush(&self) {
        loop {
            poll_fn(|cx| {
                if self.dirty.replace(false) {
                    return Poll::Ready(());
                }
                self.flusher.set(Some(cx.waker().clone()));
                Poll::Pending
            })
            .await;
            let mut jobs = self.jobs.borrow_mut();
            let mut backlog = self.backlog.borrow_mut();
            while backlog.front().is_some_and(|record| jobs.push(&[record]).is_ok()) {
                backlog.pop_front();
            }
            if jobs.publish() {
                self.bell.ring();
            }
        }
    }

    async fn listen(&self, mut listening: Listening) -> Result<(), Broken> {
        let mut record = Vec::new();
        loop {
            while listening.answers.pop(&mut record)? {
                self.calls.borrow_mut().answer(&record)?;
                record.clear();
            }
            if !listening.answers.sleep()? {
                continue;
            }
            // Answers mean that the lane has taken jobs: there is room again.
            if !self.backlog.borrow().is_empty() {
                self.flush_soon();
            }
            // The bell is never hushed: it is edge-triggered, and each ring is an edge.
            match listening.bell.readable().await {
                Ok(mut ready) => ready.clear_ready(),
                Err(_) => return Err(Broken),
            }
        }
    }

    /// Ends it: whoever waits learns that there will be no answer.
    pub fn lose(&self) {
        if !self.lost.replace(true) {
            self.calls.borrow_mut().lose();
        }
    }
}

#[expect(unsafe_code, reason = "the event loop asks for a promise about the descriptor")]
fn registered(bell: Bell) -> io::Result<AsyncFd<Bell>> {
    // SAFETY: a bell owns its descriptor, gives it to nobody and never changes it.
    Ok(unsafe { AsyncFd::register_with_interest(bell, Interest::READABLE)? })
}

/// The worker's end of what comes back.
#[derive(Debug)]
pub struct Listening {
    answers: Reader,
    bell: AsyncFd<Bell>,
}

/// A question that waits for its answer.
pub struct Asking<'l> {
    link: &'l Link,
    place: usize,
    id: u64,
}

impl Future for Asking<'_> {
    type Output = Result<Answer, Lost>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.link.lost.get() {
            return Poll::Ready(Err(Lost));
        }
        match self.link.calls.borrow_mut().take(self.place, cx) {
            Some(answer) => Poll::Ready(Ok(answer)),
            None => Poll::Pending,
        }
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.link.calls.borrow_mut().end(self.place, self.id);
    }
}

/// The questions under way.
#[derive(Debug, Default)]
struct Calls {
    calls: Vec<Call>,
    free: Vec<usize>,
}

#[derive(Debug)]
struct Call {
    /// Which question of this place it is: an answer that comes too late is for none.
    serial: u32,
    state: State,
}

#[derive(Debug)]
enum State {
    Free,
    Waiting(Option<Waker>),
    Answered(Answer),
}

impl Calls {
    fn begin(&mut self) -> (usize, u64) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.calls.push(Call { serial: 0, state: State::Free });
            self.calls.len() - 1
        });
        let call = &mut self.calls[place];
        call.serial = call.serial.wrapping_add(1);
        call.state = State::Waiting(None);
        (place, u64::from(call.serial) << 32 | place as u64)
    }

    fn call(&mut self, id: u64) -> Option<&mut Call> {
        let call = self.calls.get_mut((id & u64::from(u32::MAX)) as usize)?;
        (u64::from(call.serial) == id >> 32).then_some(call)
    }

    fn answer(&mut self, record: &[u8]) -> Result<(), Broken> {
        let (id, rest) = record.split_first_chunk::<8>().ok_or(Broken)?;
        let (kind, rest) = rest.split_first().ok_or(Broken)?;
        let Some(call) = self.call(u64::from_ne_bytes(*id)) else { return Ok(()) };
        if let State::Waiting(waker) = &mut call.state {
            let waker = waker.take();
            call.state = State::Answered(Answer { kind: *kind, rest: rest.to_vec() });
            waker.into_iter().for_each(Waker::wake);
        }
        Ok(())
    }

    fn take(&mut self, place: usize, cx: &Context<'_>) -> Option<Answer> {
        let state = &mut self.calls[place].state;
        match state {
            State::Answered(_) => {
                let State::Answered(answer) = std::mem::replace(state, State::Free) else { return None };
                Some(answer)
            }
            State::Waiting(waker) => {
                *waker = Some(cx.waker().clone());
                None
            }
            State::Free => None,
        }
    }

    fn end(&mut self, place: usize, id: u64) {
        if let Some(call) = self.call(id) {
            call.serial = call.serial.wrapping_add(1);
            call.state = State::Free;
            self.free.push(place);
        }
    }

    fn lose(&mut self) {
        for call in &mut self.calls {
            if let State::Waiting(waker) = &mut call.state {
                waker.take().into_iter().for_each(Waker::wake);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, poll};

    /// A lane in a thread that answers each job with its path, until that is `/end`.
    fn lane(ends: Ends) -> std::thread::JoinHandle<Ends> {
        std::thread::spawn(move || {
            let (mut jobs, mut answers) =
                (Reader::new(&ends.jobs).expect("a ring"), Writer::new(&ends.answers).expect("a ring"));
            let mut more = true;
            while more {
                poll(&mut [PollFd::new(&ends.bell, PollFlags::IN)], None).expect("waited");
                ends.bell.hush();
                loop {
                    let mut record = Vec::new();
                    while jobs.pop(&mut record).expect("sound") {
                        let job = Job::decode(&record).expect("a job");
                        more &= job.path != b"/end";
                        answers.push(&[&job.id.to_ne_bytes(), &[1], job.path]).expect("room");
                        record.clear();
                    }
                    if answers.publish() {
                        ends.back.ring();
                    }
                    if jobs.sleep().expect("sound") {
                        break;
                    }
                }
            }
            ends
        })
    }

    fn on_a_loop<F: Future>(test: impl FnOnce() -> F) -> F::Output {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build_local(tokio::runtime::LocalOptions::default())
            .expect("a loop");
        runtime.block_on(async { test().await })
    }

    #[test]
    fn each_question_gets_its_own_answer() {
        on_a_loop(|| async {
            let (link, listening, ends) = Link::new(4096).expect("a link");
            let lane = lane(ends);
            let running = tokio::task::spawn_local(Rc::clone(&link).run(listening));
            // More than the ring holds at once, and one that nobody waits for.
            drop(link.ask(Job { path: b"/nobody", ..Job::default() }));
            let asked = (0..100u32).map(|n| {
                let link = Rc::clone(&link);
                tokio::task::spawn_local(async move {
                    let path = format!("/{n}/{}", "x".repeat(200));
                    let answer =
                        link.ask(Job { path: path.as_bytes(), ..Job::default() }).await.expect("answered");
                    assert_eq!((answer.kind, answer.rest), (1, path.into_bytes()));
                })
            });
            for task in asked.collect::<Vec<_>>() {
                task.await.expect("its own answer");
            }
            link.ask(Job { path: b"/end", ..Job::default() }).await.expect("answered");
            assert_eq!(link.calls.borrow().free.len(), link.calls.borrow().calls.len());
            lane.join().expect("it ended");
            running.abort();
        });
    }

    #[test]
    fn a_lane_that_is_lost_answers_nobody() {
        on_a_loop(|| async {
            let (link, listening, ends) = Link::new(4096).expect("a link");
            tokio::task::spawn_local(Rc::clone(&link).run(listening));
            let asking = {
                let link = Rc::clone(&link);
                tokio::task::spawn_local(async move { link.ask(Job::default()).await })
            };
            tokio::task::yield_now().await;
            // An answer without a kind.
            let mut answers = Writer::new(&ends.answers).expect("a ring");
            answers.push(&[&[0; 8]]).expect("room");
            answers.publish();
            ends.back.ring();
            assert_eq!(asking.await.expect("it ended"), Err(Lost));
            assert_eq!(link.ask(Job::default()).await, Err(Lost));
        });
    }
}
