//! A lane's end of the rings, and a request as a policy sees it.

use pylos_lane::{Bell, Broken, Job, NotPushed, Reader, Writer, memory_of};
use pyo3::exceptions::{PyBlockingIOError, PyConnectionError, PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString};
use std::collections::VecDeque;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Answers are shown after so many, or so much time, and others have their turn after more of it: where more comes
/// than can be answered, what is answered must not wait for what is not.
const BATCH: u32 = 64;
const SHOW: Duration = Duration::from_micros(500);
const TURN: Duration = Duration::from_millis(4);
/// Calls that take less on average are so short that it is enough to look at the clock after so many.
const SHORT: Duration = Duration::from_micros(5);
const SELDOM: u32 = 4;
/// Bytes of each ring.
const RING: usize = 1 << 20;
/// The kind of an answer that lets the request pass as it is; the commonest, and the shortest.
const PASS: u8 = 0;
/// The kind of an answer that says that the policy failed.
const FAILED: u8 = 4;

/// One worker's rings, in the lane.
#[pyclass(frozen, module = "pylos._core")]
pub(crate) struct Lane {
    jobs: Mutex<Reader>,
    answers: Mutex<Outbox>,
    bell: Bell,
    back: Bell,
}

/// Answers on their way, and those that found no room.
struct Outbox {
    ring: Writer,
    waiting: VecDeque<Vec<u8>>,
}

#[pymethods]
impl Lane {
    /// Takes four descriptors over: jobs, answers, the lane's bell and the worker's.
    #[new]
    fn new(jobs: i32, answers: i32, bell: i32, back: i32) -> PyResult<Self> {
        // All are owned before anything can fail, so that all are closed then.
        let [jobs, answers, bell, back] = [owned(jobs), owned(answers), owned(bell), owned(back)];
        let (jobs, answers, bell, back) = (jobs?, answers?, bell?, back?);
        Ok(Lane {
            jobs: Mutex::new(Reader::new(&jobs)?),
            answers: Mutex::new(Outbox { ring: Writer::new(&answers)?, waiting: VecDeque::new() }),
            bell: bell.into(),
            back: back.into(),
        })
    }

    /// Answers the jobs that are there: calls `policies[n](call)`. What gives None lets pass; everything else, and
    /// every exception, goes to `other(call, result)`, which answers itself. Also sends answers that found no room.
    /// True: there may be more, and the bell will not say so; others are to have their turn first.
    fn serve(
        &self, py: Python<'_>, policies: &Bound<'_, PyList>, other: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        self.bell.hush();
        let began = Instant::now();
        let (mut shown, mut served) = (began, 0u32);
        // Where calls are short, the clock is not read after each.
        let (mut read, mut unread, mut every) = (began, 0u32, 1u32);
        loop {
            while let Some(call) = self.next()? {
                let (id, policy) = (call.id, call.policy as usize);
                let call = Bound::new(py, call)?;
                let result = policies.get_item(policy).and_then(|policy| policy.call1((&call,)));
                let told = match result {
                    Ok(result) if result.is_none() => self.push(id, PASS, b""),
                    Ok(result) => other.call1((call, result)).map(drop),
                    Err(error) => other.call1((call, error.into_value(py))).map(drop),
                };
                // A defect of the lane's own code must not leave the request without an answer.
                if let Err(error) = told {
                    error.write_unraisable(py, None);
                    self.push(id, FAILED, b"")?;
                }
                served += 1;
                unread += 1;
                if unread < every {
                    continue;
                }
                let now = Instant::now();
                every = if now - read < SHORT * unread { SELDOM } else { 1 };
                (read, unread) = (now, 0);
                if served >= BATCH || now - shown >= SHOW {
                    self.show();
                    (shown, served) = (now, 0);
                    if now - began >= TURN {
                        return Ok(true);
                    }
                }
            }
            self.show();
            if lock(&self.jobs).sleep().map_err(broken)? {
                return Ok(false);
            }
            if began.elapsed() >= TURN {
                return Ok(true);
            }
        }
    }

    /// Makes the first step of a coroutine. None when it came to its end and lets the request pass, which is answered;
    /// else whether it came to its end, and its result or what it waits for. Raises what it raises.
    fn step(&self, call: &Call, work: &Bound<'_, PyAny>) -> PyResult<Option<(bool, Py<PyAny>)>> {
        let py = work.py();
        let (ended, what) = sent_none(work)?;
        if ended && what.is_none(py) {
            return self.push(call.id, PASS, b"").map(|()| None);
        }
        Ok(Some((ended, what)))
    }

    /// Answers one call.
    fn answer(&self, call: &Call, kind: u8, rest: &[u8]) -> PyResult<()> {
        self.push(call.id, kind, rest)
    }

    /// Shows the worker the answers.
    fn flush(&self) {
        let mut answers = lock(&self.answers);
        let Outbox { ring, waiting } = &mut *answers;
        while waiting.front().is_some_and(|answer| ring.push(&[answer]).is_ok()) {
            waiting.pop_front();
        }
        if ring.publish() {
            self.back.ring();
        }
    }
}

impl Lane {
    /// Gives back the room of what was read, and shows the answers.
    fn show(&self) {
        if lock(&self.jobs).release() {
            self.back.ring();
        }
        self.flush();
    }

    fn next(&self) -> PyResult<Option<Call>> {
        let mut record = Vec::with_capacity(512);
        if !lock(&self.jobs).pop(&mut record).map_err(broken)? {
            return Ok(None);
        }
        let job = Job::decode(&record).ok_or_else(|| broken(Broken))?;
        let (id, policy) = (job.id, job.policy);
        Ok(Some(Call { id, policy, record }))
    }

    fn push(&self, id: u64, kind: u8, rest: &[u8]) -> PyResult<()> {
        let parts = [&id.to_ne_bytes()[..], &[kind], rest];
        let mut answers = lock(&self.answers);
        let Outbox { ring, waiting } = &mut *answers;
        let pushed = if waiting.is_empty() { ring.push(&parts) } else { Err(NotPushed::Full) };
        match pushed {
            Ok(()) => Ok(()),
            Err(_) if rest.len() + 9 > ring.longest() => Err(PyValueError::new_err(format!(
                "the answer is too long: {} bytes, at most {}",
                rest.len(),
                ring.longest() - 9
            ))),
            // The worker rings when it has made room.
            Err(_) => {
                waiting.push_back(parts.concat());
                Ok(())
            }
        }
    }
}

/// Resumes a coroutine: whether it came to its end, and its result or what it waits for. To ask for that as Python does
/// would make an exception of each result.
fn sent_none(work: &Bound<'_, PyAny>) -> PyResult<(bool, Py<PyAny>)> {
    let py = work.py();
    let mut what = std::ptr::null_mut();
    #[expect(unsafe_code, reason = "there is no safe call for it")]
    // SAFETY: both objects live throughout, and the interpreter is attached; the type need not be an iterator's, since
    // what cannot be resumed is told as an error. `what` is given as owned, and is not null where there is no error.
    unsafe {
        let sent = pyo3::ffi::PyIter_Send(work.as_ptr(), pyo3::ffi::Py_None(), &raw mut what);
        if sent == pyo3::ffi::PySendResult::PYGEN_ERROR {
            return Err(PyErr::fetch(py));
        }
        let ended = sent == pyo3::ffi::PySendResult::PYGEN_RETURN;
        Ok((ended, Bound::from_owned_ptr(py, what).unbind()))
    }
}

/// A worker's end, for one who asks without a gateway: the test of a lane, and the measurement of a policy.
#[pyclass(frozen, module = "pylos._core")]
pub(crate) struct Caller {
    jobs: Mutex<Writer>,
    answers: Mutex<Reader>,
    bell: Bell,
    heard: Bell,
    back: Bell,
    /// The lane's rings.
    rings: [OwnedFd; 2],
}

#[pymethods]
impl Caller {
    #[new]
    fn new() -> PyResult<Self> {
        let rings = [memory_of(RING)?, memory_of(RING)?];
        let (bell, heard) = Bell::apart()?;
        Ok(Caller {
            jobs: Mutex::new(Writer::new(&rings[0])?),
            answers: Mutex::new(Reader::new(&rings[1])?),
            bell,
            heard,
            back: Bell::new()?,
            rings,
        })
    }

    /// The descriptors that the lane takes over, to be given to it as copies: jobs, answers, its bell, the caller's.
    fn descriptors(&self) -> [i32; 4] {
        let [jobs, answers] = &self.rings;
        [jobs.as_raw_fd(), answers.as_raw_fd(), self.heard.as_raw_fd(), self.back.as_raw_fd()]
    }

    /// Asks policy number `policy` about a request. `fields` are lines that each end with CR and LF.
    /// `answer`: status and lines of the answer that it is about.
    #[pyo3(signature = (number, policy, method, target, fields, body=None, answer=None))]
    #[expect(clippy::too_many_arguments, reason = "they are keywords in Python")]
    fn ask(
        &self, number: u64, policy: u32, method: &str, target: &str, fields: &[u8], body: Option<&[u8]>,
        answer: Option<(u32, &[u8])>,
    ) -> PyResult<()> {
        let (status, answer_fields) = answer.unwrap_or_default();
        let (path, query) =
            target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let (mut record, request_id) = (Vec::new(), number.to_string());
        let job = Job {
            id: number,
            policy,
            method: method.as_bytes(),
            scheme: b"http",
            host: b"localhost",
            path: path.as_bytes(),
            query: query.map(str::as_bytes),
            client_ip: b"127.0.0.1",
            client_id: b"ip:127.0.0.1",
            request_id: request_id.as_bytes(),
            fields,
            body,
            status,
            answer_fields,
            ..Job::default()
        };
        job.encode(&mut record);
        lock(&self.jobs).push(&[&record]).map_err(|why| match why {
            NotPushed::Full => PyBlockingIOError::new_err("the lane has to catch up"),
            NotPushed::TooLong => PyValueError::new_err("the request is longer than a ring takes"),
        })
    }

    /// Shows the lane what was asked.
    fn flush(&self) {
        if lock(&self.jobs).publish() {
            self.bell.ring();
        }
    }

    /// Takes all answers that are there: id, kind, and what else belongs to it. After it, the bell rings for more.
    fn answers<'py>(&self, py: Python<'py>) -> PyResult<Vec<(u64, u8, Bound<'py, PyBytes>)>> {
        self.back.hush();
        let (mut found, mut record) = (Vec::new(), Vec::new());
        let mut answers = lock(&self.answers);
        loop {
            while answers.pop(&mut record).map_err(broken)? {
                let (id, rest) = record.split_first_chunk::<8>().ok_or_else(|| broken(Broken))?;
                let (kind, rest) = rest.split_first().ok_or_else(|| broken(Broken))?;
                found.push((u64::from_ne_bytes(*id), *kind, PyBytes::new(py, rest)));
                record.clear();
            }
            if answers.release() {
                self.bell.ring();
            }
            if answers.sleep().map_err(broken)? {
                return Ok(found);
            }
        }
    }
}

/// A request that a policy is asked about. Texts are made when they are read.
#[pyclass(frozen, module = "pylos._core")]
pub(crate) struct Call {
    id: u64,
    policy: u32,
    record: Vec<u8>,
}

#[pymethods]
impl Call {
    #[getter]
    fn method<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        text(py, self.job().method)
    }

    #[getter]
    fn scheme<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        text(py, self.job().scheme)
    }

    #[getter]
    fn client_id<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        text(py, self.job().client_id)
    }

    #[getter]
    fn client_plan<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        text(py, self.job().client_plan)
    }

    /// JSON; empty for a client of whom nothing is known.
    #[getter]
    fn client_claims<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.job().client_claims)
    }

    /// The number of the policy that is asked.
    #[getter]
    fn policy(&self) -> u32 {
        self.policy
    }

    #[getter]
    fn route<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        text(py, self.job().route)
    }

    #[getter]
    fn host<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        text(py, self.job().host)
    }

    #[getter]
    fn path<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        text(py, self.job().path)
    }

    #[getter]
    fn query<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyString>>> {
        self.job().query.map(|query| text(py, query)).transpose()
    }

    #[getter]
    fn client_ip<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        text(py, self.job().client_ip)
    }

    #[getter]
    fn request_id<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        text(py, self.job().request_id)
    }

    /// Of the answer that it is asked about; 0 when it is asked about a request.
    #[getter]
    fn status(&self) -> u32 {
        self.job().status
    }

    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.job().body.map(|body| PyBytes::new(py, body))
    }

    /// Names and values, in their order.
    fn fields<'py>(&self, py: Python<'py>) -> PyResult<Vec<(Bound<'py, PyString>, Bound<'py, PyString>)>> {
        pairs(py, self.job().fields)
    }

    /// Likewise of the answer.
    fn answer_fields<'py>(
        &self, py: Python<'py>,
    ) -> PyResult<Vec<(Bound<'py, PyString>, Bound<'py, PyString>)>> {
        pairs(py, self.job().answer_fields)
    }
}

/// Takes lines apart.
fn pairs<'py>(py: Python<'py>, fields: &[u8]) -> PyResult<Vec<(Bound<'py, PyString>, Bound<'py, PyString>)>> {
    let lines = fields.split(|byte| *byte == b'\n');
    let pairs = lines.filter_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        Some((&line[..colon], line[colon + 1..].trim_ascii()))
    });
    pairs.map(|(name, value)| Ok((text(py, name)?, text(py, value)?))).collect()
}

impl Call {
    /// The record was taken apart when it came.
    fn job(&self) -> Job<'_> {
        Job::decode(&self.record).unwrap_or_default()
    }
}

/// UTF-8. A byte that is none becomes a lone surrogate (PEP 383), so that nothing is lost and no two texts are one.
fn text<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyString>> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(PyString::new(py, text)),
        Err(_) => {
            let decoded = PyBytes::new(py, bytes).call_method1("decode", ("utf-8", "surrogateescape"))?;
            Ok(decoded.cast_into()?)
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn broken(_: Broken) -> PyErr {
    PyConnectionError::new_err("the gateway has written what cannot be")
}

fn owned(fd: i32) -> PyResult<OwnedFd> {
    if fd < 0 {
        return Err(PyOSError::new_err(format!("{fd} is no descriptor")));
    }
    #[expect(unsafe_code, reason = "Python hands descriptors over as numbers")]
    // SAFETY: the number is not -1, and the caller's contract is that it owns the descriptor and gives it away.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
