//! Small integers that index [`crate::tables::Tables`]. They live as long as the thing they name; a number is used
//! again only after every executor has seen a table without it.

/// A bridge: index into [`crate::tables::Tables::bridges`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BridgeId(pub u16);

/// A logical port (a plain port, a bond, or a bridge's internal port): what the FDB learns.
/// Index into [`crate::tables::Tables::ports`]; 0..[`MAX_PORTS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortId(pub u16);

/// A device (netdev or TAP) that frames are received from and sent to: index into [`crate::tables::Tables::devices`];
/// 0..[`MAX_DEVICES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceId(pub u16);

/// Most logical ports of one daemon.
pub const MAX_PORTS: usize = 4096;
/// Most devices of one daemon.
pub const MAX_DEVICES: usize = 4096;
