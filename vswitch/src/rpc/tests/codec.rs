//! The service's side of a connection, octet by octet.

use proptest::prelude::*;

use super::*;

fn error_of(message: &[u8]) -> (String, Value, bool) {
    let mut connection = Connection::new();
    connection.feed(message);
    assert_eq!(connection.next_call(), None);
    let mut answers = answers(&mut connection);
    assert_eq!(answers.len(), 1);
    let answer = answers.remove(0);
    (answer.error.unwrap_or_default(), answer.parameters, connection.is_finished())
}

#[test]
fn a_call_in_one_piece_and_octet_by_octet() {
    let mut connection = Connection::new();
    connection.feed(&list_bridges());
    let expected = Transact { requests: vec![Request::ListBridges {}], dry_run: false };
    assert_eq!(connection.next_call(), Some(expected.clone()));
    connection.reply(names());
    let expected_answer = json!({ "replies": [{ "names": ["br0"] }], "warnings": [] });
    assert_eq!(answers(&mut connection)[0].parameters, expected_answer);

    let message = list_bridges();
    for (i, byte) in message.iter().enumerate() {
        assert!(connection.wants_read());
        connection.feed(&[*byte]);
        assert_eq!(connection.next_call(), (i + 1 == message.len()).then(|| expected.clone()));
    }
    assert!(!connection.is_finished());
}

#[test]
fn several_calls_in_one_piece_are_answered_one_by_one() {
    let mut connection = Connection::new();
    connection
        .feed(&[list_bridges(), list_bridges(), call("org.varlink.service.GetInfo", json!({}))].concat());
    assert!(connection.next_call().is_some());
    assert_eq!(connection.next_call(), None, "the first is not answered yet");
    connection.reply(names());
    assert!(connection.next_call().is_some());
    connection.reply(names());
    assert_eq!(connection.next_call(), None);
    assert_eq!(answers(&mut connection).len(), 3);
}

#[test]
fn the_last_calls_are_answered_before_the_end() {
    let mut connection = Connection::new();
    connection.feed(&list_bridges());
    connection.feed(&[]);
    assert!(connection.next_call().is_some());
    assert!(!connection.is_finished() && !connection.wants_read());
    connection.reply(names());
    assert_eq!(connection.next_call(), None);
    assert!(!connection.is_finished(), "the answer is not written yet");
    assert_eq!(answers(&mut connection).len(), 1);
    assert!(connection.is_finished());
}

#[test]
fn an_end_without_or_within_a_call() {
    for bytes in [&b""[..], b"{\"method\":"] {
        let mut connection = Connection::new();
        if !bytes.is_empty() {
            connection.feed(bytes);
        }
        connection.feed(&[]);
        assert_eq!(connection.next_call(), None);
        assert!(connection.is_finished());
    }
}

#[test]
fn oneway_calls_get_no_answer() {
    let mut connection = Connection::new();
    for method in ["io.vswitch.Transact", "org.varlink.service.GetInfo", "no.such.Method"] {
        let mut message = serde_json::to_vec(&json!({
            "method": method, "oneway": true, "parameters": { "requests": [{ "command": "list-br" }] },
        }))
        .unwrap();
        message.push(0);
        connection.feed(&message);
    }
    assert!(connection.next_call().is_some());
    connection.reply(names());
    assert_eq!(connection.next_call(), None);
    assert_eq!(connection.output(), b"");
}

#[test]
fn errors_of_the_switch() {
    let mut connection = Connection::new();
    connection.feed(&list_bridges());
    assert!(connection.next_call().is_some());
    connection.reply(Err(TransactionError { index: 2, message: "no".into() }.into()));
    let answer = answers(&mut connection).remove(0);
    assert_eq!(answer.error.as_deref(), Some("io.vswitch.TransactionFailed"));
    assert_eq!(answer.parameters, json!({ "index": 2, "message": "no" }));
    connection.reply(names());
    assert_eq!(connection.output(), b"", "a reply to nothing is dropped");
}

#[test]
fn unknown_methods_and_parameters() {
    let transact = |parameters| error_of(&call("io.vswitch.Transact", parameters));
    assert_eq!(error_of(&call("io.vswitch.Nosuch", json!({}))).0, "org.varlink.service.MethodNotFound");
    for method in ["x.y.Z", "Z", "", ".", "io.vswitch.sub.Transact"] {
        assert_eq!(error_of(&call(method, json!({}))).0, "org.varlink.service.InterfaceNotFound", "{method}");
    }
    for (parameters, expected) in [
        (json!({}), "missing field `requests`"),
        (Value::Null, "invalid type: null"),
        (json!({ "requests": [{ "command": "nosuch" }] }), "unknown variant `nosuch`"),
        (json!({ "requests": [{ "command": "add-br" }] }), "missing field `bridge`"),
        (json!({ "requests": [{ "command": "add-br", "bridge": "b", "x": 1 }] }), "unknown field `x`"),
        (json!({ "requests": [{ "command": "list-br", "x": 1 }] }), "unknown field `x`"),
        (json!({ "requests": [], "x": 1 }), "unknown field `x`"),
    ] {
        let (error, parameters, finished) = transact(parameters);
        assert_eq!((error.as_str(), finished), ("org.varlink.service.InvalidParameter", false));
        let message = parameters["message"].as_str().unwrap();
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn garbage_is_answered_and_the_connection_ends() {
    for garbage in
        [&b"\0"[..], b"hello\0", b"{}\0", b"[]\0", b"{\"method\":5}\0", b"\xff\xfe\0", b"{\"method\":\"a\"\0"]
    {
        let (error, _, finished) = error_of(garbage);
        assert_eq!((error.as_str(), finished), ("io.vswitch.MalformedMessage", true), "{garbage:?}");
    }
    let deep = [vec![b'['; 10_000], vec![0]].concat();
    assert_eq!(error_of(&deep).0, "io.vswitch.MalformedMessage");
}

#[test]
fn too_long_a_call_is_refused_before_it_ends() {
    let mut connection = Connection::new();
    let chunk = vec![b' '; 1 << 16];
    let mut fed = 0;
    while connection.wants_read() {
        connection.feed(&chunk);
        fed += chunk.len();
        assert_eq!(connection.next_call(), None);
        assert!(fed <= MAX_CALL + chunk.len());
    }
    let answer = answers(&mut connection).remove(0);
    assert_eq!(answer.error.as_deref(), Some("io.vswitch.MalformedMessage"));
    assert!(connection.is_finished());
    connection.feed(&list_bridges());
    assert_eq!(connection.next_call(), None, "what comes later is not looked at");

    let mut whole = vec![b' '; MAX_CALL + 1];
    whole.push(0);
    assert_eq!(error_of(&whole).0, "io.vswitch.MalformedMessage");
}

#[test]
fn a_client_that_does_not_read_is_not_served() {
    let mut connection = Connection::new();
    let info = call("org.varlink.service.GetInterfaceDescription", json!({ "interface": "io.vswitch" }));
    let mut fed = 0;
    while connection.wants_read() && fed < 100 << 20 {
        connection.feed(&info);
        fed += info.len();
        assert_eq!(connection.next_call(), None);
    }
    assert!(fed < 2 * MAX_CALL, "input is bounded: {fed}");
    assert!(connection.output().len() < 1 << 20, "output is bounded: {}", connection.output().len());
    let before = connection.output().len();
    connection.wrote(before);
    assert_eq!(connection.next_call(), None);
    assert!(!connection.output().is_empty(), "and goes on when it has read");
}

#[test]
fn a_refused_client_is_told_why() {
    let mut connection = Connection::refused("go away".into());
    connection.feed(&list_bridges());
    assert_eq!(connection.next_call(), None);
    let answer = answers(&mut connection).remove(0);
    assert_eq!(answer.error.as_deref(), Some("io.vswitch.PermissionDenied"));
    assert_eq!(answer.parameters["message"], "go away");
    assert!(connection.is_finished());
}

#[test]
fn output_in_pieces() {
    let mut connection = Connection::new();
    connection.feed(&call("org.varlink.service.GetInfo", json!({})));
    assert_eq!(connection.next_call(), None);
    let whole = connection.output().to_vec();
    connection.wrote(3);
    assert_eq!(connection.output(), &whole[3..]);
    connection.feed(&call("org.varlink.service.GetInfo", json!({})));
    assert_eq!(connection.next_call(), None);
    assert_eq!(connection.output(), [&whole[3..], &whole].concat());
}

proptest! {
    #[test]
    fn no_input_panics(chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..20)) {
        let mut connection = Connection::new();
        for chunk in chunks {
            connection.feed(&chunk);
            while connection.next_call().is_some() {
                connection.reply(names());
            }
        }
    }

    #[test]
    fn however_calls_are_cut_all_are_found(cuts in proptest::collection::vec(1usize..50, 1..40), calls in 1usize..5) {
        let message = list_bridges().repeat(calls);
        let mut connection = Connection::new();
        let mut rest = &message[..];
        let mut found = 0;
        for cut in cuts.iter().cycle() {
            let (now, later) = rest.split_at((*cut).min(rest.len()));
            if now.is_empty() {
                break;
            }
            connection.feed(now);
            while connection.next_call().is_some() {
                found += 1;
                connection.reply(names());
            }
            rest = later;
        }
        prop_assert_eq!(found, calls);
        prop_assert_eq!(answers(&mut connection).len(), calls);
    }
}

fn monitor() -> Vec<u8> {
    let mut message = serde_json::to_vec(&json!({ "method": "io.vswitch.Monitor", "more": true })).unwrap();
    message.push(0);
    message
}

#[test]
fn events_are_pushed_to_those_who_asked() {
    let mut other = Connection::new();
    other.push_event(&json!({ "type": "link" }));
    assert_eq!(other.output(), b"");
    assert!(!other.is_monitor());

    let mut connection = Connection::new();
    connection.feed(&monitor());
    assert_eq!(connection.next_call(), None);
    assert!(connection.is_monitor());
    connection.push_event(&json!({ "type": "link", "n": 1 }));
    connection.push_event(&json!({ "type": "link", "n": 2 }));
    let told = answers(&mut connection);
    assert!(told.iter().all(|answer| answer.continues && answer.error.is_none()));
    let parameters: Vec<_> = told.into_iter().map(|answer| answer.parameters).collect();
    let expected = [
        json!({}),
        json!({ "event": { "type": "link", "n": 1 } }),
        json!({ "event": { "type": "link", "n": 2 } }),
    ];
    assert_eq!(parameters, expected);
    connection.feed(&list_bridges());
    assert_eq!(connection.next_call(), None, "a monitor calls nothing else");
    assert!(connection.wants_read(), "but its end is noticed");
    connection.push_event(&json!({}));
    connection.feed(&[]);
    assert_eq!(connection.next_call(), None);
    assert!(connection.is_finished(), "although it has not read everything");
    connection.push_event(&json!({}));
}

#[test]
fn a_reader_that_is_too_slow_loses_events_and_is_told() {
    let mut connection = Connection::new();
    connection.feed(&monitor());
    assert_eq!(connection.next_call(), None);
    let event = |n: u64| json!({ "type": "test", "n": n, "filler": "x".repeat(1000) });
    for n in 0..5000 {
        connection.push_event(&event(n));
        assert!(connection.output().len() <= connection::MAX_EVENTS);
    }
    let mut seen = Vec::new();
    let mut read = |connection: &mut Connection| {
        let told = answers(connection).into_iter().map(|answer| answer.parameters);
        let told: Vec<_> = told.filter(|p| p.get("event").is_some()).collect();
        seen.extend(
            told.iter().map(|p| (p["event"]["n"].as_u64().unwrap(), p.get("lost").and_then(Value::as_u64))),
        );
    };
    read(&mut connection);
    connection.push_event(&event(5000));
    connection.push_event(&event(5001));
    read(&mut connection);
    let kept = seen.len() as u64 - 2;
    assert!((900..1100).contains(&kept), "{kept}");
    assert!(seen[..kept as usize].iter().zip(0..).all(|(seen, n)| *seen == (n, None)), "in order");
    assert_eq!(seen[kept as usize..], [(5000, Some(5000 - kept)), (5001, None)]);
}

#[test]
fn an_event_that_never_fits_is_lost() {
    let mut connection = Connection::new();
    connection.feed(&monitor());
    assert_eq!(connection.next_call(), None);
    connection.push_event(&json!("x".repeat(2 << 20)));
    connection.push_event(&json!(1));
    assert_eq!(answers(&mut connection)[1].parameters, json!({ "event": 1, "lost": 1 }));
}

#[test]
fn events_do_not_disturb_a_message_that_is_half_written() {
    let mut connection = Connection::new();
    connection.feed(&monitor());
    assert_eq!(connection.next_call(), None);
    connection.push_event(&json!("first"));
    let mut written = connection.output()[..7].to_vec();
    connection.wrote(7);
    connection.push_event(&json!("second"));
    written.extend_from_slice(connection.output());
    let texts: Vec<Value> = written
        .split(|b| *b == 0)
        .filter(|t| !t.is_empty())
        .map(|t| serde_json::from_slice(t).unwrap())
        .collect();
    assert_eq!(texts[1]["parameters"]["event"], "first");
    assert_eq!(texts[2]["parameters"]["event"], "second");
}

#[test]
fn monitor_is_called_with_more_and_nothing_else() {
    assert_eq!(error_of(&call("io.vswitch.Monitor", json!({}))).0, "org.varlink.service.ExpectedMore");
    let mut message = serde_json::to_vec(
        &json!({ "method": "io.vswitch.Monitor", "more": true, "parameters": { "x": 1 } }),
    )
    .unwrap();
    message.push(0);
    assert_eq!(error_of(&message).0, "org.varlink.service.InvalidParameter");
}
