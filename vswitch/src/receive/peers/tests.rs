use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

const VLAN: u16 = 3;
const GUEST: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const FIRST: MacAddr = MacAddr([2, 0, 0, 0, 2, 1]);
const SECOND: MacAddr = MacAddr([2, 0, 0, 0, 2, 2]);

fn ip(n: u8) -> IpAddr {
    [10, 0, 0, n].into()
}

fn host(n: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 1, n])
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn key(n: u8) -> Key {
    Key { vlan: VLAN, guest: ip(1), peer: host(n) }
}

fn word(n: u8, has: Option<MacAddr>) -> Word {
    Word { mac: GUEST, peer_ip: ip(100 + n), has }
}

fn all(mac: MacAddr) -> Table {
    [Some(mac); BUCKETS]
}

fn told(peers: &mut Peers, now: Duration, table: &Table) -> Vec<(MacAddr, MacAddr)> {
    peers.poll(now, 100, table).into_iter().map(|update| (update.key.peer, update.tell)).collect()
}

#[test]
fn who_has_another_mac_is_told_three_times() {
    let (mut peers, table) = (Peers::default(), all(FIRST));
    peers.hear(ms(0), key(1), word(1, Some(GUEST)), &table);
    peers.hear(ms(0), key(2), word(2, Some(FIRST)), &table);
    let mut times = Vec::new();
    while let Some(at) = peers.next_deadline() {
        assert_eq!(told(&mut peers, at, &table), [(host(1), FIRST)]);
        times.push(at);
    }
    assert_eq!(times, [ms(0), ms(100), ms(1100)]);
    assert_eq!((peers.updates(), peers.len()), (3, 2));
    assert_eq!(peers.poll(ms(9000), 9, &table), []);
}

#[test]
fn an_update_says_everything_that_a_frame_needs() {
    let (mut peers, table) = (Peers::default(), all(SECOND));
    peers.hear(ms(5), key(1), word(1, None), &table);
    let update = Update { key: key(1), mac: GUEST, peer_ip: ip(101), tell: SECOND };
    assert_eq!(peers.poll(ms(5), 9, &table), [update]);
}

#[test]
fn a_guest_that_tells_everybody_is_corrected_at_once() {
    let (mut peers, table) = (Peers::default(), all(FIRST));
    for n in 1..=3 {
        peers.hear(ms(0), key(n), word(n, Some(FIRST)), &table);
    }
    peers.hear(ms(0), Key { guest: ip(2), ..key(1) }, word(1, Some(FIRST)), &table);
    assert_eq!(peers.next_deadline(), None);
    peers.overhear(ms(10), VLAN, ip(1), GUEST, &table);
    assert_eq!(told(&mut peers, ms(10), &table), [(host(1), FIRST), (host(2), FIRST), (host(3), FIRST)]);
    // However often it does, nobody waits for longer than the spacing, or is told more often.
    let mut heard = 3;
    for now in 11..=2010 {
        peers.overhear(ms(now), VLAN, ip(1), GUEST, &table);
        heard += told(&mut peers, ms(now), &table).len();
    }
    assert_eq!(heard, 3 + 3 * 2000 / 50);
}

#[test]
fn another_table_reaches_those_that_it_concerns() {
    let (mut peers, mut table) = (Peers::default(), all(FIRST));
    for n in 1..=4 {
        peers.hear(ms(0), key(n), word(n, Some(FIRST)), &table);
    }
    table[key(2).bucket()] = Some(SECOND);
    table[key(3).bucket()] = None;
    peers.retable(ms(1), &table);
    assert_eq!(told(&mut peers, ms(1), &table), [(host(2), SECOND), (host(3), GUEST)]);
    // In the middle of a series it changes again.
    table[key(2).bucket()] = Some(FIRST);
    peers.retable(ms(60), &table);
    assert_eq!(told(&mut peers, ms(60), &table), [(host(2), FIRST)]);
    assert_eq!(told(&mut peers, ms(101), &table), [(host(3), GUEST)]);
    assert_eq!(told(&mut peers, ms(160), &table), [(host(2), FIRST)]);
}

#[test]
fn who_stays_wrong_is_told_again_when_heard() {
    let (mut peers, table) = (Peers::default(), all(FIRST));
    peers.hear(ms(0), key(1), word(1, Some(GUEST)), &table);
    for at in [0, 100, 1100] {
        assert_eq!(told(&mut peers, ms(at), &table).len(), 1);
    }
    peers.hear(ms(5000), key(1), word(1, None), &table);
    assert_eq!(peers.next_deadline(), None, "that says nothing of what it has");
    peers.hear(ms(6000), key(1), word(1, Some(GUEST)), &table);
    assert_eq!(told(&mut peers, ms(6000), &table), [(host(1), FIRST)]);
}

#[test]
fn hosts_are_forgotten_when_they_are_gone() {
    let (mut peers, table) = (Peers::default(), all(FIRST));
    peers.hear(ms(0), key(1), word(1, Some(FIRST)), &table);
    peers.hear(ms(0), key(2), word(2, Some(GUEST)), &table);
    peers.sweep(Duration::from_secs(599), |_, mac| mac == host(1));
    assert_eq!(peers.len(), 2);
    peers.sweep(Duration::from_secs(600), |_, _| false);
    assert!(peers.knows(&key(1)) && !peers.knows(&key(2)));
    assert_eq!(peers.next_deadline(), None, "nothing is said to who is forgotten");
    peers.forget_guest(VLAN, ip(1));
    assert!(peers.is_empty() && peers.occupied().iter().all(|pairs| *pairs == 0));
}

proptest! {
    /// Whatever happens: bounded, counted right, and when all is quiet everybody has what it should.
    #[test]
    fn everybody_is_right_in_the_end(
        acts in vec((0..4u8, 1..9u8, 1..4u8, 0..3u8, 0..300u64), 1..80),
    ) {
        let mut peers = Peers::new(Limits { pairs: 10, ..Limits::default() });
        let mut table = all(FIRST);
        let mut has = BTreeMap::new();
        let mut now = ms(0);
        let send = |peers: &mut Peers, now, table: &Table, has: &mut BTreeMap<Key, MacAddr>| {
            for update in peers.poll(now, 4, table) {
                has.insert(update.key, update.tell);
            }
        };
        for (act, n, guest, choice, pause) in acts {
            now += ms(pause);
            let key = Key { guest: ip(guest), ..key(n) };
            let mac = [FIRST, SECOND, GUEST][usize::from(choice)];
            match act {
                0 => {
                    has.insert(key, mac);
                    peers.hear(now, key, word(n, Some(mac)), &table);
                }
                1 => {
                    has.iter_mut().filter(|(key, _)| key.guest == ip(guest)).for_each(|(_, has)| *has = GUEST);
                    peers.overhear(now, VLAN, ip(guest), GUEST, &table);
                }
                2 => {
                    table[key.bucket()] = Some(mac).filter(|mac| *mac != GUEST);
                    peers.retable(now, &table);
                }
                _ => send(&mut peers, now, &table, &mut has),
            }
            prop_assert!(peers.len() <= 10);
            prop_assert_eq!(peers.occupied().iter().sum::<u32>() as usize, peers.len());
        }
        while let Some(at) = peers.next_deadline() {
            now = now.max(at);
            send(&mut peers, now, &table, &mut has);
        }
        for key in peers.pairs.keys() {
            prop_assert_eq!(has[key], table[key.bucket()].unwrap_or(GUEST));
        }
    }
}

#[test]
fn another_guest_takes_an_address_over() {
    const HEIR: MacAddr = MacAddr([2, 0, 0, 0, 0, 7]);
    let (mut peers, mut table) = (Peers::default(), all(FIRST));
    peers.hear(ms(0), key(1), word(1, Some(FIRST)), &table);
    table[usize::from(bucket(host(2), ip(1)))] = None;
    peers.hear(ms(0), key(2), word(2, Some(GUEST)), &table);
    assert_eq!(peers.next_deadline(), None);
    peers.hand_over(ms(5), VLAN, ip(1), HEIR, &table);
    assert_eq!(
        told(&mut peers, ms(5), &table),
        [(host(2), HEIR)],
        "the other one has the member's address already"
    );
    peers.retable(ms(5000), &all(SECOND));
    let update = peers.poll(ms(5000), 9, &all(SECOND));
    assert_eq!((update.len(), update[0].mac), (2, HEIR));
}

#[test]
fn hosts_that_a_liar_has_told_are_put_right_at_once() {
    const LIAR: MacAddr = MacAddr([2, 0, 0, 0, 0, 7]);
    let (mut peers, table) = (Peers::default(), all(FIRST));
    peers.hear(ms(0), key(1), word(1, Some(FIRST)), &table);
    peers.contradict(ms(1), VLAN, ip(2), Some(LIAR), &table);
    assert_eq!(peers.next_deadline(), None, "another address");
    peers.contradict(ms(1), VLAN, ip(1), Some(LIAR), &table);
    let update = Update { key: key(1), mac: GUEST, peer_ip: ip(101), tell: FIRST };
    assert_eq!(peers.poll(ms(1), 9, &table), [update]);
    // However often it is said: an update each 50 ms.
    let mut updates = 0;
    for now in 2..502 {
        peers.contradict(ms(now), VLAN, ip(1), Some(LIAR), &table);
        updates += peers.poll(ms(now), 9, &table).len();
    }
    assert_eq!(updates, 10);
    peers.contradict(ms(9000), VLAN, ip(1), None, &table);
    assert_eq!(told(&mut peers, ms(9000), &table), [(host(1), FIRST)]);
}
