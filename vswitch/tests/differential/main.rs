//! The two executors of the tables, on the same tables, FDBs and frames, at random: the Rust pipeline
//! (`forwarding::pipeline`) and the BPF program (`vswitch/bpf/forward.bpf.c`), run by the kernel on single frames. What the
//! program forwards leaves as the pipeline would send it; what it leaves to the daemon it had to leave.

mod by_hand;
mod choices;
mod compare;
mod coverage;
mod guests_by_hand;
#[path = "../bpf_hash/frames.rs"]
#[allow(dead_code, reason = "some of them are for the test of the hashes alone")]
mod hash_frames;
#[path = "../devices/listener.rs"]
mod listener;
mod receive;
mod rig;
mod scene;
mod tally;
mod traffic;

use forwarding::fdb::Tick;

use choices::Random;
use compare::{Expected, Known, compare};
use coverage::Coverage;
use rig::{Ran, Rig, tick};
use scene::Scene;
use tally::Tally;
use traffic::Case;

/// Frames; the kernel takes all but one in seventy from a test. `VSWITCH_DIFFERENTIAL_CASES` says another number.
const CASES: u64 = 105_000;
/// Frames for each set of tables.
const FRAMES: u64 = 250;
/// Fewer frames than these need not have shown everything.
const ENOUGH: u64 = 50_000;
/// Shortest frame of `hash_frames`.
const SHORTEST_FRAME: usize = 14;

#[test]
fn program_and_pipeline_do_the_same() {
    let seed = choices::seed();
    let cases =
        std::env::var("VSWITCH_DIFFERENTIAL_CASES").map_or(CASES, |text| text.parse().expect("a number"));
    let coverage = Rig::with(move |rig| {
        let mut coverage = Coverage::default();
        for n in 0..cases.div_ceil(FRAMES) {
            run_scene(rig, seed.wrapping_add(n), &mut coverage);
        }
        coverage
    });
    if let Some(coverage) = coverage.filter(|coverage| coverage.cases >= ENOUGH) {
        coverage.check();
    }
}

/// All frames of one set of tables. A seed gives the tables and the frames.
fn run_scene(rig: &mut Rig, seed: u64, coverage: &mut Coverage) {
    let mut random = Random::new(seed);
    let mut scene = Scene::random(&mut random, rig);
    rig.kernel.publish(&scene.image);
    let mut tally = Tally::new(&scene, rig);
    for frame in 0..FRAMES {
        let case = Case::random(&mut random, &scene);
        let mut choices = Random::new(random.number());
        let (known, ran, now) = run(rig, &scene, &case, &mut choices, &mut tally);
        let Some(ran) = ran else { continue };
        let expected = Expected::of(&mut scene, &case, known, &ran, now);
        if let Err(problem) = compare(&scene, &case, &expected, &ran, now) {
            let to = expected.to.and_then(|to| Some((to, scene.tables.port(to)?)));
            panic!(
                "{problem:#}\nVSWITCH_SEED={seed} VSWITCH_DIFFERENTIAL_CASES={FRAMES} repeat it: frame {frame}\n\
                 from {:?} {:?}\nto {to:?}\nframe {}\nthe program: {ran:?}",
                case.device,
                scene.port(case.port),
                hash_frames::hex(&case.frame),
            );
        }
        coverage.note(&scene, &case, &expected, &ran);
    }
    tally.check(&scene, rig, seed);
}

/// Runs the program on a frame, within one tick. `None`: the kernel takes no such frame from a test.
fn run(
    rig: &Rig,
    scene: &Scene,
    case: &Case,
    choices: &mut Random,
    tally: &mut Tally,
) -> (Known, Option<Ran>, Tick) {
    let ifindex = scene.facts.devices[usize::from(case.device.0)].as_ref().expect("it is there").ifindex;
    loop {
        let now = tick();
        case.prepare(choices, scene, now);
        let known = Known::by(scene, case, now);
        let ran = rig.run(ifindex, &case.frame);
        if let Some(ran) = &ran {
            tally.note(scene, case, ran);
        }
        // Otherwise the program may have seen another second.
        if tick() == now {
            return (known, ran, now);
        }
    }
}
