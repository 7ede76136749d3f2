//! `vsctl`: the command line of the switch. Exit status: 0 done; 1 error; 2 `br-exists` found no bridge; 142 time-out.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use vswitch::cli::{self, Format, Import, ImportKind, Invocation, Monitor, Reach, Run};
use vswitch::import::{self, Outcome, Plan, files};
use vswitch::rpc::client::{self, ClientError, Patience};
use vswitch::rpc::{self, Transact};
use vswitch::transaction::Reply;

const FAILED: u8 = 1;
const NO_SUCH_BRIDGE: u8 = 2;
/// What a shell reports of ovs-vsctl, which a timer's signal ends (128 + SIGALRM).
const TIMED_OUT: u8 = 142;

fn main() -> ExitCode {
    match arguments().and_then(|arguments| cli::parse(&arguments).map_err(|error| error.to_string())) {
        Ok(Invocation::Print(text)) => print(&text),
        Ok(Invocation::Run(run)) => execute(&run),
        Ok(Invocation::Monitor(wanted)) => monitor(&wanted),
        Ok(Invocation::Import(wanted)) => import(&wanted),
        Err(problem) => {
            complain(&problem);
            ExitCode::from(FAILED)
        }
    }
}

fn arguments() -> Result<Vec<String>, String> {
    let text =
        |word: std::ffi::OsString| word.into_string().map_err(|word| format!("{word:?} is not UTF-8 text"));
    std::env::args_os().skip(1).map(text).collect()
}

/// The daemon's socket.
fn socket(reach: &Reach) -> PathBuf {
    let rundir = reach.rundir.clone().or_else(|| std::env::var_os(rpc::RUNDIR_VARIABLE).map(PathBuf::from));
    let rundir = rundir.filter(|dir| !dir.as_os_str().is_empty());
    rpc::socket_path(&rundir.unwrap_or_else(|| rpc::DEFAULT_RUNDIR.into()))
}

fn patience(reach: &Reach) -> Patience {
    Patience { timeout: reach.timeout, retry: reach.retry }
}

/// Complains, and returns the exit status for it.
fn failed(error: &ClientError) -> ExitCode {
    complain(&error.to_string());
    ExitCode::from(if matches!(error, ClientError::Timeout { .. }) { TIMED_OUT } else { FAILED })
}

fn monitor(wanted: &Monitor) -> ExitCode {
    let mut left = wanted.count;
    let mut printed = Ok(());
    let result = client::monitor(&socket(&wanted.reach), patience(&wanted.reach), |mut event, lost| {
        if let Some(fields) = event.as_object_mut().filter(|_| lost > 0) {
            fields.insert("lost".to_owned(), lost.into());
        }
        let mut out = io::stdout().lock();
        printed = writeln!(out, "{event}").and_then(|()| out.flush());
        left = left.map(|left| left - 1);
        printed.is_ok() && left != Some(0)
    });
    match (result, printed) {
        (Err(error), _) => failed(&error),
        (Ok(()), Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => {
            complain(&format!("can't print: {error}"));
            ExitCode::from(FAILED)
        }
        (Ok(()), _) => ExitCode::SUCCESS,
    }
}

fn execute(run: &Run) -> ExitCode {
    let transact = Transact { requests: run.requests.clone(), dry_run: run.dry_run };
    match client::transact(&socket(&run.reach), patience(&run.reach), &transact) {
        Ok(transacted) => {
            transacted.warnings.iter().for_each(|warning| complain(&format!("warning: {warning}")));
            let done = print(&cli::styled(&transacted.replies, run.style));
            if transacted.replies.contains(&Reply::Exists(false)) {
                ExitCode::from(NO_SUCH_BRIDGE)
            } else {
                done
            }
        }
        Err(error) => {
            let status = failed(&error);
            if let ClientError::Refused { index: Some(index), .. } = error
                && run.requests.len() > 1
            {
                complain(&format!(
                    "nothing was changed (command {} of {} failed)",
                    index + 1,
                    run.requests.len()
                ));
            }
            status
        }
    }
}

fn import(wanted: &Import) -> ExitCode {
    let plan = match planned(wanted) {
        Ok(Ok(plan)) => plan,
        Ok(Err(problems)) => {
            problems.iter().for_each(|problem| complain(&problem.to_string()));
            complain("nothing was changed");
            return ExitCode::from(FAILED);
        }
        Err(problem) => {
            complain(&problem);
            return ExitCode::from(FAILED);
        }
    };
    let mut status = ExitCode::SUCCESS;
    if wanted.dry_run {
        status = print(&shown(&plan, wanted));
    }
    let requests = plan.steps.iter().map(|step| step.request.clone()).collect();
    let transact = Transact { requests, dry_run: wanted.dry_run };
    match client::transact(&socket(&wanted.reach), patience(&wanted.reach), &transact) {
        Ok(transacted) => {
            transacted.warnings.iter().for_each(|warning| complain(&format!("warning: {warning}")));
            if wanted.dry_run { status } else { print(&shown(&plan, wanted)) }
        }
        // What would be done is known without a daemon too.
        Err(error @ (ClientError::NotRunning { .. } | ClientError::Permission { .. })) if wanted.dry_run => {
            complain(&format!("warning: not checked against the running switch: {error}"));
            status
        }
        Err(ClientError::Refused { index: Some(index), message, .. }) if index < plan.steps.len() => {
            complain(&format!("{}: {message}", plan.steps[index].place));
            complain("nothing was changed");
            ExitCode::from(FAILED)
        }
        Err(error) => failed(&error),
    }
}

/// What the files come to; an error if they can't be read.
fn planned(wanted: &Import) -> Result<Outcome, String> {
    let bridge = wanted.bridge.as_deref();
    Ok(match wanted.kind {
        ImportKind::Ifcfg => {
            import::ifcfg::plan(&files::read_directory(&wanted.path)?, &files::host(), bridge)
        }
        ImportKind::Modprobe => import::modprobe::plan(&files::read_file(&wanted.path)?, bridge),
    })
}

/// The plan as it was asked for.
fn shown(plan: &Plan, wanted: &Import) -> String {
    let rundir = wanted.reach.rundir.iter().map(|rundir| format!("--rundir={}", rundir.display()));
    let call: Vec<String> = std::iter::once("vsctl".to_owned()).chain(rundir).collect();
    match (wanted.style.format, wanted.dry_run) {
        (Format::Json, dry_run) => import::document(plan, !dry_run),
        (_, true) => import::script(plan, &call),
        (_, false) => import::text(plan),
    }
}

/// Prints; a reader that has gone away is no error.
fn print(text: &str) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            complain(&format!("can't print: {error}"));
            ExitCode::from(FAILED)
        }
        _ => ExitCode::SUCCESS,
    }
}

fn complain(problem: &str) {
    // Nothing can be done if even this fails.
    let _ = writeln!(io::stderr(), "vsctl: {problem}");
}
