//! Frames at random, made of headers that the hashes know, of some they don't, and then spoilt.

/// Numbers that look random, the same for the same seed (splitmix64).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let n = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let n = (n ^ n >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        n ^ n >> 31
    }

    /// A number below `limit`.
    fn below(&mut self, limit: usize) -> usize {
        (self.number() % limit as u64) as usize
    }

    fn percent(&mut self, share: usize) -> bool {
        self.below(100) < share
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    fn octets(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.number() as u8).collect()
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|octet| format!("{octet:02x}")).collect()
}

pub(crate) fn octets(hex: &str) -> Vec<u8> {
    assert!(hex.len().is_multiple_of(2));
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect()
}

/// UDP over IPv4 in 60 octets.
pub(crate) fn plain_udp() -> Vec<u8> {
    let mut bytes =
        octets("02000000aa1002000000bb210800450000240001000040110000c0000201c633644d0400003500100000");
    bytes.resize(60, 0);
    bytes
}

/// Longest frame: the kernel runs programs on one page.
const LONGEST: usize = 2000;

/// A frame whose headers fit together.
pub(crate) fn frame(random: &mut Random) -> Vec<u8> {
    let depth = if random.percent(5) { 20 } else { random.below(6) };
    let mut bytes = random.octets(12);
    bytes.extend(named_packet(random, depth));
    bytes.truncate(LONGEST);
    bytes
}

/// A frame with this many headers that each make a walk go one transition further, and a packet that may do so too.
pub(crate) fn nested(random: &mut Random, depth: usize) -> Vec<u8> {
    let (mut ethertype, mut packet) = match random.below(4) {
        0 => (0x0800, [ipv4_header(random, 47, false), gre(random, 1)].concat()),
        // PPP of something unknown: a transition to nowhere.
        2 => (0x0800, [ipv4_header(random, 47, false), octets("2001880b00000000ff030023")].concat()),
        1 => {
            let ipv6 = [&[0x60, 0, 0, 0, 0, 0, 43, 64], &random.octets(32)[..]].concat();
            (0x86dd, [ipv6, vec![*random.pick(PROTOCOLS), 0], random.octets(30)].concat())
        }
        _ => packet(random, 2),
    };
    for _ in 0..depth {
        let (gre, tag) =
            ([vec![0; 2], number(ethertype)].concat(), [random.octets(2), number(ethertype)].concat());
        let (outer, header) = match (ethertype, random.below(4)) {
            (0x0800, 0 | 1) => (0x0800, ipv4_header(random, 4, false)),
            (0x86dd, 0 | 1) => (0x0800, ipv4_header(random, 41, false)),
            (_, 0 | 2) => (0x0800, [ipv4_header(random, 47, false), gre].concat()),
            _ => (0x8100, tag),
        };
        ethertype = outer;
        packet.splice(0..0, header);
    }
    [random.octets(12), number(ethertype), packet].concat()
}

/// A frame that may be cut off or have wrong octets.
pub(crate) fn spoilt_frame(random: &mut Random) -> Vec<u8> {
    let mut bytes = frame(random);
    if random.percent(30) {
        bytes.truncate(super::SHORTEST_FRAME + random.below(bytes.len() - super::SHORTEST_FRAME + 1));
    }
    if random.percent(30) {
        for _ in 0..=random.below(3) {
            let among = if random.percent(50) { bytes.len() } else { bytes.len().min(80) };
            let at = random.below(among);
            bytes[at] =
                if random.percent(50) { random.number() as u8 } else { bytes[at] ^ 1 << random.below(8) };
        }
    }
    bytes
}

/// IP protocols that the hashes tell apart.
pub(crate) const PROTOCOLS: &[u8] = &[0, 1, 4, 6, 17, 33, 41, 43, 44, 47, 50, 51, 58, 60, 132, 136, 137];

/// A header of an IP protocol behind IPv4, IPv6, and an extension header of so many units of 8 octets; and random
/// octets behind that. The options of IPv4 move it by units of 4.
pub(crate) fn far_header(random: &mut Random, units: usize, protocol: u8) -> Vec<u8> {
    let mut bytes = random.octets(12);
    bytes.extend([0x08, 0x00]);
    bytes.extend(ipv4_header(random, 41, true));
    bytes.extend([0x60, 0, 0, 0, 0, 0, 60, 64]);
    bytes.extend(random.octets(32));
    bytes.extend([protocol, (units - 1) as u8]);
    bytes.extend(random.octets(units * 8 - 2));
    bytes.extend(if protocol == 47 { gre(random, 1) } else { random.octets(60) });
    bytes
}

fn ipv4_header(random: &mut Random, protocol: u8, options: bool) -> Vec<u8> {
    let options = if options { random.below(11) } else { 0 };
    let mut header = random.octets(20 + options * 4);
    header[0] = 0x45 + options as u8;
    let fragment: u16 =
        if random.percent(10) { random.number() as u16 } else { *random.pick(&[0, 0x4000, 0x8000]) };
    header[6..8].copy_from_slice(&fragment.to_be_bytes());
    header[9] = protocol;
    header
}

fn number(number: u16) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

/// An ethertype and a packet of it.
fn named_packet(random: &mut Random, depth: usize) -> Vec<u8> {
    let (ethertype, packet) = packet(random, depth);
    [number(ethertype), packet].concat()
}

fn packet(random: &mut Random, depth: usize) -> (u16, Vec<u8>) {
    let (kind, depth) = if depth == 0 { (random.below(12), 0) } else { (random.below(28), depth - 1) };
    match kind {
        0..6 => (0x0800, ipv4(random, depth)),
        6..12 => (0x86dd, ipv6(random, depth)),
        12..17 => {
            let tag = [random.octets(2), named_packet(random, depth)].concat();
            (*random.pick(&[0x8100, 0x88a8]), tag)
        }
        17..20 => (0x8864, pppoe(random, depth)),
        20 => {
            let head = if random.percent(90) { vec![0x40, 15] } else { random.octets(2) };
            (0x4305, [head, random.octets(20), named_packet(random, depth)].concat())
        }
        21 => {
            let tag = [random.octets(4), named_packet(random, depth)].concat();
            (*random.pick(&[0x88fb, 0x892f]), tag)
        }
        22 => (0x88ca, random.octets(24)),
        23 => {
            let len = 30 + random.below(12);
            (*random.pick(&[0x88f7, 0x8906]), random.octets(len))
        }
        24 => (*random.pick(&[0x0806, 0x8035, 0x8847, 0x8848]), random.octets(28)),
        25 => (random.below(1536) as u16, random.octets(40)),
        26 => (*random.pick(&[0x880b, 0x6558, 0x9100, 0x88cc, 0x8863]), random.octets(40)),
        _ => (random.number() as u16, random.octets(40)),
    }
}

fn ipv4(random: &mut Random, depth: usize) -> Vec<u8> {
    let (protocol, payload) = protocol(random, depth, false);
    let options = random.percent(30);
    let mut header = ipv4_header(random, protocol, options);
    if random.percent(3) {
        header[0] = random.number() as u8;
    }
    [header, payload].concat()
}

fn ipv6(random: &mut Random, depth: usize) -> Vec<u8> {
    let (protocol, payload) = protocol(random, depth, true);
    [vec![0x60, 0, 0, 0, 0, 0, protocol, 64], random.octets(32), payload].concat()
}

/// The number of an IP protocol and what it says.
fn protocol(random: &mut Random, depth: usize, v6: bool) -> (u8, Vec<u8>) {
    let (kind, depth) = if depth == 0 { (random.below(8), 0) } else { (random.below(26), depth - 1) };
    match kind {
        0..4 => (*random.pick(&[6, 17]), random.octets(20)),
        4..6 => (*random.pick(&[33, 50, 51, 132, 136]), random.octets(20)),
        6 => (if random.percent(80) == v6 { 58 } else { 1 }, icmp_query(random)),
        7 => {
            let any = random.number() as u8;
            (*random.pick(&[59, 137, any]), random.octets(20))
        }
        8..10 => (if random.percent(90) == v6 { 58 } else { 1 }, icmp_error(random, depth, v6)),
        10..13 => (4, ipv4(random, depth)),
        13..15 => (41, ipv6(random, depth)),
        15..20 => (47, gre(random, depth)),
        20 => {
            let (next, payload) = protocol(random, depth, v6);
            (44, [vec![next], random.octets(7), payload].concat())
        }
        _ => {
            let (next, payload) = protocol(random, depth, v6);
            let units = if random.percent(10) { 40 + random.below(30) } else { random.below(3) };
            let header = [vec![next, units as u8], random.octets(6 + units * 8)].concat();
            (*random.pick(&[0, 43, 60]), [header, payload].concat())
        }
    }
}

fn icmp_query(random: &mut Random) -> Vec<u8> {
    let mut message = random.octets(16);
    message[0] = *random.pick(&[0, 8, 13, 14, 128, 129, 10, 133]);
    if random.percent(20) {
        message[4..6].fill(0);
    }
    message
}

fn icmp_error(random: &mut Random, depth: usize, v6: bool) -> Vec<u8> {
    let mut header = random.octets(8);
    header[0] = if v6 { random.below(6) as u8 } else { *random.pick(&[2, 3, 4, 5, 11, 12]) };
    let mut quoted = if v6 { ipv6(random, depth) } else { ipv4(random, depth) };
    if random.percent(40) {
        quoted.truncate(28);
    }
    [header, quoted].concat()
}

fn gre(random: &mut Random, depth: usize) -> Vec<u8> {
    let mut flags: u16 = 0;
    for (flag, share) in [(0x8000, 30), (0x2000, 40), (0x1000, 30), (0x4000, 3), (0x0080, 10), (0x0008, 10)] {
        flags |= if random.percent(share) { flag } else { 0 };
    }
    if random.percent(5) {
        flags |= random.number() as u16 & 7;
    }
    let ppp = random.percent(25);
    if ppp && random.percent(95) {
        flags = flags & !7 | if random.percent(85) { 0x2001 } else { 1 };
    }
    let optional = [0x8000, 0x2000, 0x1000].into_iter().filter(|flag| flags & flag != 0).count()
        + usize::from(ppp && flags & 0x0080 != 0);
    let fields = random.octets(optional * 4);
    let (ethertype, payload) = match random.below(4) {
        _ if ppp => {
            let version6 = random.percent(40);
            let protocol = if random.percent(25) {
                random.number() as u8
            } else if version6 {
                0x57
            } else {
                0x21
            };
            let packet = if version6 { ipv6(random, depth) } else { ipv4(random, depth) };
            (0x880b, [vec![0xff, 3, 0, protocol], packet].concat())
        }
        0 => (*random.pick(&[0x0806, 0x8847]), random.octets(20)),
        1 => (0x6558, [random.octets(12), named_packet(random, depth)].concat()),
        _ => packet(random, depth),
    };
    [number(flags), number(ethertype), fields, payload].concat()
}

fn pppoe(random: &mut Random, depth: usize) -> Vec<u8> {
    let head = if random.percent(95) {
        vec![0x11, 0]
    } else {
        vec![0x11 + random.below(2) as u8, random.below(2) as u8]
    };
    let any = random.number() as u16;
    let (protocol, packet) = match random.below(4) {
        0 | 1 => (0x0021u16, ipv4(random, depth)),
        2 => (0x0057, ipv6(random, depth)),
        _ => (*random.pick(&[0x0281, 0x0283, 0xc021, 0x0020, any]), random.octets(20)),
    };
    let name = if protocol < 0x100 && random.percent(30) { vec![protocol as u8] } else { number(protocol) };
    [head, random.octets(4), name, packet].concat()
}
