//! LACP with the Linux bonding driver, in a virtual machine with Debian's kernel.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use integration::netns::{Namespace, cable};
use integration::process::eventually;
use integration::qemu::{Builder, Vm};
use integration::switch::{BOND, BRIDGE, Vswitch};
use integration::testing::{reaches, switch_turn, vm_turn};

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

/// A machine whose bond of two NICs ends at ours of two taps.
struct Lab {
    // Dropped in this order: the namespaces last.
    vm: Vm,
    switch: Vswitch,
    host: Namespace,
    guest: Namespace,
}

const TAPS: [&str; 2] = ["t1", "t2"];
const MACS: [[u8; 6]; 2] = [[0x52, 0x54, 0, 0, 0, 1], [0x52, 0x54, 0, 0, 0, 2]];
const PARTNER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));

impl Lab {
    fn new(theirs: &str, ours: &str) -> Result<Self> {
        let (host, guest) = (Namespace::new("host")?, Namespace::new("guest")?);
        for tap in TAPS {
            host.ip(&format!("tuntap add dev {tap} mode tap"))?;
            host.ip(&format!("link set {tap} up"))?;
        }
        cable((&host, "g1"), (&guest, "eth0"))?;
        guest.ip("addr add 10.0.0.1/24 dev eth0")?;
        let builder = Vm::builder().program("iperf3").module("bonding max_bonds=0").namespace(&host);
        let nics = TAPS.into_iter().zip(MACS);
        let mut vm = nics.fold(builder, |builder, (tap, mac)| builder.nic(tap, mac)).start()?;
        vm.output(&format!(
            "set -e
            ip link add bond0 type bond mode 802.3ad miimon 100 xmit_hash_policy layer3+4 {theirs}
            ip link set eth0 master bond0; ip link set eth1 master bond0
            ip addr add 10.0.0.2/24 dev bond0; ip link set bond0 up"
        ))?;
        let switch = Vswitch::start(&host)?;
        switch.vsctl(&format!("add-br {BRIDGE} -- add-port {BRIDGE} g1"))?;
        let taps = TAPS.join(" ");
        switch.vsctl(&format!(
            "add-bond {BRIDGE} {BOND} {taps} mode=802.3ad miimon=100 xmit_hash_policy=layer3+4 {ours}"
        ))?;
        Ok(Self { vm, switch, host, guest })
    }

    /// Waits until both sides use both members; returns the texts of both.
    fn until_whole(&mut self, states: [&str; 2]) -> Result<(Proc, Proc)> {
        let mut texts = [String::new(), String::new()];
        let [actor, partner] = states;
        let whole = eventually("both members carry", SOON, || {
            texts[0] = self.switch.vsctl(&format!("--proc bond/show {BOND}"))?;
            texts[1] = self.vm.output("cat /proc/net/bonding/bond0")?;
            let (ours, theirs) = (Proc::parse(&texts[0])?, Proc::parse(&texts[1])?);
            let all = |proc: &Proc, actor: &str, partner: &str| {
                proc.members.len() == 2
                    && proc.members.values().all(|member| {
                        member.get("actor port state").is_some_and(|state| state == actor)
                            && member.get("partner port state").is_some_and(|state| state == partner)
                    })
            };
            let whole = all(&ours, actor, partner) && all(&theirs, partner, actor);
            Ok(whole.then_some((ours, theirs)))
        });
        whole.with_context(|| format!("ours:\n{}\ntheirs:\n{}", texts[0], texts[1]))
    }

    fn pings(&self, size: u32, count: u32) -> Result<()> {
        let said = self.guest.run(&format!("ping -n -q -c {count} -i 0.1 -W 2 -s {size} {PARTNER}"))?;
        ensure!(said.contains(&format!(" {count} received")), "{size} octets: {said}");
        Ok(())
    }
}

/// The text of `/proc/net/bonding`, read: what stands before the first member, and each member's lines. The keys of the last
/// two sections of a member begin with `actor` and `partner`.
#[derive(Debug)]
struct Proc {
    bond: BTreeMap<String, String>,
    members: BTreeMap<String, BTreeMap<String, String>>,
}

impl Proc {
    fn parse(text: &str) -> Result<Self> {
        let mut proc = Self { bond: BTreeMap::new(), members: BTreeMap::new() };
        let mut member: Option<String> = None;
        let mut section = "";
        for line in text.lines() {
            match line {
                "details actor lacp pdu:" => section = "actor ",
                "details partner lacp pdu:" => section = "partner ",
                _ => {}
            }
            let Some((key, value)) = line.trim().split_once(": ") else { continue };
            if key == "Slave Interface" {
                member = Some(value.to_owned());
                section = "";
            }
            let lines = match &member {
                None => &mut proc.bond,
                Some(name) => proc.members.entry(name.clone()).or_default(),
            };
            let twice = lines.insert(format!("{section}{key}"), value.to_owned());
            ensure!(twice.is_none(), "{key} twice in:\n{text}");
        }
        Ok(proc)
    }
}

/// Our actor is their partner, field by field.
fn mirrored(one: &BTreeMap<String, String>, other: &BTreeMap<String, String>) -> Result<()> {
    for (actor, partner) in [
        ("system priority", "system priority"),
        ("system mac address", "system mac address"),
        ("port key", "oper key"),
        ("port priority", "port priority"),
        ("port number", "port number"),
        ("port state", "port state"),
    ] {
        let (said, heard) = (one.get(&format!("actor {actor}")), other.get(&format!("partner {partner}")));
        ensure!(said.is_some() && said == heard, "{actor}: {said:?} is heard as {heard:?}");
    }
    Ok(())
}

fn agree(ours: &Proc, theirs: &Proc) -> Result<()> {
    for (tap, nic) in TAPS.into_iter().zip(["eth0", "eth1"]) {
        let (our, their) = (&ours.members[tap], &theirs.members[nic]);
        mirrored(our, their).with_context(|| format!("{tap}, we"))?;
        mirrored(their, our).with_context(|| format!("{tap}, they"))?;
        for key in
            ["MII Status", "Speed", "Duplex", "Aggregator ID", "Actor Churned Count", "Partner Churned Count"]
        {
            let known = our.get(key).is_some() && their.get(key).is_some();
            ensure!(known, "{key}: we {:?}, they {:?}", our.get(key), their.get(key));
        }
        ensure!(our["Aggregator ID"] == ours.bond["Aggregator ID"], "{ours:?}");
        // The same lines, in other words.
        ensure!(our.keys().eq(their.keys()), "lines: {:?} and {:?}", our.keys(), their.keys());
    }
    ensure!(ours.bond.keys().eq(theirs.bond.keys()), "{:?} and {:?}", ours.bond.keys(), theirs.bond.keys());
    for (key, other) in
        [("Actor Key", "Partner Key"), ("Partner Key", "Actor Key"), ("Number of ports", "Number of ports")]
    {
        ensure!(ours.bond[key] == theirs.bond[other], "{key}: {ours:?} {theirs:?}");
    }
    for (one, other) in [(ours, theirs), (theirs, ours)] {
        ensure!(one.bond["System MAC address"] == other.bond["Partner Mac Address"], "{one:?} {other:?}");
    }
    Ok(())
}

#[test]
fn a_machine_with_a_bond_is_a_partner_and_both_texts_agree() -> Result<()> {
    let Some(turn) = vm_turn(&["iperf3"])? else { return Ok(()) };
    drop(turn);
    let Some(_turn) = switch_turn(&["iperf3"])? else { return Ok(()) };
    let mut lab = Lab::new("lacp_rate fast", "lacp_rate=fast")?;
    let start = Instant::now();
    let (ours, theirs) = lab.until_whole(["63", "63"])?;
    println!("whole {:.1} s after the last was configured", start.elapsed().as_secs_f64());
    agree(&ours, &theirs)?;
    ensure!(reaches(&lab.guest, PARTNER), "no way to the machine");
    for size in [56, 1600, 3200] {
        lab.pings(size, 10)?;
    }
    lab.vm.output("iperf3 --server --one-off --daemon")?;
    let said = eventually("iperf3 connects", SOON, || {
        Ok(lab.guest.run(&format!("iperf3 --client {PARTNER} --time 2 --parallel 4 --json")).ok())
    })?;
    let report: serde_json::Value = serde_json::from_str(&said)?;
    let octets = report["end"]["sum_received"]["bytes"].as_u64().with_context(|| said.clone())?;
    println!("{octets} octets by TCP");
    ensure!(octets > 1_000_000, "{octets} octets by TCP");

    // One tap down: the machine's NIC keeps its carrier, so that only LACP tells it.
    for tap in TAPS {
        lab.host.ip(&format!("link set {tap} down"))?;
        let down = Instant::now();
        eventually("pings get through", SOON, || Ok(lab.pings(56, 5).ok()))?;
        println!("{tap} down: five pings through after {:.1} s", down.elapsed().as_secs_f64());
        let text = lab.switch.vsctl(&format!("--proc bond/show {BOND}"))?;
        let ours = Proc::parse(&text)?;
        ensure!(ours.members[tap]["MII Status"] == "down", "{text}");
        ensure!(ours.bond["Number of ports"] == "1", "{text}");
        lab.host.ip(&format!("link set {tap} up"))?;
        let up = Instant::now();
        let (ours, theirs) = lab.until_whole(["63", "63"])?;
        println!("{tap} up: whole after {:.1} s", up.elapsed().as_secs_f64());
        agree(&ours, &theirs)?;
        lab.pings(3200, 5)?;
    }

    // Other options, seen by the other side.
    lab.switch.vsctl(&format!(
        "set bond {BOND} lacp_rate=slow ad_actor_sys_prio=100 ad_user_port_key=5 ad_actor_system=02:00:00:00:0a:0a"
    ))?;
    let (ours, theirs) = lab.until_whole(["61", "63"])?;
    agree(&ours, &theirs)?;
    ensure!(theirs.bond["Partner Mac Address"] == "02:00:00:00:0a:0a", "{theirs:?}");
    lab.pings(56, 5)
}
