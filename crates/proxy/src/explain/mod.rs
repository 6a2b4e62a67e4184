//! Where a request would go, and why. The stages are those that serve; only the connection is missing.

mod answer;
mod given;
mod nearest;
mod policies;
mod question;

pub use answer::Explanation;
pub use question::Question;

use given::Recall;

use crate::request::alike::About;
use crate::request::incoming::Request;
use crate::request::inquiry::{FreshId, Inquiry};
use crate::request::record::Record;
use crate::request::{Plan, Stage, Step, admit, decide, guard, head, identify, resume, route};
use answer::{Chosen, Other, Outcome, Sent, Understood};
use pylos_core::facts::nameless;
use pylos_core::route::Captures;
use pylos_core::table::{Action, BindAddress, Listener, ListenerId, RouteId, Serve, Table};
use question::Url;
use std::collections::BTreeMap;

/// The request id, which only a gateway that serves can give.
const NO_ID: &[u8] = b"<request id>";
const TARGETS_OWN_NAME: &str = "<the target's own name>";

/// Explains a request. The error says why the question makes no sense.
pub fn explain(table: &Table, question: &Question) -> Result<Explanation, String> {
    explain_live(table, question, &|_, _, _| None)
}

/// Likewise, of a gateway that runs: what it remembers is told.
pub(crate) fn explain_live(
    table: &Table, question: &Question, recall: Recall<'_>,
) -> Result<Explanation, String> {
    let url = question.url()?;
    given::check(table, question)?;
    let listener = ListenerId::at(listener(table, question, &url)?);
    let limits = &table.listeners[listener.index()].limits;
    let bytes = question.head(&url)?;
    // Behind a proxy that speaks TLS, a listener without it is asked for https too.
    let secure = url.secure || table.listeners[listener.index()].tls.is_some();
    let asked = Asked { table, question, listener, secure, recall };
    let mut traced = asked.trace(&bytes);
    let (understood, others) = (asked.understood(&traced.request), traced.others(table, question.nearest));
    let chosen = traced.route.map(|route| chosen(table, route, &traced.request));
    let mut policies = policies::words(&asked, &mut traced, 0);
    let (mut request, mut out, mut record) = (asked.fresh(), Vec::new(), Record::default());
    let mut step = match head::whole(&bytes, limits, &mut request) {
        Ok(()) => decide(&mut asked.inquiry(&mut request, &mut out, &mut record)),
        Err(refusal) => Step::Decided(Plan::Refuse(Stage::Guard, refusal)),
    };
    let plan = loop {
        match step {
            Step::Decided(plan) => break plan,
            Step::Ask(policy) => {
                let about = About { request: &request, route: &table.routes[policy.route.index()].name };
                let said = given::verdict(&asked, &table.policies[policy.policy.index()], about)?;
                // What comes behind it sees the request as it is then.
                policies.truncate(policy.place + 1);
                policies.extend(policies::after(&asked, &mut traced, policy, said.clone()));
                step = resume(&mut asked.inquiry(&mut request, &mut out, &mut record), policy, Ok(said));
            }
        }
    };
    Ok(Explanation {
        request: understood,
        listener: table.listeners[listener.index()].name.to_string(),
        others,
        route: chosen,
        policies,
        outcome: asked.outcome(&plan, &request),
        sent: matches!(plan, Plan::Forward(_)).then(|| sent(out, &record)),
    })
}

struct NoId;

impl FreshId for NoId {
    fn write_id(&self, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(NO_ID);
    }
}

/// A question, and what it means here.
struct Asked<'q> {
    table: &'q Table,
    question: &'q Question,
    listener: ListenerId,
    secure: bool,
    recall: Recall<'q>,
}

/// The request as the policies meet it.
struct Traced {
    request: Request,
    route: Option<RouteId>,
    /// The message was sound.
    sound: bool,
}

impl Traced {
    fn others(&self, table: &Table, most: usize) -> Vec<Other> {
        match self.sound {
            true => nearest::nearest(table, &self.request, self.route, most),
            false => Vec::new(),
        }
    }
}

impl<'q> Asked<'q> {
    /// A request before anything is known of it but who sends it.
    fn fresh(&self) -> Request {
        let identity = self.question.client.as_ref().map(|client| Box::new(client.client()));
        Request { identity, ..Request::default() }
    }

    fn inquiry<'r>(
        &self, request: &'r mut Request, out: &'r mut Vec<u8>, record: &'r mut Record,
    ) -> Inquiry<'r>
    where
        'q: 'r,
    {
        Inquiry {
            table: self.table,
            listener: self.listener,
            peer: self.question.peer,
            secure: self.secure,
            agreed: None,
            drawn: false,
            request,
            out,
            record,
            fresh_id: &NoId,
            metered: None,
        }
    }

    /// The first stages alone: what `decide` changes afterwards would be in the way of a look at the policies.
    fn trace(&self, bytes: &[u8]) -> Traced {
        let (mut request, mut out, mut record) = (self.fresh(), Vec::new(), Record::default());
        let listener = &self.table.listeners[self.listener.index()];
        let whole = head::whole(bytes, &listener.limits, &mut request);
        let mut q = self.inquiry(&mut request, &mut out, &mut record);
        identify::identify(&mut q);
        let sound = whole.and_then(|()| guard::guard(q.request)).is_ok();
        let serves = listener.serve == Serve::Proxy;
        let route = if sound && serves { route::find(&mut q).ok() } else { None };
        if let Some(route) = route {
            admit::begin(&mut q, route);
        }
        Traced { request, route, sound }
    }

    fn understood(&self, request: &Request) -> Understood {
        let (ip, client) = (request.client_ip(), self.question.client.as_ref());
        Understood {
            method: text(request.method()),
            scheme: if request.https { "https" } else { "http" },
            host: text(request.host()),
            path: text(request.path()),
            query: request.query().map(text),
            client_id: client.map_or_else(|| nameless(ip), |client| client.id.clone()),
            client_ip: ip.map(|ip| ip.to_canonical().to_string()),
        }
    }

    fn outcome(&self, plan: &Plan, request: &Request) -> Outcome {
        let table = self.table;
        match plan {
            // Challenges are answered by connections alone: no question comes to one.
            Plan::Admin | Plan::Challenge(_) => Outcome::Admin,
            Plan::Answer(asked, reply) => {
                let policy = table.policies[asked.policy.index()].name.to_string();
                Outcome::Answer { status: reply.head.status, policy }
            }
            Plan::Refuse(stage, refusal) => Outcome::Refuse {
                status: refusal.status,
                reason: refusal.reason.clone().into_owned(),
                stage: match stage {
                    Stage::Guard => "guard",
                    Stage::Route => "route",
                    Stage::Admit => "admit",
                    Stage::Rewrite => "rewrite",
                },
                detail: refusal.detail.clone().into_owned(),
            },
            Plan::Forward(route) | Plan::Own(route) => match &table.routes[route.index()].action {
                Action::Forward { upstream, .. } => {
                    let upstream = request.given.upstream.unwrap_or(*upstream);
                    let upstream = &table.upstreams[upstream.index()];
                    let targets = upstream.targets.iter().map(|target| target.url.to_string()).collect();
                    Outcome::Forward { upstream: upstream.name.to_string(), targets }
                }
                Action::Redirect(redirect) => {
                    let mut location = Vec::new();
                    redirect.location(request.path(), &request.captures, request.query(), &mut location);
                    Outcome::Redirect { status: redirect.status, location: text(&location) }
                }
                Action::Respond(response) => Outcome::Respond { status: response.status },
            },
        }
    }
}

/// The listener that is named, the one at the URL's port, or the first that serves routes, by TLS where the URL wants it.
fn listener(table: &Table, question: &Question, url: &Url<'_>) -> Result<usize, String> {
    let names = || table.listeners.iter().map(|l| format!("`{}`", l.name)).collect::<Vec<_>>().join(", ");
    if let Some(name) = &question.listener {
        let found = table.listeners.iter().position(|listener| *listener.name == **name);
        return found.ok_or_else(|| format!("there is no listener `{name}`; known are {}", names()));
    }
    let at_port = |bind: &pylos_core::table::Bind| match &bind.address {
        BindAddress::Ip(address) => Some(address.port()) == url.port,
        BindAddress::Unix(_) => false,
    };
    let serves = |serve: Serve| serve == Serve::Proxy;
    let by_port = table.listeners.iter().position(|l| l.binds.iter().any(at_port));
    let speaks = |l: &Listener| serves(l.serve) && l.tls.is_some() == url.secure;
    by_port
        .or_else(|| table.listeners.iter().position(speaks))
        .or_else(|| table.listeners.iter().position(|l| serves(l.serve)))
        .or(if table.listeners.is_empty() { None } else { Some(0) })
        .ok_or_else(|| "there is no listener".to_owned())
}

/// The route that took the request, by the pattern that fits.
fn chosen(table: &Table, route: RouteId, request: &Request) -> Chosen {
    let route = &table.routes[route.index()];
    let pattern = table.router.pattern(request.host(), request.method(), request.path(), request);
    let pattern = pattern.and_then(|index| route.patterns.get(index));
    let takes = |name: &str| pattern.is_some_and(|pattern| pattern.path.names().any(|known| known == name));
    let mut captures = captures(&route.capture_names(), &request.captures, request.path());
    captures.retain(|name, _| takes(name));
    let why = pattern.map_or_else(Vec::new, |pattern| nearest::why(route, pattern));
    Chosen {
        name: route.name.to_string(),
        pattern: pattern.map(ToString::to_string).unwrap_or_default(),
        captures,
        why,
    }
}

fn captures(names: &[&str], spans: &Captures, path: &[u8]) -> BTreeMap<String, String> {
    let value = |&(start, end): &(u32, u32)| text(path.get(start as usize..end as usize).unwrap_or_default());
    names.iter().map(|name| (*name).to_owned()).zip(spans.iter().map(value)).collect()
}

/// The head as sent, taken apart again for reading.
fn sent(mut bytes: Vec<u8>, record: &Record) -> Sent {
    if let Some((start, end)) = record.host_at {
        bytes.splice(start..end, TARGETS_OWN_NAME.bytes());
    }
    let told = text(&bytes);
    let mut lines = told.split("\r\n").filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    let (method, rest) = first.split_once(' ').unwrap_or((first, ""));
    let target = rest.rsplit_once(' ').map_or(rest, |(target, _)| target);
    let fields = lines.filter_map(|line| line.split_once(": ").or_else(|| line.split_once(':')));
    Sent {
        method: method.to_owned(),
        target: target.to_owned(),
        headers: fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
    }
}

/// Bytes that need not be UTF-8, for reading.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
