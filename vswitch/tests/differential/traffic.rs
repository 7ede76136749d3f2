//! Frames at random, made so that many are forwarded, and what the FDB knows about their addresses.

use forwarding::fdb::{Fdb, Tick};
use forwarding::ids::{DeviceId, PortId};
use forwarding::mac::MacAddr;
use forwarding::vlan::{TPID_8021AD, TPID_8021Q, VlanTag};
use forwarding::wire::vlan::{TAG_LEN, pop_outer};

use crate::choices::{Choices as _, Random};
use crate::hash_frames;
use crate::receive;
use crate::scene::{Scene, VLANS};

/// A received frame.
pub(crate) struct Case {
    pub(crate) device: DeviceId,
    pub(crate) port: PortId,
    /// As it is on the wire.
    pub(crate) frame: Vec<u8>,
    /// Without its outer tag, and that.
    pub(crate) bytes: Vec<u8>,
    pub(crate) tag: Option<VlanTag>,
    pub(crate) src: MacAddr,
    pub(crate) dst: MacAddr,
    /// The guest that it is for in the place of that.
    pub(crate) guest: Option<MacAddr>,
    /// The VLAN that its port puts it into, if it is let in.
    pub(crate) vlan: Option<u16>,
}

impl Case {
    pub(crate) fn random(random: &mut Random, scene: &Scene) -> Self {
        let device = *random.pick(&scene.inputs());
        let port = scene.tables.device(device).expect("it is in the tables").port;
        let (mut src, mut dst) = addresses(random, &scene.stations);
        let own = random.chance(45).then(|| receive::own_address(random, scene, port)).flatten();
        match (own, random.index(20)) {
            (Some(own), 0) => src = own,
            (Some(own), _) => dst = own,
            _ => {}
        }
        let tags = accepted_tags(random, scene, port);
        let mut frame = [dst.0, src.0].concat();
        for tag in &tags {
            frame.extend(octets(*tag));
        }
        if own.is_some() || random.chance(40) {
            let placed = scene.port(port).vlan.place(tags.first().copied());
            frame.extend(receive::packet(random, scene, placed.map(|placed| placed.vlan), dst, src));
        } else {
            frame.extend(packet(random));
        }
        if random.chance(25) {
            let len = *random.pick(&[60, 64, 200, 500, 1400, 1514, 1518, 1522]);
            frame.resize(frame.len().max(len), 0);
        }
        if random.chance(3) {
            slow_protocol(random, &mut frame);
        }
        if random.chance(8) {
            frame.truncate(14 + random.index(frame.len() - 13));
        }
        Self::new(scene, device, frame)
    }

    pub(crate) fn new(scene: &Scene, device: DeviceId, frame: Vec<u8>) -> Self {
        let port = scene.tables.device(device).expect("it is in the tables").port;
        let mut bytes = frame.clone();
        let tag = pop_outer(&mut bytes);
        if tag.is_some() {
            bytes.drain(..TAG_LEN);
        }
        let address = |at: usize| MacAddr(frame[at..at + 6].try_into().expect("six octets"));
        let (dst, src) = (address(0), address(6));
        let vlan = scene.port(port).vlan.classify(tag);
        let mut case = Self { device, port, frame, bytes, tag, src, dst, guest: None, vlan };
        case.guest = receive::guest_of(scene, &case);
        case
    }

    /// Where it is to go.
    pub(crate) fn destination(&self) -> MacAddr {
        self.guest.unwrap_or(self.dst)
    }

    /// Puts entries for the frame's addresses into the FDB: mostly such that it is forwarded.
    pub(crate) fn prepare(&self, random: &mut Random, scene: &Scene, now: Tick) {
        let Some(vlan) = self.vlan else { return };
        let bridge = scene.port(self.port).bridge;
        let fdb = scene.fdb(bridge);
        if fdb.stats().entries + 8 > fdb.config().capacity {
            fdb.remove_ports(|_| true);
        }
        let any_port = |random: &mut Random| PortId(random.index(scene.tables.ports.len() + 1) as u16);
        if self.src.is_valid_source() {
            let at = if random.chance(6) { any_port(random) } else { self.port };
            place(random, fdb, (vlan, self.src), at, now);
        }
        let dst = self.destination();
        if dst.is_valid_source() && dst != self.src {
            let others: Vec<PortId> = (0..)
                .zip(&scene.tables.ports)
                .filter_map(|(number, port)| Some((PortId(number), port.as_ref()?)))
                .filter(|(id, port)| *id != self.port && port.bridge == bridge && port.vlan.contains(vlan))
                .map(|(id, _)| id)
                .collect();
            let is_balanced = |id: &&PortId| scene.port(**id).receive.is_some();
            let balanced: Vec<PortId> = others.iter().filter(is_balanced).copied().collect();
            let at = match random.index(20) {
                0 => any_port(random),
                1 => self.port,
                _ if others.is_empty() => any_port(random),
                2..10 if !balanced.is_empty() => *random.pick(&balanced),
                _ => *random.pick(&others),
            };
            place(random, fdb, (vlan, dst), at, now);
        }
    }
}

pub(crate) fn octets(tag: VlanTag) -> [u8; TAG_LEN] {
    let ([a, b], [c, d]) = (tag.tpid.to_be_bytes(), tag.tci.to_be_bytes());
    [a, b, c, d]
}

/// A frame with tags put in behind its addresses, the outermost first.
pub(crate) fn with_tags(bytes: &[u8], tags: impl IntoIterator<Item = VlanTag>) -> Vec<u8> {
    let tags: Vec<u8> = tags.into_iter().flat_map(octets).collect();
    [&bytes[..12], &tags, &bytes[12..]].concat()
}

/// Makes a frame of the Slow Protocols, or one that is nearly one. Few in a hundred make the test see them on every rule.
fn slow_protocol(random: &mut Random, frame: &mut [u8]) {
    frame[..6].copy_from_slice(&MacAddr::SLOW_PROTOCOLS.0);
    frame[12..14].copy_from_slice(&[0x88, 0x09]);
    if random.chance(20) {
        frame[random.index(14)] = random.index(256) as u8;
    }
}

/// Source and destination.
fn addresses(random: &mut Random, stations: &[MacAddr]) -> (MacAddr, MacAddr) {
    let src = match random.index(50) {
        0 => MacAddr::ZERO,
        1 => MacAddr([0x01, 0, 0x5e, 0, 0, 1]),
        _ => *random.pick(stations),
    };
    let dst = match random.index(40) {
        0 => MacAddr::BROADCAST,
        1 => MacAddr([0x33, 0x33, 0, 0, 0, 1]),
        2 => MacAddr([0x01, 0x80, 0xc2, 0, 0, random.index(17) as u8]),
        3 => MacAddr([2, 9, 9, 9, 9, random.index(256) as u8]),
        4 => src,
        _ => *random.pick(stations),
    };
    (src, dst)
}

/// Tags of a frame, mostly such that the port lets it in.
fn accepted_tags(random: &mut Random, scene: &Scene, port: PortId) -> Vec<VlanTag> {
    let mut tags = some_tags(random, scene);
    for _ in 0..6 {
        if scene.port(port).vlan.place(tags.first().copied()).is_some() || random.chance(10) {
            break;
        }
        tags = some_tags(random, scene);
    }
    tags
}

fn some_tags(random: &mut Random, scene: &Scene) -> Vec<VlanTag> {
    let count = match random.index(50) {
        0..22 => 0,
        22..40 => 1,
        40..46 => 2,
        other => other - 43,
    };
    let mut one = || {
        let vid = match random.index(20) {
            0 => random.index(4096) as u16,
            1 => 4095,
            2 => *random.pick(&VLANS),
            _ => *random.pick(&scene.vlans),
        };
        let priority = if random.chance(50) { (random.index(16) << 12) as u16 } else { 0 };
        VlanTag { tpid: if random.chance(70) { TPID_8021Q } else { TPID_8021AD }, tci: vid | priority }
    };
    (0..count).map(|_| one()).collect()
}

/// An ethertype and what follows.
fn packet(random: &mut Random) -> Vec<u8> {
    match random.index(20) {
        0 => resolution(random),
        1 => igmp(random),
        2 => {
            let len = 2 + random.index(200);
            random.octets_of(len)
        }
        3..6 => hash_frames::spoilt_frame(&mut Random::new(random.number())).split_off(12),
        6..13 => hash_frames::frame(&mut Random::new(random.number())).split_off(12),
        _ => {
            let mut udp = hash_frames::plain_udp().split_off(12);
            // Addresses and ports.
            udp[14..26].copy_from_slice(&random.octets_of(12));
            udp
        }
    }
}

/// ARP, RARP, or ICMPv6 of which some is neighbour discovery.
fn resolution(random: &mut Random) -> Vec<u8> {
    if random.chance(60) {
        let kind = *random.pick(&[[0x08, 0x06], [0x80, 0x35]]);
        let head = [0, 1, 8, 0, 6, 4, 0, random.index(5) as u8];
        return [&kind[..], &head, &random.octets_of(20)].concat();
    }
    let mut packet = [&[0x86, 0xdd, 0x60, 0, 0, 0, 0, 24, 58][..], &random.octets_of(1 + 32 + 24)].concat();
    packet[9] = *random.pick(&[64, 255]);
    packet[42] = 130 + random.index(10) as u8;
    packet[43] = 0;
    packet
}

fn igmp(random: &mut Random) -> Vec<u8> {
    let mut packet = hash_frames::plain_udp().split_off(12);
    packet[2 + 9] = 2;
    packet[14..22].copy_from_slice(&random.octets_of(8));
    packet
}

/// Puts an address behind a port: now, a while ago, too long ago; static, or locked; or removes it.
fn place(random: &mut Random, fdb: &Fdb, (vlan, mac): (u16, MacAddr), port: PortId, now: Tick) {
    let ageing = fdb.config().ageing;
    let ago = |ticks: u16| Tick(now.0.wrapping_sub(ticks));
    fdb.remove(vlan, mac);
    match random.index(100) {
        0..55 => {
            fdb.learn(vlan, mac, port, now);
        }
        55..75 => {
            fdb.learn(vlan, mac, port, ago(1 + random.index(usize::from(ageing)) as u16));
        }
        75..79 => {
            fdb.learn(vlan, mac, port, ago(ageing + random.index(2) as u16));
        }
        79..81 => {
            // A thread with a later clock.
            fdb.learn(vlan, mac, port, ago(u16::MAX));
        }
        81..87 => {
            fdb.add_static(vlan, mac, port);
        }
        87..97 => {
            let seen = random.index(10) as u16;
            fdb.learn(vlan, mac, port, ago(seen.min(ageing)));
            fdb.lock(vlan, mac, ago(random.index(usize::from(seen) + 1) as u16));
        }
        _ => {}
    }
}
