//! Texts in, plans out.

use super::*;
use crate::cli::{self, Invocation};

mod ifcfg;
mod modprobe;
mod random;

fn source(name: &str, text: &str) -> Source {
    Source { name: name.to_owned(), octets: text.as_bytes().to_vec() }
}

/// The commands, joined with ` -- `. The words must be what is sent.
fn commands(plan: &Plan) -> String {
    let lines: Vec<String> = plan.steps.iter().map(|step| step.words.join(" ")).collect();
    let words: Vec<String> =
        plan.steps.iter().map(|step| step.words.clone()).collect::<Vec<_>>().join(&"--".to_owned());
    let Ok(Invocation::Run(run)) = cli::parse(&words) else { panic!("{words:?}") };
    assert_eq!(run.requests, plan.steps.iter().map(|step| step.request.clone()).collect::<Vec<_>>());
    lines.join(" -- ")
}

fn texts(remarks: &[Remark]) -> Vec<String> {
    remarks.iter().map(ToString::to_string).collect()
}

/// The remarks about one place, or several that begin so.
fn about(remarks: &[Remark], place: &str) -> Vec<String> {
    texts(remarks).into_iter().filter(|text| text.starts_with(place)).collect()
}

#[test]
fn a_script_is_what_a_shell_reads() {
    let at = Place { file: "f".into(), line: 2 };
    let mut plan = Plan { steps: vec![Step::add_bridge(&at, "br0")], notes: vec![Remark::new(&at, "look")] };
    let call = ["vsctl".to_owned(), "--rundir=/a b".to_owned()];
    assert_eq!(script(&plan, &call), "vsctl '--rundir=/a b' --may-exist add-br br0\n# f:2: look\n");
    plan.steps.push(Step::add_port(&at, "br0", "it's"));
    assert_eq!(
        script(&plan, &call[..1]),
        "vsctl -- --may-exist add-br br0 \\\n    -- --may-exist add-port br0 'it'\\''s'\n# f:2: look\n"
    );
    assert_eq!(text(&plan), "note: f:2: look\n");
    plan.notes[0].place.line = 0;
    assert_eq!(
        document(&plan, true),
        "{\"applied\":true,\"commands\":[[\"--may-exist\",\"add-br\",\"br0\"],[\"--may-exist\",\"add-port\",\"br0\",\
         \"it's\"]],\"notes\":[{\"file\":\"f\",\"line\":null,\"text\":\"look\"}]}\n"
    );
}

#[test]
fn a_note_stays_on_its_line() {
    let at = Place { file: "f\u{1b}".into(), line: 2 };
    let plan =
        Plan { steps: vec![Step::add_bridge(&at, "br0")], notes: vec![Remark::new(&at, "a\nrm -r x")] };
    let script = script(&plan, &["vsctl".to_owned()]);
    assert_eq!(script, "vsctl --may-exist add-br br0\n# f\\u{1b}:2: a\\nrm -r x\n");
}

#[test]
fn a_bond_has_the_bridge_of_its_number() {
    assert_eq!(default_bridge("bond0").as_deref(), Some("br0"));
    assert_eq!(default_bridge("bond12").as_deref(), Some("br12"));
    assert_eq!(
        (default_bridge("bond"), default_bridge("bondage"), default_bridge("uplink0")),
        (None, None, None)
    );
}
