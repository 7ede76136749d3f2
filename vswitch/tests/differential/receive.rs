//! Receive balancing: bonds that have it, and frames that it is about.

use std::net::IpAddr;
use std::sync::Arc;

use forwarding::ids::{DeviceId, PortId};
use forwarding::mac::MacAddr;
use forwarding::parse::{Parsed, parse};
use forwarding::receive::{Guests, Receive, bucket};
use forwarding::rewrite;
use forwarding::wire::vlan::TAG_LEN;

use crate::choices::{Choices as _, Random};
use crate::scene::Scene;
use crate::traffic::Case;

/// Members' own addresses.
const OWN: [MacAddr; 6] = [
    MacAddr([6, 1, 2, 3, 4, 5]),
    MacAddr([6, 1, 2, 3, 4, 6]),
    MacAddr([0xfe; 6]),
    MacAddr([0, 0, 0, 0, 0, 1]),
    MacAddr([2, 0xff, 0xff, 0xff, 0xff, 0xff]),
    MacAddr([0x40, 0, 0, 0, 0, 0x80]),
];

/// IP addresses that occur.
fn some_ip(random: &mut Random) -> IpAddr {
    let four = [[192, 0, 2, 1], [192, 0, 2, 2], [10, 255, 0, 255], [203, 0, 113, 7]];
    let six = [[0xfe80, 0, 0, 0, 0, 0, 0, 1], [0x2001, 0xdb8, 0, 0xff, 0, 0xffff, 7, 1], [0xffff; 8]];
    match random.index(7) {
        n @ 0..4 => four[n].into(),
        n => six[n - 4].into(),
    }
}

/// For a bond with these members.
pub(crate) fn some_receive(random: &mut Random, scene: &Scene, members: &[DeviceId]) -> Receive {
    let mut addresses = OWN;
    random.shuffle(&mut addresses);
    let mut own: Vec<_> = addresses.into_iter().zip(members.iter().copied()).collect();
    for ((mac, device), station) in own.iter_mut().zip(&scene.stations) {
        match random.index(20) {
            // The member is down.
            0..3 => *device = *random.pick(members),
            // Somebody else has its address.
            3 => *mac = *station,
            _ => {}
        }
    }
    if random.chance(2) {
        // More than fit: the port is the daemon's alone.
        own.extend((0..40).map(|n| (MacAddr([6, 6, 6, 6, 6, n]), DeviceId(0))));
    }
    let told: Vec<MacAddr> = own.iter().map(|(mac, _)| *mac).collect();
    let table =
        std::array::from_fn(
            |_| if random.chance(30) { None } else { told.first().map(|_| *random.pick(&told)) },
        );
    let bindings: Vec<_> = (0..40)
        .map(|_| ((*random.pick(&scene.vlans), some_ip(random)), *random.pick(&scene.stations)))
        .collect();
    Receive { own, table: Arc::new(table), guests: Arc::new(Guests::new(bindings)), loads: Arc::default() }
}

/// An address to which a frame from a port is a guest's.
pub(crate) fn own_address(random: &mut Random, scene: &Scene, port: PortId) -> Option<MacAddr> {
    let own = &scene.port(port).receive.as_ref()?.own;
    (!own.is_empty()).then(|| random.pick(own).0)
}

/// An IP address that a station has in a VLAN, as far as any bond knows.
fn ip_of(random: &mut Random, scene: &Scene, vlan: Option<u16>, mac: MacAddr) -> IpAddr {
    for _ in 0..8 {
        let ip = some_ip(random);
        let mut ports = scene.tables.ports.iter().flatten();
        let knows = |receive: &Arc<Receive>| Some(receive.guests.owner(vlan?, ip)? == mac);
        if ports.any(|port| port.receive.as_ref().and_then(knows) == Some(true)) {
            return ip;
        }
    }
    some_ip(random)
}

/// An ethertype and a packet, of the kinds that receive balancing looks at.
pub(crate) fn packet(
    random: &mut Random,
    scene: &Scene,
    vlan: Option<u16>,
    dst: MacAddr,
    src: MacAddr,
) -> Vec<u8> {
    let mut named = |mac| if random.chance(85) { mac } else { *random.pick(&scene.stations) };
    let (sender, target) = (named(src), named(dst));
    let from = ip_of(random, scene, vlan, src);
    let to = if random.chance(30) { from } else { some_ip(random) };
    let mut packet = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) if random.chance(50) => {
            let operation = [1, 2, 1, 2, 1, 2, 1, 2, 0, 3][random.index(10)];
            let head = [8, 6, 0, 1, 8, 0, 6, 4, 0, operation];
            [&head[..], &sender.0, &from.octets(), &target.0, &to.octets()].concat()
        }
        (from, IpAddr::V4(to)) => {
            let from = if let IpAddr::V4(from) = from { from.octets() } else { [198, 51, 100, 1] };
            let head = [8, 0, 0x45, 0, 0, 28, 0, 0, random.index(2) as u8, 0, 64, 17, 0, 0];
            [&head[..], &from, &to.octets(), &random.octets_of(8)].concat()
        }
        (from, IpAddr::V6(to)) => {
            let from =
                if let IpAddr::V6(from) = from { from } else { [0x2001, 0xdb8, 0, 0, 0, 0, 0, 9].into() };
            let kind = 135 + random.index(2) as u8;
            let (subject, option) = if kind == 136 { (from, 2) } else { (to, 1) };
            let head = [0x86, 0xdd, 0x60, 0, 0, 0, 0, 32, 58, 255];
            let message = [[kind, 0].to_vec(), random.octets_of(6)].concat();
            let option = [&[option, 1][..], &sender.0].concat();
            [&head[..], &from.octets(), &to.octets(), &message, &subject.octets(), &option].concat()
        }
    };
    if random.chance(10) {
        // One octet is another, most often a little less.
        let at = 2 + random.index(packet.len() - 2);
        packet[at] = if random.chance(40) { random.index(256) as u8 } else { packet[at].wrapping_sub(1) };
    }
    packet
}

/// What a frame is, and whether it is one that receive balancing looks into.
fn parsed(scene: &Scene, case: &Case) -> Option<Parsed> {
    let placed = scene.port(case.port).vlan.place(case.tag)?;
    let parsed = parse(&case.bytes, case.tag).ok()?;
    (parsed.inner_tags == 0 && placed.inner.is_none()).then_some(parsed)
}

/// The guest that a frame is for, which is to a member's own address and came in where it is let in.
pub(crate) fn guest_of(scene: &Scene, case: &Case) -> Option<MacAddr> {
    let receive = scene.port(case.port).receive.as_ref()?;
    if receive.device_of(case.dst)? != case.device {
        return None;
    }
    let ip = rewrite::destination(&case.bytes, &parsed(scene, case)?)?;
    receive.guests.owner(case.vlan?, ip)
}

/// What a forwarded frame adds to the counters of what came in: bucket and octets.
pub(crate) fn load_of(scene: &Scene, case: &Case) -> Option<(usize, u64)> {
    scene.port(case.port).receive.as_ref()?;
    let ip = rewrite::ip_destination(&case.bytes, &parsed(scene, case)?)?;
    let octets = case.bytes.len() + if case.tag.is_some() { TAG_LEN } else { 0 };
    Some((bucket(case.src, ip).into(), octets as u64))
}
