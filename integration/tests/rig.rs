//! The virtual machines that other tests use.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use integration::netns::Namespace;
use integration::process::eventually;
use integration::qemu::{Builder, Vm};
use integration::switch::binary;
use integration::testing::{Turn, reaches, skip, tun_problem, vm_turn};

const MAC: [u8; 6] = [0x52, 0x54, 0, 0, 0, 1];
const GUEST: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
/// The guest is an emulated machine, and its host may be busy.
const SOON: Duration = Duration::from_secs(20);

#[test]
fn it_boots_with_modules_and_runs_scripts() -> Result<()> {
    let Some(_turn) = vm_turn(&["tc"])? else { return Ok(()) };
    let modules =
        ["veth", "bridge", "8021q", "tun", "bonding max_bonds=0", "sch_ingress", "cls_bpf", "nf_tables"];
    let mut vm = modules.into_iter().fold(Vm::builder().program("tc"), Builder::module).start()?;
    println!("Linux {} booted in {:.1} s", vm.release(), vm.boot_time().as_secs_f32());
    if std::env::var_os("VSWITCH_VM_KERNEL").is_none() {
        assert!(vm.release().starts_with("6.1."), "{}", vm.release());
    }

    let done = vm.run("echo to the console >/dev/console; echo out; echo err >&2; exit 3", SOON)?;
    assert_eq!((done.status.code(), &*done.stdout, &*done.stderr), (Some(3), "out\n", "err\n"));
    assert!(vm.console_tail(50).contains("to the console"), "{}", vm.console_tail(50));
    let error = vm.output("echo said >&2; false").unwrap_err().to_string();
    assert!(error.contains("exit status: 1") && error.contains("said"), "{error}");
    // Much output, and what a process left behind writes later is not mixed up with the next answer.
    let late = "(for i in 1 2 3 4 5 6 7 8 9; do sleep 0.1; echo late; done) &";
    let done = vm.run(&format!("{late} head -c 300000 /dev/zero"), SOON)?;
    assert!(
        done.stdout.len() >= 300_000 && done.stdout.contains(&"\0".repeat(1000)),
        "{}",
        done.stdout.len()
    );
    for _ in 0..3 {
        assert_eq!(vm.output("sleep 0.2; echo next")?, "next\n");
    }

    let start = Instant::now();
    let error = vm.run("echo before; sleep 1000", Duration::from_secs(1)).unwrap_err();
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    let error = format!("{error:#}");
    assert!(error.contains("did not end within 1 s") && error.contains("before"), "{error}");

    let loaded = vm.output("lsmod")?;
    for module in modules.map(|line| line.split_whitespace().next().unwrap_or_default()) {
        assert!(
            loaded.lines().any(|line| line.split_whitespace().next() == Some(module)),
            "{module}\n{loaded}"
        );
    }
    assert_eq!(vm.output("ls /proc/net/bonding")?, "");
    assert!(vm.output("ip -V")?.contains("iproute2"));
    vm.output("ip link add one type veth peer name two && ip link set one up && ip link set two up")?;
    assert!(vm.output("ip link show one")?.contains("LOWER_UP"));
    vm.output("tc qdisc add dev one clsact")?;
    vm.output("mkdir /sys/fs/bpf/mine && grep '^[^ ]* /sys/fs/bpf bpf ' /proc/mounts")?;
    assert!(vm.output("stat -c %s /sys/kernel/btf/vmlinux")?.trim().parse::<u64>()? > 1_000_000);

    // A machine that dies says so at once, with its last words.
    let error = vm.run("echo c >/proc/sysrq-trigger", SOON).unwrap_err();
    assert!(format!("{error:#}").contains("sysrq triggered crash"), "{error:#}");
    let error = vm.run("true", SOON).unwrap_err();
    assert!(format!("{error:#}").contains("virtual machine"), "{error:#}");
    Ok(())
}

#[test]
fn a_module_that_is_missing_or_has_wrong_parameters_is_named() -> Result<()> {
    let Some(_turn) = vm_turn(&[])? else { return Ok(()) };
    let error = format!("{:#}", Vm::builder().module("nonesuch").start().err().expect("no such module"));
    assert!(error.contains("nonesuch"), "{error}");
    let error = Vm::builder().module("bonding mode=nonesuch").start().err().expect("no such mode");
    assert!(format!("{error:#}").contains("bonding"), "{error:#}");
    Ok(())
}

/// The right to run a machine with a NIC at tap `t1` of a namespace made here, which has 10.0.0.1.
fn tap_turn() -> Result<Option<(Turn, Namespace)>> {
    if let Some(problem) = tun_problem() {
        skip(&problem);
        return Ok(None);
    }
    let Some(turn) = vm_turn(&[])? else { return Ok(None) };
    let host = Namespace::new("host")?;
    host.ip("tuntap add dev t1 mode tap")?;
    host.ip("addr add 10.0.0.1/24 dev t1")?;
    host.ip("link set t1 up")?;
    Ok(Some((turn, host)))
}

#[test]
fn a_nic_at_a_tap_reaches_its_namespace() -> Result<()> {
    let Some((_turn, host)) = tap_turn()? else { return Ok(()) };
    let mut vm = Vm::builder().program("ping").namespace(&host).nic("t1", MAC).start()?;
    vm.output("ip addr add 10.0.0.2/24 dev eth0 && ip link set eth0 up")?;
    vm.output("ping -n -q -c 3 -i 0.2 -w 10 10.0.0.1")?;
    ensure!(reaches(&host, GUEST), "the namespace can't reach the machine");
    assert_eq!(vm.output("cat /sys/class/net/eth0/address")?, "52:54:00:00:00:01\n");
    // What 802.3ad looks at.
    assert_eq!(vm.output("cat /sys/class/net/eth0/speed /sys/class/net/eth0/duplex")?, "10000\nfull\n");
    assert!(host.has_flag("t1", "LOWER_UP")?);
    drop(vm);
    assert!(!host.has_flag("t1", "LOWER_UP")?, "QEMU outlives its machine");
    Ok(())
}

#[test]
fn our_switch_runs_in_it() -> Result<()> {
    let (daemon, client) = (binary("vswitchd")?, binary("vsctl")?);
    let Some((_turn, host)) = tap_turn()? else { return Ok(()) };
    let mut vm = Vm::builder()
        .file(daemon, "/usr/bin/vswitchd")
        .file(client, "/usr/bin/vsctl")
        .program("bridge")
        .module("tun")
        .module("nf_tables")
        .module("sch_ingress")
        .module("cls_bpf")
        .namespace(&host)
        .nic("t1", MAC)
        .start()?;
    vm.output("setsid vswitchd >/run/vswitchd.log 2>&1 &")?;
    let answers = eventually("vswitchd answers", SOON, || {
        Ok(vm.run("vsctl list-br", SOON)?.status.success().then_some(()))
    });
    answers.with_context(|| vm.output("cat /run/vswitchd.log").unwrap_or_default())?;
    vm.output("vsctl add-br br0 -- add-port br0 eth0")?;
    let shown = vm.output("vsctl show")?;
    assert!(shown.contains("br0") && shown.contains("eth0"), "{shown}");
    vm.output("ip addr add 10.0.0.2/24 dev br0 && ip link set br0 up")?;
    ensure!(reaches(&host, GUEST), "no way through the switch\n{}", vm.output("cat /run/vswitchd.log")?);
    let shown = vm.output("vsctl fdb/show br0")?;
    assert!(shown.contains("eth0"), "{shown}");
    // An older kernel has all that the switch needs, too.
    let log = vm.output("cat /run/vswitchd.log")?;
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
    Ok(())
}
