//! The questions that a link has under way: who waits for which answer, and how long.

use super::link::{Answer, Unanswered};
use pylos_lane::Broken;
use std::task::{Context, Waker};

/// The questions under way.
#[derive(Debug, Default)]
pub(super) struct Calls {
    calls: Vec<Call>,
    free: Vec<usize>,
}

#[derive(Debug)]
struct Call {
    /// Which question of this place it is: an answer that comes too late is for none.
    serial: u32,
    state: State,
    /// When its time is over, us.
    due_us: u64,
}

#[derive(Debug)]
enum State {
    Free,
    Waiting(Option<Waker>),
    Answered(Answer),
    /// Its time was over before there was an answer.
    Late,
}

impl Calls {
    pub(super) fn begin(&mut self, due_us: u64) -> (usize, u64) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.calls.push(Call { serial: 0, state: State::Free, due_us: 0 });
            self.calls.len() - 1
        });
        let call = &mut self.calls[place];
        call.serial = call.serial.wrapping_add(1);
        call.state = State::Waiting(None);
        call.due_us = due_us;
        (place, u64::from(call.serial) << 32 | place as u64)
    }

    fn call(&mut self, id: u64) -> Option<&mut Call> {
        let call = self.calls.get_mut((id & u64::from(u32::MAX)) as usize)?;
        (u64::from(call.serial) == id >> 32).then_some(call)
    }

    pub(super) fn waits(&self, id: u64) -> bool {
        let call = self.calls.get((id & u64::from(u32::MAX)) as usize);
        call.is_some_and(|call| u64::from(call.serial) == id >> 32 && matches!(call.state, State::Waiting(_)))
    }

    pub(super) fn answer(&mut self, record: &[u8]) -> Result<(), Broken> {
        let (id, rest) = record.split_first_chunk::<8>().ok_or(Broken)?;
        let (kind, rest) = rest.split_first().ok_or(Broken)?;
        let id = u64::from_ne_bytes(*id);
        if (id & u64::from(u32::MAX)) as usize >= self.calls.len() {
            return Err(Broken); // never asked
        }
        let Some(call) = self.call(id) else { return Ok(()) };
        if let State::Waiting(waker) = &mut call.state {
            let waker = waker.take();
            call.state = State::Answered(Answer { kind: *kind, rest: rest.to_vec() });
            waker.into_iter().for_each(Waker::wake);
        }
        Ok(())
    }

    pub(super) fn take(&mut self, place: usize, cx: &Context<'_>) -> Option<Result<Answer, Unanswered>> {
        let state = &mut self.calls[place].state;
        match state {
            State::Answered(_) => {
                let State::Answered(answer) = std::mem::replace(state, State::Free) else { return None };
                Some(Ok(answer))
            }
            State::Waiting(waker) => {
                *waker = Some(cx.waker().clone());
                None
            }
            State::Late => Some(Err(Unanswered::Late)),
            State::Free => None,
        }
    }

    pub(super) fn end(&mut self, place: usize, id: u64) {
        if let Some(call) = self.call(id) {
            call.serial = call.serial.wrapping_add(1);
            call.state = State::Free;
            self.free.push(place);
        }
    }

    /// How many there are.
    pub(super) fn asked(&self) -> usize {
        self.calls.len() - self.free.len()
    }

    /// Ends the waiting of those whose time is over, and gives the time at which that of the next one is.
    pub(super) fn expire(&mut self, now_us: u64) -> Option<u64> {
        let mut next: Option<u64> = None;
        for call in &mut self.calls {
            let State::Waiting(waker) = &mut call.state else { continue };
            if call.due_us <= now_us {
                waker.take().into_iter().for_each(Waker::wake);
                call.state = State::Late;
            } else {
                next = Some(next.map_or(call.due_us, |next| next.min(call.due_us)));
            }
        }
        next
    }

    pub(super) fn lose(&mut self) {
        for call in &mut self.calls {
            if let State::Waiting(waker) = &mut call.state {
                waker.take().into_iter().for_each(Waker::wake);
            }
        }
    }
}
