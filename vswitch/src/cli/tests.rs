//! Command lines in, and what is printed out.

use super::*;

mod grammar;
mod lacp;
mod transcripts;

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

fn run(line: &str) -> Run {
    match parse(&words(line)) {
        Ok(Invocation::Run(run)) => run,
        other => panic!("{line}: {other:?}"),
    }
}

fn usage_error(line: &str) -> String {
    parse(&words(line)).expect_err(line).to_string()
}
