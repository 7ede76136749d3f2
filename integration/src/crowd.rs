//! Hundreds of ports: veth pairs with one end in the switch's namespace and the other, without addresses, in one common
//! namespace, made with a few program starts.

use anyhow::Result;

use crate::netns::{Namespace, format_mac};
use crate::packets::Station;

/// The far ends of many cables.
pub struct Crowd {
    /// Where the far ends are.
    pub namespace: Namespace,
    prefix: String,
    count: usize,
}

impl Crowd {
    /// `count` cables: `{prefix}1`, `{prefix}2`, .. at the host; the far ends have the same names. Both are up.
    pub fn new(host: &Namespace, prefix: &str, count: usize) -> Result<Self> {
        let namespace = Namespace::new("crowd")?;
        for quiet in [host, &namespace] {
            let _ = quiet.sysctl("ipv6/conf/default/disable_ipv6", "1");
        }
        let crowd = Self { namespace, prefix: prefix.to_owned(), count };
        let net = crowd.namespace.path();
        // Numbers far from those that cables get, and different at the two ends (see `netns::cable`).
        let near = crowd.names().enumerate().flat_map(|(i, name)| {
            let (index, peer) = (10_000 + i, 20_000 + i);
            let add = format!(
                "link add {name} index {index} type veth peer name {name} index {peer} address {} netns {net}",
                format_mac(Self::mac(i))
            );
            [add, format!("link set {name} up")]
        });
        host.ip_batch(&near.collect::<Vec<_>>())?;
        let far: Vec<_> = crowd.names().map(|name| format!("link set {name} up")).collect();
        crowd.namespace.ip_batch(&far)?;
        Ok(crowd)
    }

    /// Names of the interfaces, alike at both ends.
    pub fn names(&self) -> impl Iterator<Item = String> + '_ {
        (1..=self.count).map(|i| format!("{}{i}", self.prefix))
    }

    /// A station at every far end.
    pub fn stations(&self) -> Result<Vec<Station>> {
        self.names().map(|name| Station::new(&self.namespace, &name)).collect()
    }

    /// The address of far end `i`, counted from 0.
    pub const fn mac(i: usize) -> [u8; 6] {
        [2, 0, 0, 9, (i >> 8) as u8, i as u8]
    }
}
