use super::*;

#[test]
fn every_transition() {
    use State::{Churn, Monitor, NoChurn};
    for bits in 0..8u8 {
        let [disabled, in_sync, expired] = [0, 1, 2].map(|n| bits >> n & 1 == 1);
        let expected = |from: State| match from {
            _ if disabled => Monitor,
            _ if in_sync => NoChurn,
            Monitor if expired => Churn,
            NoChurn => Monitor,
            other => other,
        };
        for from in [Monitor, NoChurn, Churn] {
            let to = next(from, disabled, in_sync, expired).unwrap_or(from);
            assert_eq!(to, expected(from), "{from:?} {bits:#b}");
        }
    }
}

#[test]
fn churn_after_60_s_once() {
    let mut machine = Machine::default();
    let at = |s: u64| Duration::from_secs(s);
    assert!(!machine.step(at(10), true, false));
    assert!(!machine.step(at(100), false, false), "the time begins when the port is enabled");
    assert!(!machine.step(at(159), false, false));
    assert_eq!(machine.timer.due_after(at(159)), Some(at(160)));
    assert!(machine.step(at(160), false, false));
    assert!(!machine.step(at(161), false, false), "counted once");
    assert_eq!((machine.state, machine.timer), (State::Churn, Timer::default()));
    assert!(!machine.step(at(170), false, true));
    assert_eq!((machine.state, machine.timer), (State::NoChurn, Timer::default()));
    assert!(!machine.step(at(180), false, false));
    assert_eq!(machine.state, State::Monitor);
    assert!(!machine.step(at(239), false, false) && machine.step(at(240), false, false));
    assert!(!machine.step(at(250), true, false));
    assert_eq!(machine, Machine::default());
}
