//! Two sides that only ever sleep on their bells, with rings that are too small for what goes through them: whoever
//! forgets to ring the other one is waited for in vain.
#![cfg(target_os = "linux")]

use pylos_lane::{Bell, Reader, Writer, memory_of};
use rustix::event::{PollFd, PollFlags, poll};
use std::collections::VecDeque;
use std::sync::mpsc;
use std::time::Duration;

const JOBS: u32 = 20_000;
const BURST: u32 = 40;
const CAPACITY: usize = 4096;

/// One side: what it has to send, how it sends it, and what it hears.
struct Side {
    out: Writer,
    into: Reader,
    /// Rung by the other side.
    heard: Bell,
    /// Rung for the other side.
    rung: Bell,
    waiting: VecDeque<Vec<u8>>,
}

impl Side {
    fn send(&mut self, record: Vec<u8>) {
        self.waiting.push_back(record);
        self.flush();
    }

    fn flush(&mut self) {
        while self.waiting.front().is_some_and(|record| self.out.push(&[record]).is_ok()) {
            self.waiting.pop_front();
        }
        if self.out.publish() {
            self.rung.ring();
        }
    }

    /// All that has come; sleeps until there is something.
    fn hear(&mut self) -> Vec<Vec<u8>> {
        loop {
            let mut all = Vec::new();
            loop {
                let mut record = Vec::new();
                if !self.into.pop(&mut record).expect("sound") {
                    break;
                }
                all.push(record);
            }
            if self.into.release() {
                self.rung.ring();
            }
            self.flush();
            if !all.is_empty() {
                return all;
            }
            if self.into.sleep().expect("sound") {
                poll(&mut [PollFd::new(&self.heard, PollFlags::IN)], None).expect("waited");
                self.heard.hush();
            }
        }
    }
}

fn job(number: u32) -> Vec<u8> {
    let mut record = number.to_ne_bytes().to_vec();
    record.resize(4 + number as usize % 1500, number as u8);
    record
}

#[test]
fn nobody_waits_in_vain() {
    let (jobs, answers) = (memory_of(CAPACITY).expect("memory"), memory_of(CAPACITY).expect("memory"));
    let ((to_lane, in_lane), back) = (Bell::apart().expect("a pipe"), Bell::new().expect("an eventfd"));
    let mut lane = Side {
        out: Writer::new(&answers).expect("a ring"),
        into: Reader::new(&jobs).expect("a ring"),
        heard: in_lane,
        rung: back.try_clone().expect("a descriptor"),
        waiting: VecDeque::new(),
    };
    let mut worker = Side {
        out: Writer::new(&jobs).expect("a ring"),
        into: Reader::new(&answers).expect("a ring"),
        heard: back,
        rung: to_lane,
        waiting: VecDeque::new(),
    };
    std::thread::spawn(move || {
        loop {
            for record in lane.hear() {
                lane.send(record);
            }
        }
    });
    let (done, finished) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut asked, mut answered) = (0, 0);
        while answered < JOBS {
            // More than the rings hold, and no more before all is answered: nothing else wakes the other side.
            for number in asked..asked + BURST {
                worker.send(job(number));
            }
            asked += BURST;
            while answered < asked {
                for record in worker.hear() {
                    assert_eq!(record, job(answered), "in their order, whole");
                    answered += 1;
                }
            }
        }
        done.send(()).expect("somebody waits");
    });
    finished.recv_timeout(Duration::from_secs(20)).expect("all were answered, and nobody waits in vain");
}
