//! What do policies in Python make of an answer? They are asked with its head in hand, before anything of it leaves.

use super::alike::About;
use super::consult::{Said, refused, silent, would};
use super::incoming::{Answer, Request};
use super::question::{self, Beside, python};
use super::record::Record;
use super::respond::{OwnAnswer, Telling};
use super::{Asked, Exchange};
use crate::error::Refusal;
use crate::lane::Silence;
use crate::policy::headers::line;
use crate::snapshot::Snapshot;
use crate::worker::Worker;
use pylos_core::http1::{Length, framing};
use pylos_core::message::head::{Field, Fields, Span, same_for_cgi};
use pylos_core::message::names::known;
use pylos_core::table::{Effective, Part, PythonPolicy, RouteId};
use pylos_core::verdict::{Edit, Verdict};

/// An upstream's answer. What `Telling::head` is to take in place of its block: the fields as policies left them.
pub(crate) async fn upstreams(
    telling: &Telling<'_>, block: &[u8], answer: &mut Answer, record: &mut Record,
) -> Result<Vec<u8>, Refusal> {
    let mut head = Head { status: answer.status, ..Head::default() };
    telling.told(block, answer, &mut head.lines);
    // Of HEAD and 304: the gateway's to write, and nothing that a policy sees.
    let length = framing::content_length(block, &answer.fields).ok().flatten();
    let on = Reviewed {
        worker: telling.worker,
        snapshot: telling.snapshot,
        effective: telling.effective,
        request: telling.request,
        route: telling.route,
    };
    if let Err(refusal) = on.review(&mut head, record).await {
        // Nobody else has taken note of it.
        record.status = answer.status;
        return Err(Refusal { done: true, ..refusal });
    }
    if framing::bodyless(answer.status) && !framing::bodyless(head.status) && !on.request.is_head() {
        answer.length = Length::Known(0);
    }
    answer.status = head.status;
    answer.fields = head.fields(length);
    answer.edited = head.edited;
    Ok(head.lines)
}

/// An answer of the gateway's own: its status and fields now, and the names of those that were set or removed.
pub(crate) async fn own(
    x: &mut Exchange<'_>, route: RouteId, answer: &OwnAnswer<'_>,
) -> Result<(u16, Vec<u8>, Vec<String>), Refusal> {
    let mut head = Head { status: answer.status, ..Head::default() };
    if !answer.content_type.is_empty() {
        line(&mut head.lines, b"content-type", answer.content_type);
    }
    answer.fields.iter().for_each(|(name, value)| line(&mut head.lines, name, value));
    let on = Reviewed {
        worker: &x.worker,
        snapshot: &x.snapshot,
        effective: x.snapshot.table.effective(x.listener, Some(route)),
        request: &x.scratch.request,
        route,
    };
    on.review(&mut head, &mut x.record).await?;
    Ok((head.status, head.lines, head.edited))
}

/// The exchange whose answer it is.
struct Reviewed<'a> {
    worker: &'a Worker,
    snapshot: &'a Snapshot,
    effective: &'a Effective,
    request: &'a Request,
    route: RouteId,
}

impl Reviewed<'_> {
    /// Asks all that act, in their order; each sees what those before it have changed. A refusal takes the answer's place.
    async fn review(&self, head: &mut Head, record: &mut Record) -> Result<(), Refusal> {
        let table = &*self.snapshot.table;
        for (place, id) in self.effective.ids.iter().enumerate() {
            let policy = &table.policies[id.index()];
            let part = self.request.acting.part(place);
            let Some(python) = python(policy).filter(|python| python.answers && part != Part::Rests) else {
                continue;
            };
            let said = self.ask(Asked { route: self.route, place, policy: *id }, python, head).await;
            if part == Part::Watches {
                // There may be a second answer, after one that broke off: the first word counts.
                if !record.would.iter().any(|(known, _)| known == id) {
                    record.would.extend(would(&said, python).map(|reason| (*id, reason)));
                }
                continue;
            }
            match said {
                Ok(Verdict::Pass) => {}
                Ok(Verdict::Edit(edit)) => head.apply(&edit),
                Ok(Verdict::Deny(denial)) => return Err(refused(&denial)),
                Ok(Verdict::Allow(_) | Verdict::Answer(_) | Verdict::Failed) => {
                    silent::<()>(Silence::Failed, python)?;
                }
                Err(silence) => {
                    silent::<()>(silence, python)?;
                }
            }
        }
        Ok(())
    }

    async fn ask(&self, asked: Asked, python: &PythonPolicy, head: &Head) -> Said {
        let table = &self.snapshot.table;
        let name = &table.policies[asked.policy.index()].name;
        let beside = Beside { body: None, answer: Some((head.status, &head.lines)) };
        let waiting = question::ask(self.worker, self.snapshot, self.request, asked, python, beside)?;
        let about = About { request: self.request, route: &table.routes[self.route.index()].name };
        waiting.verdict(name, python, table, about, &self.worker.clock).await
    }
}

/// The head of an answer as the client would get it, but for what frames it.
#[derive(Default)]
struct Head {
    status: u16,
    /// `name: value`, each with CR and LF.
    lines: Vec<u8>,
    /// Names that were set or removed.
    edited: Vec<String>,
}

impl Head {
    fn apply(&mut self, edit: &Edit) {
        self.status = edit.status.unwrap_or(self.status);
        let names = || edit.remove.iter().chain(edit.set.iter().map(|(name, _)| name));
        let mut kept = Vec::with_capacity(self.lines.len());
        for (name, _, line) in lines(&self.lines) {
            let name = name.of(&self.lines);
            if !names().any(|edited| same_for_cgi(edited.as_bytes(), name)) {
                kept.extend_from_slice(line.of(&self.lines));
            }
        }
        edit.set.iter().for_each(|(name, value)| line(&mut kept, name.as_bytes(), value.as_bytes()));
        self.edited.extend(names().cloned());
        self.lines = kept;
    }

    /// What is told of them, each as it stands: names of the upstream are mapped already, and what a policy has set is
    /// what it wants. `length`: what the upstream said of a body that is not there.
    fn fields(&mut self, length: Option<u64>) -> Fields {
        let mut fields = Fields::default();
        let from = self.lines.len();
        if let Some(length) = length {
            line(&mut self.lines, b"content-length", itoa::Buffer::new().format(length).as_bytes());
        }
        for (name, value, line) in lines(&self.lines) {
            let text = name.of(&self.lines);
            let (known, underscore) = (known(text), text.contains(&b'_'));
            let given = (line.at as usize) < from;
            fields.seen = fields.seen.with(known);
            fields.list.push(Field { name, value, known, underscore, dropped: false, given });
        }
        fields
    }
}

/// Takes lines apart that this file, or `Telling`, has written: name, value, and the whole line.
fn lines(block: &[u8]) -> impl Iterator<Item = (Span, Span, Span)> + '_ {
    let mut start = 0;
    block.split_inclusive(|byte| *byte == b'\n').map(move |line| {
        let end = start + line.len();
        let colon = start + line.iter().position(|byte| *byte == b':').unwrap_or(0);
        let spans = (Span::new(start, colon), Span::new(colon + 2, end - 2), Span::new(start, end));
        start = end;
        spans
    })
}

/// Names and values of such lines.
pub(crate) fn pairs(block: &[u8]) -> Vec<(&[u8], &[u8])> {
    lines(block).map(|(name, value, _)| (name.of(block), value.of(block))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pylos_core::message::names::Known;

    fn head(text: &str) -> Head {
        Head { status: 200, edited: Vec::new(), lines: text.replace('\n', "\r\n").into_bytes() }
    }

    fn text(head: &Head) -> String {
        String::from_utf8_lossy(&head.lines).replace("\r\n", "\n")
    }

    #[test]
    fn what_is_set_comes_in_place_of_all_of_that_name() {
        let mut head = head("a: 1\nX_B: 2\nx-b: 3\nc: \n");
        let set = vec![("X-B".to_owned(), "4".to_owned()), ("x-b".to_owned(), "5".to_owned())];
        head.apply(&Edit { status: Some(404), set, remove: vec!["A".to_owned(), "none".to_owned()] });
        assert_eq!((head.status, &*text(&head)), (404, "c: \nX-B: 4\nx-b: 5\n"));
        head.apply(&Edit::default());
        assert_eq!((head.status, &*text(&head)), (404, "c: \nX-B: 4\nx-b: 5\n"));
    }

    #[test]
    fn fields_are_told_as_they_stand_but_for_the_length() {
        let mut head = head("server: ours\nlocation: /a:b\n");
        let fields = head.fields(Some(7));
        let told: Vec<_> = fields.list.iter().map(|f| (f.value.of(&head.lines), f.given)).collect();
        assert_eq!(told, [(&b"ours"[..], true), (b"/a:b", true), (b"7", false)]);
        assert!(fields.seen.has(Known::Server) && fields.seen.has(Known::ContentLength));
        assert_eq!(pairs(&head.lines)[1], (&b"location"[..], &b"/a:b"[..]));
    }
}
