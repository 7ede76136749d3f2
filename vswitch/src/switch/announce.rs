//! Learning frames: the upstream switch is told where guests are after a change.

use std::time::Duration;

use forwarding::bucket_set::BucketSet;
use forwarding::fdb::Tick;
use forwarding::flow_hash;
use forwarding::ids::{DeviceId, PortId};

use super::Switch;
use crate::announcer::Host;
use crate::device::TxFrame;
use crate::events::EventKind;

impl Switch {
    /// Queues learning frames for every MAC behind the other ports of the bond's bridge, or those in these buckets, and sends
    /// the first batch.
    pub(super) fn announce(
        &mut self,
        id: PortId,
        device: DeviceId,
        buckets: Option<BucketSet>,
        now: Duration,
    ) {
        let Some(bond) = self.ports.get(id.0) else { return };
        let Some(bridge) = self.bridges.get(bond.bridge) else { return };
        let tick = Tick::at(now);
        let mut known = bridge.fdb.entries(tick);
        known.retain(|entry| entry.port != id);
        // Who spoke last is most likely to be spoken to next.
        known.sort_unstable_by_key(|entry| entry.age);
        let mut macs: Vec<_> = known.into_iter().map(|entry| (entry.vlan, entry.mac, entry.port)).collect();
        let internal = self.model.bridges.get(&bridge.name).zip(self.port(&bridge.name));
        if let Some((internal, (port, _))) = internal {
            let own = (internal.vlan.tag().unwrap_or(0), internal.mac, PortId(port));
            if !macs.contains(&own) {
                macs.insert(0, own);
            }
        }
        let wanted = |vlan, mac| buckets.is_none_or(|buckets| buckets.has(flow_hash::slb(mac, vlan)));
        macs.retain(|(vlan, mac, _)| bond.vlan.contains(*vlan) && wanted(*vlan, *mac));
        if macs.is_empty() && buckets.is_some() {
            return;
        }
        self.events.push(EventKind::Announce {
            bond: bond.name.clone(),
            member: self.devices.get(device.0).map_or_else(String::new, |a| a.name().to_owned()),
            macs: macs.len(),
        });
        let hosts = macs.into_iter().map(|(vlan, mac, port)| {
            // The announcement may come back from the upstream switch, and is no news then.
            bridge.fdb.lock(vlan, mac, tick);
            // By ARP or neighbour discovery every host would go over to the guests' own addresses.
            let addresses = match &bond.receiving {
                Some(_) => Vec::new(),
                None => bridge.neighbours.addresses(now, port, vlan, mac),
            };
            Host::new(mac, bond.vlan.egress_tag(vlan, None), &addresses)
        });
        match buckets {
            None => self.announcer.announce(id, device, hosts),
            Some(_) => self.announcer.announce_moved(id, device, hosts),
        }
        self.send_announcements(now);
    }

    /// Sends the learning frames that are due.
    pub(super) fn send_announcements(&mut self, now: Duration) {
        let batch = self.announcer.poll_batch(now);
        let Some(first) = batch.first() else { return };
        let Some(attached) = self.devices.get(first.device.0) else { return };
        let frames: Vec<_> =
            batch.iter().map(|announcement| (announcement.frame(), announcement.tag)).collect();
        let frames = frames.iter().map(|(bytes, tag)| TxFrame { tag: *tag, ..TxFrame::plain(bytes) });
        attached.slot.send(frames, &mut self.scratch);
    }
}
