//! The `vsctl` binary against a daemon that gives fixed answers: what it prints where, and its exit status.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;

use vswitch::rpc::connection::Connection;
use vswitch::rpc::message::Failure;
use vswitch::rpc::{self, Transacted};
use vswitch::transaction::{Reply, Request, TransactionError};

fn vsctl(rundir: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vsctl"));
    command.args(words).env(rpc::RUNDIR_VARIABLE, rundir).stdin(Stdio::null());
    command
}

fn streams(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

/// Runs vsctl against a daemon that answers its one call so.
fn answered(words: &[&str], answer: fn(&Request) -> Result<Transacted, Failure>) -> (i32, String, String) {
    let directory = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(rpc::socket_path(directory.path())).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut connection = Connection::new();
            let mut chunk = [0; 4096];
            let call = loop {
                let count = stream.read(&mut chunk).unwrap();
                connection.feed(&chunk[..count]);
                if let Some(call) = connection.next_call() {
                    break call;
                }
                assert!(count > 0, "the client hung up");
            };
            connection.reply(answer(call.requests.last().unwrap()));
            stream.write_all(connection.output()).unwrap();
        });
        streams(&vsctl(directory.path(), words).output().unwrap())
    })
}

fn done(reply: Reply) -> Result<Transacted, Failure> {
    Ok(Transacted { replies: vec![reply], warnings: vec![] })
}

#[test]
fn replies_go_to_stdout_and_warnings_to_stderr() {
    let names = |_: &Request| {
        let replies = vec![Reply::Names(vec!["br0".into(), "br1".into()])];
        Ok(Transacted { replies, warnings: vec!["careful".into()] })
    };
    let warning = "vsctl: warning: careful\n".to_owned();
    assert_eq!(answered(&["list-br"], names), (0, "br0\nbr1\n".into(), warning.clone()));
    assert_eq!(answered(&["-f", "json", "list-br"], names), (0, "[\"br0\",\"br1\"]\n".into(), warning));
}

#[test]
fn errors_exit_1_and_name_the_command_if_there_are_several() {
    let refuse = |_: &Request| Err(TransactionError { index: 1, message: "no bridge named x".into() }.into());
    assert_eq!(
        answered(&["list-ports", "x"], refuse),
        (1, String::new(), "vsctl: no bridge named x\n".into())
    );
    assert_eq!(
        answered(&["list-br", "--", "list-ports", "x"], refuse),
        (
            1,
            String::new(),
            "vsctl: no bridge named x\nvsctl: nothing was changed (command 2 of 2 failed)\n".into()
        )
    );
}

#[test]
fn a_missing_bridge_exits_2() {
    assert_eq!(
        answered(&["br-exists", "x"], |_| done(Reply::Exists(false))),
        (2, String::new(), String::new())
    );
    assert_eq!(
        answered(&["br-exists", "x"], |_| done(Reply::Exists(true))),
        (0, String::new(), String::new())
    );
}

#[test]
fn wrong_words_never_reach_the_daemon() {
    let nowhere = Path::new("/nonexistent");
    let (status, stdout, stderr) = streams(&vsctl(nowhere, &["bogus"]).output().unwrap());
    assert_eq!((status, stdout.as_str()), (1, ""));
    assert_eq!(stderr, "vsctl: unknown command 'bogus'; use --help for help\n");
    let (status, stdout, stderr) = streams(&vsctl(nowhere, &["--version"]).output().unwrap());
    assert_eq!(
        (status, stdout, stderr),
        (0, format!("vsctl {}\n", env!("CARGO_PKG_VERSION")), String::new())
    );
}

#[test]
fn no_daemon_exits_1_and_says_where_it_looked() {
    let (status, _, stderr) = streams(&vsctl(Path::new("/nonexistent"), &["show"]).output().unwrap());
    assert_eq!(status, 1);
    assert!(stderr.starts_with("vsctl: can't reach vswitchd at /nonexistent/vswitchd.sock: "), "{stderr}");
    let flag = ["--rundir=/elsewhere", "show"];
    let (_, _, stderr) = streams(&vsctl(Path::new("/nonexistent"), &flag).output().unwrap());
    assert!(stderr.contains("/elsewhere/vswitchd.sock"), "the flag wins: {stderr}");
}

#[test]
fn a_timeout_exits_142() {
    let directory = tempfile::tempdir().unwrap();
    let _listener = UnixListener::bind(rpc::socket_path(directory.path())).unwrap();
    let (status, stdout, stderr) = streams(&vsctl(directory.path(), &["-t", "1", "show"]).output().unwrap());
    assert_eq!((status, stdout.as_str()), (142, ""));
    assert!(stderr.ends_with("did not answer within 1 s\n"), "{stderr}");
}

#[test]
fn a_reader_that_went_away_is_no_error() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = vsctl(Path::new("/nonexistent"), &["--help"]);
    let output = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn monitor_prints_a_line_an_event() {
    let directory = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(rpc::socket_path(directory.path())).unwrap();
    let output = thread::scope(|scope| {
        scope.spawn(|| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut connection = Connection::new();
            let mut chunk = [0; 4096];
            while !connection.is_monitor() {
                let count = stream.read(&mut chunk).unwrap();
                connection.feed(&chunk[..count]);
                assert_eq!(connection.next_call(), None);
            }
            for n in 0..5 {
                connection.push_event(&serde_json::json!({ "type": "link", "n": n }));
            }
            stream.write_all(connection.output()).unwrap();
        });
        vsctl(directory.path(), &["monitor", "--count", "2"]).output().unwrap()
    });
    let lines = "{\"n\":0,\"type\":\"link\"}\n{\"n\":1,\"type\":\"link\"}\n".to_owned();
    assert_eq!(streams(&output), (0, lines, String::new()));
}

#[test]
fn monitor_without_a_daemon() {
    let (status, _, stderr) = streams(&vsctl(Path::new("/nonexistent"), &["monitor"]).output().unwrap());
    assert_eq!(status, 1);
    assert!(stderr.starts_with("vsctl: can't reach vswitchd"), "{stderr}");
    let words = ["-t", "1", "--retry", "monitor"];
    let (status, _, stderr) = streams(&vsctl(Path::new("/nonexistent"), &words).output().unwrap());
    assert_eq!(status, 142, "{stderr}");
}

const IFCFG: [(&str, &str); 3] = [
    ("ifcfg-bond0", "DEVICE=bond0\nBRIDGE=br0\nBONDING_OPTS=\"mode=1 miimon=100\"\nIPADDR=10.0.0.1\n"),
    ("ifcfg-eth0", "DEVICE=eth0\nMASTER=bond0\nSLAVE=yes\n"),
    ("ifcfg-eth1", "DEVICE=eth1\nMASTER=bond0\nSLAVE=yes\n"),
];

const SCRIPT: &str = "\
vsctl -- --may-exist add-br br0 \\
    -- --may-exist add-bond br0 bond0 mode=1 miimon=100 \\
    -- --may-exist add-bond-iface bond0 eth0 \\
    -- --may-exist add-bond-iface bond0 eth1
";

const NOTES: [&str; 2] = [
    "ifcfg-bond0: the network configuration must not make the same bonds and bridges in the kernel: take them down first, \
     and TYPE=, MASTER=, SLAVE= and BRIDGE= out of their files\n",
    "ifcfg-bond0:4: IPADDR: addresses stay with the network configuration; put them on br0, the bridge's internal port\n",
];

/// A directory of these files.
fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    files.iter().for_each(|(name, text)| std::fs::write(directory.path().join(name), text).unwrap());
    directory
}

fn path(directory: &tempfile::TempDir) -> &str {
    directory.path().to_str().unwrap()
}

#[test]
fn an_import_is_one_transaction_and_tells_its_notes() {
    let files = directory(&IFCFG);
    let applied = |request: &Request| {
        let wanted = Request::AddBondIface { bond: "bond0".into(), iface: "eth1".into(), may_exist: true };
        assert_eq!(*request, wanted);
        Ok(Transacted { replies: vec![Reply::Done {}; 4], warnings: vec!["careful".into()] })
    };
    let warning = "vsctl: warning: careful\n".to_owned();
    let notes: String = NOTES.iter().map(|note| format!("note: {note}")).collect();
    assert_eq!(answered(&["import", "ifcfg", path(&files)], applied), (0, notes, warning.clone()));
    let script: String = NOTES.iter().fold(SCRIPT.to_owned(), |script, note| format!("{script}# {note}"));
    assert_eq!(answered(&["--dry-run", "import", "ifcfg", path(&files)], applied), (0, script, warning));
    let (status, stdout, _) = answered(&["-f", "json", "import", "ifcfg", path(&files)], applied);
    let document: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((status, &document["applied"]), (0, &true.into()));
    assert_eq!(document["commands"][0], serde_json::json!(["--may-exist", "add-br", "br0"]));
    assert_eq!(document["notes"][1]["line"], 4);
}

#[test]
fn what_the_daemon_refuses_of_an_import_is_named_by_file_and_line() {
    let files = directory(&IFCFG);
    let refuse = |_: &Request| {
        let message = "no network device named eth1".to_owned();
        Err(TransactionError { index: 3, message }.into())
    };
    let told = "vsctl: ifcfg-eth1:1: no network device named eth1\nvsctl: nothing was changed\n";
    assert_eq!(answered(&["import", "ifcfg", path(&files)], refuse), (1, String::new(), told.into()));
}

#[test]
fn problems_of_an_import_never_reach_the_daemon() {
    let nowhere = Path::new("/nonexistent");
    let run = |words: &[&str]| streams(&vsctl(nowhere, words).output().unwrap());
    let files = directory(&[
        ("ifcfg-eth0", "DEVICE=eth0\nMASTER=\"bond0\n"),
        ("ifcfg-eth1", "SLAVE=yes\nMASTER bond0\n"),
    ]);
    let told = "vsctl: ifcfg-eth0:2: the quote \" before \"bond0\" is never closed\n\
                vsctl: ifcfg-eth1: eth1 has SLAVE=yes, but no MASTER= that names its bond\n\
                vsctl: ifcfg-eth1:2: \"MASTER\" is not KEY=VALUE; there are no spaces around the =\n\
                vsctl: nothing was changed\n";
    assert_eq!(run(&["import", "ifcfg", path(&files)]), (1, String::new(), told.into()));
    let empty = directory(&[("other", "")]);
    let (status, stdout, stderr) = run(&["import", "ifcfg", path(&empty)]);
    assert_eq!((status, stdout.as_str()), (1, ""));
    assert!(stderr.starts_with("vsctl: there are no files ifcfg-* in "), "{stderr}");
    let (status, _, stderr) = run(&["import", "modprobe", "/nonexistent/m.conf"]);
    assert_eq!(status, 1);
    assert!(stderr.starts_with("vsctl: can't read /nonexistent/m.conf: No such file"), "{stderr}");
}

#[test]
fn a_dry_import_needs_no_daemon() {
    let files = directory(&[("m.conf", "alias bond0 bonding\noptions bond0 miimon=100 mode=1\n")]);
    let file = files.path().join("m.conf");
    let words = ["import", "modprobe", file.to_str().unwrap(), "--dry-run"];
    let (status, stdout, stderr) = streams(&vsctl(Path::new("/nonexistent"), &words).output().unwrap());
    assert_eq!(status, 0);
    let script =
        "vsctl -- --may-exist add-br br0 \\\n    -- --may-exist add-bond br0 bond0 miimon=100 mode=1\n# ";
    assert!(stdout.starts_with(script), "{stdout}");
    let warning = "vsctl: warning: not checked against the running switch: can't reach vswitchd";
    assert!(stderr.starts_with(warning), "{stderr}");
}
