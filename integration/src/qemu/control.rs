//! The control port of a virtual machine: scripts in, what they wrote and how they ended out. `init.sh` is the other
//! side. Console messages go elsewhere, so nothing can get mixed up with an answer.

use std::io::{BufRead as _, BufReader, ErrorKind, Read, Write as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::process::Finished;

/// How much longer than a script we wait for its answer: the guest itself ends a late script and tells.
const GRACE: Duration = Duration::from_secs(15);
/// No answer is longer; a script that writes this much would fill the guest's memory.
const MOST_OUTPUT: usize = 1 << 28;
/// Exit statuses of `timeout` for a script that was late: ended by SIGTERM, or by SIGKILL a second later.
const LATE: [i32; 2] = [124, 137];

/// Our end of the port.
pub(super) struct Control {
    reader: BufReader<Bounded>,
}

/// A stream that is read until a deadline.
struct Bounded {
    stream: UnixStream,
    end: Instant,
}

impl Control {
    pub(super) fn new(stream: UnixStream) -> Result<Self> {
        stream.set_write_timeout(Some(GRACE))?;
        Ok(Self { reader: BufReader::new(Bounded { stream, end: Instant::now() }) })
    }

    /// Runs a shell script of the guest to its end. After an error of the port itself nothing more can be run.
    pub(super) fn run(&mut self, script: &str, deadline: Duration) -> Result<Finished> {
        let start = Instant::now();
        let request = format!("{:.3} {}\n{script}", deadline.as_secs_f64(), script.len());
        let answer = match self.reader.get_mut().stream.write_all(request.as_bytes()) {
            Ok(()) => self.answer(start + deadline + GRACE),
            Err(error) => Err(error).context("the virtual machine takes no commands"),
        };
        let done = match answer {
            Ok(done) => done,
            Err(error) => {
                // A late answer must not be taken for that of the next script.
                let _ = self.reader.get_ref().stream.shutdown(std::net::Shutdown::Both);
                return Err(error.context(format!("`{script}` in the virtual machine")));
            }
        };
        if start.elapsed() >= deadline && done.status.code().is_some_and(|code| LATE.contains(&code)) {
            let (stdout, stderr) = (done.stdout.trim_end(), done.stderr.trim_end());
            bail!(
                "`{script}` did not end within {} s in the virtual machine\n{stdout}\n{stderr}",
                deadline.as_secs_f32()
            );
        }
        Ok(done)
    }

    /// The next answer.
    pub(super) fn answer(&mut self, end: Instant) -> Result<Finished> {
        self.reader.get_mut().end = end;
        let mut line = String::new();
        self.reader.read_line(&mut line).context("no answer")?;
        ensure!(!line.is_empty(), "the virtual machine ended");
        let (code, stdout, stderr) = header(&line).with_context(|| format!("bad answer: {line:?}"))?;
        Ok(Finished {
            status: ExitStatus::from_raw(i32::from(code) << 8),
            stdout: self.text(stdout)?,
            stderr: self.text(stderr)?,
        })
    }

    fn text(&mut self, size: usize) -> Result<String> {
        let mut bytes = vec![0; size];
        self.reader.read_exact(&mut bytes).context("an answer that breaks off")?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        match self.stream.read(buffer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Err(ErrorKind::TimedOut.into()),
            other => other,
        }
    }
}

/// `STATUS SIZE SIZE`.
fn header(line: &str) -> Option<(u8, usize, usize)> {
    let mut words = line.strip_suffix('\n')?.split(' ');
    let code = words.next()?.parse().ok()?;
    let mut size = || words.next()?.parse().ok().filter(|size| *size <= MOST_OUTPUT);
    let sizes = (size()?, size()?);
    words.next().is_none().then_some((code, sizes.0, sizes.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    /// A guest that answers everything with the same bytes.
    fn guest(answer: &'static [u8]) -> (Control, std::thread::JoinHandle<Vec<u8>>) {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let guest = std::thread::spawn(move || {
            let mut request = vec![0; 1024];
            let length = theirs.read(&mut request).unwrap();
            theirs.write_all(answer).unwrap();
            request.truncate(length);
            request
        });
        (Control::new(ours).unwrap(), guest)
    }

    #[test]
    fn an_answer_is_taken_apart_by_its_sizes() {
        let (mut control, guest) = guest(b"3 4 6\na\nb\n0 0 0\n");
        let done = control.run("echo a", SOON).unwrap();
        assert_eq!((done.status.code(), &*done.stdout, &*done.stderr), (Some(3), "a\nb\n", "0 0 0\n"));
        assert_eq!(guest.join().unwrap(), b"5.000 6\necho a");
    }

    #[test]
    fn a_bad_answer_is_an_error_and_the_last_one() {
        for answer in
            ["", "nonsense\n", "0 1\n", "0 1 1 1\n", "256 0 0\n", "0 0 999999999999\n", "0 5 0\nabc", "0 0 0"]
        {
            let (mut control, guest) = guest(answer.as_bytes());
            assert!(control.run("true", SOON).is_err(), "{answer:?}");
            guest.join().unwrap();
            assert!(control.run("true", SOON).is_err(), "{answer:?}");
        }
    }

    #[test]
    fn the_status_of_a_late_script_is_an_error_only_if_it_was_late() {
        let (mut control, _guest) = guest(b"124 0 0\n");
        assert_eq!(control.run("exit 124", SOON).unwrap().status.code(), Some(124));
        let (mut control, _guest) = guest(b"124 3 0\nyes");
        let error = control.run("yes", Duration::from_nanos(1)).unwrap_err().to_string();
        assert!(error.contains("did not end within") && error.contains("yes"), "{error}");
    }

    #[test]
    fn silence_is_an_error_at_the_deadline() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let error = Control::new(ours).unwrap().answer(Instant::now() + Duration::from_millis(10));
        assert!(format!("{:#}", error.unwrap_err()).contains("no answer"));
    }
}
