//! A switch at work, to look at: three containers behind a bridge whose uplink is a bond of two cables, numbered
//! datagrams, ping and TCP running, a cable pulled and plugged in again.
//!
//! Everything lives in network namespaces that nothing outside can see and that end with this process.

mod picture;
mod scene;
mod script;

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use integration::netns::Namespace;
use integration::testing::tun_problem;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyModifiers};

use crate::scene::Scene;

/// Time between two pictures.
const FRAME: Duration = Duration::from_millis(100);

#[derive(Parser)]
#[command(about = "Shows vswitch at work in network namespaces of its own")]
struct Arguments {
    /// How long it takes, at least 10.
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u32).range(10..=3600))]
    seconds: u32,
    /// Progress as plain lines even if this is a terminal.
    #[arg(long)]
    plain: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    if let Err(error) = Namespace::new("trial") {
        bail!("needs root, or `unshare -Urn` where the kernel allows it: {error:#}");
    }
    if let Some(problem) = tun_problem() {
        bail!("{problem}");
    }
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted))?;
    }
    let mut scene =
        Scene::build(Duration::from_secs(arguments.seconds.into())).context("cannot set the scene")?;
    if arguments.plain || !std::io::stdout().is_terminal() {
        play_plainly(&mut scene, &interrupted)?;
    } else {
        play_on_screen(&mut scene, &interrupted)?;
    }
    scene.finish()
}

/// Draws until the end. The terminal is as before afterwards, also after a panic.
fn play_on_screen(scene: &mut Scene, interrupted: &AtomicBool) -> Result<()> {
    let mut terminal = ratatui::init();
    let result = (|| -> Result<()> {
        while !scene.over() && !interrupted.load(Ordering::Relaxed) {
            scene.advance()?;
            terminal.draw(|frame| picture::draw(frame, scene))?;
            if event::poll(FRAME)?
                && let Event::Key(key) = event::read()?
                && is_quit(key)
            {
                return Ok(());
            }
        }
        Ok(())
    })();
    ratatui::restore();
    result
}

fn is_quit(key: KeyEvent) -> bool {
    matches!(key.code, KeyCode::Char('q') | KeyCode::Esc)
        || key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL)
}

/// One line a second and one per event.
fn play_plainly(scene: &mut Scene, interrupted: &AtomicBool) -> Result<()> {
    let mut told = 0;
    let mut next_line = Duration::ZERO;
    while !scene.over() && !interrupted.load(Ordering::Relaxed) {
        scene.advance()?;
        for event in &scene.events[told..] {
            println!("{:5.1} s  {}", event.at.as_secs_f64(), event.what);
        }
        told = scene.events.len();
        if scene.elapsed() >= next_line {
            println!("{:5.1} s  {}", scene.elapsed().as_secs_f64(), scene.status_line());
            next_line += Duration::from_secs(1);
        }
        std::thread::sleep(FRAME);
    }
    Ok(())
}
