//! Why a bond did not do what it was told.

use thiserror::Error;

use crate::member_options::MemberOptionError;
use crate::mode::Mode;
use crate::rebalance::MigrateError;

/// Why a bond did not do what it was told; it is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BondError {
    /// Joining twice.
    #[error("{member} is already a member of {bond}")]
    AlreadyMember {
        /// The bond.
        bond: String,
        /// The device.
        member: String,
    },
    /// Not a member.
    #[error("{bond} has no member {member}; its members are: {members}")]
    NoSuchMember {
        /// The bond.
        bond: String,
        /// What was named.
        member: String,
        /// The members there are, or `none`.
        members: String,
    },
    /// A member that is not up can't be made active.
    #[error("cannot make {member} the active member of {bond}: its link is {link}")]
    NotUp {
        /// The bond.
        bond: String,
        /// The member.
        member: String,
        /// Its link state, or `down (no such device)`.
        link: String,
    },
    /// A member that was disabled by hand can't be made active.
    #[error(
        "cannot make {member} the active member of {bond}: it is disabled by hand; enable it first \
         (vsctl bond/enable-member {bond} {member})"
    )]
    Disabled {
        /// The bond.
        bond: String,
        /// The member.
        member: String,
    },
    /// An option of a member was not set.
    #[error("member {member} of {bond}: {error}")]
    MemberOption {
        /// The bond.
        bond: String,
        /// The member.
        member: String,
        /// Why.
        error: MemberOptionError,
    },
    /// Nothing is moved by load.
    #[error(
        "{bond} has no buckets that move: set rebalance_interval (of at least 1000 ms) in mode balance-xor or 802.3ad, \
         or choose mode balance-slb or balance-tlb (with tlb_dynamic_lb)"
    )]
    NoRebalancing {
        /// The bond.
        bond: String,
    },
    /// A bucket can't be moved.
    #[error("cannot move a bucket of {bond} to {member}: {error}")]
    Migrate {
        /// The bond.
        bond: String,
        /// Where to.
        member: String,
        /// Why not.
        error: MigrateError,
    },
    /// There is no active member in this mode.
    #[error("{bond} has mode {mode}, which has no active member")]
    NoActiveMember {
        /// The bond.
        bond: String,
        /// Its mode.
        mode: Mode,
    },
}
