//! Commands, one after the other: checked, prepared, saved, committed, answered.

use std::collections::VecDeque;
use std::time::Duration;

use super::connections::{ConnectionId, Connections};
use crate::rpc::message::Failure;
use crate::rpc::{Transact, Transacted};
use crate::saver::Saver;
use crate::switch::{Moment, Prepared, Switch};
use crate::transaction::{self, Action, Outcome, Reply};

/// Most calls begun in one turn of the loop, so that a client that sends without end doesn't keep link events waiting.
const CALLS_PER_TURN: usize = 32;

/// The commands that wait, and the one whose model is being saved.
#[derive(Debug)]
pub(super) struct Transactions {
    saver: Saver,
    waiting: VecDeque<(ConnectionId, Transact)>,
    saving: Option<Saving>,
}

/// A transaction that needs only the disk's word.
#[derive(Debug)]
struct Saving {
    connection: ConnectionId,
    prepared: Prepared,
    answer: Answer,
}

/// What is to be answered when everything is done.
#[derive(Debug)]
struct Answer {
    transacted: Transacted,
    actions: Vec<Action>,
}

impl Transactions {
    pub(super) fn new(saver: Saver) -> Self {
        Self { saver, waiting: VecDeque::new(), saving: None }
    }

    /// Lets a client read and write, and puts its next call, if it has one, at the end of the queue.
    pub(super) fn drive(&mut self, connection: ConnectionId, connections: &mut Connections) {
        if let Some(call) = connections.drive(connection) {
            self.waiting.push_back((connection, call));
        }
    }

    /// Begins what can be begun: the next calls, and the saving of hints.
    pub(super) fn advance(&mut self, now: Duration, switch: &mut Switch, connections: &mut Connections) {
        for _ in 0..CALLS_PER_TURN {
            if self.saver.is_busy() {
                return;
            }
            if switch.is_unsaved() {
                switch.mark_saved();
                self.saver.begin(switch.model().clone());
                return;
            }
            let Some((connection, call)) = self.waiting.pop_front() else { return };
            self.begin(now, switch, connections, connection, call);
            // Sends the answer, if there is one already.
            self.drive(connection, connections);
        }
    }

    /// Whether [`Self::advance`] has something to begin now.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty() && !self.saver.is_busy()
    }

    fn begin(
        &mut self,
        now: Duration,
        switch: &mut Switch,
        connections: &mut Connections,
        connection: ConnectionId,
        call: Transact,
    ) {
        let mut moment = Moment { switch, now };
        let outcome = match transaction::execute(switch.model(), &mut moment, &call.requests) {
            Ok(outcome) => outcome,
            Err(error) => return connections.answer(connection, Err(error.into())),
        };
        let Outcome { model, replies, warnings, actions } = outcome;
        let answer = Answer { transacted: Transacted { replies, warnings }, actions };
        if call.dry_run {
            return connections.answer(connection, Ok(answer.transacted));
        }
        if model == *switch.model() {
            return finish(now, switch, connections, connection, answer);
        }
        match switch.prepare(model) {
            Ok(prepared) => {
                tracing::debug!(requests = ?call.requests, "saving");
                self.saver.begin(prepared.model().clone());
                self.saving = Some(Saving { connection, prepared, answer });
            }
            Err(message) => connections.answer(connection, Err(Failure::not_applied(&message))),
        }
    }

    /// The saver has finished.
    pub(super) fn handle_saved(&mut self, now: Duration, switch: &mut Switch, connections: &mut Connections) {
        if let Some(result) = self.saver.poll_result() {
            self.saved(now, switch, connections, result);
        }
    }

    fn saved(
        &mut self,
        now: Duration,
        switch: &mut Switch,
        connections: &mut Connections,
        result: Result<(), String>,
    ) {
        match (self.saving.take(), result) {
            (Some(saving), Ok(())) => {
                let commands = saving.answer.transacted.replies.len();
                switch.commit(now, saving.prepared, commands);
                tracing::info!(commands, "configuration changed");
                finish(now, switch, connections, saving.connection, saving.answer);
                self.drive(saving.connection, connections);
            }
            (Some(saving), Err(error)) => {
                let failure = Failure::not_applied(&format!("{error}; nothing was changed"));
                connections.answer(saving.connection, Err(failure));
                self.drive(saving.connection, connections);
            }
            (None, Ok(())) => {}
            (None, Err(error)) => {
                tracing::error!(%error, "the active member can't be saved for the next start");
            }
        }
    }

    /// Waits for the disk, and saves hints that are not saved. Calls that wait are not begun.
    pub(super) fn finish(&mut self, now: Duration, switch: &mut Switch, connections: &mut Connections) {
        if let Some(result) = self.saver.finish() {
            self.saved(now, switch, connections, result);
        }
        if switch.is_unsaved() {
            switch.mark_saved();
            self.saver.begin(switch.model().clone());
            if let Some(Err(error)) = self.saver.finish() {
                tracing::error!(%error, "the active member can't be saved for the next start");
            }
        }
    }
}

/// Carries out a transaction's actions and answers it.
fn finish(
    now: Duration,
    switch: &mut Switch,
    connections: &mut Connections,
    connection: ConnectionId,
    mut answer: Answer,
) {
    for action in &answer.actions {
        match action {
            Action::SetActiveMember { bond, member } => {
                // Checked when the command was taken; a link may have failed since then.
                if let Err(message) = switch.set_active_member(now, bond, member) {
                    return connections.answer(connection, Err(Failure::not_applied(&message)));
                }
            }
            Action::Migrate { bond, bucket, member } => {
                // The same.
                if let Err(message) = switch.migrate(now, bond, *bucket, member) {
                    return connections.answer(connection, Err(Failure::not_applied(&message)));
                }
            }
            Action::Rebalance { bond, reply } => match switch.rebalance_now(now, bond) {
                Ok(text) => {
                    if let Some(told) = answer.transacted.replies.get_mut(*reply) {
                        *told = Reply::Text(text);
                    }
                }
                Err(message) => return connections.answer(connection, Err(Failure::not_applied(&message))),
            },
            Action::FlushFdb { bridge } => {
                let flushed = switch.flush_fdb(bridge);
                tracing::info!(bridge, flushed, "FDB flushed");
            }
            Action::ClearFdbStats { bridge } => switch.clear_fdb_stats(bridge),
            Action::EnableMember { bond, member } | Action::DisableMember { bond, member } => {
                let enable = matches!(action, Action::EnableMember { .. });
                if let Err(message) = switch.switch_member(now, bond, member, enable) {
                    return connections.answer(connection, Err(Failure::not_applied(&message)));
                }
            }
        }
    }
    connections.answer(connection, Ok(answer.transacted));
}
