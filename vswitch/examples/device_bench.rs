//! How fast frames go through two devices: a generator sends 64-octet frames into one veth pair, a forwarder passes
//! everything on to another with `recv_burst` and `send_burst`, and a kernel bridge in its place is the measure.
//!
//!     cargo run --release -p vswitch --example device_bench [ROUNDS [SECONDS]]
//!
//! Runs in a network namespace of its own; needs root, or `unshare -Urn` around it. On a busy machine look at the
//! ratio and at the processor time a frame, not at the rates.

use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use forwarding::wire::virtio::VirtioNetHeader;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use vswitch::device::attach::attach;
use vswitch::device::{BURST, Device, RxBurst, TxBurst, TxFrame};
use vswitch::netlink::link;

/// What one run brought.
struct Run {
    /// Frames a second that came out at the far end, and that the generator sent.
    forwarded: f64,
    generated: f64,
    /// The forwarder's processor time for each of them, in ns.
    cost: f64,
    /// Frames in a burst, on average.
    burst: f64,
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let rounds: usize = arguments.next().map_or(Ok(5), |text| text.parse()).context("ROUNDS is a number")?;
    let seconds: f64 =
        arguments.next().map_or(Ok(1.0), |text| text.parse()).context("SECONDS is a number")?;
    let time = Duration::from_secs_f64(seconds);

    // SAFETY: a new network namespace changes nothing that this process's memory depends on.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.context("make a network namespace")?;
    for scope in ["all", "default"] {
        // A kernel without IPv6 has no such setting.
        let _missing = fs::write(format!("/proc/sys/net/ipv6/conf/{scope}/disable_ipv6"), "1");
    }
    for (left, l, right, r) in [("gen", 11, "in", 12), ("out", 21, "sink", 22)] {
        ip(&format!("link add {left} index {l} type veth peer name {right} index {r}"))?;
    }
    for name in ["gen", "in", "out", "sink"] {
        ip(&format!("link set {name} up"))?;
    }
    // The generator's and the sink's stacks would cost time too.
    let ends = [attach("gen", 11)?, attach("sink", 22)?];
    println!("round   switch kf/s  ns/frame  frames/burst   bridge kf/s   ratio");
    let mut ratios = Vec::new();
    let mut costs = Vec::new();
    for round in 1..=rounds {
        let ours = switch(time)?;
        let bridge = bridge(time)?;
        let ratio = ours.forwarded / bridge.forwarded;
        println!(
            "{round:5}  {:7.0} of {:4.0} {:8.0} {:13.1} {:6.0} of {:4.0} {ratio:7.2}",
            ours.forwarded / 1e3,
            ours.generated / 1e3,
            ours.cost,
            ours.burst,
            bridge.forwarded / 1e3,
            bridge.generated / 1e3,
        );
        ratios.push(ratio);
        costs.push(ours.cost);
    }
    println!("median ratio {:.2}, median cost {:.0} ns a frame", median(ratios), median(costs));
    for end in ends {
        end.detach()?;
    }
    Ok(())
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Our forwarder between the two pairs.
fn switch(time: Duration) -> Result<Run> {
    let attached = [attach("in", 12)?, attach("out", 21)?];
    let (input, output) = (Device::netdev("in", 12)?, Device::netdev("out", 21)?);
    let stop = AtomicBool::new(false);
    let (run, cost, burst) = std::thread::scope(|scope| -> Result<_> {
        let forwarder = scope.spawn(|| forward(&input, &output, &stop));
        let run = measure(time);
        stop.store(true, Ordering::Relaxed);
        let (cost, burst) = forwarder.join().expect("the forwarder does not panic")?;
        Ok((run?, cost, burst))
    })?;
    for device in attached {
        device.detach()?;
    }
    Ok(Run { cost, burst, ..run })
}

/// Passes frames on until told to stop; returns its processor time for each frame in ns, and frames a burst.
fn forward(input: &Device, output: &Device, stop: &AtomicBool) -> Result<(f64, f64)> {
    let (mut burst, mut scratch) = (RxBurst::new()?, TxBurst::new());
    let start = thread_time();
    let (mut frames, mut bursts) = (0u64, 0u64);
    while !stop.load(Ordering::Relaxed) {
        if input.recv_burst(&mut burst)? == 0 {
            let timeout = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
            poll(&mut [PollFd::from_borrowed_fd(input.fd(), PollFlags::IN)], Some(&timeout))?;
            continue;
        }
        let good = burst.frames().filter_map(Result::ok).map(TxFrame::from);
        frames += u64::from(output.send_burst(good, &mut scratch).sent);
        bursts += 1;
    }
    let cost = (thread_time() - start).as_nanos() as f64;
    Ok((cost / frames as f64, frames as f64 / bursts as f64))
}

fn thread_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one timespec. The clock exists on every kernel we run on.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec.cast_unsigned(), time.tv_nsec as u32)
}

/// A kernel bridge between the two pairs.
fn bridge(time: Duration) -> Result<Run> {
    ip("link add bridge type bridge")?;
    for command in ["set bridge up", "set in master bridge", "set out master bridge"] {
        ip(&format!("link {command}"))?;
    }
    // Ports of a bridge need a moment to begin forwarding.
    let deadline = Instant::now() + Duration::from_secs(5);
    while measure(Duration::from_millis(10))?.forwarded == 0.0 {
        ensure!(Instant::now() < deadline, "the bridge does not forward");
    }
    let run = measure(time);
    ip("link del bridge")?;
    run
}

/// Generates for a while and counts what comes out at the far end.
fn measure(time: Duration) -> Result<Run> {
    let index = link::find("gen")?.context("the generator's device")?.ifindex;
    let generator = Device::netdev("gen", index)?;
    let mut frame = [0u8; 60];
    frame[..14].copy_from_slice(&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5]);
    let frames = [TxFrame {
        bytes: &frame,
        tag: None,
        inner: None,
        source: None,
        destination: None,
        patch: None,
        header: VirtioNetHeader::default(),
    }; BURST];
    let mut scratch = TxBurst::new();
    let before = received("sink")?;
    let start = Instant::now();
    let mut generated = 0;
    while start.elapsed() < time {
        generated += u64::from(generator.send_burst(frames.iter(), &mut scratch).sent);
    }
    let elapsed = start.elapsed().as_secs_f64();
    let forwarded = (received("sink")? - before) as f64 / elapsed;
    Ok(Run { forwarded, generated: generated as f64 / elapsed, cost: 0.0, burst: 0.0 })
}

/// How many frames the device has received so far.
fn received(name: &str) -> Result<u64> {
    let text = fs::read_to_string("/proc/thread-self/net/dev")?;
    let mut lines = text.lines().filter_map(|line| line.trim().split_once(':'));
    let (_, counters) = lines.find(|(device, _)| *device == name).context("the device's counters")?;
    Ok(counters.split_whitespace().nth(1).context("the number of frames")?.parse()?)
}

fn ip(arguments: &str) -> Result<()> {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().context("run ip")?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ip {arguments}: {error}");
    Ok(())
}
