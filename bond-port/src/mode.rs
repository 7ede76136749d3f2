//! Names and numbers of the bonding modes.

use core::fmt;

use crate::options::choice::{Choice, NAME_ONLY};

/// A mode that has a plugin. Names and numbers are Linux's, but for [`Self::BalanceSlb`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Mode {
    /// `balance-rr`, 0: members take turns, so frames of one flow may overtake each other; the switch needs a static
    /// link aggregation group.
    BalanceRr,
    /// `active-backup`, 1: one member carries everything, the others stand by.
    #[default]
    ActiveBackup,
    /// `balance-xor`, 2: a hash of the frame picks the member; the switch needs a static link aggregation group.
    BalanceXor,
    /// `broadcast`, 3: every member sends a copy of every frame.
    Broadcast,
    /// `802.3ad`, 4: LACP says which members carry frames, a hash of the frame picks one of them.
    Ieee8023ad,
    /// `balance-tlb`, 5: IP from station to station leaves by all members, with their own addresses; one member carries
    /// everything else and lets frames in; works with any switch.
    BalanceTlb,
    /// `balance-alb`, 6: as balance-tlb, and guests name the members' addresses to their peers, so that what comes in is
    /// spread too; works with any switch.
    BalanceAlb,
    /// `balance-slb`, Open vSwitch's, without a number: a guest's address and VLAN pick the member by which its frames leave
    /// and come in; works with any switch.
    BalanceSlb,
}

impl Mode {
    pub(crate) const CHOICE: Choice<Self> = Choice {
        known: &[
            (Self::BalanceRr, 0, "balance-rr"),
            (Self::ActiveBackup, 1, "active-backup"),
            (Self::BalanceXor, 2, "balance-xor"),
            (Self::Broadcast, 3, "broadcast"),
            (Self::Ieee8023ad, 4, "802.3ad"),
            (Self::BalanceTlb, 5, "balance-tlb"),
            (Self::BalanceAlb, 6, "balance-alb"),
            (Self::BalanceSlb, NAME_ONLY, "balance-slb"),
        ],
    };

    /// Linux's name, or Open vSwitch's.
    pub fn name(self) -> &'static str {
        Self::CHOICE.name(self)
    }

    /// Linux's number, if Linux has the mode.
    pub fn number(self) -> Option<u8> {
        Some(Self::CHOICE.number(self)).filter(|number| *number != NAME_ONLY)
    }

    /// All modes.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::CHOICE.known.iter().map(|(mode, ..)| *mode)
    }

    /// The mode that a misspelt name may mean, or teamd's name of one.
    pub(crate) fn suggest(misspelt: &str) -> Option<&'static str> {
        const OF_TEAMD: [(&str, Mode); 4] = [
            ("roundrobin", Mode::BalanceRr),
            ("activebackup", Mode::ActiveBackup),
            ("loadbalance", Mode::BalanceXor),
            ("lacp", Mode::Ieee8023ad),
        ];
        let misspelt = misspelt.to_ascii_lowercase().replace('_', "-");
        let of_teamd = OF_TEAMD.iter().find(|(name, _)| *name == misspelt).map(|(_, mode)| mode.name());
        let names = Self::all().map(Self::name);
        of_teamd.or_else(|| crate::options::nearest(&misspelt, names).filter(|_| misspelt.len() > 2))
    }

    /// One member is the active one, which can be set by hand and for which `primary` is a preference.
    pub const fn has_active_member(self) -> bool {
        match self {
            Self::ActiveBackup | Self::BalanceTlb | Self::BalanceAlb | Self::BalanceSlb => true,
            Self::BalanceRr | Self::BalanceXor | Self::Broadcast | Self::Ieee8023ad => false,
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
