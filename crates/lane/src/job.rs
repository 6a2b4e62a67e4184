//! A request on its way to a policy, as a record of the ring: numbers, then the lengths of all texts, then the texts.

/// What a policy may ask about a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Job<'a> {
    /// Names the job in its answer.
    pub id: u64,
    /// Which of the lane's policies is asked.
    pub policy: u32,
    /// Of the answer that it is asked about; 0 when it is asked about a request.
    pub status: u32,
    pub method: &'a [u8],
    pub scheme: &'a [u8],
    /// Lower case, without a port.
    pub host: &'a [u8],
    /// In normal form.
    pub path: &'a [u8],
    /// Without its `?`; `None` when there is no `?`.
    pub query: Option<&'a [u8]>,
    /// The address, empty for a client on a Unix socket.
    pub client_ip: &'a [u8],
    pub client_id: &'a [u8],
    pub client_plan: &'a [u8],
    /// A JSON object; empty for a client of whom nothing is known.
    pub client_claims: &'a [u8],
    pub request_id: &'a [u8],
    pub route: &'a [u8],
    /// The fields as they will be sent, as lines: `name: value\r\n`.
    pub fields: &'a [u8],
    /// Where the policy asks for it.
    pub body: Option<&'a [u8]>,
    /// Likewise of the answer.
    pub answer_fields: &'a [u8],
}

const TEXTS: usize = 14;
/// Bytes before the texts.
const HEAD: usize = 16 + 4 * TEXTS;
/// The length of what is not there.
const ABSENT: u32 = u32::MAX;

impl<'a> Job<'a> {
    fn texts(&self) -> [Option<&'a [u8]>; TEXTS] {
        [
            Some(self.method),
            Some(self.scheme),
            Some(self.host),
            Some(self.path),
            self.query,
            Some(self.client_ip),
            Some(self.client_id),
            Some(self.client_plan),
            Some(self.client_claims),
            Some(self.request_id),
            Some(self.route),
            Some(self.fields),
            self.body,
            Some(self.answer_fields),
        ]
    }

    /// Appends the record.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let texts = self.texts();
        out.extend_from_slice(&self.id.to_ne_bytes());
        out.extend_from_slice(&self.policy.to_ne_bytes());
        out.extend_from_slice(&self.status.to_ne_bytes());
        for text in texts {
            let length = text.map_or(ABSENT, |text| text.len() as u32);
            out.extend_from_slice(&length.to_ne_bytes());
        }
        for text in texts.into_iter().flatten() {
            out.extend_from_slice(text);
        }
    }

    /// Takes a record apart; `None` when it is none.
    pub fn decode(record: &'a [u8]) -> Option<Self> {
        let id = u64::from_ne_bytes(record.get(..8)?.try_into().ok()?);
        let policy = u32::from_ne_bytes(record.get(8..12)?.try_into().ok()?);
        let status = u32::from_ne_bytes(record.get(12..16)?.try_into().ok()?);
        let (mut texts, mut at) = ([None; TEXTS], HEAD);
        for (place, text) in texts.iter_mut().enumerate() {
            let start = 16 + 4 * place;
            let length = u32::from_ne_bytes(record.get(start..start + 4)?.try_into().ok()?);
            if length != ABSENT {
                let end = at.checked_add(length as usize)?;
                *text = Some(record.get(at..end)?);
                at = end;
            }
        }
        let [
            method,
            scheme,
            host,
            path,
            query,
            client_ip,
            client_id,
            client_plan,
            client_claims,
            request_id,
            route,
            fields,
            body,
            answer_fields,
        ] = texts;
        Some(Job {
            id,
            policy,
            status,
            method: method?,
            scheme: scheme?,
            host: host?,
            path: path?,
            query,
            client_ip: client_ip?,
            client_id: client_id?,
            client_plan: client_plan?,
            client_claims: client_claims?,
            request_id: request_id?,
            route: route?,
            fields: fields?,
            body,
            answer_fields: answer_fields?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_job_comes_out_as_it_went_in() {
        let job = Job {
            id: 7,
            policy: 3,
            method: b"GET",
            path: b"/a%20b",
            query: Some(b""),
            fields: b"x: 1\r\n",
            status: 200,
            answer_fields: b"y: 2\r\n",
            ..Job::default()
        };
        let mut record = Vec::new();
        job.encode(&mut record);
        assert_eq!(Job::decode(&record), Some(job));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_job_or_none(record in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Job::decode(&record);
        }
    }
}
