//! Which policies a request meets: `[pylos]`, listener and route together, each policy once.

use super::limit;
use super::require::{self, Required};
use crate::table::raw::{RawKind, RawPolicy, RawTable};
use crate::table::{
    Code, Effective, Listener, PathPart, Phase, Policy, PolicyId, PolicyKind, Problems, RateLimit, Route,
    Serve, place,
};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Fills in the lists of `listeners` and `routes`, which are in the order of the raw maps.
pub(super) fn compile(
    raw: &RawTable, policies: &[Policy], listeners: &mut [Listener], routes: &mut [Route],
    problems: &mut Problems,
) {
    let ids = policies.iter().enumerate().map(|(index, policy)| (&*policy.name, PolicyId::at(index)));
    let names = Names { raw: &raw.policy, ids: ids.collect(), policies };
    names.check(raw, problems);
    if names.report_loops(problems) {
        return;
    }
    for (listener, listen) in listeners.iter_mut().zip(raw.listen.values()) {
        let mut ids = names.flatten(&[&raw.pylos.use_, &listen.use_], &mut Without::new(&[]));
        if listener.serve != Serve::Proxy {
            // What tells how the gateway is must answer while it is under attack: only limits of its own act there.
            let own = names.flatten(&[&listen.use_], &mut Without::new(&[]));
            ids.retain(|id| own.contains(id) || !names.policy(*id).is_limit());
        }
        listener.unrouted = names.effective(ids);
    }
    let required = require::required(raw, &names);
    let exempting = names.exempting(&required);
    for (route, (name, raw_route)) in routes.iter_mut().zip(&raw.route) {
        let mut without = Without::new(&raw_route.without);
        for listen in raw.listen.values() {
            let lists: [&[String]; 3] = [&raw.pylos.use_, &listen.use_, &raw_route.use_];
            let ids = names.flatten(&lists, &mut without);
            route.effective_by_listener.push(names.effective(ids));
        }
        if listeners.iter().any(|listener| listener.serve == Serve::Proxy) {
            without.report_unused(name, &names, &exempting, problems);
        }
    }
    limit::check(raw, &names, policies, (listeners, routes), problems);
    require::check(raw, &names, &required, (listeners, routes), problems);
}

/// The policies by name.
pub(super) struct Names<'a> {
    raw: &'a BTreeMap<String, RawPolicy>,
    ids: HashMap<&'a str, PolicyId>,
    policies: &'a [Policy],
}

impl Names<'_> {
    fn kind(&self, name: &str) -> Option<&RawKind> {
        self.raw.get(name).map(|policy| &policy.kind)
    }

    pub(super) fn policy(&self, id: PolicyId) -> &Policy {
        &self.policies[id.index()]
    }

    /// The policy of that name, or all that are in the chain.
    pub(super) fn flattened(&self, name: &str) -> Vec<PolicyId> {
        self.flatten(&[&[name.to_owned()]], &mut Without::new(&[]))
    }

    /// The names that exempt a route from something: those in `require`, and what is in their chains.
    fn exempting<'r>(&'r self, required: &'r [Required<'_>]) -> HashSet<&'r str> {
        let members = required.iter().flat_map(|(_, ids)| ids);
        let members = members.map(|id| &*self.policy(*id).name);
        members.chain(required.iter().map(|(name, _)| *name)).collect()
    }

    fn effective(&self, ids: Vec<PolicyId>) -> Effective {
        let ids = self.with_keys(ids);
        let any = |test: fn(&Policy) -> bool| ids.iter().any(|id| test(self.policy(*id)));
        Effective {
            conditional: any(Policy::is_conditional),
            edits_fields: any(|policy| matches!(policy.kind, PolicyKind::Headers(_))),
            reviews: any(Policy::reviews),
            ids,
        }
    }

    /// A limit brings along the policies that do nothing but give keys, whatever `without` says: alone they have no
    /// say. They come right before the limits.
    fn with_keys(&self, mut ids: Vec<PolicyId>) -> Vec<PolicyId> {
        let limits = ids.iter().filter_map(|id| match &self.policy(*id).kind {
            PolicyKind::RateLimit(limit) => Some(limit),
            _ => None,
        });
        let givers = limits.flat_map(RateLimit::givers).filter(|id| self.policy(*id).phase == Phase::Limits);
        let mut missing: Vec<PolicyId> = Vec::new();
        for giver in givers {
            if !ids.contains(&giver) && !missing.contains(&giver) {
                missing.push(giver);
            }
        }
        ids.extend(missing);
        ids.sort_by_key(|id| {
            let policy = self.policy(*id);
            (policy.phase, policy.is_limit())
        });
        ids
    }

    /// The policies of `lists` with chains taken apart: first by phase, then in the order of the lists.
    fn flatten<'n>(&'n self, lists: &[&'n [String]], without: &mut Without<'_>) -> Vec<PolicyId> {
        let (mut found, mut chains) = (Vec::new(), HashSet::new());
        // Depth first and in order; on the stack the next name is the last.
        let mut waiting: Vec<&str> = lists.iter().copied().flatten().map(String::as_str).rev().collect();
        while let Some(name) = waiting.pop() {
            if without.takes_away(name) {
                continue;
            }
            match (self.kind(name), self.ids.get(name)) {
                // A chain that was taken apart before brings nothing new.
                (Some(RawKind::Chain { use_ }), _) if chains.insert(name) => {
                    waiting.extend(use_.iter().map(String::as_str).rev());
                }
                (_, Some(id)) if !found.contains(id) => found.push(*id),
                _ => {}
            }
        }
        found.sort_by_key(|id| self.policies[id.index()].phase);
        found
    }

    fn check(&self, raw: &RawTable, problems: &mut Problems) {
        self.check_list(&raw.pylos.use_, place!["pylos", "use"], problems);
        self.check_list(&raw.pylos.require, place!["pylos", "require"], problems);
        for (name, listen) in &raw.listen {
            self.check_list(&listen.use_, place!["listen", name, "use"], problems);
        }
        for (name, route) in &raw.route {
            self.check_list(&route.use_, place!["route", name, "use"], problems);
            self.check_list(&route.without, place!["route", name, "without"], problems);
        }
        for (name, policy) in &raw.policy {
            if let RawKind::Chain { use_ } = &policy.kind {
                self.check_list(use_, place!["policy", name, "use"], problems);
            }
        }
    }

    fn check_list(&self, list: &[String], place: Vec<PathPart>, problems: &mut Problems) {
        for (index, name) in list.iter().enumerate() {
            if !self.raw.contains_key(name) {
                let path = [place.as_slice(), &[index.into()]].concat();
                problems.report(Code::UnknownReference, path, format!("there is no policy `{name}`"));
            }
        }
    }

    /// Whether there are any. Each loop is reported once, at its chain with the least name.
    fn report_loops(&self, problems: &mut Problems) -> bool {
        let (mut done, mut any) = (Vec::new(), false);
        for name in self.raw.keys() {
            any |= self.follow(name, &mut Vec::new(), &mut done, problems);
        }
        any
    }

    fn follow<'n>(
        &'n self, name: &'n str, way: &mut Vec<&'n str>, done: &mut Vec<&'n str>, problems: &mut Problems,
    ) -> bool {
        if let Some(start) = way.iter().position(|known| *known == name) {
            let round = [&way[start..], &[name]].concat().join("` -> `");
            let path = place!["policy", name, "use"];
            problems.report(Code::ChainLoop, path, format!("a chain contains itself: `{round}`"));
            return true;
        }
        let Some(RawKind::Chain { use_ }) = self.kind(name) else { return false };
        if done.contains(&name) {
            return false;
        }
        way.push(name);
        let mut any = false;
        for next in use_ {
            any |= self.follow(next, way, done, problems);
        }
        way.pop();
        done.push(name);
        any
    }
}

/// The names in a route's `without`, and which of them took something away.
struct Without<'a> {
    names: &'a [String],
    used: Vec<bool>,
}

impl<'a> Without<'a> {
    fn new(names: &'a [String]) -> Self {
        Without { names, used: vec![false; names.len()] }
    }

    fn takes_away(&mut self, name: &str) -> bool {
        let mut any = false;
        for (known, used) in self.names.iter().zip(&mut self.used) {
            if known == name {
                (*used, any) = (true, true);
            }
        }
        any
    }

    fn report_unused(
        &self, route: &str, names: &Names<'_>, exempting: &HashSet<&str>, problems: &mut Problems,
    ) {
        for (index, (name, used)) in self.names.iter().zip(&self.used).enumerate() {
            if !used && names.raw.contains_key(name) && !exempting.contains(name.as_str()) {
                let path = place!["route", route, "without", index];
                problems
                    .report(
                        Code::UnusedWithout,
                        path,
                        format!("`{name}` does not apply to this route anyway"),
                    )
                    .hint("`without` takes away what `[pylos]`, the listener or a chain brings");
            }
        }
    }
}
