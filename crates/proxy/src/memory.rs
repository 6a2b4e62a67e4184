//! Is there memory for another request? When too much of it is used, requests are refused before the kernel ends the
//! process: a client that is told to come back is better off than all of them without a gateway.

use crate::telemetry::events;
use std::fs::read_to_string;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// Of what a container may have, this much is used before requests are refused: tenths.
const TENTHS: u64 = 9;
/// Requests are taken again when a twentieth of the bound is free.
const TWENTIETH: u64 = 20;
/// In a group's `memory.stat`, what can be had again.
const RECLAIMABLE: [&str; 3] = ["inactive_file", "active_file", "slab_reclaimable"];
const CGROUPS: &str = "/sys/fs/cgroup";

/// Gives back to the system what the thread that calls it has freed. The allocator is the whole program's business, which
/// says here how that is done.
pub static RELEASE: OnceLock<fn()> = OnceLock::new();

/// Has this thread give back what it can.
pub(crate) fn release() {
    RELEASE.get().inspect(|release| release());
}

#[derive(Default)]
pub(crate) struct Memory {
    /// What the configuration allows this process, bytes; 0 = what its container may have.
    allowed: AtomicU64,
    tight: AtomicBool,
    used: AtomicU64,
}

impl Memory {
    pub(crate) fn allow(&self, bytes: u64) {
        self.allowed.store(bytes, Relaxed);
    }

    /// Whether requests are to be refused.
    pub(crate) fn is_tight(&self) -> bool {
        self.tight.load(Relaxed)
    }

    /// What was used when it was looked at last, bytes; 0 where there is no bound.
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Relaxed)
    }

    /// Looks how much is used. To be called several times a second, by one thread.
    pub(crate) fn look(&self, container: &Container) {
        let allowed = self.allowed.load(Relaxed);
        let found = if allowed > 0 { resident().map(|used| (used, allowed)) } else { container.usage() };
        // Without a bound nothing is tight, also when there was one a moment ago.
        let (used, most) = found.unwrap_or((0, u64::MAX));
        self.used.store(used, Relaxed);
        let was = self.is_tight();
        let tight = is_tight(was, used, most);
        if tight != was {
            self.tight.store(tight, Relaxed);
            let (used, most) = (used.to_string(), most.to_string());
            let facts = [("used", &*used), ("most", &*most)];
            if tight { events::warn("memory_low", &facts) } else { events::info("memory_enough", &facts) }
        }
    }
}

fn is_tight(was: bool, used: u64, most: u64) -> bool {
    if was { used > most - most / TWENTIETH } else { used > most }
}

/// Bytes of this process that are in memory.
fn resident() -> Option<u64> {
    let pages = read_to_string("/proc/self/statm").ok()?;
    let pages = pages.split(' ').nth(1)?.parse::<u64>().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// The control group whose memory is bounded, if this process is in one of version 2: that which may have least.
#[derive(Default)]
pub(crate) struct Container {
    folder: Option<PathBuf>,
}

impl Container {
    pub(crate) fn find() -> Self {
        let groups = read_to_string("/proc/self/cgroup").unwrap_or_default();
        let own = groups.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/");
        Self::find_in(Path::new(CGROUPS), own)
    }

    fn find_in(root: &Path, own: &str) -> Self {
        let own = root.join(own.trim_start_matches('/'));
        let bound =
            |folder: &Path| read_to_string(folder.join("memory.max")).ok()?.trim().parse::<u64>().ok();
        let found = own.ancestors().take_while(|folder| folder.starts_with(root));
        let found = found.filter_map(|folder| Some((bound(folder)?, folder.to_owned())));
        match found.min_by_key(|(most, _)| *most) {
            Some((_, folder)) => Container { folder: Some(folder) },
            None => Container::default(),
        }
    }

    /// What all in it use, but for what the system can take back at once, and how much that may be.
    fn usage(&self) -> Option<(u64, u64)> {
        let folder = self.folder.as_ref()?;
        let number = |name: &str| read_to_string(folder.join(name)).ok()?.trim().parse::<u64>().ok();
        let (used, most) = (number("memory.current")?, number("memory.max")?);
        let details = read_to_string(folder.join("memory.stat")).unwrap_or_default();
        let of = |line: &str| {
            let (name, bytes) = line.split_once(' ')?;
            RECLAIMABLE.contains(&name).then(|| bytes.parse::<u64>().ok())?
        };
        let reclaimable = details.lines().filter_map(of).fold(0, u64::saturating_add);
        Some((used.saturating_sub(reclaimable), most / 10 * TENTHS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_tight_until_some_is_free() {
        assert!(!is_tight(false, 1000, 1000));
        assert!(is_tight(false, 1001, 1000));
        assert!(is_tight(true, 951, 1000));
        assert!(!is_tight(true, 950, 1000));
    }

    #[test]
    fn without_a_bound_nothing_is_tight() {
        let memory = Memory::default();
        memory.allow(1);
        memory.look(&Container::default());
        assert!(memory.is_tight());
        memory.allow(0);
        memory.look(&Container::default());
        assert!(!memory.is_tight());
    }

    #[test]
    fn what_is_resident_is_known() {
        assert!(resident().is_none_or(|bytes| bytes > 100_000));
    }

    #[test]
    fn the_least_bound_of_a_container_counts() {
        let root = std::env::temp_dir().join(format!("pylos-cgroup-{}", std::process::id()));
        let inner = root.join("pod/one");
        std::fs::create_dir_all(&inner).expect("a folder");
        let write = |folder: &Path, name: &str, text: &str| {
            std::fs::write(folder.join(name), text).expect("written");
        };
        assert!(Container::find_in(&root, "/pod/one").usage().is_none());
        write(&inner, "memory.max", "max\n");
        write(&root.join("pod"), "memory.max", "1000000\n");
        write(&root.join("pod"), "memory.current", "800000\n");
        write(&root.join("pod"), "memory.stat", "anon 1\ninactive_file 200000\nactive_file 100000\n");
        let container = Container::find_in(&root, "/pod/one");
        assert_eq!(container.usage(), Some((500_000, 900_000)));
        write(&root.join("pod"), "memory.max", "2000000\n");
        assert_eq!(container.usage(), Some((500_000, 1_800_000)), "it was given more");
        std::fs::remove_dir_all(&root).expect("removed");
    }
}
