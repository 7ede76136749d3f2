//! Which frames a control socket lets in: classic BPF programs (linux/filter.h), run by the kernel for every frame that the
//! socket could have.

use std::net::{Ipv4Addr, Ipv6Addr};

use bond_port::probe::ProbeOptions;
use forwarding::wire::{ethernet, nd};
use lacp::slow;

/// What a control socket hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hears {
    /// The Slow Protocols, untagged.
    SlowProtocols,
    /// ARP and neighbour discovery from, to or about targets of link probes.
    Probes(Probes),
}

/// The targets of link probes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probes {
    /// The tag's VLAN; 0 for no tag, or that of a priority only.
    vlan: u16,
    /// All ARP and neighbour discovery, whoever it is from and about.
    all: bool,
    four: Vec<Ipv4Addr>,
    six: Vec<Ipv6Addr>,
}

impl Probes {
    /// What a bond with these options has to hear.
    pub fn new(options: &ProbeOptions) -> Self {
        Self {
            vlan: options.vlan,
            all: options.validate.filters(),
            four: options.ip_targets.clone(),
            six: options.ip6_targets.clone(),
        }
    }
}

const LOAD_WORD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const LOAD_HALF: u32 = libc::BPF_LD | libc::BPF_H | libc::BPF_ABS;
const LOAD_BYTE: u32 = libc::BPF_LD | libc::BPF_B | libc::BPF_ABS;
const AND: u32 = libc::BPF_ALU | libc::BPF_AND | libc::BPF_K;
const IF_EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
const JUMP: u32 = libc::BPF_JMP | libc::BPF_JA;
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
const TAG_PRESENT: u32 = (libc::SKF_AD_OFF + libc::SKF_AD_VLAN_TAG_PRESENT).cast_unsigned();
const TAG: u32 = (libc::SKF_AD_OFF + libc::SKF_AD_VLAN_TAG).cast_unsigned();
const PACKET_TYPE: u32 = (libc::SKF_AD_OFF + libc::SKF_AD_PKTTYPE).cast_unsigned();

const VID: u32 = 0xfff;
/// Of the sender's and the target's IPv4 address in an ARP frame.
const ARP_ADDRESSES: [u32; 2] = [ethernet::HEADER_LEN as u32 + 14, ethernet::HEADER_LEN as u32 + 24];
const NEXT_HEADER: u32 = ethernet::HEADER_LEN as u32 + 6;
const ICMP_TYPE: u32 = ethernet::HEADER_LEN as u32 + 40;
/// Of the last word of the source and of the address that the message is about.
const ND_ADDRESSES: [u32; 2] = [ethernet::HEADER_LEN as u32 + 20, ICMP_TYPE + 20];

/// An instruction with jumps to places that are named.
struct Line {
    code: u32,
    k: u32,
    /// Where to if it holds; otherwise the next line.
    then: Option<Place>,
    /// Where to if it does not.
    otherwise: Option<Place>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Take,
    Refuse,
    Index(usize),
}

/// A program under construction. It ends with an instruction that takes the frame and one that refuses it.
#[derive(Default)]
struct Program(Vec<Line>);

impl Program {
    fn load(&mut self, code: u32, from: u32) {
        self.0.push(Line { code, k: from, then: None, otherwise: None });
    }

    fn and(&mut self, mask: u32) {
        self.0.push(Line { code: AND, k: mask, then: None, otherwise: None });
    }

    fn test(&mut self, value: u32, then: Option<Place>, otherwise: Option<Place>) {
        self.0.push(Line { code: IF_EQUAL, k: value, then, otherwise });
    }

    /// The frame is refused unless what was loaded is equal.
    fn require(&mut self, value: u32) {
        self.test(value, None, Some(Place::Refuse));
    }

    fn jump(&mut self, to: Place) {
        self.0.push(Line { code: JUMP, k: 0, then: Some(to), otherwise: None });
    }

    fn finish(self, octets: u32) -> Vec<libc::sock_filter> {
        let end = self.0.len();
        let distance = |from: usize, to: Option<Place>| match to {
            None => 0,
            Some(Place::Take) => end - from - 1,
            Some(Place::Refuse) => end - from,
            Some(Place::Index(index)) => index - from - 1,
        };
        let mut program: Vec<libc::sock_filter> = Vec::new();
        for (index, line) in self.0.iter().enumerate() {
            let (then, otherwise) = (distance(index, line.then), distance(index, line.otherwise));
            program.push(if line.code == JUMP {
                instruction(JUMP, 0, 0, then as u32)
            } else {
                // A program is shorter than 256 instructions; see the test.
                instruction(line.code, then as u8, otherwise as u8, line.k)
            });
        }
        program.extend([octets, 0].map(|taken| instruction(RETURN, 0, 0, taken)));
        program
    }
}

fn instruction(code: u32, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt, jf, k }
}

/// The program that lets in what is heard; `octets` of a frame are kept.
pub(super) fn program(hears: &Hears, octets: u32) -> Vec<libc::sock_filter> {
    let mut program = Program::default();
    match hears {
        Hears::SlowProtocols => slow_protocols(&mut program),
        Hears::Probes(probes) => of_probes(&mut program, probes),
    }
    program.finish(octets)
}

/// What is untagged, from the wire, and to the Slow Protocols' address. (The kernel calls a frame with a tag of no VLAN
/// device here another host's.)
fn slow_protocols(program: &mut Program) {
    let [a, b, c, d, e, f] = slow::DESTINATION;
    let conditions = [
        (LOAD_WORD, 0, u32::from_be_bytes([a, b, c, d])),
        (LOAD_HALF, 4, u32::from_be_bytes([0, 0, e, f])),
        (LOAD_WORD, TAG_PRESENT, 0),
        (LOAD_WORD, PACKET_TYPE, u32::from(libc::PACKET_MULTICAST)),
    ];
    for (load, from, value) in conditions {
        program.load(load, from);
        program.require(value);
    }
}

/// What is in the VLAN and is ARP with a target as one of its two addresses, or a neighbour solicitation or advertisement
/// from or about a target, by the last 32 bits of its address.
fn of_probes(program: &mut Program, probes: &Probes) {
    if probes.vlan == 0 {
        program.load(LOAD_WORD, TAG_PRESENT);
        let untagged = Place::Index(program.0.len() + 4);
        program.test(0, Some(untagged), None);
    }
    program.load(LOAD_WORD, TAG);
    program.and(VID);
    program.require(probes.vlan.into());
    if probes.vlan != 0 {
        program.load(LOAD_WORD, TAG_PRESENT);
        program.test(0, Some(Place::Refuse), None);
    }
    program.load(LOAD_HALF, ethernet::ETHERTYPE_OFFSET as u32);
    if !probes.four.is_empty() {
        let words: Vec<u32> = probes.four.iter().map(|ip| u32::from(*ip)).collect();
        // One more than the lines of the block.
        let lines = if probes.all { 1 } else { 2 * (1 + words.len()) + 1 };
        let behind = Place::Index(program.0.len() + 1 + lines);
        program.test(ethernet::ETHERTYPE_ARP.into(), None, Some(behind));
        one_of(program, probes.all, ARP_ADDRESSES, &words);
    }
    if probes.six.is_empty() {
        program.jump(Place::Refuse);
        return;
    }
    program.require(ethernet::ETHERTYPE_IPV6.into());
    program.load(LOAD_BYTE, NEXT_HEADER);
    program.require(nd::PROTOCOL_ICMPV6.into());
    program.load(LOAD_BYTE, ICMP_TYPE);
    let is_nd = Place::Index(program.0.len() + 2);
    program.test(nd::SOLICITATION.into(), Some(is_nd), None);
    program.require(nd::ADVERTISEMENT.into());
    let words: Vec<u32> = probes.six.iter().map(|ip| u128::from(*ip) as u32).collect();
    one_of(program, probes.all, ND_ADDRESSES, &words);
}

/// Takes the frame if `all` is wanted or one of the words at these places is one of these; refuses it otherwise.
fn one_of(program: &mut Program, all: bool, places: [u32; 2], words: &[u32]) {
    if all {
        program.jump(Place::Take);
        return;
    }
    for place in places {
        program.load(LOAD_WORD, place);
        words.iter().for_each(|word| program.test(*word, Some(Place::Take), None));
    }
    program.jump(Place::Refuse);
}

#[cfg(test)]
#[path = "filter/tests.rs"]
mod tests;
