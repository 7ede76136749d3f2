//! The probe program: compiled by clang, loaded, and run by the kernel on one frame at a time.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::Command;

use aya::programs::{SchedClassifier, TestRun, TestRunOptions};
use aya::{Ebpf, EbpfError};
use forwarding::flow_hash::HashPolicy;
use forwarding::vlan::VlanTag;

/// Frames have an Ethernet header.
pub(crate) const SHORTEST_FRAME: usize = 14;
/// The kernel takes no frame from a test that is shorter than its IP header. The probe shortens it then.
const SHORTEST_INPUT: usize = 14 + 40;
/// Octets of the kernel's `struct __sk_buff`, and then some.
const CONTEXT_LEN: usize = 256;
/// Where its five numbers for the program's own use are.
const CONTROL_BLOCK: usize = 48;
/// Runs per measurement.
const REPEAT: u32 = 1_000_000;

/// The way that a program takes through the hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    /// As the fast path does.
    Linear,
    /// As the fast path does with frames that are not in the linear part.
    Nonlinear,
}

impl Program {
    pub(crate) const ALL: [Self; 2] = [Self::Linear, Self::Nonlinear];

    fn name(self) -> &'static str {
        match self {
            Self::Linear => "probe",
            Self::Nonlinear => "probe_nonlinear",
        }
    }
}

/// The loaded object.
pub(crate) struct Probe(Ebpf);

impl Probe {
    /// Compiles and loads. `None`, after saying why, if this machine lacks something for that.
    pub(crate) fn load() -> Option<Self> {
        load(&compiled("probe.bpf.c")?).map(Self)
    }

    fn program(&self, name: &str) -> &SchedClassifier {
        self.0.program(name).expect("the object has it").try_into().expect("a classifier")
    }

    /// The hash that the program gives a frame.
    pub(crate) fn hash(
        &self,
        program: Program,
        policy: HashPolicy,
        bytes: &[u8],
        tag: Option<VlanTag>,
        inner: Option<VlanTag>,
    ) -> u32 {
        let mut context = [0; CONTEXT_LEN];
        let arguments = context_of(policy, tag, inner, bytes.len());
        let input = [bytes, &[0xdd; SHORTEST_INPUT][bytes.len().min(SHORTEST_INPUT)..]].concat();
        let options = TestRunOptions {
            data_in: Some(&input),
            ctx_in: Some(&arguments),
            ctx_out: Some(&mut context),
            ..Default::default()
        };
        let run = self.program(program.name()).test_run(options).expect("the kernel runs it");
        assert_eq!(run.return_value, 0, "{} octets of {}", bytes.len(), input.len());
        let result = &context[CONTROL_BLOCK + 16..CONTROL_BLOCK + 20];
        u32::from_ne_bytes(result.try_into().expect("four octets"))
    }

    /// What one run takes, in ns; that of a program without a hash for `None`.
    pub(crate) fn cost(&self, program: Option<Program>, policy: HashPolicy, bytes: &[u8]) -> u64 {
        let arguments = context_of(policy, None, None, bytes.len());
        let options = TestRunOptions {
            data_in: Some(bytes),
            ctx_in: Some(&arguments),
            repeat: REPEAT,
            ..Default::default()
        };
        let run = self.program(program.map_or("probe_nothing", Program::name)).test_run(options);
        run.expect("the kernel runs it").duration.as_nanos() as u64
    }
}

/// A `struct __sk_buff` with the arguments of the probe.
fn context_of(
    policy: HashPolicy,
    tag: Option<VlanTag>,
    inner: Option<VlanTag>,
    len: usize,
) -> [u8; CONTROL_BLOCK + 20] {
    let tag = tag.map_or(0, |tag| 1 << 16 | u32::from(tag.tci));
    let inner = inner.map_or(0, |inner| u32::from(inner.tpid) << 16 | u32::from(inner.tci));
    let mut context = [0; CONTROL_BLOCK + 20];
    for (at, argument) in [policy as u32, tag, inner, len as u32].into_iter().enumerate() {
        let at = CONTROL_BLOCK + at * 4;
        context[at..at + 4].copy_from_slice(&argument.to_ne_bytes());
    }
    context
}

/// The object file of a program in this directory. `None`, after saying why, without clang and libbpf's headers.
pub(crate) fn compiled(name: &str) -> Option<Vec<u8>> {
    if !Path::new("/usr/include/bpf/bpf_helpers.h").exists() {
        skip("libbpf's headers are not installed");
        return None;
    }
    let headers = format!("/usr/include/{}-linux-gnu", std::env::consts::ARCH);
    let source = format!("{}/tests/bpf_hash/{name}", env!("CARGO_MANIFEST_DIR"));
    let flags = "-O2 -g -Wall -Wextra -Werror -target bpf -mcpu=v3 -idirafter";
    let output = ["clang", "clang-14"].into_iter().find_map(|clang| {
        let mut command = Command::new(clang);
        command.args(flags.split(' ')).args([&headers, "-c", &source, "-o", "-"]).output().ok()
    });
    let Some(output) = output else {
        skip("clang is not installed");
        return None;
    };
    assert!(output.status.success(), "clang: {}", String::from_utf8_lossy(&output.stderr));
    Some(output.stdout)
}

/// Loads an object and its programs. `None`, after saying why, without the right to.
pub(crate) fn load(object: &[u8]) -> Option<Ebpf> {
    match try_load(object) {
        Ok(object) => Some(object),
        Err(error) if is_permission(&error) => {
            skip(&format!("may not load eBPF programs: {error}"));
            None
        }
        Err(error) => panic!("the programs don't load: {error:?}"),
    }
}

fn try_load(object: &[u8]) -> Result<Ebpf, EbpfError> {
    let mut object = Ebpf::load(object)?;
    for (_, program) in object.programs_mut() {
        let program: &mut SchedClassifier = program.try_into()?;
        program.load()?;
    }
    Ok(object)
}

/// The right is lacking, that is. What the verifier refuses is another error (EACCES), which has the same kind.
fn is_permission(error: &EbpfError) -> bool {
    let error: &dyn std::error::Error = error;
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|e| e.raw_os_error() == Some(libc::EPERM))
}

/// Says aloud, past cargo's capture and in the file that `VSWITCH_SKIP_LOG` names, that the running test can't run.
pub(crate) fn skip(reason: &str) {
    let line = format!("SKIP {}: {reason}\n", std::thread::current().name().unwrap_or("?"));
    let _ = io::stderr().write_all(line.as_bytes());
    if let Some(path) = std::env::var_os("VSWITCH_SKIP_LOG") {
        let log = std::fs::File::options().create(true).append(true).open(path);
        let _ = log.and_then(|mut log| log.write_all(line.as_bytes()));
    }
}
