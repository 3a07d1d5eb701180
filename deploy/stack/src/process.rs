//! Child processes that cannot outlive us, log to a file, and tell what went wrong when they end early.
//!
//! Every program is started through `setpriv --pdeathsig`. The kernel sends that signal when the *thread* that forked
//! ends, and a test's thread ends long before a server shared by all tests should, so one thread that lives as long
//! as the process does all the forking.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{LazyLock, mpsc};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wait;

/// Who a program runs as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunAs {
    /// The user who runs this process.
    Ourselves,
    /// Another user, without any of our groups; only root may ask for it.
    Other {
        /// Numeric user id.
        uid: u32,
        /// Numeric group id.
        gid: u32,
    },
}

/// A running program.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

/// A command line for [`Process::start`] and [`run`]: `program` below `setpriv`, with a clean death.
pub fn command(program: &Path, run_as: RunAs, death: Signal) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", death.as_str().trim_start_matches("SIG")]);
    if let RunAs::Other { uid, gid } = run_as {
        command.args([format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".into()]);
    }
    command.arg("--").arg(program);
    command
}

/// Runs a command to its end and returns what it printed; an unsuccessful end is an error that quotes its words.
pub fn run(mut command: Command) -> Result<String> {
    let words = format!("{command:?}");
    let output = command.output().with_context(|| format!("cannot start {words}"))?;
    if !output.status.success() {
        bail!("{words} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

impl Process {
    /// Starts a command whose output is appended to `log`.
    pub fn start(name: &str, mut command: Command, log: PathBuf) -> Result<Self> {
        let file = File::options().create(true).append(true).open(&log)?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child =
            fork(command).with_context(|| format!("cannot start {name} (is `setpriv` installed?)"))?;
        Ok(Self { name: name.to_owned(), child, log })
    }

    /// The kernel's number of this process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it at once, as a power cut would.
    pub fn kill9(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to end with `signal`, and waits until it did.
    pub async fn stop(&mut self, signal: Signal, limit: Duration) -> Result<ExitStatus> {
        self.signal(signal)?;
        self.ended(limit).await
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.child.id()).context("a process id fits")?;
        kill(Pid::from_raw(pid), signal).with_context(|| format!("cannot signal {}", self.name))
    }

    /// Waits until it ends by itself.
    pub async fn ended(&mut self, limit: Duration) -> Result<ExitStatus> {
        let name = self.name.clone();
        let child = &mut self.child;
        wait::until(&format!("the end of {name}"), limit, || std::future::ready(child.try_wait().transpose()))
            .await?
            .context("cannot wait for a child")
    }

    /// Waits until `ready` yields; fails at once, quoting the log, when the process ends before.
    pub async fn ready<T>(
        &mut self,
        limit: Duration,
        mut ready: impl AsyncFnMut() -> Option<T>,
    ) -> Result<T> {
        let deadline = tokio::time::Instant::now() + limit;
        loop {
            if let Some(value) = ready().await {
                return Ok(value);
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(anyhow!(
                    "{} ended with {status}; its last words:\n{}",
                    self.name,
                    self.last_words()
                ));
            }
            if tokio::time::Instant::now() >= deadline {
                let limit = limit.as_secs();
                bail!("{} was not ready after {limit} s; its last words:\n{}", self.name, self.last_words());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The end of the log.
    pub fn last_words(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }
}

/// Forks from the one thread that lives as long as this process.
fn fork(command: Command) -> Result<Child> {
    type Order = (Command, mpsc::Sender<std::io::Result<Child>>);
    static FORKER: LazyLock<mpsc::Sender<Order>> = LazyLock::new(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in inbox {
                answer.send(command.spawn()).ok();
            }
        });
        orders
    });
    let (answer, child) = mpsc::channel();
    FORKER.send((command, answer)).context("the forking thread lives as long as the process")?;
    Ok(child.recv()??)
}
