//! The Linux bonding driver at the other end of the wires, in a virtual machine: what our switch is for a machine that bonds
//! its NICs. Modes for any switch get plain ports, the others a static group. (802.3ad: see `lacp_linux.rs`.)

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use integration::netns::{Namespace, cable};
use integration::process::{COMMAND_DEADLINE, eventually, finish};
use integration::qemu::Vm;
use integration::switch::{BOND, BRIDGE, Vswitch};
use integration::testing::{reaches, switch_turn, vm_turn};

/// The machine is emulated, and its host may be busy.
const SOON: Duration = Duration::from_secs(30);
const TAPS: [&str; 2] = ["t1", "t2"];
const NICS: [&str; 2] = ["eth0", "eth1"];
const MACS: [[u8; 6]; 2] = [[0x52, 0x54, 0, 0, 0, 1], [0x52, 0x54, 0, 0, 0, 2]];
const MACHINE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));

/// A mode of the driver, how its status text names it, and the mode of our group; `None`: two ports.
const CASES: [(&str, &str, Option<&str>); 6] = [
    ("active-backup", "fault-tolerance (active-backup)", None),
    ("balance-tlb", "transmit load balancing", None),
    ("balance-alb", "adaptive load balancing", None),
    ("balance-rr", "load balancing (round-robin)", Some("balance-rr")),
    ("balance-xor", "load balancing (xor)", Some("balance-xor xmit_hash_policy=layer2+3")),
    ("broadcast", "fault-tolerance (broadcast)", Some("broadcast")),
];

struct Lab {
    // Dropped in this order: the namespaces last.
    vm: Vm,
    switch: Vswitch,
    host: Namespace,
    guest: Namespace,
}

impl Lab {
    fn new() -> Result<Self> {
        let (host, guest) = (Namespace::new("host")?, Namespace::new("guest")?);
        for tap in TAPS {
            host.ip(&format!("tuntap add dev {tap} mode tap"))?;
            host.ip(&format!("link set {tap} up"))?;
        }
        cable((&host, "g1"), (&guest, "eth0"))?;
        guest.ip("addr add 10.0.0.1/24 dev eth0")?;
        let builder = Vm::builder().module("bonding max_bonds=0").namespace(&host);
        let vm =
            TAPS.into_iter().zip(MACS).fold(builder, |builder, (tap, mac)| builder.nic(tap, mac)).start()?;
        let switch = Vswitch::start(&host)?;
        switch.vsctl(&format!("add-br {BRIDGE} -- add-port {BRIDGE} g1"))?;
        Ok(Self { vm, switch, host, guest })
    }

    /// Makes the machine's bond and what it needs of ours.
    fn connect(&mut self, mode: &str, group: Option<&str>) -> Result<()> {
        match group {
            None => self.switch.vsctl(&format!("add-port {BRIDGE} t1 -- add-port {BRIDGE} t2"))?,
            Some(ours) => {
                self.switch.vsctl(&format!("add-bond {BRIDGE} {BOND} t1 t2 miimon=100 mode={ours}"))?
            }
        };
        self.vm.output(&format!(
            "set -e
            ip link add bond0 type bond mode {mode} miimon 50
            ip link set eth0 master bond0; ip link set eth1 master bond0
            ip addr add {MACHINE}/24 dev bond0; ip link set bond0 up"
        ))?;
        Ok(())
    }

    fn disconnect(&mut self, group: Option<&str>) -> Result<()> {
        self.vm.output("ip link del bond0")?;
        let ports = if group.is_some() { &[BOND][..] } else { &TAPS };
        ports.iter().try_for_each(|port| self.switch.vsctl(&format!("del-port {port}")).map(drop))
    }

    /// A wire pulled out or plugged in: a tap keeps its carrier whatever the machine does with its NIC, and the other way
    /// round, so that both ends are told.
    fn wire(&mut self, i: usize, state: bool) -> Result<()> {
        let (carrier, link) = if state { ("on", "up") } else { ("off", "down") };
        self.host.ip(&format!("link set {} carrier {carrier}", TAPS[i]))?;
        self.vm.output(&format!("ip link set {} {link}", NICS[i])).map(drop)
    }

    /// The machine uses so many NICs, and we see so many wires.
    fn until_up(&mut self, count: usize) -> Result<()> {
        let mut text = String::new();
        let up = eventually(&format!("{count} NICs are up"), SOON, || {
            text = self.vm.output("cat /proc/net/bonding/bond0")?;
            // The first line of this kind is the bond's.
            Ok((text.matches("MII Status: up").count() == count + 1).then_some(()))
        });
        up.with_context(|| text.clone())?;
        eventually(&format!("{count} wires have carrier"), SOON, || {
            let has = |tap: &&&str| self.host.has_flag(tap, "LOWER_UP").unwrap_or(false);
            Ok((TAPS.iter().filter(has).count() == count).then_some(()))
        })
    }

    /// Ten pings, each answered: how many answers came again.
    fn pings(&self) -> Result<u32> {
        const COUNT: u32 = 10;
        let line = format!("-n -q -c {COUNT} -i 0.05 -W 2 {MACHINE}");
        let done = finish(self.guest.command("ping").args(line.split_whitespace()), COMMAND_DEADLINE)?;
        let number = |word: &str| -> Option<u32> {
            let before = done.stdout.split(word).next().filter(|before| before.len() < done.stdout.len())?;
            before.rsplit(' ').next()?.trim_start_matches('+').parse().ok()
        };
        ensure!(number(" received") == Some(COUNT), "{}", done.stdout);
        Ok(number(" duplicates").unwrap_or_default())
    }

    /// Waits until pings get through, then ten of them must, each answered as often as the mode has it.
    fn reaches(&self, copies: bool) -> Result<()> {
        eventually("the machine is reached", SOON, || Ok(reaches(&self.guest, MACHINE).then_some(())))?;
        let again = self.pings()?;
        ensure!(copies == (again > 0), "{again} answers came again");
        Ok(())
    }
}

#[test]
fn every_mode_of_the_driver_gets_its_switch() -> Result<()> {
    let Some(turn) = vm_turn(&[])? else { return Ok(()) };
    drop(turn);
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let mut lab = Lab::new()?;
    println!("booted in {:.1} s", lab.vm.boot_time().as_secs_f64());
    for (mode, name, group) in CASES {
        let start = Instant::now();
        check(&mut lab, mode, name, group).with_context(|| mode.to_owned())?;
        println!("{mode}: {:.1} s", start.elapsed().as_secs_f64());
    }
    Ok(())
}

fn check(lab: &mut Lab, mode: &str, name: &str, group: Option<&str>) -> Result<()> {
    lab.connect(mode, group)?;
    lab.until_up(2)?;
    let text = lab.vm.output("cat /proc/net/bonding/bond0")?;
    ensure!(text.contains(&format!("Bonding Mode: {name}\n")), "{text}");
    // Both send copies while both wires are there.
    let copies = mode == "broadcast";
    lab.reaches(copies)?;
    for (i, nic) in NICS.into_iter().enumerate() {
        lab.wire(i, false)?;
        lab.until_up(1)?;
        lab.reaches(false).with_context(|| format!("without {nic}"))?;
        lab.wire(i, true)?;
        lab.until_up(2)?;
        lab.reaches(copies).with_context(|| format!("{nic} is back"))?;
    }
    lab.disconnect(group)
}
