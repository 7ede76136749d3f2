//! The command line of `vsctl`: arguments in, requests out; replies in, text or JSON out. All pure.

pub use self::grammar::{Format, Invocation, Monitor, Reach, Run, Style, UsageError, parse};
pub use self::import::{Import, ImportKind};
pub use self::render::{json, styled, text};

mod grammar;
mod help;
mod import;
mod local;
mod render;
pub mod suggest;
mod verbs;

#[cfg(test)]
mod tests;
