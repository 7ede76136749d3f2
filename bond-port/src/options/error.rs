//! Why an option was not set.

use thiserror::Error;

use crate::mode::Mode;

/// Why an option was not set; the options are unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OptionError {
    /// No such option.
    #[error("unknown bond option \"{name}\"{}", did_you_mean(*.suggestion))]
    Unknown {
        /// As it was written.
        name: String,
        /// An option that is spelt much like it.
        suggestion: Option<&'static str>,
    },
    /// An option of Linux or OVS that this version does not have.
    #[error(
        "bond option \"{name}\" exists in Linux or Open vSwitch but is not supported by this version: {reason}; \
         leave it out"
    )]
    Later {
        /// The option.
        name: &'static str,
        /// Why, with Linux's rule if that is the reason.
        reason: &'static str,
    },
    /// Not an option here but something that is done by a command.
    #[error("\"{name}\" is not a bond option here; {instead}")]
    Command {
        /// As Linux calls it.
        name: &'static str,
        /// The command.
        instead: &'static str,
    },
    /// A value outside what the option allows.
    #[error("bond option {option}: \"{value}\" is not a valid value; allowed: {allowed}{}", did_you_mean(*.suggestion))]
    Value {
        /// The option.
        option: &'static str,
        /// What was found.
        value: String,
        /// Names or range.
        allowed: String,
        /// A value that is spelt much like it.
        suggestion: Option<&'static str>,
    },
    /// A value that is understood and refused.
    #[error("bond option {option}: \"{value}\" is refused: {reason}")]
    Refused {
        /// The option.
        option: &'static str,
        /// What was found.
        value: String,
        /// Why, and what to do.
        reason: &'static str,
    },
    /// An option of link probes in 802.3ad.
    #[error(
        "bond option {option} is not supported in mode 802.3ad; clear it ({option}={neutral}) or choose another mode: \
         LACP itself watches every link (lacp_rate=fast notices a silent partner within 3 s), and by which member a \
         target's answer comes back is the partner's choice"
    )]
    NoProbes {
        /// The option.
        option: &'static str,
        /// The value that means nothing and is therefore allowed.
        neutral: String,
    },
    /// An option that has no meaning in the mode (Linux: `EACCES`).
    #[error(
        "bond option {option} is not supported in mode {mode}; clear it ({option}={neutral}) or choose another mode"
    )]
    NotInMode {
        /// The option.
        option: &'static str,
        /// The value that means nothing and is therefore allowed.
        neutral: &'static str,
        /// The mode.
        mode: Mode,
    },
}

fn did_you_mean(suggestion: Option<&str>) -> String {
    suggestion.map_or(String::new(), |name| format!("; did you mean \"{name}\"?"))
}
