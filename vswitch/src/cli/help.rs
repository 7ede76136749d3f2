//! The help text, made from the table of commands.

use super::{local, verbs};

const HEAD: &str = "\
vsctl: control a running vswitchd
usage: vsctl [OPTION]... COMMAND [ARG]... [-- COMMAND [ARG]...]...

Several commands joined by -- are one transaction: all of them are done, or none.

Options:
  -f, --format=FORMAT       json: replies as one JSON document; table, list, csv: how list and find
                            print records (default: list)
  -d, --data=string|bare    with or without quotes and brackets in these records
      --no-headings         without names of columns
      --bare                the same as -f list -d bare --no-headings
      --oneline             each command's reply on one line
  -t, --timeout=SECONDS     give up after this time; 0 waits for ever (default: 0)
      --retry               wait for a daemon that does not run yet
      --rundir=DIRECTORY    where the daemon's socket is (default: $VSWITCH_RUNDIR or /run/vswitch)
      --dry-run             check the commands, change nothing
      --no-wait, --no-syslog, --db=DATABASE   accepted for compatibility
  -h, --help                print this text
  -V, --version             print the version of vsctl

Commands:
";

/// All of it.
pub(super) fn text() -> String {
    let command = |verb: &verbs::Verb| format!("  {}\n        {}\n", verb.usage(), verb.summary);
    let alone = |verb: &local::Local| format!("  {}\n        {}\n", verb.usage, verb.summary);
    let verbs: String = verbs::ALL.iter().map(command).collect();
    let local: String = local::ALL.iter().map(alone).collect();
    format!("{HEAD}{verbs}{local}")
}
