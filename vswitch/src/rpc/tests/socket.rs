//! Client and listener over a real socket in a directory of their own.

use super::*;

const SOON: Duration = Duration::from_secs(10);

fn within(timeout: Duration) -> Patience {
    Patience { timeout: Some(timeout), retry: false }
}

fn soon() -> Patience {
    within(SOON)
}

/// Tells the serving thread to stop, whatever becomes of the test.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Serves until told to stop: every call gets `answer`.
fn serve(listener: &Listener, stop: &AtomicBool, answer: impl Fn(&Transact) -> Result<Transacted, Failure>) {
    let mut clients = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        clients.extend(listener.accept().unwrap().map(|accepted| (accepted.stream, accepted.connection)));
        for (stream, connection) in &mut clients {
            let mut chunk = [0; 1024];
            if let Ok(count) = stream.read(&mut chunk) {
                connection.feed(&chunk[..count]);
            }
            while let Some(call) = connection.next_call() {
                connection.reply(answer(&call));
            }
            if let Ok(count) = stream.write(connection.output()) {
                connection.wrote(count);
            }
        }
        clients.retain(|(_, connection)| !connection.is_finished());
        thread::yield_now();
    }
}

fn request() -> Transact {
    Transact { requests: vec![Request::ListBridges {}], dry_run: false }
}

#[test]
fn calls_and_errors_over_a_socket() {
    let directory = tempfile::tempdir().unwrap();
    let rundir = directory.path().join("run");
    let listener = Listener::bind(&rundir).unwrap();
    let path = socket_path(&rundir);
    assert_eq!(listener.path(), path);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    let pid: u32 = std::fs::read_to_string(rundir.join("vswitchd.pid")).unwrap().trim().parse().unwrap();
    assert_eq!(pid, std::process::id());

    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            serve(&listener, &stop, |call| match &call.requests[0] {
                Request::ListBridges {} => Ok(Transacted {
                    // Longer than a socket buffer, so that it goes in pieces.
                    replies: vec![Reply::Names((0..100_000).map(|n| format!("br{n}")).collect())],
                    warnings: vec!["careful".into()],
                }),
                _ => Err(TransactionError { index: 0, message: "no bridge named x".into() }.into()),
            });
        });
        let _stop = Stop(&stop);
        let done = transact(&path, soon(), &request()).unwrap();
        assert_eq!(done.warnings, ["careful"]);
        assert!(matches!(&done.replies[..], [Reply::Names(names)] if names.len() == 100_000));
        let show = Transact { requests: vec![Request::Show {}], dry_run: true };
        match transact(&path, Patience::default(), &show).unwrap_err() {
            ClientError::Refused { name, index: Some(0), message } => {
                assert_eq!(
                    (name.as_str(), message.as_str()),
                    ("io.vswitch.TransactionFailed", "no bridge named x")
                );
            }
            other => panic!("{other:?}"),
        }
    });
    drop(listener);
    assert_eq!(std::fs::read_dir(&rundir).unwrap().count(), 0, "it cleans up");
}

#[test]
fn one_daemon_a_directory_and_a_dead_one_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let first = Listener::bind(directory.path()).unwrap();
    match Listener::bind(directory.path()).unwrap_err() {
        ListenError::AlreadyRunning { pid, .. } => assert_eq!(pid, Some(std::process::id())),
        other => panic!("{other}"),
    }
    drop(first);
    // What kill -9 leaves: a socket that nobody listens on, and a pid file that nobody locks.
    drop(std::os::unix::net::UnixListener::bind(socket_path(directory.path())).unwrap());
    std::fs::write(directory.path().join("vswitchd.pid"), "999999\n").unwrap();
    let second = Listener::bind(directory.path()).unwrap();
    assert!(second.accept().unwrap().is_none());
    UnixStream::connect(second.path()).unwrap();
}

#[test]
fn our_own_user_may_call() {
    let directory = tempfile::tempdir().unwrap();
    let listener = Listener::bind(directory.path()).unwrap();
    let mut client = UnixStream::connect(listener.path()).unwrap();
    let mut accepted = listener.accept().unwrap().unwrap();
    assert_eq!(accepted.peer.uid, rustix::process::geteuid().as_raw());
    assert!(accepted.peer.gids.contains(&rustix::process::getegid().as_raw()));
    client.write_all(&list_bridges()).unwrap();
    let mut chunk = [0; 1024];
    let count = accepted.stream.read(&mut chunk).unwrap();
    accepted.connection.feed(&chunk[..count]);
    assert!(accepted.connection.next_call().is_some());
}

#[test]
fn who_may_control_the_daemon() {
    let peer = |uid, gids: &[u32]| credentials::Peer { pid: 1, uid, gids: gids.to_vec() };
    assert!(peer(0, &[0]).may_control(100, 200));
    assert!(peer(100, &[5]).may_control(100, 200));
    assert!(peer(7, &[5, 200]).may_control(100, 200));
    assert!(!peer(7, &[5, 0]).may_control(100, 200));
}

#[test]
fn nobody_listens() {
    let directory = tempfile::tempdir().unwrap();
    let path = socket_path(directory.path());
    let start = Instant::now();
    let error = transact(&path, Patience::default(), &request()).unwrap_err();
    assert!(matches!(error, ClientError::NotRunning { .. }));
    let text = error.to_string();
    assert!(text.contains(&path.display().to_string()) && text.contains("No such file"), "{text}");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let text = transact(&path, soon(), &request()).unwrap_err().to_string();
    assert!(text.contains("Connection refused"), "{text}");
    assert!(start.elapsed() < SOON, "at once");
}

#[test]
fn a_daemon_that_does_not_answer() {
    let directory = tempfile::tempdir().unwrap();
    let path = socket_path(directory.path());
    let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let timeout = Duration::from_millis(50);
    // A big call, which does not fit into the socket's buffer, and a small one.
    for bridges in [vec![], vec!["x".repeat(1 << 20)]] {
        let call = Transact { requests: vec![Request::FdbShow { bridges }], dry_run: false };
        let error = transact(&path, within(timeout), &call).unwrap_err();
        assert!(matches!(error, ClientError::Timeout { timeout: t, .. } if t == timeout), "{error}");
    }
}

#[test]
fn a_full_queue_of_clients_is_not_waited_for_longer_than_the_timeout() {
    let directory = tempfile::tempdir().unwrap();
    let path = socket_path(directory.path());
    let socket =
        rustix::net::socket(rustix::net::AddressFamily::UNIX, rustix::net::SocketType::STREAM, None).unwrap();
    rustix::net::bind(&socket, &rustix::net::SocketAddrUnix::new(&path).unwrap()).unwrap();
    rustix::net::listen(&socket, 0).unwrap();
    let _first = UnixStream::connect(&path).unwrap();
    let error = transact(&path, within(Duration::from_millis(50)), &request()).unwrap_err();
    assert!(matches!(error, ClientError::Timeout { .. }), "{error}");
}

#[test]
fn a_daemon_that_hangs_up_or_talks_nonsense() {
    for (said, expected) in
        [(&b""[..], "lost the connection"), (b"hello\0", "unexpected"), (b"{\"par", "lost")]
    {
        let directory = tempfile::tempdir().unwrap();
        let path = socket_path(directory.path());
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut chunk = [0; 1024];
                let _ = stream.read(&mut chunk).unwrap();
                stream.write_all(said).unwrap();
            });
            let error = transact(&path, soon(), &request()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        });
    }
}

#[test]
fn a_directory_with_too_long_a_name() {
    let directory = tempfile::tempdir().unwrap();
    let rundir = directory.path().join("x".repeat(110));
    let error = Listener::bind(&rundir).unwrap_err().to_string();
    assert!(error.starts_with("can't bind the socket"), "{error}");
}

#[test]
fn a_daemon_that_starts_later_is_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let rundir = directory.path().join("run");
    let path = socket_path(&rundir);
    let stop = AtomicBool::new(false);
    let (told, started) = std::sync::mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(|| {
            // Not before the client has tried and found nobody.
            let timeout = Duration::from_millis(1);
            let error = transact(&path, within(timeout), &request()).unwrap_err();
            assert!(matches!(error, ClientError::NotRunning { .. }), "{error}");
            let patience = Patience { timeout: Some(Duration::from_millis(30)), retry: true };
            let error = transact(&path, patience, &request()).unwrap_err();
            assert!(matches!(error, ClientError::Timeout { .. }), "{error}");
            told.send(()).unwrap();
            let listener = Listener::bind(&rundir).unwrap();
            serve(&listener, &stop, |_| names());
        });
        let _stop = Stop(&stop);
        started.recv_timeout(SOON).unwrap();
        let patience = Patience { timeout: Some(SOON), retry: true };
        assert_eq!(transact(&path, patience, &request()).unwrap(), names().unwrap());
    });
}

#[test]
fn events_over_a_socket_until_it_is_enough() {
    let directory = tempfile::tempdir().unwrap();
    let listener = Listener::bind(directory.path()).unwrap();
    let path = socket_path(directory.path());
    thread::scope(|scope| {
        let server = scope.spawn(|| {
            let end = Instant::now() + SOON;
            let mut accepted = loop {
                match listener.accept().unwrap() {
                    Some(accepted) => break accepted,
                    None => assert!(Instant::now() < end),
                }
            };
            accepted.stream.set_nonblocking(false).unwrap();
            let mut chunk = [0; 1024];
            while !accepted.connection.is_monitor() {
                let count = accepted.stream.read(&mut chunk).unwrap();
                accepted.connection.feed(&chunk[..count]);
                assert_eq!(accepted.connection.next_call(), None);
            }
            for n in 0..3 {
                accepted.connection.push_event(&json!({ "n": n }));
            }
            accepted.stream.write_all(accepted.connection.output()).unwrap();
            let count = accepted.stream.read(&mut chunk).unwrap();
            assert_eq!(count, 0, "it hangs up");
        });
        let mut seen = Vec::new();
        monitor(&path, soon(), |event, lost| {
            seen.push((event["n"].as_u64(), lost));
            seen.len() < 2
        })
        .unwrap();
        assert_eq!(seen, [(Some(0), 0), (Some(1), 0)]);
        server.join().unwrap();
    });
}

#[test]
fn a_monitor_that_is_not_answered_or_is_refused() {
    for (said, expected) in [
        (
            &b"{\"error\":\"io.vswitch.PermissionDenied\",\"parameters\":{\"message\":\"go away\"}}\0"[..],
            "go away",
        ),
        (b"{\"continues\":true,\"parameters\":{}}\0", "lost the connection"),
        (b"{\"parameters\":{}}\0", "no more events"),
        (b"", "lost the connection"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let path = socket_path(directory.path());
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                let (mut stream, _) = listener.accept().unwrap();
                let _ = stream.read(&mut [0; 1024]).unwrap();
                stream.write_all(said).unwrap();
            });
            let error = monitor(&path, soon(), |_, _| true).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        });
    }
    let directory = tempfile::tempdir().unwrap();
    let path = socket_path(directory.path());
    let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let error = monitor(&path, within(Duration::from_millis(50)), |_, _| true).unwrap_err();
    assert!(matches!(error, ClientError::Timeout { .. }), "{error}");
}
