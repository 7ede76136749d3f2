//! What the daemon may do. After set-up, and before it has threads, it gives up every capability but those it needs for
//! ports that come later.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::process::geteuid;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, remove_capability_from_bounding_set, set_capabilities,
    set_no_new_privs,
};

/// For devices and their hooks, packet sockets, and maps of new bridges.
const NEEDED: CapabilitySet =
    CapabilitySet::NET_ADMIN.union(CapabilitySet::NET_RAW).union(CapabilitySet::BPF);

/// Gives up all capabilities of the calling thread that are not needed, and says which are left; threads that it starts
/// later have no more. To be called when everything is open that needs more. If one of the directories, in which files are
/// still to be written, is another user's, the right to write there (CAP_DAC_OVERRIDE) is kept.
///
/// # Errors
/// When the kernel refuses.
pub fn drop_unneeded(directories: &[&Path]) -> rustix::io::Result<CapabilitySet> {
    let own = geteuid().as_raw();
    let is_anothers = |path: &&Path| fs::metadata(path).is_ok_and(|found| found.uid() != own);
    let wanted = match directories.iter().any(is_anothers) {
        true => NEEDED | CapabilitySet::DAC_OVERRIDE,
        false => NEEDED,
    };
    for capability in CapabilitySet::all().difference(wanted).iter() {
        // Refused without CAP_SETPCAP; of no consequence for a program that executes no other.
        let _refused = remove_capability_from_bounding_set(capability);
    }
    let kept = capabilities(None)?.permitted & wanted;
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets)?;
    set_no_new_privs(true)?;
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In a thread of its own, since capabilities are a thread's.
    #[test]
    fn nothing_is_left_but_what_is_needed() {
        let left = std::thread::spawn(|| {
            let before = capabilities(None).unwrap().permitted;
            let kept = drop_unneeded(&[Path::new("/proc/self")]).unwrap();
            (before, kept, capabilities(None).unwrap())
        });
        let (before, kept, after) = left.join().unwrap();
        assert_eq!(kept, before & NEEDED);
        assert_eq!(
            (after.permitted, after.effective, after.inheritable),
            (kept, kept, CapabilitySet::empty())
        );
    }
}
