//! LACP with the Linux bonding driver, in a virtual machine with Debian's kernel.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use integration::process::eventually;
use integration::qemu::{Builder, Vm};
use integration::testing::vm_turn;

/// The guest is an emulated machine, and its host may be busy.
const SOON: Duration = Duration::from_secs(30);

/// Bonds of the driver: two joined by veths, one whose partner does not speak and with a port that is down, and one
/// without ports.
const BONDS: &str = "
    set -e
    for i in 1 2; do
        ip link add a$i address 02:00:00:00:0a:0$i type veth peer name b$i address 02:00:00:00:0b:0$i
        ip link add c$i address 02:00:00:00:0c:0$i type veth peer name d$i
    done
    ip link add negotiated type bond mode 802.3ad miimon 100 lacp_rate fast xmit_hash_policy layer3+4
    ip link add options type bond mode 802.3ad miimon 50 updelay 100 downdelay 50 min_links 1 ad_select count \
        ad_actor_sys_prio 100 ad_user_port_key 5
    ip link add alone type bond mode 802.3ad miimon 100 lacp_rate fast
    ip link add empty address 02:00:00:00:0e:00 type bond mode 802.3ad miimon 100 lacp_active off
    for i in 1 2; do
        ip link set a$i master negotiated
        ip link set b$i master options
        ip link set c$i master alone
    done
    ip link set d1 up
    for bond in negotiated options alone empty; do ip link set $bond up; done
";
/// The bonds' names, each with how often a port state comes in its text, once it has come to rest.
const AT_REST: [(&str, &[(&str, usize)]); 4] = [
    ("negotiated", &[("port state: 63", 2), ("port state: 61", 2)]),
    ("options", &[("port state: 63", 2), ("port state: 61", 2)]),
    ("alone", &[("port state: 79", 1)]),
    ("empty", &[]),
];

/// The text of `/proc/net/bonding` that the crate `bond-port` compares its own with is what the driver writes. With
/// `VSWITCH_WRITE_GOLDEN=1` it is written anew.
#[test]
fn the_drivers_text_is_the_golden_one() -> Result<()> {
    let Some(_turn) = vm_turn(&[])? else { return Ok(()) };
    let mut vm = ["veth", "bonding max_bonds=0"].into_iter().fold(Vm::builder(), Builder::module).start()?;
    vm.output(BONDS)?;
    for (bond, states) in AT_REST {
        let mut text = String::new();
        let rests = eventually("the bond has come to rest", SOON, || {
            text = vm.output(&format!("cat /proc/net/bonding/{bond}"))?;
            let rests = states.iter().all(|(state, count)| text.matches(state).count() == *count);
            Ok(rests.then_some(()))
        });
        rests.with_context(|| format!("{bond}:\n{text}"))?;
        let file = PathBuf::from(format!(
            "{}/../bond-port/tests/data/proc-802.3ad-{bond}.txt",
            env!("CARGO_MANIFEST_DIR")
        ));
        if std::env::var_os("VSWITCH_WRITE_GOLDEN").is_some() {
            std::fs::write(&file, &text)?;
        }
        let golden = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        // The first line has the kernel's release.
        let release = format!("v{}\n", vm.release());
        assert_eq!(text.replace(&release, "\n"), without_release(&golden), "{bond}");
    }
    Ok(())
}

fn without_release(text: &str) -> String {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let driver = first.rsplit_once('v').map_or(first, |(driver, _)| driver);
    format!("{driver}\n{rest}")
}
