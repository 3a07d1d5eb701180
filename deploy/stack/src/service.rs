//! One of our two services as a process: settings by environment, addresses by `listening.json`, the same ports again
//! after a restart so that its clients find it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;

use crate::process::{Process, RunAs, command};
use crate::programs;

const START_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// Names of listeners and where they listen.
pub type Listening = BTreeMap<String, SocketAddr>;

/// A service that may or may not be running.
#[derive(Debug)]
pub struct Service {
    program: PathBuf,
    data: PathBuf,
    environment: BTreeMap<String, String>,
    process: Option<Process>,
    under: Vec<OsString>,
}

impl Service {
    /// A service that keeps its data in `data`; not started yet. It sees nothing of our environment that could
    /// configure it by accident.
    pub fn new(program: &str, data: &Path) -> Result<Self> {
        std::fs::create_dir_all(data)?;
        let program = programs::find(program)?;
        let mut service = Self {
            program,
            data: data.to_owned(),
            environment: BTreeMap::new(),
            process: None,
            under: Vec::new(),
        };
        service.set("EV_FAULT", service.fault_file().display());
        service.set("NO_COLOR", 1);
        for key in ["PATH", "RUST_LOG"] {
            if let Ok(value) = std::env::var(key) {
                service.set(key, value);
            }
        }
        Ok(service)
    }

    /// Makes the process abort, once, when it next comes to `place`: the worst moment, on demand. Debug builds only.
    pub fn arm(&self, place: &str) -> Result<()> {
        Ok(std::fs::write(self.fault_file(), place)?)
    }

    /// Sets an environment variable from the next start on.
    pub fn set(&mut self, key: &str, value: impl ToString) {
        self.environment.insert(key.to_owned(), value.to_string());
    }

    /// Unsets an environment variable from the next start on.
    pub fn unset(&mut self, key: &str) {
        self.environment.remove(key);
    }

    /// Starts it under another program from the next start on, which has to leave the process to us: `strace -D`.
    pub fn under(&mut self, words: Vec<OsString>) {
        self.under = words;
    }

    /// The same program with the same settings and other data; not started.
    pub fn elsewhere(&self, data: &Path) -> Self {
        let environment = self.environment.clone();
        Self {
            program: self.program.clone(),
            data: data.to_owned(),
            environment,
            process: None,
            under: Vec::new(),
        }
    }

    /// Where its data and its log are.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        let log = std::fs::read(self.log_path()).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// The running process.
    pub fn process(&mut self) -> Result<&mut Process> {
        let program = &self.program;
        self.process.as_mut().with_context(|| format!("{} does not run", program.display()))
    }

    /// Starts it and waits until it says where it listens.
    pub async fn start(&mut self) -> Result<Listening> {
        let file = self.data.join("listening.json");
        std::fs::remove_file(&file).ok();
        let mut words = self.under.iter().map(OsString::as_os_str).chain([self.program.as_os_str()]);
        let first = words.next().context("a program")?;
        let mut command = command(Path::new(first), RunAs::Ourselves, Signal::SIGTERM);
        command.args(words).arg("run").env_clear().envs(&self.environment);
        let process = Process::start(&self.name(), command, self.log_path())?;
        let listening = async || serde_json::from_slice(&std::fs::read(&file).ok()?).ok();
        self.process.insert(process).ready(START_LIMIT, listening).await
    }

    /// Ends it at once, as a power cut would.
    pub fn kill9(&mut self) -> Result<()> {
        self.process()?.kill9()?;
        self.process = None;
        Ok(())
    }

    /// Asks it to end, and expects it to do so cleanly.
    pub async fn stop(&mut self) -> Result<()> {
        let status = self.process()?.stop(Signal::SIGTERM, STOP_LIMIT).await?;
        let words = self.process()?.last_words();
        self.process = None;
        if !status.success() {
            bail!("{} ended with {status}:\n{words}", self.name());
        }
        Ok(())
    }

    /// Runs another command of the same program with the same settings, feeding it `input`; returns what it printed.
    pub fn tool(&self, arguments: &[&str], input: &str) -> Result<String> {
        let mut command = Command::new(&self.program);
        command.args(arguments).env_clear().envs(&self.environment);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        // A command that does not read its input is fine.
        child.stdin.take().context("stdin is piped")?.write_all(input.as_bytes()).ok();
        let output = child.wait_with_output()?;
        if !output.status.success() {
            let said = [&output.stderr[..], &output.stdout].concat();
            let words = String::from_utf8_lossy(&said);
            bail!("`{} {}` failed: {}", self.name(), arguments.join(" "), words.trim());
        }
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    fn name(&self) -> String {
        self.program.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    fn fault_file(&self) -> PathBuf {
        self.data.join("fault")
    }

    fn log_path(&self) -> PathBuf {
        self.data.join("log")
    }
}
