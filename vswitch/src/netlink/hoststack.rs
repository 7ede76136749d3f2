//! Keeps the host's own stack from processing frames that arrive on a switched device, while packet sockets still get
//! them: an nftables base chain on the device's ingress hook that drops everything but the Slow Protocols. (Packet sockets
//! for every protocol see a frame before that hook, those for one protocol behind it: __netif_receive_skb_core(). LACP has
//! such a socket, and the host has no other use of these frames.) In nft's words:
//!
//! ```text
//! table netdev vswitch-eth1 {
//!     chain ingress {
//!         type filter hook ingress device "eth1" priority 0; policy drop;
//!         @ll,0,48 0x0180c2000002 @ll,96,16 0x8809 accept
//!     }
//! }
//! ```
//!
//! The type is compared too: an ARP request to that address is not the host's to answer. A frame with a tag has the tag's
//! protocol in that place, also where the kernel keeps it beside the octets (nft_payload_copy_vlan()).
//!
//! The table outlives a killed daemon, which is wanted: the device is still a port of the switch, and the next daemon
//! takes over without a gap. While the daemon lives it owns the table (Linux >= 6.9), so that reloading a firewall with
//! `nft flush ruleset` does not take the shield away.

use std::fs;
use std::path::PathBuf;

use forwarding::mac::MacAddr;
use forwarding::wire::ethernet::{ETHERTYPE_OFFSET, ETHERTYPE_SLOW_PROTOCOLS};
use netlink_packet_route::link::LinkFlags;
use netlink_sys::protocols::NETLINK_NETFILTER;

use super::NetlinkError;
use super::link;
use super::socket::{Channel, append_attribute, append_message, flags};

// linux/netfilter.h, linux/netfilter/nfnetlink.h, linux/netfilter/nf_tables.h
const NFPROTO_UNSPEC: u8 = 0;
const NFPROTO_NETDEV: u8 = 5;
const NFNL_MSG_BATCH_BEGIN: u16 = 16;
const NFNL_MSG_BATCH_END: u16 = 17;
const NFNL_SUBSYS_NFTABLES: u16 = 10;
const NFT_MSG_NEWTABLE: u16 = 0;
const NFT_MSG_DELTABLE: u16 = 2;
const NFT_MSG_NEWCHAIN: u16 = 3;
const NFT_MSG_NEWRULE: u16 = 6;
const NFTA_TABLE_NAME: u16 = 1;
const NFTA_TABLE_FLAGS: u16 = 2;
const NFT_TABLE_F_OWNER: u32 = 2;
const NFT_TABLE_F_PERSIST: u32 = 4;
const NFTA_CHAIN_TABLE: u16 = 1;
const NFTA_CHAIN_NAME: u16 = 3;
const NFTA_CHAIN_HOOK: u16 = 4;
const NFTA_CHAIN_POLICY: u16 = 5;
const NFTA_CHAIN_TYPE: u16 = 7;
const NFTA_HOOK_HOOKNUM: u16 = 1;
const NFTA_HOOK_PRIORITY: u16 = 2;
const NFTA_HOOK_DEV: u16 = 3;
const NFTA_RULE_TABLE: u16 = 1;
const NFTA_RULE_CHAIN: u16 = 2;
const NFTA_RULE_EXPRESSIONS: u16 = 4;
const NFTA_LIST_ELEM: u16 = 1;
const NFTA_EXPR_NAME: u16 = 1;
const NFTA_EXPR_DATA: u16 = 2;
const NFTA_PAYLOAD_DREG: u16 = 1;
const NFTA_PAYLOAD_BASE: u16 = 2;
const NFTA_PAYLOAD_OFFSET: u16 = 3;
const NFTA_PAYLOAD_LEN: u16 = 4;
const NFT_PAYLOAD_LL_HEADER: u32 = 0;
const NFTA_CMP_SREG: u16 = 1;
const NFTA_CMP_OP: u16 = 2;
const NFTA_CMP_DATA: u16 = 3;
const NFT_CMP_EQ: u32 = 0;
const NFTA_IMMEDIATE_DREG: u16 = 1;
const NFTA_IMMEDIATE_DATA: u16 = 2;
const NFTA_DATA_VALUE: u16 = 1;
const NFTA_DATA_VERDICT: u16 = 2;
const NFTA_VERDICT_CODE: u16 = 1;
const NFT_REG_VERDICT: u32 = 0;
const NFT_REG_1: u32 = 1;
const NLA_F_NESTED: u16 = 1 << 15;
const NF_NETDEV_INGRESS: u32 = 0;
const NF_DROP: u32 = 0;
const NF_ACCEPT: u32 = 1;

/// How well the host's stack is kept out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostStack {
    /// It processes no frame that arrives on the device, but for a socket's that asks for the Slow Protocols.
    Shielded,
    /// It still sees frames, but answers no ARP and, where possible, no IPv6; the text says why, for the log.
    Partly(String),
}

/// A shield in place. It stays when this is dropped; see [`Shield::remove`].
#[derive(Debug)]
#[must_use = "the shield must be removed when the device is given back"]
pub struct Shield {
    ifindex: u32,
    name: String,
    means: Means,
    state: HostStack,
}

#[derive(Debug)]
enum Means {
    /// An nftables table, owned by this socket where the kernel knows owners.
    Table(Nftables),
    Fallback(Fallback),
}

/// What the fallback has changed.
#[derive(Debug)]
struct Fallback {
    set_noarp: bool,
    disabled_ipv6: Option<PathBuf>,
}

impl Shield {
    /// Puts the shield before the device, replacing one that a killed daemon left.
    ///
    /// # Errors
    /// No such device, or no CAP_NET_ADMIN. A kernel without nftables is no error, but [`HostStack::Partly`].
    pub fn install(name: &str, ifindex: u32) -> Result<Self, NetlinkError> {
        match install_table(name) {
            Ok(owner) => {
                let means = Means::Table(owner);
                Ok(Self { ifindex, name: name.to_owned(), means, state: HostStack::Shielded })
            }
            Err(error) if error.is(libc::EPERM) || error.is(libc::ENODEV) => Err(error),
            Err(error) => Self::install_fallback(name, ifindex, &error.to_string()),
        }
    }

    /// What there is without nftables: no ARP by IFF_NOARP, and no IPv6, unless the device has IPv6 addresses of the
    /// administrator's, which that would take away.
    ///
    /// # Errors
    /// No such device, or no CAP_NET_ADMIN.
    pub fn install_fallback(name: &str, ifindex: u32, cause: &str) -> Result<Self, NetlinkError> {
        let set_noarp = !link::has_flag(ifindex, LinkFlags::Noarp)?;
        link::set_flag(ifindex, LinkFlags::Noarp, true, || format!("turn off ARP on \"{name}\""))?;
        let disabled_ipv6 = disable_ipv6(name);
        let ipv6 = if disabled_ipv6.is_some() { "ARP and IPv6 are" } else { "ARP is" };
        let state = HostStack::Partly(format!(
            "the host's own stack still sees frames that arrive on \"{name}\" ({ipv6} turned off there): {cause}; \
             load the kernel module nf_tables"
        ));
        let means = Means::Fallback(Fallback { set_noarp, disabled_ipv6 });
        Ok(Self { ifindex, name: name.to_owned(), means, state })
    }

    /// How well the host's stack is kept out.
    pub fn state(&self) -> &HostStack {
        &self.state
    }

    /// Takes the shield away. A device that has vanished is no error.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn remove(self) -> Result<(), NetlinkError> {
        let fallback = match self.means {
            Means::Table(mut owner) => return owner.remove(&self.name),
            Means::Fallback(fallback) => fallback,
        };
        if let Some(setting) = fallback.disabled_ipv6 {
            // Gone together with the device.
            let _vanished = fs::write(setting, "0");
        }
        if !fallback.set_noarp {
            return Ok(());
        }
        let action = || format!("turn on ARP on \"{}\" again", self.name);
        match link::set_flag(self.ifindex, LinkFlags::Noarp, false, action) {
            Err(error) if !error.is(libc::ENODEV) => Err(error),
            _ => Ok(()),
        }
    }
}

/// Removes the table that a killed daemon may have left for a device of this name.
///
/// # Errors
/// When the kernel refuses: `EPERM` if a living process owns it. That there is none is no error.
pub fn remove_stale(name: &str) -> Result<(), NetlinkError> {
    match Nftables::open(&table_name(name)) {
        Ok(mut nftables) => nftables.remove(name),
        // A kernel without nftables.
        Err(error) if error.is(libc::EPROTONOSUPPORT) => Ok(()),
        Err(error) => Err(error),
    }
}

fn table_name(device: &str) -> String {
    format!("vswitch-{device}")
}

fn install_table(device: &str) -> Result<Nftables, NetlinkError> {
    let mut nftables = Nftables::open(&table_name(device))?;
    match nftables.install(device, NFT_TABLE_F_OWNER | NFT_TABLE_F_PERSIST) {
        Err(error) if error.is(libc::EOPNOTSUPP) || error.is(libc::EINVAL) => {
            // A kernel before 6.9 knows no such flags. It has an error for the chain of the refused table too, which
            // the socket must not give for an answer to the next batch.
            nftables = Nftables::open(&table_name(device))?;
            nftables.install(device, 0)?;
        }
        result => result?,
    }
    Ok(nftables)
}

/// A socket to nf_tables.
#[derive(Debug)]
struct Nftables(Channel);

impl Nftables {
    fn open(table: &str) -> Result<Self, NetlinkError> {
        let action = || format!("use nftables for the table \"{table}\"");
        let channel = Channel::open(NETLINK_NETFILTER, &[]);
        channel.map(Self).map_err(|source| NetlinkError { action: action(), source, kernel_says: None })
    }

    /// One transaction: make sure there is a table, so that deleting it can't fail; delete it; make it anew with its
    /// chain and rule.
    fn install(&mut self, device: &str, table_flags: u32) -> Result<(), NetlinkError> {
        let table = table_name(device);
        let name_table = |m: &mut Vec<u8>| append_text(m, NFTA_TABLE_NAME, &table);
        let mut batch = Batch::begin();
        batch.message(NFT_MSG_NEWTABLE, flags::CREATE, name_table);
        batch.message(NFT_MSG_DELTABLE, 0, name_table);
        batch.message(NFT_MSG_NEWTABLE, flags::CREATE, |m| {
            name_table(m);
            append_number(m, NFTA_TABLE_FLAGS, table_flags);
        });
        batch.message(NFT_MSG_NEWCHAIN, flags::CREATE, |m| {
            append_text(m, NFTA_CHAIN_TABLE, &table);
            append_text(m, NFTA_CHAIN_NAME, "ingress");
            append_text(m, NFTA_CHAIN_TYPE, "filter");
            append_nested(m, NFTA_CHAIN_HOOK, |m| {
                append_number(m, NFTA_HOOK_HOOKNUM, NF_NETDEV_INGRESS);
                append_number(m, NFTA_HOOK_PRIORITY, 0);
                append_text(m, NFTA_HOOK_DEV, device);
            });
            append_number(m, NFTA_CHAIN_POLICY, NF_DROP);
        });
        batch.message(NFT_MSG_NEWRULE, flags::CREATE | flags::APPEND, |m| {
            append_text(m, NFTA_RULE_TABLE, &table);
            append_text(m, NFTA_RULE_CHAIN, "ingress");
            append_nested(m, NFTA_RULE_EXPRESSIONS, |m| {
                append_match(m, 0, &MacAddr::SLOW_PROTOCOLS.0);
                append_match(m, ETHERTYPE_OFFSET as u32, &ETHERTYPE_SLOW_PROTOCOLS.to_be_bytes());
                append_accept(m);
            });
        });
        batch.commit(&mut self.0, || format!("make the nftables table \"{table}\""))
    }

    fn remove(&mut self, device: &str) -> Result<(), NetlinkError> {
        let table = table_name(device);
        let mut batch = Batch::begin();
        batch.message(NFT_MSG_DELTABLE, 0, |m| append_text(m, NFTA_TABLE_NAME, &table));
        match batch.commit(&mut self.0, || format!("remove the nftables table \"{table}\"")) {
            Err(error) if error.is(libc::ENOENT) || error.is(libc::EOPNOTSUPP) => Ok(()),
            result => result,
        }
    }
}

/// Messages that nf_tables applies all or none.
struct Batch {
    bytes: Vec<u8>,
    sequence: u32,
}

impl Batch {
    fn begin() -> Self {
        let mut batch = Self { bytes: Vec::new(), sequence: 0 };
        batch.bracket(NFNL_MSG_BATCH_BEGIN);
        batch
    }

    fn commit(mut self, to: &mut Channel, action: impl Fn() -> String) -> Result<(), NetlinkError> {
        let last = self.sequence;
        self.bracket(NFNL_MSG_BATCH_END);
        to.transact(&self.bytes, last, action, |_| {})
    }

    fn message(&mut self, kind: u16, more_flags: u16, body: impl FnOnce(&mut Vec<u8>)) {
        self.sequence += 1;
        let kind = NFNL_SUBSYS_NFTABLES << 8 | kind;
        let flags = flags::REQUEST | flags::ACK | more_flags;
        append_message(&mut self.bytes, kind, flags, self.sequence, |m| {
            m.extend_from_slice(&[NFPROTO_NETDEV, 0, 0, 0]);
            body(m);
        });
    }

    /// Begin and end carry the subsystem's number in network byte order.
    fn bracket(&mut self, kind: u16) {
        self.sequence += 1;
        append_message(&mut self.bytes, kind, flags::REQUEST, self.sequence, |m| {
            m.extend_from_slice(&[NFPROTO_UNSPEC, 0]);
            m.extend_from_slice(&NFNL_SUBSYS_NFTABLES.to_be_bytes());
        });
    }
}

fn append_text(to: &mut Vec<u8>, kind: u16, text: &str) {
    append_attribute(to, kind, |value| {
        value.extend_from_slice(text.as_bytes());
        value.push(0);
    });
}

fn append_number(to: &mut Vec<u8>, kind: u16, number: u32) {
    append_attribute(to, kind, |value| value.extend_from_slice(&number.to_be_bytes()));
}

fn append_nested(to: &mut Vec<u8>, kind: u16, value: impl FnOnce(&mut Vec<u8>)) {
    append_attribute(to, kind | NLA_F_NESTED, value);
}

/// One step of a rule.
fn append_expression(to: &mut Vec<u8>, name: &str, data: impl FnOnce(&mut Vec<u8>)) {
    append_nested(to, NFTA_LIST_ELEM, |m| {
        append_text(m, NFTA_EXPR_NAME, name);
        append_nested(m, NFTA_EXPR_DATA, data);
    });
}

/// The rule goes on if these octets are at this offset from the start of the frame.
fn append_match(to: &mut Vec<u8>, offset: u32, octets: &[u8]) {
    append_expression(to, "payload", |m| {
        append_number(m, NFTA_PAYLOAD_DREG, NFT_REG_1);
        append_number(m, NFTA_PAYLOAD_BASE, NFT_PAYLOAD_LL_HEADER);
        append_number(m, NFTA_PAYLOAD_OFFSET, offset);
        append_number(m, NFTA_PAYLOAD_LEN, octets.len() as u32);
    });
    append_expression(to, "cmp", |m| {
        append_number(m, NFTA_CMP_SREG, NFT_REG_1);
        append_number(m, NFTA_CMP_OP, NFT_CMP_EQ);
        append_nested(m, NFTA_CMP_DATA, |m| {
            append_attribute(m, NFTA_DATA_VALUE, |value| value.extend_from_slice(octets));
        });
    });
}

/// The frame goes on into the host's stack.
fn append_accept(to: &mut Vec<u8>) {
    append_expression(to, "immediate", |m| {
        append_number(m, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
        append_nested(m, NFTA_IMMEDIATE_DATA, |m| {
            append_nested(m, NFTA_DATA_VERDICT, |m| append_number(m, NFTA_VERDICT_CODE, NF_ACCEPT));
        });
    });
}

/// Turns IPv6 off on the device and returns the setting to undo; `None` if that was not done.
fn disable_ipv6(device: &str) -> Option<PathBuf> {
    const LINK_SCOPE: &str = "20";
    let addresses = fs::read_to_string("/proc/thread-self/net/if_inet6").ok()?;
    // Each line: address, index, prefix length, scope, flags, device.
    let administered = addresses.lines().any(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        fields.get(5) == Some(&device) && fields.get(3) != Some(&LINK_SCOPE)
    });
    let setting = PathBuf::from(format!("/proc/sys/net/ipv6/conf/{device}/disable_ipv6"));
    let is_on = fs::read_to_string(&setting).ok()?.trim() == "0";
    (is_on && !administered && fs::write(&setting, "1").is_ok()).then_some(setting)
}
