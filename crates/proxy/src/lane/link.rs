//! One worker's link to one lane: jobs go out, answers come back.
//!
//! A job is not handed over at once: what the tasks of one turn of the event loop ask is collected, and one flusher,
//! which runs behind them, shows it to the lane and wakes it once. Else the kernel would let the lane run after the
//! first job already, and every job would cost two switches and two system calls.

use super::calls::Calls;
use super::lateness::Lateness;
use super::pace::Pace;
use crate::clock;
use pylos_lane::{Bell, Broken, Job, Reader, Writer, memory_of};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::AbortHandle;

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unanswered {
    /// The lane is gone, or has written what cannot be.
    Lost,
    /// The request is larger than a ring takes.
    TooLong,
    /// Too many others wait already.
    Overloaded,
    /// It took too long.
    Late,
}

/// Bytes of jobs that may wait for room in the ring.
const MOST_WAITING: usize = 4 << 20;
/// Answers that are taken before other tasks have their turn; a long one counts as several.
const MOST_AT_ONCE: usize = 256;
const LONG: usize = 4096;

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
    /// Hears when there are jobs.
    pub bell: Bell,
    /// To be rung when there are answers.
    pub back: Bell,
}

pub struct Link {
    jobs: RefCell<Writer>,
    backlog: RefCell<Backlog>,
    calls: RefCell<Calls>,
    /// Where a job is written before it goes into the ring.
    record: RefCell<Vec<u8>>,
    bell: Bell,
    /// There is something to flush.
    dirty: Cell<bool>,
    flusher: Cell<Option<Waker>>,
    lost: Cell<bool>,
    lateness: Lateness,
    pace: Pace,
}

/// The time that questions are asked at: microseconds since the process' origin.
pub fn now_us() -> u64 {
    clock::exact_us()
}

impl Link {
    /// Makes both ends. `capacity` is that of each ring, a power of two. The link works while [`Link::run`] does.
    pub fn new(capacity: usize) -> io::Result<(Rc<Self>, Listening, Ends)> {
        let (jobs, answers) = (memory_of(capacity)?, memory_of(capacity)?);
        let ((rung, bell), back) = (Bell::apart()?, Bell::new()?);
        let listening = Listening { answers: Reader::new(&answers)?, bell: registered(back.try_clone()?)? };
        let link = Link {
            jobs: RefCell::new(Writer::new(&jobs)?),
            backlog: RefCell::default(),
            calls: RefCell::default(),
            record: RefCell::default(),
            bell: rung,
            dirty: Cell::new(false),
            flusher: Cell::new(None),
            lost: Cell::new(false),
            lateness: Lateness::new(),
            pace: Pace::new(),
        };
        Ok((Rc::new(link), listening, Ends { jobs, answers, bell, back }))
    }

    /// Asks the lane at a time, which is waited for its answer so long. Dropping what it gives takes the question
    /// back: its answer will be nobody's.
    pub fn ask(self: &Rc<Self>, mut job: Job<'_>, now_us: u64, most: Duration) -> Result<Asking, Unanswered> {
        if self.lost.get() {
            return Err(Unanswered::Lost);
        }
        let idle = self.asked() == 0;
        let most_us = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
        let (place, id) = self.calls.borrow_mut().begin(now_us.saturating_add(most_us));
        let asking = Asking { link: Rc::clone(self), place, id };
        job.id = id;
        let mut record = self.record.borrow_mut();
        record.clear();
        job.encode(&mut record);
        let mut backlog = self.backlog.borrow_mut();
        let mut jobs = self.jobs.borrow_mut();
        if record.len() > jobs.longest() {
            return Err(Unanswered::TooLong);
        }
        if idle {
            self.pace.begin(now_us);
        }
        if !backlog.jobs.is_empty() || jobs.push(&[&record]).is_err() {
            if backlog.bytes + record.len() > MOST_WAITING {
                backlog.forget(|id| !self.calls.borrow().waits(id));
            }
            if backlog.bytes + record.len() > MOST_WAITING {
                return Err(Unanswered::Overloaded);
            }
            backlog.bytes += record.len();
            backlog.jobs.push_back((id, record.clone()));
        }
        record.shrink_to(LONG);
        drop((backlog, jobs));
        self.flush_soon();
        self.lateness.asked(most_us);
        Ok(asking)
    }

    /// Whether there will be no answer any more.
    pub fn is_lost(&self) -> bool {
        self.lost.get()
    }

    /// How many questions are under way.
    pub fn asked(&self) -> usize {
        self.calls.borrow().asked()
    }

    /// How long one more question would wait, as far as one can tell.
    pub(super) fn wait_us(&self, now_us: u64) -> u64 {
        self.pace.wait_us(self.asked(), now_us)
    }

    fn flush_soon(&self) {
        self.dirty.set(true);
        if let Some(flusher) = self.flusher.take() {
            flusher.wake();
        }
    }

    /// Hands jobs over and takes answers, until the lane is lost. Where this ends, whoever waits learns that there
    /// will be no answer.
    pub async fn run(self: Rc<Self>, listening: Listening) {
        let flusher = Rc::clone(&self);
        let flushing = tokio::task::spawn_local(async move { flusher.flush().await });
        let expiring = Rc::clone(&self);
        let expiring = tokio::task::spawn_local(async move { expiring.expire().await });
        let _end = Running { link: &self, tasks: [flushing.abort_handle(), expiring.abort_handle()] };
        let _ = self.listen(listening).await;
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
            // Whose question was taken back is not asked any more.
            let ended = |id: u64| !self.calls.borrow().waits(id);
            while let Some((id, record)) = backlog.jobs.front() {
                if !ended(*id) && jobs.push(&[record]).is_err() {
                    break;
                }
                backlog.bytes -= record.len();
                backlog.jobs.pop_front();
            }
            if jobs.publish() {
                self.bell.ring();
            }
        }
    }

    async fn listen(&self, mut listening: Listening) -> Result<(), Broken> {
        let (mut record, mut taken) = (Vec::new(), 0);
        loop {
            let mut count = 0;
            while listening.answers.pop(&mut record)? {
                count += 1;
                self.calls.borrow_mut().answer(&record)?;
                taken += 1 + record.len() / LONG;
                record.clear();
                if taken >= MOST_AT_ONCE {
                    taken = 0;
                    tokio::task::yield_now().await;
                }
            }
            if count > 0 {
                self.pace.answered(count, clock::exact_us());
            }
            if listening.answers.release() {
                self.bell.ring();
            }
            if !listening.answers.sleep()? {
                continue;
            }
            // The lane rings also when it has made room that was wanted.
            if !self.backlog.borrow().jobs.is_empty() {
                self.flush_soon();
            }
            // The bell is never hushed: it is edge-triggered, and each ring is an edge.
            match listening.bell.readable().await {
                Ok(mut ready) => ready.clear_ready(),
                Err(_) => return Err(Broken),
            }
        }
    }

    /// Ends the waiting for answers that come too late. A timer for each question would cost as much as all else of
    /// it; since none has less time than the shortest, it is enough to look when that is over.
    async fn expire(&self) {
        loop {
            let (now, asked) = (clock::exact_us(), self.lateness.look());
            let next = self.calls.borrow_mut().expire(now);
            match next {
                Some(next) => self.lateness.sleep(next - now).await,
                None if asked => self.lateness.sleep(u64::MAX).await,
                None => self.lateness.rest().await,
            }
        }
    }

    fn lose(&self) {
        if !self.lost.replace(true) {
            self.calls.borrow_mut().lose();
            self.backlog.take();
        }
    }
}

/// Jobs that found no room, with their ids.
#[derive(Debug, Default)]
struct Backlog {
    jobs: VecDeque<(u64, Vec<u8>)>,
    bytes: usize,
}

impl Backlog {
    fn forget(&mut self, ended: impl Fn(u64) -> bool) {
        self.jobs.retain(|(id, _)| !ended(*id));
        self.bytes = self.jobs.iter().map(|(_, record)| record.len()).sum();
    }
}

/// Ends the link where [`Link::run`] ends, also when that is dropped.
struct Running<'l> {
    link: &'l Link,
    tasks: [AbortHandle; 2],
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
        self.link.lose();
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
pub struct Asking {
    link: Rc<Link>,
    place: usize,
    id: u64,
}

impl Future for Asking {
    type Output = Result<Answer, Unanswered>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.link.calls.borrow_mut().take(self.place, cx) {
            Some(told) => Poll::Ready(told),
            None if self.link.lost.get() => Poll::Ready(Err(Unanswered::Lost)),
            None => Poll::Pending,
        }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.link.calls.borrow_mut().end(self.place, self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, poll};

    const LONG_ENOUGH: Duration = Duration::MAX;

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
                        let parts = [&job.id.to_ne_bytes()[..], &[1], job.path];
                        while answers.push(&parts).is_err() {
                            answers.publish();
                            ends.back.ring();
                            std::thread::yield_now();
                        }
                        record.clear();
                    }
                    let wanted = jobs.release();
                    if answers.publish() || wanted {
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
            drop(link.ask(Job { path: b"/nobody", ..Job::default() }, 0, LONG_ENOUGH).expect("room"));
            let long = vec![b'x'; 4096];
            assert_eq!(
                link.ask(Job { path: &long, ..Job::default() }, 0, LONG_ENOUGH).err(),
                Some(Unanswered::TooLong)
            );
            let asked = (0..100u32).map(|n| {
                let link = Rc::clone(&link);
                tokio::task::spawn_local(async move {
                    let path = format!("/{n}/{}", "x".repeat(200));
                    let asking = link
                        .ask(Job { path: path.as_bytes(), ..Job::default() }, 0, LONG_ENOUGH)
                        .expect("room");
                    let answer = asking.await.expect("answered");
                    assert_eq!((answer.kind, answer.rest), (1, path.into_bytes()));
                })
            });
            for task in asked.collect::<Vec<_>>() {
                task.await.expect("its own answer");
            }
            let long = vec![b'x'; 4096];
            assert_eq!(
                link.ask(Job { path: &long, ..Job::default() }, 0, LONG_ENOUGH).err(),
                Some(Unanswered::TooLong)
            );
            let end = link.ask(Job { path: b"/end", ..Job::default() }, 0, LONG_ENOUGH).expect("room");
            end.await.expect("answered");
            assert_eq!(link.asked(), 0);
            lane.join().expect("it ended");
            running.abort();
        });
    }

    #[test]
    fn an_answer_is_waited_for_no_longer_than_its_time() {
        on_a_loop(|| async {
            let (link, listening, ends) = Link::new(4096).expect("a link");
            tokio::task::spawn_local(Rc::clone(&link).run(listening));
            let waits = |ms| {
                let link = Rc::clone(&link);
                tokio::task::spawn_local(async move {
                    let began = now_us();
                    let asking = link.ask(Job::default(), began, Duration::from_millis(ms)).expect("room");
                    (asking.await, now_us() - began)
                })
            };
            // A short one behind a long one, and when nobody was asked for a while.
            for round in 0..2 {
                let (long, _) = (waits(60_000), tokio::task::yield_now().await);
                for ms in [200, 20] {
                    let (told, us) = waits(ms).await.expect("it ended");
                    assert_eq!(told, Err(Unanswered::Late));
                    assert!(
                        (ms * 1000..ms * 1000 + 10_000).contains(&us),
                        "round {round}: {us} us of {ms} ms"
                    );
                }
                assert_eq!(link.asked(), 1);
                long.abort();
                tokio::time::sleep(Duration::from_millis(50)).await;
                assert_eq!(link.asked(), 0);
            }
            drop(ends);
        });
    }

    #[test]
    fn a_lane_that_is_lost_answers_nobody() {
        on_a_loop(|| async {
            let (link, listening, ends) = Link::new(4096).expect("a link");
            tokio::task::spawn_local(Rc::clone(&link).run(listening));
            let asking = {
                let link = Rc::clone(&link);
                tokio::task::spawn_local(async move {
                    link.ask(Job::default(), 0, LONG_ENOUGH).expect("room").await
                })
            };
            tokio::task::yield_now().await;
            // An answer without a kind.
            let mut answers = Writer::new(&ends.answers).expect("a ring");
            answers.push(&[&[0; 8]]).expect("room");
            answers.publish();
            ends.back.ring();
            assert_eq!(asking.await.expect("it ended"), Err(Unanswered::Lost));
            assert_eq!(link.ask(Job::default(), 0, LONG_ENOUGH).err(), Some(Unanswered::Lost));
        });
    }

    #[test]
    fn a_lane_that_does_not_listen_is_given_only_so_much() {
        on_a_loop(|| async {
            let (link, listening, _ends) = Link::new(4096).expect("a link");
            let running = tokio::task::spawn_local(Rc::clone(&link).run(listening));
            let body = [0; 1000];
            let ask = || link.ask(Job { body: Some(&body), ..Job::default() }, 0, LONG_ENOUGH);
            let mut asked: Vec<_> = std::iter::from_fn(|| ask().ok()).take(10_000).collect();
            assert!((3000..MOST_WAITING / 1000).contains(&asked.len()), "{}", asked.len());
            assert_eq!(ask().err(), Some(Unanswered::Overloaded));
            // What nobody waits for any more makes room for others, whether the lane listens or not.
            let last = asked.pop().expect("some");
            drop(asked);
            let another = ask().expect("room");
            assert_eq!(link.backlog.borrow().jobs.len(), 2, "only two still wait");
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            drop(another);
            running.abort();
            assert_eq!(last.await, Err(Unanswered::Lost));
        });
    }
}
