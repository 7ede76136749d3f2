//! `trace` agrees with what really happens: for each of many random frames it is asked first, then the frame is sent
//! into the port, and where it comes out and which drop is counted must be what was said.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use integration::capture::Capture;
use integration::crowd::Crowd;
use integration::netns::Namespace;
use integration::packets::{BROADCAST, ETHERTYPE};
use integration::process::eventually;
use integration::random::Random;
use integration::rpc::Client;
use integration::switch::{BRIDGE, Vswitch};
use integration::testing::{setting, switch_turn};
use integration::wire;
use serde_json::{Value, json};

const PORTS: usize = 9;
/// Ends every frame, before its number.
const MARK: &[u8; 4] = b"#tr#";
const DEADLINE: Duration = Duration::from_secs(2);

struct Lab {
    switch: Vswitch,
    crowd: Crowd,
    host: Namespace,
    client: Client,
    /// Far ends by the name of the device at the switch.
    ends: BTreeMap<String, Capture>,
    /// Where each numbered frame has come out, with the number of copies.
    seen: BTreeMap<u32, BTreeMap<String, u32>>,
}

/// What the daemon has counted: frames received by device, drops of all devices by reason.
struct Counters {
    received: BTreeMap<String, u64>,
    drops: BTreeMap<String, u64>,
}

impl Lab {
    /// Four plain ports with different VLANs, a hashed bond of three and an active-backup bond of two.
    fn new() -> Result<Self> {
        let host = Namespace::new("host")?;
        let crowd = Crowd::new(&host, "s", PORTS)?;
        let switch = Vswitch::start(&host)?;
        for line in [
            "add-br br0 -- add-port br0 s1 -- add-port br0 s2 tag=10 -- add-port br0 s3 trunks=10,20",
            "add-port br0 s4 trunks=0,20",
            "add-bond br0 b0 s5 s6 s7 mode=balance-xor xmit_hash_policy=layer3+4",
            "add-bond br0 b1 s8 s9 mode=active-backup",
        ] {
            switch.vsctl(line)?;
        }
        host.ip(&format!("link set {BRIDGE} up"))?;
        // Frames that fit elsewhere are too long for this port.
        host.ip("link set s3 mtu 1200")?;
        let mut ends = BTreeMap::new();
        for name in crowd.names() {
            ends.insert(name.clone(), Capture::open(&crowd.namespace, &name)?);
        }
        ends.insert(BRIDGE.to_owned(), Capture::open(&host, BRIDGE)?);
        let client = Client::connect(&switch.socket())?;
        eventually("both bonds have carrier", Duration::from_secs(5), || {
            Ok((switch.bond("b0")?.carrier && switch.bond("b1")?.carrier).then_some(()))
        })?;
        Ok(Self { switch, crowd, host, client, ends, seen: BTreeMap::new() })
    }

    fn ask(&mut self, request: Value) -> Result<Value> {
        Ok(self.client.transact(&[request])?.remove(0))
    }

    fn counters(&mut self) -> Result<Counters> {
        let reply = self.ask(json!({ "command": "counters/show" }))?;
        let mut counters = Counters { received: BTreeMap::new(), drops: BTreeMap::new() };
        for device in reply["counters"].as_array().with_context(|| format!("no counters: {reply}"))? {
            let name = device["device"].as_str().context("no name")?.to_owned();
            counters.received.insert(name, device["rx_frames"].as_u64().context("no count")?);
            for (reason, count) in device["drops"].as_object().into_iter().flatten() {
                *counters.drops.entry(reason.clone()).or_default() += count.as_u64().unwrap_or_default();
            }
        }
        Ok(counters)
    }

    fn collect(&mut self) -> Result<()> {
        for (name, end) in &self.ends {
            for frame in end.take()? {
                let Some((rest, number)) = frame.bytes.split_last_chunk::<4>() else { continue };
                if rest.ends_with(MARK) {
                    let copies = self.seen.entry(u32::from_be_bytes(*number)).or_default();
                    *copies.entry(name.clone()).or_default() += 1;
                }
            }
        }
        Ok(())
    }

    /// Asks, sends, and compares what was said with the counters; returns what was said of the way out.
    fn check(&mut self, port: &str, frame: &[u8], number: u32) -> Result<BTreeSet<String>> {
        let request =
            json!({ "command": "trace", "bridge": BRIDGE, "in_port": port, "frame": wire::hex(frame) });
        let reply = self.ask(request)?;
        let trace = &reply["trace"];
        let egress = trace["egress"].as_array().with_context(|| format!("no egress: {reply}"))?;
        let egress: BTreeSet<String> =
            egress.iter().map(|device| device.as_str().unwrap_or_default().to_owned()).collect();
        let before = self.counters()?;
        self.ends[port].send(frame)?;
        let after = {
            let mut after = None;
            eventually("the frame is counted", DEADLINE, || {
                let now = self.counters()?;
                let arrived = now.received[port] > before.received[port];
                // Drops may be counted after the reception.
                let dropped = now.drops != before.drops;
                let done = arrived && (dropped || trace["verdict"] != "drop");
                after = Some(now);
                Ok(done.then_some(()))
            })
            .with_context(|| format!("{port}: {} said to be {trace}", wire::hex(frame)))?;
            after.context("never asked")?
        };
        ensure!(after.received[port] == before.received[port] + 1, "somebody else sends on {port}");
        eventually("its copies come out", DEADLINE, || {
            self.collect()?;
            let out = self.seen.get(&number).map_or(0, BTreeMap::len);
            Ok((out >= egress.len()).then_some(()))
        })
        .with_context(|| {
            format!("{port}: {} said to be {trace}: {:?}", wire::hex(frame), self.seen.get(&number))
        })?;
        let mut counted: Vec<String> = Vec::new();
        for (reason, count) in &after.drops {
            let more = count - before.drops.get(reason).copied().unwrap_or_default();
            counted.extend((0..more).map(|_| reason.clone()));
        }
        let verdict = trace["verdict"].as_str().unwrap_or_default();
        let reason = trace["drop_reason"].as_str();
        let agrees = match verdict {
            "drop" => egress.is_empty() && reason.is_some_and(|reason| counted == [reason]),
            "forward" => egress.len() == 1 && reason.is_none() && counted.is_empty(),
            // A flood may lose copies, each counted, without being a drop.
            "flood" => reason.is_none() && counted.iter().all(|reason| reason == "mtu_exceeded"),
            _ => false,
        };
        ensure!(agrees, "{port}: {} said to be {trace}, counted {counted:?}", wire::hex(frame));
        Ok(egress)
    }
}

/// Addresses that stations of a port use.
fn own(port: usize, i: usize) -> [u8; 6] {
    [2, 0, 0, 5, port as u8, i as u8]
}

/// A random frame for a port, counted from 1: some sensible, some strange, some malformed.
fn random_frame(random: &mut Random, port: usize, number: u32) -> Vec<u8> {
    let any_address = |random: &mut Random| own(1 + random.below(PORTS), random.below(3));
    let to = match random.below(10) {
        0 => BROADCAST,
        1 => [0x01, 0, 0x5e, 1, 2, random.any() as u8],
        2 => [0x33, 0x33, 0, 0, 0, random.any() as u8],
        3 => [0x02, 0, 0, 0x99, random.any() as u8, random.any() as u8],
        4 if random.one_in(3) => [0x01, 0x80, 0xc2, 0, 0, random.below(20) as u8],
        _ => any_address(random),
    };
    let from = match random.below(12) {
        0 => any_address(random),
        1 => [0x02, 0, 0, 0x98, random.any() as u8, random.any() as u8],
        2 if random.one_in(2) => [0; 6],
        3 if random.one_in(2) => [3, 0, 0, 0, 0, 1],
        _ => own(port, random.below(3)),
    };
    let tags: Vec<(u16, u16)> = (0..[0, 0, 0, 1, 1, 1, 2, 3][random.below(8)])
        .map(|_| {
            let vlan = *random.pick(&[10, 10, 10, 20, 20, 20, 0, 30, 4095]);
            let protocol = if random.one_in(4) { 0x88a8 } else { 0x8100 };
            (protocol, (random.below(8) as u16) << 13 | vlan)
        })
        .collect();
    if random.one_in(25) {
        // The second tag is cut off. (With a cut first one a frame doesn't get past the kernel.)
        return [to.as_slice(), &from, &[0x81, 0, 0, 10, 0x81, 0, 0, 10]].concat();
    }
    let length = match random.below(8) {
        // Port 3's cable doesn't take them.
        0 if port != 3 => 1250 + random.below(150),
        1 => random.below(40),
        _ => 46,
    };
    let mut frame = match random.below(4) {
        0 => {
            let mut end = || {
                let ip = std::net::Ipv4Addr::new(10, 0, random.any() as u8, random.any() as u8);
                (ip, random.any() as u16)
            };
            let (source, target) = (end(), end());
            let udp = wire::udp(to, from, source, target, &[]);
            wire::ethernet(to, from, &tags, 0x0800, &udp[14..42])
        }
        1 => {
            let ethertype = *random.pick(&[0x0800, 0x86dd, 0x0806, 0x88cc]);
            let noise = random.octets(length);
            wire::ethernet(to, from, &tags, ethertype, &noise)
        }
        // More tags than anybody stacks.
        2 if random.one_in(6) => wire::ethernet(to, from, &[(0x8100, 10); 12], ETHERTYPE, &[]),
        _ => wire::ethernet(to, from, &tags, ETHERTYPE, &vec![0; length]),
    };
    frame.extend(MARK);
    frame.extend(number.to_be_bytes());
    frame
}

#[test]
fn trace_tells_what_happens() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let frames = setting("VSWITCH_TRACE_FRAMES", 1200);
    let mut random = Random::of_test();
    let mut lab = Lab::new()?;
    // Some addresses of every port are known, in the VLANs that the port is in.
    for port in 1..=PORTS {
        for vlan in [None, Some(10), Some(20)] {
            let tags: Vec<_> = vlan.map(|vlan| (0x8100, vlan)).into_iter().collect();
            let frame = wire::ethernet(BROADCAST, own(port, 0), &tags, ETHERTYPE, &[]);
            lab.ends[&format!("s{port}")].send(&frame)?;
        }
    }
    let known = || -> Result<bool> { Ok(lab.switch.fdb(BRIDGE)?.len() >= PORTS) };
    eventually("they are learned", DEADLINE, || Ok(known()?.then_some(())))?;
    let mut said = BTreeMap::new();
    for number in 0..frames as u32 {
        let port = 1 + random.below(PORTS);
        let frame = random_frame(&mut random, port, number);
        said.insert(number, lab.check(&format!("s{port}"), &frame, number)?);
    }
    // Copies that nobody waited for would have come out by now.
    let end = integration::sys::monotonic() + Duration::from_millis(200);
    integration::sys::sleep_until(end);
    lab.collect()?;
    let (mut out, mut flooded) = (0, 0);
    for (number, egress) in &said {
        let seen = lab.seen.remove(number).unwrap_or_default();
        ensure!(seen.values().all(|copies| *copies == 1), "frame {number} came out as {seen:?}");
        let seen: BTreeSet<String> = seen.into_keys().collect();
        ensure!(seen == *egress, "frame {number} came out at {seen:?}, not at {egress:?}");
        out += usize::from(egress.len() == 1);
        flooded += usize::from(egress.len() > 1);
    }
    let dropped = frames - out - flooded;
    println!("{frames} frames: {out} forwarded, {flooded} flooded, {dropped} dropped, all as said");
    ensure!([out, flooded, dropped].iter().all(|count| *count > frames / 20), "a poor mixture");
    drop((lab.crowd, lab.host));
    Ok(())
}

#[test]
fn trace_changes_nothing() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let mut lab = Lab::new()?;
    let before = (lab.switch.json("fdb/show")?, lab.counters()?.drops, lab.switch.json("show")?);
    for (port, vlan) in [("s1", 10), ("s2", 10), ("s9", 10), ("s5", 20)] {
        let frame = wire::ethernet(BROADCAST, own(1, 9), &[(0x8100, vlan)], ETHERTYPE, &[]);
        lab.switch.json(&format!("trace {BRIDGE} {port} {}", wire::hex(&frame)))?;
    }
    let after = (lab.switch.json("fdb/show")?, lab.counters()?.drops, lab.switch.json("show")?);
    assert_eq!(after, before);
    Ok(())
}

#[test]
fn trace_says_the_hash_and_the_steps_and_refuses_nonsense() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let lab = Lab::new()?;
    let ends = (("10.0.0.1".parse()?, 5000), ("10.0.0.2".parse()?, 53));
    let (to, from) = ([2, 0, 0, 5, 5, 0], [2, 0, 0, 5, 1, 0]);
    lab.ends["s5"].send(&wire::ethernet(BROADCAST, to, &[], ETHERTYPE, &[]))?;
    eventually("the target is learned", DEADLINE, || {
        Ok(lab.switch.fdb(BRIDGE)?.iter().any(|(_, _, port)| port == "b0").then_some(()))
    })?;
    let frame = wire::hex(&wire::udp(to, from, ends.0, ends.1, b"body"));
    let trace = lab.switch.json(&format!("trace {BRIDGE} s1 {frame}"))?;
    let hash = integration::hash::udp_hash("layer3+4", to, from, ends.0, ends.1);
    assert_eq!(trace["hash"], hash, "{trace}");
    assert_eq!(trace["verdict"], "forward", "{trace}");
    assert_eq!(trace["egress"], json!([format!("s{}", 5 + hash % 3)]), "{trace}");
    assert_eq!(trace["drop_reason"], Value::Null, "{trace}");
    ensure!(trace["steps"].as_array().is_some_and(|steps| steps.len() >= 4), "{trace}");
    let text = lab.switch.vsctl(&format!("trace {BRIDGE} s1 {frame}"))?;
    for word in ["layer3+4", "b0", &format!("s{}", 5 + hash % 3)] {
        ensure!(text.contains(word), "{word} is not in {text}");
    }
    for wrong in ["trace br9 s1 00", "trace br0 nowhere 00", "trace br0 s1 0", "trace br0 s1 zz"] {
        let done = lab.switch.try_vsctl(wrong)?;
        ensure!(!done.status.success() && !done.stderr.is_empty(), "{wrong}: {}", done.stdout);
    }
    Ok(())
}
