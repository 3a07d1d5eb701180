//! One line per row while it runs: how far it is, what was done to it, how long it will take.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::AbortHandle;

const LOOK: Duration = Duration::from_millis(500);
/// Where nobody looks a sign of life is enough.
const LOOK_SELDOM: Duration = Duration::from_secs(30);

/// Says something, once.
#[expect(clippy::print_stdout, reason = "this is a program to look at")]
pub(crate) fn say(text: &str) {
    println!("{text}");
}

/// The line of a row, gone from the screen when dropped.
#[derive(Debug)]
pub(crate) struct Line {
    state: Arc<State>,
    printing: AbortHandle,
}

#[derive(Debug)]
struct State {
    name: &'static str,
    began: Instant,
    rounds: AtomicU64,
    of: AtomicU64,
    faults: AtomicU64,
    doing: Mutex<String>,
}

impl Line {
    pub(crate) fn begin(name: &'static str) -> Self {
        let state = Arc::new(State {
            name,
            began: Instant::now(),
            rounds: AtomicU64::new(0),
            of: AtomicU64::new(0),
            faults: AtomicU64::new(0),
            doing: Mutex::new("starting the programs".into()),
        });
        let printing = tokio::spawn(print(state.clone())).abort_handle();
        Self { state, printing }
    }

    /// So many rounds will be played.
    pub(crate) fn of(&self, rounds: u64) {
        self.state.of.store(rounds, Ordering::Relaxed);
    }

    /// A round is over.
    pub(crate) fn round(&self) {
        self.state.rounds.fetch_add(1, Ordering::Relaxed);
    }

    /// Something was done to the programs.
    pub(crate) fn fault(&self) {
        self.state.faults.fetch_add(1, Ordering::Relaxed);
    }

    /// What is going on.
    pub(crate) fn doing(&self, what: impl Into<String>) {
        *self.state.doing.lock().unwrap_or_else(PoisonError::into_inner) = what.into();
    }

    pub(crate) fn rounds(&self) -> u64 {
        self.state.rounds.load(Ordering::Relaxed)
    }

    pub(crate) fn faults(&self) -> u64 {
        self.state.faults.load(Ordering::Relaxed)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.printing.abort();
        if std::io::stdout().is_terminal() {
            show("\r\x1b[K");
        }
    }
}

async fn print(state: Arc<State>) {
    let terminal = std::io::stdout().is_terminal();
    loop {
        tokio::time::sleep(if terminal { LOOK } else { LOOK_SELDOM }).await;
        let line = state.line();
        show(&if terminal { format!("\r\x1b[K{line}") } else { format!("{line}\n") });
    }
}

#[expect(clippy::print_stdout, reason = "this is a program to look at")]
fn show(text: &str) {
    print!("{text}");
    // A closed pipe is no reason to stop torturing.
    std::io::stdout().flush().ok();
}

impl State {
    fn line(&self) -> String {
        let (rounds, of) = (self.rounds.load(Ordering::Relaxed), self.of.load(Ordering::Relaxed));
        let took = self.began.elapsed().as_secs();
        let left = match (rounds, of) {
            (1.., _) if rounds < of => format!("about {} s left", took * (of - rounds) / rounds),
            _ => format!("{took} s"),
        };
        let faults = self.faults.load(Ordering::Relaxed);
        let doing = self.doing.lock().unwrap_or_else(PoisonError::into_inner);
        format!("{:<4} {rounds}/{of} rounds, {faults} faults, {left}: {doing}", self.name)
    }
}
