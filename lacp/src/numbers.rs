//! Port numbers that a successor takes over: they are given in the order in which ports are added, which is another one
//! after a restart if ports had come and gone.

use crate::bond::Lacp;
use crate::snapshot::Snapshot;

impl Lacp {
    /// Gives the ports the numbers that the snapshot has of them, as far as none is configured. A port that has such a
    /// number gets that of the other in exchange, so no number is used twice at any time.
    pub(crate) fn adopt_numbers(&mut self, snapshot: &Snapshot) {
        for saved in &snapshot.ports {
            let number = saved.actor.port;
            let Some(index) = self.index(saved.port) else { continue };
            let own = self.ports[index].number;
            let is_configured =
                self.ports.iter().any(|port| port.options.port_number.is_some_and(|of_it| of_it == number));
            if self.ports[index].options.port_number.is_some()
                || is_configured
                || number == 0
                || number == own
            {
                continue;
            }
            if let Some(other) = self.ports.iter_mut().find(|port| port.number == number) {
                other.number = own;
            }
            self.ports[index].number = number;
        }
        for port in &mut self.ports {
            port.configure(self.address, &self.options);
        }
    }
}
