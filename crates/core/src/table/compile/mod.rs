//! From the raw table to the one that is used. All problems are reported, not only the first.

mod settings;
mod listen;
mod tls;
mod upstream;
mod balance;
mod health;
pub(crate) mod fields;
mod policy;
mod limit;
mod python;
mod effective;
mod require;
mod route;
mod when;
mod bypass;
mod values;

use super::raw::RawTable;
use super::{Code, Problem, Problems, Table, place};
use crate::route::Router;

/// Compiles a table. With it come the warnings; without it come all problems.
pub fn compile(raw: RawTable) -> Result<(Table, Vec<Problem>), Vec<Problem>> {
    let mut problems = Problems::default();
    if raw.version != 1 {
        let message = format!("version {} of the table is not known here", raw.version);
        problems.report(Code::BadValue, place!["pylos", "version"], message);
    }
    let settings = settings::compile(&raw.pylos, &mut problems);
    let mut listeners = listen::compile(&raw, &mut problems);
    let tls = tls::compile(&raw.tls, &mut problems);
    let upstreams = upstream::compile(&raw.upstream, &mut problems);
    let policies = policy::compile(&raw.policy, &mut problems);
    let mut router = Router::default();
    let mut routes = route::compile(&raw, &mut router, &mut problems);
    effective::compile(&raw, &policies, &mut listeners, &mut routes, &mut problems);
    if !problems.any_error() {
        let (listeners, upstreams, policies, routes) = (&listeners, &upstreams, &policies, &routes);
        bypass::Bypass { raw: &raw, router: &router, listeners, policies, routes, upstreams }
            .check(&mut problems);
    }
    let warnings = problems.verdict()?;
    Ok((Table { settings, listeners, tls, upstreams, policies, routes, router }, warnings))
}

#[cfg(test)]
mod tests;
