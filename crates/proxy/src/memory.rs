//! Is there memory for another request? When too much of it is used, requests are refused before the kernel ends the
//! process: a client that is told to come back is better off than all of them without a gateway.

use crate::telemetry::events;
use std::fs::read_to_string;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// Of what a container may have, this much is used before requests are refused: tenths.
const TENTHS: u64 = 9;
/// Requests are taken again when a twentieth of the bound is free.
const TWENTIETH: u64 = 20;
const CGROUPS: &str = "/sys/fs/cgroup";

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
        let Some((used, most)) = found else { return };
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

/// The control group whose memory is bounded, if this process is in one: the nearest, of version 2.
#[derive(Default)]
pub(crate) struct Container {
    folder: Option<PathBuf>,
    most: u64,
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
            Some((most, folder)) => Container { folder: Some(folder), most: most / 10 * TENTHS },
            None => Container::default(),
        }
    }

    /// What all of it use, but for files that can be read again, and how much that may be.
    fn usage(&self) -> Option<(u64, u64)> {
        let folder = self.folder.as_ref()?;
        let used = read_to_string(folder.join("memory.current")).ok()?.trim().parse::<u64>().ok()?;
        let details = read_to_string(folder.join("memory.stat")).unwrap_or_default();
        let files = details.lines().find_map(|line| line.strip_prefix("inactive_file "));
        let files = files.and_then(|bytes| bytes.parse::<u64>().ok()).unwrap_or_default();
        Some((used.saturating_sub(files), self.most))
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
    fn what_is_resident_is_known() {
        assert!(resident().is_none_or(|bytes| bytes > 100_000));
    }

    #[test]
    fn the_nearest_bound_of_a_container_counts() {
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
        write(&root.join("pod"), "memory.stat", "anon 1\ninactive_file 300000\n");
        let container = Container::find_in(&root, "/pod/one");
        assert_eq!(container.usage(), Some((500_000, 900_000)));
        std::fs::remove_dir_all(&root).expect("removed");
    }
}
