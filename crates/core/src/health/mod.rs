//! Which targets are out: by active checks ([`FallRise`]) or by failed connects ([`Ejection`]).

mod fall_rise;
mod ejection;

pub use ejection::Ejection;
pub use fall_rise::{Change, FallRise};
