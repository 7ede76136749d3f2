//! The fast path on a kernel without tcx (Debian 12's 6.1): the program is a filter at the clsact qdisc there.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use integration::process::eventually;
use integration::qemu::Vm;
use integration::switch::binary;
use integration::testing::{setting, skip, vm_turn};

/// The guest is an emulated machine, and its host may be busy.
const SOON: Duration = Duration::from_secs(30);
/// For the differential test in it.
const LONG: Duration = Duration::from_secs(300);

const WIRES: &str = "
    set -e
    ip netns add a; ip netns add b; ip netns add up
    # Multicast of IPv6 is flooded by workers and would be counted with what is looked for.
    for n in a b up; do
        for conf in all default; do
            ip netns exec $n sh -c \"echo 1 >/proc/sys/net/ipv6/conf/$conf/disable_ipv6\"
        done
    done
    echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6
    for n in a b; do
        ip link add g$n type veth peer name eth0 netns $n
        ip -n $n link set lo up; ip -n $n link set eth0 up
    done
    ip -n a addr add 10.0.0.1/24 dev eth0; ip -n b addr add 10.0.0.2/24 dev eth0
    ip -n up link add sw type bridge forward_delay 0; ip -n up link set sw up
    ip -n up addr add 10.0.0.100/24 dev sw
    for i in 1 2; do
        ip link add u$i type veth peer name p$i netns up
        ip -n up link set p$i master sw; ip -n up link set p$i up
    done
";

fn boot() -> Result<Vm> {
    let modules = ["veth", "bridge", "tun", "nf_tables", "sch_ingress", "cls_bpf"];
    let builder = Vm::builder()
        .file(binary("vswitchd")?, "/usr/bin/vswitchd")
        .file(binary("vsctl")?, "/usr/bin/vsctl")
        .program("tc")
        .program("ping")
        .program("pkill");
    let builder = match differential() {
        Some(program) => builder.file(program, "/usr/bin/differential"),
        None => builder,
    };
    modules.into_iter().fold(builder, |builder, module| builder.module(module)).memory(600).start()
}

/// The differential test of the crate `vswitch`, which is built beside this one.
fn differential() -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    let beside = std::fs::read_dir(own.parent()?).ok()?.flatten().map(|entry| entry.path());
    let found = beside.filter(|path| {
        path.extension().is_none()
            && path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("differential-"))
    });
    found
        .max_by_key(|path| path.metadata().and_then(|file| file.modified()).unwrap_or(SystemTime::UNIX_EPOCH))
}

fn launch(vm: &mut Vm) -> Result<()> {
    vm.output("VSWITCH_FASTPATH=on setsid vswitchd >>/run/vswitchd.log 2>&1 &")?;
    let answers = eventually("vswitchd answers", SOON, || {
        Ok(vm.run("vsctl list-br", SOON)?.status.success().then_some(()))
    });
    answers.with_context(|| vm.output("cat /run/vswitchd.log").unwrap_or_default())
}

/// Frames that the program has left to the workers.
fn misses(vm: &mut Vm) -> Result<u64> {
    Ok(vm.output("cat /sys/class/net/vsw-miss0/statistics/tx_packets")?.trim().parse()?)
}

/// Pings between the stations and says how many answers were missing.
fn lost(vm: &mut Vm, from: &str, to: &str, count: u32) -> Result<u32> {
    let text = vm.run(&format!("ip netns exec {from} ping -q -i 0.05 -W 2 -c {count} {to}"), SOON)?.stdout;
    let received = text.split(" packets transmitted, ").nth(1).and_then(|rest| rest.split(' ').next());
    let received: u32 = received.with_context(|| format!("unexpected answer of ping: {text}"))?.parse()?;
    Ok(count - received)
}

#[test]
fn forwards_restarts_and_cleans_up_with_clsact() -> Result<()> {
    let Some(_turn) = vm_turn(&["tc", "ping", "pkill"])? else { return Ok(()) };
    let mut vm = boot()?;
    println!("Linux {}", vm.release());
    vm.output(WIRES)?;
    launch(&mut vm)?;
    vm.output("vsctl add-br br0 -- add-port br0 ga -- add-port br0 gb -- add-bond br0 bond0 u1 u2")?;
    let filter = vm.output("tc filter show dev ga ingress")?;
    ensure!(
        filter.contains("vsw_forward"),
        "not attached: {filter}\n{}",
        vm.output("cat /run/vswitchd.log")?
    );

    for (mode, rounds) in [("active-backup", 20), ("balance-xor xmit_hash_policy=layer3+4", 20)] {
        vm.output(&format!("vsctl set bond bond0 mode={mode}"))?;
        for (from, to) in [("a", "10.0.0.2"), ("a", "10.0.0.100"), ("up", "10.0.0.2")] {
            // Learned, and neighbours resolved.
            lost(&mut vm, from, to, 3)?;
            let before = misses(&mut vm)?;
            assert_eq!(lost(&mut vm, from, to, rounds)?, 0, "{from} to {to}, {mode}");
            let left = misses(&mut vm)? - before;
            // A neighbour may be asked for again meanwhile.
            ensure!(left < 8, "{left} of {} frames were left to the workers, {mode}", 2 * rounds);
        }
    }

    vm.output("pkill -9 vswitchd")?;
    assert_eq!(lost(&mut vm, "a", "10.0.0.100", 40)?, 0, "while there is no daemon");
    launch(&mut vm)?;
    assert_eq!(lost(&mut vm, "a", "10.0.0.100", 20)?, 0, "with the next one");
    let known = vm.output("vsctl fdb/show br0")?;
    assert!(known.contains("ga") && known.contains("bond0"), "{known}");

    vm.output("pkill -9 vswitchd; sleep 0.1; vswitchd --cleanup")?;
    assert_eq!(vm.output("tc filter show dev ga ingress")?, "");
    assert_eq!(vm.output("ls /sys/fs/bpf")?, "");
    assert!(lost(&mut vm, "a", "10.0.0.100", 2)? > 0, "nothing forwards any more");
    let log = vm.output("cat /run/vswitchd.log")?;
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
    Ok(())
}

#[test]
fn decides_as_the_pipeline_does() -> Result<()> {
    let Some(_turn) = vm_turn(&["tc", "ping", "pkill"])? else { return Ok(()) };
    if differential().is_none() {
        skip("the differential test is not built: cargo test -p vswitch --test differential --no-run");
        return Ok(());
    }
    let mut vm = boot()?;
    let cases = setting("VSWITCH_VM_CASES", 2000);
    let done =
        vm.run(&format!("VSWITCH_DIFFERENTIAL_CASES={cases} differential --test-threads 1 2>&1"), LONG)?;
    print!("Linux {}: {}", vm.release(), done.stdout);
    ensure!(done.status.success() && !done.stdout.contains("SKIP"), "the differential test: {}", done.status);
    Ok(())
}
