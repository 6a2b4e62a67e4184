//! A worker's links to the lanes of one configuration, and how a policy is asked over them.

use super::breaker::{Breaker, Waiter};
use super::memory::Memory;
use super::{Answer, Asking, Line, Link, Unanswered, choose, join};
use crate::clock::Clock;
use crate::error::Refusal;
use crate::request::alike::About;
use crate::telemetry::cells::{AskedCells, Came};
use crate::telemetry::events;
use pylos_core::table::{PolicyId, PolicyKind, PythonPolicy, Table};
use pylos_core::verdict::Verdict;
use pylos_lane::Job;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::AbortHandle;

/// Questions that one link has under way at most.
const MOST_ASKED: usize = 8192;
/// Characters that are told of what a policy said.
const MOST_TOLD: usize = 200;
/// The same thing about the same policy is told once in so long, ms.
const QUIET_MS: u64 = 10_000;

/// Why there is no verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Silence {
    Failed,
    Timeout,
    Lost,
    TooLong,
    Overloaded,
    GivenUp,
}

impl Silence {
    /// What a client is told where `on_error` denies.
    pub(crate) fn refusal(self) -> Refusal {
        match self {
            Silence::Failed => {
                Refusal::gateway(503, "policy_failed", "What decides about this request failed.")
            }
            Silence::Timeout => {
                Refusal::gateway(503, "policy_timeout", "What decides about this request took too long.")
            }
            Silence::Lost => {
                Refusal::gateway(503, "policy_lost", "What decides about this request is not there.")
            }
            Silence::TooLong => Refusal::gateway(
                503,
                "policy_request_too_long",
                "The request is too long for what decides about it.",
            ),
            Silence::Overloaded => Refusal::gateway(
                503,
                "policy_overloaded",
                "What decides about this request has too much to do.",
            ),
            Silence::GivenUp => Refusal::gateway(
                503,
                "policy_given_up",
                "What decides about this request has failed too often.",
            ),
        }
    }

    fn came(self) -> Came {
        match self {
            Silence::Failed => Came::Failed,
            Silence::Timeout => Came::Timeout,
            Silence::Lost => Came::Lost,
            Silence::TooLong | Silence::Overloaded => Came::Overloaded,
            Silence::GivenUp => Came::GivenUp,
        }
    }
}

pub(crate) struct Lanes {
    groups: Vec<Group>,
    /// By policy; absent for those that are not in Python.
    seats: Vec<Option<Seat>>,
}

/// The lanes with the same policies.
struct Group {
    name: Box<str>,
    /// In the order of their numbers.
    policies: Vec<Box<str>>,
    links: RefCell<Vec<Joined>>,
}

/// A link, for as long as the configuration is used.
struct Joined {
    link: Rc<Link>,
    running: AbortHandle,
    /// While someone has it, the lane lives.
    _line: Arc<Line>,
}

impl Drop for Joined {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// Where a policy is asked.
struct Seat {
    group: usize,
    number: u32,
    breaker: Breaker,
    /// Requests that wait for it.
    waiting: Cell<usize>,
    cells: Arc<AskedCells>,
    memory: Arc<Memory>,
    /// When something about it was told last, ms.
    told_ms: Cell<u64>,
}

impl Lanes {
    pub(crate) fn new(
        table: &Table, lines: &[Arc<Line>], cells: impl Fn(&str) -> Arc<AskedCells>,
        memory: impl Fn(&str, u64) -> Arc<Memory>,
    ) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        // Of the table alone: a lane may come later.
        let seats = table.policies.iter().map(|policy| {
            let PolicyKind::Python(python) = &policy.kind else { return None };
            let known = groups.iter().position(|group| group.name == python.lane);
            let group = known.unwrap_or_else(|| {
                groups.push(Group::new(&python.lane));
                groups.len() - 1
            });
            groups[group].policies.push(policy.name.clone());
            Some(Seat {
                group,
                number: groups[group].policies.len() as u32 - 1,
                breaker: Breaker::default(),
                waiting: Cell::new(0),
                cells: cells(&policy.name),
                memory: memory(&policy.name, python.version),
                told_ms: Cell::new(0),
            })
        });
        let seats = seats.collect();
        let lanes = Lanes { groups, seats };
        lines.iter().for_each(|line| lanes.join(line));
        lanes
    }

    /// Takes a lane in, and lets go of those that are lost.
    pub(crate) fn join(&self, line: &Arc<Line>) {
        let Some(group) = self.groups.iter().find(|group| group.name == line.group) else { return };
        if group.policies != line.policies {
            events::error("lane_not_reached", &[("lane", &group.name), ("error", "it has other policies")]);
            return line.end();
        }
        let mut links = group.links.borrow_mut();
        links.retain(|joined| !joined.link.is_lost());
        match join(line) {
            Ok((link, running)) => links.push(Joined { link, running, _line: Arc::clone(line) }),
            Err(error) => {
                events::error("lane_not_reached", &[("lane", &group.name), ("error", &error.to_string())]);
                line.end();
            }
        }
    }

    /// What a policy has decided before, where that holds for this request. What made sense with another table and does
    /// not with this one, holds no more.
    pub(crate) fn recall(
        &self, id: PolicyId, table: &Table, about: About<'_>, now_ms: u64,
    ) -> Option<Verdict> {
        let seat = self.seats[id.index()].as_ref()?;
        let (verdict, _) = seat.memory.recall(about, now_ms)?;
        fits(table, false, &verdict).ok()?;
        seat.cells.count(Came::Remembered);
        Some(verdict)
    }

    /// Asks a policy; what it gives waits for the verdict.
    pub(crate) fn ask(
        &self, id: PolicyId, python: &PythonPolicy, job: Job<'_>, clock: &Clock,
    ) -> Result<Waiting<'_>, Silence> {
        let Some(seat) = &self.seats[id.index()] else { return Err(Silence::Lost) };
        let now_us = clock.us();
        let asking = seat.breaker.admits(now_us / 1000).ok_or(Silence::GivenUp).and_then(|waiter| {
            if seat.waiting.get() >= python.queue {
                return Err(Silence::Overloaded);
            }
            let most = Duration::from_millis(python.timeout_ms);
            let asking = self.groups[seat.group].ask(Job { policy: seat.number, ..job }, now_us, most)?;
            Ok((asking, waiter))
        });
        match asking {
            Ok((asking, _waiter)) => {
                let place = Place::take(&seat.waiting);
                Ok(Waiting { seat, asking, began_us: now_us, age: seat.memory.age(), _waiter, _place: place })
            }
            Err(silence) => {
                seat.cells.count(silence.came());
                Err(silence)
            }
        }
    }
}

/// A question under way.
pub(crate) struct Waiting<'l> {
    seat: &'l Seat,
    asking: Asking,
    began_us: u64,
    /// Of the memory when it was asked.
    age: u64,
    _waiter: Waiter<'l>,
    _place: Place<'l>,
}

/// One of those that wait for a policy, however its waiting ends.
struct Place<'l>(&'l Cell<usize>);

impl<'l> Place<'l> {
    fn take(waiting: &'l Cell<usize>) -> Self {
        waiting.set(waiting.get() + 1);
        Place(waiting)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Waiting<'_> {
    /// Waits for the verdict, no longer than the policy's time, and remembers it where it wants to be.
    pub(crate) async fn verdict(
        self, name: &str, python: &PythonPolicy, table: &Table, about: About<'_>, clock: &Clock,
    ) -> Result<Verdict, Silence> {
        let Waiting { seat, asking, began_us, age, _waiter, _place } = self;
        let now_ms = || clock.ms();
        let said = match asking.await {
            Ok(answer) => match understood(table, python.answers, &answer) {
                Ok(Verdict::Failed) => Err(Silence::Failed),
                Ok(verdict) => {
                    let remembered = seat.memory.remember(&verdict, answer.rest.len(), about, age, now_ms());
                    remembered.unwrap_or_else(|why| seat.not_remembered(name, &why, now_ms()));
                    Ok(verdict)
                }
                Err(why) => seat.wrong(name, &why, now_ms()),
            },
            Err(unanswered) => Err(silence(unanswered)),
        };
        seat.cells.wait.observe(clock.us().saturating_sub(began_us));
        seat.cells.count(came(&said));
        match &said {
            Ok(_) => seat.breaker.succeeded(),
            Err(Silence::Failed) => seat.breaker.succeeded(), // it does answer
            Err(silence) => seat.silent(name, python, *silence, now_ms()),
        }
        said
    }
}

impl Seat {
    /// A verdict that cannot be: the policy has failed. A client may have a part in what it says, so little of that is
    /// told, and not often.
    fn wrong(&self, name: &str, why: &str, now_ms: u64) -> Result<Verdict, Silence> {
        let short: String = why.chars().take(MOST_TOLD).collect();
        self.tell(now_ms, || events::error("policy_wrong", &[("policy", name), ("error", &short)]));
        Err(Silence::Failed)
    }

    fn not_remembered(&self, name: &str, why: &str, now_ms: u64) {
        self.tell(now_ms, || events::error("policy_not_remembered", &[("policy", name), ("error", why)]));
    }

    /// Notes that there was no answer, and tells of it.
    fn silent(&self, name: &str, python: &PythonPolicy, silence: Silence, now_ms: u64) {
        if self.breaker.failed(now_ms) {
            events::error("policy_given_up", &[("policy", name), ("reason", &silence.refusal().reason)]);
        } else if silence == Silence::Timeout {
            let ms = python.timeout_ms.to_string();
            self.tell(now_ms, || events::warn("policy_timeout", &[("policy", name), ("timeout_ms", &ms)]));
        }
    }

    /// Tells something, unless something was told a moment ago.
    fn tell(&self, now_ms: u64, event: impl FnOnce()) {
        if now_ms >= self.told_ms.get() {
            self.told_ms.set(now_ms + QUIET_MS);
            event();
        }
    }
}

fn understood(table: &Table, answers: bool, answer: &Answer) -> Result<Verdict, String> {
    let verdict = Verdict::decode(answer.kind, &answer.rest)?;
    fits(table, answers, &verdict).map(|()| verdict)
}

/// Whether a verdict makes sense with this table, about an answer or about a request.
pub(crate) fn fits(table: &Table, answers: bool, verdict: &Verdict) -> Result<(), String> {
    match verdict {
        Verdict::Edit(_) if !answers => Err("it changes an answer, and was asked about a request".to_owned()),
        Verdict::Allow(_) | Verdict::Answer(_) if answers => {
            Err("it decides about a request, and was asked about an answer".to_owned())
        }
        Verdict::Deny(denial) if answers && denial.remember_ms.is_some() => {
            Err("what is said about an answer is not remembered".to_owned())
        }
        Verdict::Allow(changes) => match changes.upstream.as_deref() {
            Some(name) if table.upstream(name).is_none() => Err(format!("there is no upstream {name:?}")),
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

fn came(said: &Result<Verdict, Silence>) -> Came {
    match said {
        Ok(Verdict::Pass) => Came::Pass,
        Ok(Verdict::Allow(_) | Verdict::Edit(_)) => Came::Change,
        Ok(Verdict::Deny(_)) => Came::Deny,
        Ok(Verdict::Answer(_)) => Came::Answer,
        Ok(Verdict::Failed) => Came::Failed,
        Err(silence) => silence.came(),
    }
}

impl Group {
    fn new(name: &str) -> Self {
        Group { name: name.into(), policies: Vec::new(), links: RefCell::default() }
    }

    /// Asks one of the lanes.
    fn ask(&self, job: Job<'_>, now_us: u64, most: Duration) -> Result<Asking, Silence> {
        let links = self.links.borrow();
        let link = choose(&links, now_us, |joined| &joined.link).ok_or(Silence::Lost)?;
        if link.asked() >= MOST_ASKED {
            return Err(Silence::Overloaded);
        }
        link.ask(job, now_us, most).map_err(silence)
    }
}

fn silence(unanswered: Unanswered) -> Silence {
    match unanswered {
        Unanswered::Lost => Silence::Lost,
        Unanswered::TooLong => Silence::TooLong,
        Unanswered::Overloaded => Silence::Overloaded,
        Unanswered::Late => Silence::Timeout,
    }
}
