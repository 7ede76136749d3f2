//! A plan as text or JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Plan, Remark};

/// The plan as a shell script: one call of `vsctl`, a command a line, and the notes as comments. `call` is how vsctl is
/// called, such as `vsctl --rundir=/run/x`, as words.
pub fn script(plan: &Plan, call: &[String]) -> String {
    let mut out = shell_line(call);
    match &plan.steps[..] {
        [only] => out += &format!(" {}", shell_line(&only.words)),
        steps => {
            for (n, step) in steps.iter().enumerate() {
                let between = if n == 0 { " -- " } else { " \\\n    -- " };
                out += between;
                out += &shell_line(&step.words);
            }
        }
    }
    out.push('\n');
    for note in &plan.notes {
        writeln!(out, "# {note}").expect("writing to a string does not fail");
    }
    out
}

/// The notes, as they are printed after the commands were carried out.
pub fn text(plan: &Plan) -> String {
    plan.notes.iter().map(|note| format!("note: {note}\n")).collect()
}

/// The plan as one JSON document: `commands` (words of each), `notes` (`file`, `line` or null, `text`) and `applied`.
pub fn document(plan: &Plan, applied: bool) -> String {
    let note = |note: &Remark| {
        let line = if note.place.line == 0 { Value::Null } else { note.place.line.into() };
        json!({ "file": note.place.file, "line": line, "text": note.text })
    };
    let commands: Vec<&Vec<String>> = plan.steps.iter().map(|step| &step.words).collect();
    let notes: Vec<Value> = plan.notes.iter().map(note).collect();
    format!("{}\n", json!({ "commands": commands, "notes": notes, "applied": applied }))
}

/// Words as a POSIX shell reads them.
fn shell_line(words: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    let one = |word: &String| {
        if !word.is_empty() && word.chars().all(plain) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', "'\\''"))
        }
    };
    words.iter().map(one).collect::<Vec<_>>().join(" ")
}
