//! Prints what the MAC table costs: nanoseconds per lookup and per learn, with one and two threads, and under a flood.
//!
//! `cargo run --release -p forwarding --example fdb_bench`

use std::hint::black_box;
use std::time::Instant;

use forwarding::fdb::{Fdb, FdbConfig, Tick};
use forwarding::ids::PortId;
use forwarding::mac::MacAddr;

const ROUNDS: u64 = 2_000_000;

fn mac(n: u64) -> MacAddr {
    MacAddr::from_u64(0x0200_0000_0000 | n)
}

/// Scatters 0.. over 0..count (a power of two), so that the next address is not beside the last one.
fn scatter(n: u64, count: u64) -> u64 {
    (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) & (count - 1)
}

fn measure(name: &str, threads: u64, work: impl Fn(u64) + Sync) {
    let start = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let work = &work;
            scope.spawn(move || (0..ROUNDS).for_each(|n| work(n + thread * 77)));
        }
    });
    let each = start.elapsed().as_nanos() as f64 / ROUNDS as f64;
    println!("{name:<46} {threads} thread(s) {each:7.1} ns");
}

fn main() {
    for entries in [64, 8192, 1 << 20] {
        let fdb = Fdb::new(FdbConfig { capacity: entries as usize, ageing: 300, seed: 42 });
        for n in 0..entries {
            fdb.learn(0, mac(n), PortId((n % 16) as u16), Tick(0));
        }
        println!("{entries} entries ({:?})", fdb.stats());
        for threads in [1, 2] {
            measure("  lookup, known", threads, |n| {
                black_box(fdb.lookup(0, mac(scatter(n, entries)), Tick(1)));
            });
            measure("  lookup, unknown", threads, |n| {
                black_box(fdb.lookup(1, mac(scatter(n, entries)), Tick(1)));
            });
            measure("  learn, known in this tick", threads, |n| {
                let n = scatter(n, entries);
                black_box(fdb.learn(0, mac(n), PortId((n % 16) as u16), Tick(0)));
            });
        }
        measure("  learn, flood from one port into a full table", 1, |n| {
            black_box(fdb.learn(2, mac(n), PortId(20), Tick(1)));
        });
        println!("  {:?}", fdb.stats());
    }
}
