//! With the fast path and without it the switch does the same: of one list of frames, sent into the ports of the same
//! switch, the same ones come out of every port, with the same octets and tags, and each flow in its order.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use integration::capture::Capture;
use integration::crowd::Crowd;
use integration::fastpath::{hooked, left_to_workers};
use integration::netns::Namespace;
use integration::packets::{BROADCAST, ETHERTYPE};
use integration::process::eventually;
use integration::random::Random;
use integration::switch::{BRIDGE, Vswitch};
use integration::testing::{fast_turn, setting};
use integration::{sys, wire};

const C: u16 = 0x8100;
const S: u16 = 0x88a8;
const DEADLINE: Duration = Duration::from_secs(5);
/// Nothing comes any more after so long.
const QUIET: Duration = Duration::from_millis(300);
/// Ends every frame, before its number.
const MARK: &[u8; 4] = b"#eq#";
/// Flows, each of frames that are alike but for the number.
const FLOWS: usize = 400;

/// Plain ports of every VLAN mode, a hashed bond of three and an active-backup bond of two.
const SET_UP: [&str; 5] = [
    "add-br br0 -- add-port br0 s1 -- add-port br0 s2 tag=10 -- add-port br0 s3 trunks=10,20 -- add-port br0 s4 tag=10",
    "add-port br0 s5 vlan_mode=native-tagged tag=10 trunks=20 -- add-port br0 s6 vlan_mode=native-untagged tag=20 trunks=10",
    "add-port br0 s7 vlan_mode=dot1q-tunnel tag=20 -- add-port br0 s8 vlan_mode=dot1q-tunnel tag=20 cvlans=0,10",
    "add-bond br0 b0 s9 s10 s11 mode=balance-xor xmit_hash_policy=layer3+4",
    "add-bond br0 b1 s12 s13 mode=active-backup primary=s12",
];
const DEVICES: usize = 13;
/// Where stations are: a device by which their frames come in, for each port.
const HOMES: [usize; 10] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12];
/// This one's cable and port take only short frames.
const SHORT: usize = 4;

/// A frame as it came out: tag in front of the octets, if there was one, and the octets.
type Seen = (Option<(u16, u16)>, Vec<u8>);

struct Lab {
    switch: Vswitch,
    host: Namespace,
    ends: BTreeMap<String, Capture>,
    _crowd: Crowd,
}

impl Lab {
    fn new(fastpath: &str) -> Result<Self> {
        let host = Namespace::new("host")?;
        let crowd = Crowd::new(&host, "s", DEVICES)?;
        let mut switch = Vswitch::prepare(&host)?;
        switch.set("VSWITCH_FASTPATH", fastpath);
        switch.launch()?;
        for line in SET_UP {
            switch.vsctl(line)?;
        }
        host.ip(&format!("link set {BRIDGE} up"))?;
        host.ip(&format!("link set s{SHORT} mtu 600"))?;
        let mut ends = BTreeMap::new();
        for name in crowd.names() {
            ends.insert(name.clone(), Capture::open(&crowd.namespace, &name)?);
        }
        ends.insert(BRIDGE.to_owned(), Capture::open(&host, BRIDGE)?);
        eventually("all members are up, s12 active", DEADLINE, || {
            let all = ["b0", "b1"].map(|bond| switch.bond(bond)).into_iter().collect::<Result<Vec<_>>>()?;
            let up = all.iter().flat_map(|bond| &bond.members).all(|member| member.link == "up");
            Ok((up && all[1].active.as_deref() == Some("s12")).then_some(()))
        })?;
        Ok(Self { switch, host, ends, _crowd: crowd })
    }

    /// Every home's stations are heard in every VLAN that lets them in.
    fn introduce(&self) -> Result<()> {
        for device in homes() {
            for vlan in [None, Some(10), Some(20)] {
                let tags: Vec<_> = vlan.map(|vlan| (C, vlan)).into_iter().collect();
                for i in 0..2 {
                    let frame = wire::ethernet(BROADCAST, station(&device, i), &tags, ETHERTYPE, &[]);
                    self.ends[&device].send(&frame)?;
                }
            }
        }
        let mut last = (0, 0);
        eventually("the stations are learned", DEADLINE, || {
            let known = self.switch.fdb(BRIDGE)?.len();
            last = if last.0 == known { (known, last.1 + 1) } else { (known, 0) };
            Ok((known > 2 * HOMES.len() && last.1 >= 5).then_some(()))
        })?;
        self.ends.values().try_for_each(|end| end.take().map(drop))
    }

    /// Sends the frames and returns what came out of each device.
    fn run(&self, frames: &[(String, Vec<u8>)]) -> Result<BTreeMap<String, Vec<Seen>>> {
        let mut seen: BTreeMap<String, Vec<Seen>> = BTreeMap::new();
        let mut collect = || -> Result<usize> {
            let mut new = 0;
            for (name, end) in &self.ends {
                for frame in end.take()? {
                    if number(&frame.bytes).is_some() {
                        let seen = seen.entry(name.clone()).or_default();
                        seen.push((frame.tpid.zip(frame.tci), frame.bytes));
                        new += 1;
                    }
                }
            }
            Ok(new)
        };
        for (count, (device, frame)) in frames.iter().enumerate() {
            self.ends[device].send(frame)?;
            if count % 8 == 7 {
                sys::sleep_until(sys::monotonic() + Duration::from_millis(1));
                collect()?;
            }
        }
        let mut last = sys::monotonic();
        while sys::monotonic() < last + QUIET {
            sys::sleep_until(sys::monotonic() + Duration::from_millis(10));
            if collect()? > 0 {
                last = sys::monotonic();
            }
        }
        Ok(seen)
    }
}

/// Devices behind which stations are.
fn homes() -> Vec<String> {
    HOMES.iter().map(|home| format!("s{home}")).chain([BRIDGE.to_owned()]).collect()
}

/// An address of a home.
fn station(home: &str, i: usize) -> [u8; 6] {
    let home = home.strip_prefix('s').and_then(|number| number.parse().ok()).unwrap_or(0);
    [2, 0, 0, 6, home, i as u8]
}

fn number(bytes: &[u8]) -> Option<u32> {
    let (rest, number) = bytes.split_last_chunk::<4>()?;
    rest.ends_with(MARK).then_some(u32::from_be_bytes(*number))
}

/// What a flow's frames have in common: where they go in, and their octets up to the mark. Sources are where they were
/// learned or new, so that nothing moves while frames are under way and what is right does not depend on timing.
fn flow(random: &mut Random) -> (String, Vec<u8>) {
    let homes = homes();
    let home = random.pick(&homes).clone();
    // Into the other members too.
    let device = match home.as_str() {
        "s9" => random.pick(&["s9", "s10", "s11"]).to_string(),
        "s12" => random.pick(&["s12", "s12", "s13"]).to_string(),
        _ => home.clone(),
    };
    let to = match random.below(14) {
        0 => BROADCAST,
        1 => [0x01, 0, 0x5e, 1, 2, random.any() as u8],
        2 => [0x33, 0x33, 0, 0, 0, random.any() as u8],
        3 => [2, 0, 0, 0x99, random.any() as u8, random.any() as u8],
        _ => station(random.pick::<String>(&homes), random.below(2)),
    };
    let from = match random.below(12) {
        0 => [2, 0, 0, 0x98, random.any() as u8, random.any() as u8],
        _ => station(&home, random.below(2)),
    };
    let tags: Vec<(u16, u16)> = (0..[0, 0, 0, 1, 1, 1, 1, 2][random.below(8)])
        .map(|_| {
            let vlan = *random.pick(&[10, 10, 10, 20, 20, 20, 0, 30]);
            (if random.one_in(4) { S } else { C }, (random.below(8) as u16) << 13 | vlan)
        })
        .collect();
    // Some are longer than the short port takes, which no frame may be that goes in there.
    let length = match random.below(6) {
        0 if device != format!("s{SHORT}") => 700 + random.below(600),
        _ => random.below(300),
    };
    let body = random.octets(length);
    let mut end =
        |net: u8| (Ipv4Addr::new(10, net, random.any() as u8, random.any() as u8), random.any() as u16);
    let (source, target) = (end(8), end(9));
    let mut packet = wire::udp(to, from, source, target, &body)[14..].to_vec();
    let (ethertype, packet) = match random.below(10) {
        0 => (0x0806, wire::arp_request((from, source.0), target.0)[14..42].to_vec()),
        1 => {
            let mut packet =
                wire::unsolicited_na(from, "fd00::8".parse().unwrap_or(std::net::Ipv6Addr::LOCALHOST));
            // Any ICMPv6 message; some of them are neighbour discovery.
            packet[54] = *random.pick(&[128, 133, 135, 136]);
            (0x86dd, packet[14..].to_vec())
        }
        2 => {
            // A later fragment, and one with more behind it.
            packet[6..8].copy_from_slice(random.pick::<[u8; 2]>(&[[0x20, 0], [0x00, 0x10], [0x20, 0x10]]));
            (0x0800, packet)
        }
        3 => (ETHERTYPE, body),
        4 => (0x0800, random.octets(length.max(20))),
        _ => (0x0800, packet),
    };
    (device, wire::ethernet(to, from, &tags, ethertype, &packet))
}

#[test]
fn the_same_comes_out_with_the_fast_path_and_without() -> Result<()> {
    let Some(_turn) = fast_turn(&[])? else { return Ok(()) };
    let mut random = Random::of_test();
    let flows: Vec<_> = (0..FLOWS).map(|_| flow(&mut random)).collect();
    let count = setting("VSWITCH_EQUIVALENCE_FRAMES", 4000);
    let mut of_number = Vec::new();
    let frames: Vec<(String, Vec<u8>)> = (0..count as u32)
        .map(|number| {
            let flow = random.below(FLOWS);
            of_number.push(flow);
            let (device, start) = &flows[flow];
            (device.clone(), [start, MARK.as_slice(), &number.to_be_bytes()].concat())
        })
        .collect();
    let mut results = Vec::new();
    for fastpath in ["off", "on"] {
        let lab = Lab::new(fastpath)?;
        ensure!(hooked(&lab.host)?.len() == if fastpath == "on" { DEVICES + 1 } else { 0 });
        lab.introduce()?;
        let before = left_to_workers(&lab.host)?;
        let seen = lab.run(&frames)?;
        let out: usize = seen.values().map(Vec::len).sum();
        let left = left_to_workers(&lab.host)? - before;
        println!(
            "fastpath={fastpath}: {count} frames in, {out} out, {left} left to the workers by the kernel"
        );
        ensure!(fastpath == "off" || (left as usize) < count * 4 / 5, "the kernel forwards next to nothing");
        results.push(seen);
    }
    let [without, with] = &results[..] else { unreachable!("two runs") };
    for (device, seen) in with {
        // The order of a flow.
        let mut last: BTreeMap<usize, u32> = BTreeMap::new();
        for number in seen.iter().filter_map(|(_, bytes)| number(bytes)) {
            let flow = of_number[number as usize];
            let before = last.insert(flow, number);
            let (from, start) = &flows[flow];
            ensure!(
                before.is_none_or(|before| before < number),
                "at {device} frame {number} came after {before:?} of its flow, sent into {from}: {}",
                wire::hex(start)
            );
        }
    }
    for device in without.keys().chain(with.keys()) {
        let sorted = |result: &BTreeMap<String, Vec<Seen>>| -> BTreeMap<u32, Vec<Seen>> {
            let mut by_number: BTreeMap<u32, Vec<Seen>> = BTreeMap::new();
            for seen in result.get(device).into_iter().flatten() {
                by_number.entry(number(&seen.1).unwrap_or_default()).or_default().push(seen.clone());
            }
            by_number
        };
        let (without, with) = (sorted(without), sorted(with));
        for number in without.keys().chain(with.keys()) {
            let (a, b) = (without.get(number), with.get(number));
            let (from, frame) = frames.get(*number as usize).context("no such number")?;
            let show = |seen: Option<&Vec<Seen>>| -> Vec<String> {
                let all = seen.into_iter().flatten();
                all.map(|(tag, bytes)| format!("{tag:x?} {}", wire::hex(&bytes[..bytes.len().min(60)])))
                    .collect()
            };
            ensure!(
                a == b && a.is_none_or(|copies| copies.len() == 1),
                "frame {number}, {} into {from}, at {device}:\nwithout {:?}\nwith    {:?}",
                wire::hex(&frame[..frame.len().min(60)]),
                show(a),
                show(b)
            );
        }
    }
    Ok(())
}
