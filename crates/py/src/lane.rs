//! A lane's end of the rings, and a request as a policy sees it.

use pylos_lane::{Bell, Broken, Job, Reader, Writer};
use pyo3::exceptions::{PyConnectionError, PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString};
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The kind of an answer that lets the request pass as it is; the commonest, and the shortest.
const PASS: u8 = 0;

/// One worker's rings, in the lane.
#[pyclass(frozen, module = "pylos._core")]
pub(crate) struct Lane {
    jobs: Mutex<Reader>,
    answers: Mutex<Writer>,
    bell: Bell,
    back: Bell,
}

#[pymethods]
impl Lane {
    /// Takes four descriptors over: jobs, answers, the lane's bell and the worker's.
    #[new]
    fn new(jobs: i32, answers: i32, bell: i32, back: i32) -> PyResult<Self> {
        let (jobs, answers) = (owned(jobs)?, owned(answers)?);
        Ok(Lane {
            jobs: Mutex::new(Reader::new(&jobs)?),
            answers: Mutex::new(Writer::new(&answers)?),
            bell: owned(bell)?.into(),
            back: owned(back)?.into(),
        })
    }

    /// Answers all jobs that are there: calls `policies[n](call)`. What gives None lets pass; everything else, and
    /// every exception, goes to `other(call, result)`, which answers itself.
    fn serve(&self, py: Python<'_>, policies: &Bound<'_, PyList>, other: &Bound<'_, PyAny>) -> PyResult<()> {
        self.bell.hush();
        loop {
            while let Some(call) = self.next()? {
                let (id, policy) = (call.id, call.policy as usize);
                let call = Bound::new(py, call)?;
                let result = policies.get_item(policy).and_then(|policy| policy.call1((&call,)));
                match result {
                    Ok(result) if result.is_none() => self.push(id, PASS, b"")?,
                    Ok(result) => drop(other.call1((call, result))?),
                    Err(error) => drop(other.call1((call, error.into_value(py)))?),
                }
            }
            self.flush();
            if lock(&self.jobs).sleep().map_err(broken)? {
                return Ok(());
            }
        }
    }

    /// Answers one call.
    fn answer(&self, call: &Call, kind: u8, rest: &[u8]) -> PyResult<()> {
        self.push(call.id, kind, rest)
    }

    /// Shows the worker the answers.
    fn flush(&self) {
        if lock(&self.answers).publish() {
            self.back.ring();
        }
    }
}

impl Lane {
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
        let pushed = lock(&self.answers).push(&[&id.to_ne_bytes(), &[kind], rest]);
        pushed.map_err(|_| PyValueError::new_err("the answer is too long"))
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
    fn method<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        text(py, self.job().method)
    }

    #[getter]
    fn host<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        text(py, self.job().host)
    }

    #[getter]
    fn path<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        text(py, self.job().path)
    }

    #[getter]
    fn query<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyString>> {
        self.job().query.map(|query| text(py, query))
    }

    #[getter]
    fn client_ip<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        text(py, self.job().client_ip)
    }

    #[getter]
    fn request_id<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        text(py, self.job().request_id)
    }

    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.job().body.map(|body| PyBytes::new(py, body))
    }

    /// The first line of a field, by its name in lower case.
    fn header<'py>(&self, py: Python<'py>, name: &str) -> Option<Bound<'py, PyString>> {
        let lines = self.job().fields.split(|byte| *byte == b'\n');
        let mut pairs = lines.filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            Some((&line[..colon], line[colon + 1..].trim_ascii()))
        });
        let found = pairs.find(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes()));
        found.map(|(_, value)| text(py, value))
    }
}

impl Call {
    /// The record was taken apart when it came.
    fn job(&self) -> Job<'_> {
        Job::decode(&self.record).unwrap_or_default()
    }
}

/// Latin-1, so that no byte is lost: what is UTF-8 can be made of it again.
fn text<'py>(py: Python<'py>, bytes: &[u8]) -> Bound<'py, PyString> {
    match std::str::from_utf8(bytes) {
        Ok(text) => PyString::new(py, text),
        Err(_) => PyString::new(py, &bytes.iter().map(|byte| char::from(*byte)).collect::<String>()),
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
