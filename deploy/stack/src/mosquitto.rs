//! Debian's mosquitto as the broker, with the password file and the ACL that the cloud generates for it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use tokio::net::TcpStream;

use crate::ports;
use crate::process::{Process, RunAs, command};

const START_LIMIT: Duration = Duration::from_secs(10);

/// A private mosquitto, running unless it was killed.
#[derive(Debug)]
pub struct Mosquitto {
    dir: PathBuf,
    address: SocketAddr,
    process: Option<Process>,
}

impl Mosquitto {
    /// Chooses a free loopback port. Before the start, `dir` must hold `passwords` and `acl` as
    /// `cloud broker-acl mosquitto` writes them.
    pub fn prepare(dir: &Path) -> Result<Self> {
        let address: SocketAddr = ([127, 0, 0, 1], ports::free()?).into();
        std::fs::write(dir.join("mosquitto.conf"), config(dir, address))?;
        Ok(Self { dir: dir.to_owned(), address, process: None })
    }

    /// Starts it where `passwords` and `acl` are written already.
    pub async fn start(dir: &Path) -> Result<Self> {
        let mut broker = Self::prepare(dir)?;
        broker.restart().await?;
        Ok(broker)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it at once, as a power cut would.
    pub fn kill9(&mut self) -> Result<()> {
        self.process.take().context("mosquitto runs")?.kill9()
    }

    /// Starts it; it remembers nothing of an earlier life.
    pub async fn restart(&mut self) -> Result<()> {
        let program = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto", "/usr/bin/mosquitto"]
            .into_iter()
            .map(Path::new)
            .find(|path| path.exists())
            .context("mosquitto is not installed: `apt-get install mosquitto`")?;
        let mut command = command(program, RunAs::Ourselves, Signal::SIGTERM);
        command.arg("-c").arg(self.dir.join("mosquitto.conf"));
        let process = Process::start("mosquitto", command, self.dir.join("mosquitto.log"))?;
        let address = self.address;
        let listens = async || TcpStream::connect(address).await.ok();
        self.process.insert(process).ready(START_LIMIT, listens).await?;
        Ok(())
    }

    /// Makes it read the password file and the ACL again, after a gateway was enrolled.
    pub fn reload(&self) -> Result<()> {
        self.process.as_ref().context("mosquitto runs")?.signal(Signal::SIGHUP)
    }
}

/// Runs as whoever starts it (`user root` keeps root's mosquitto from dropping to a user who cannot read the folder).
fn config(dir: &Path, address: SocketAddr) -> String {
    let dir = dir.display();
    format!(
        "listener {} {}\nuser root\nallow_anonymous false\npassword_file {dir}/passwords\nacl_file {dir}/acl\n\
         set_tcp_nodelay true\npersistence false\nmax_packet_size 1049600\nmax_inflight_messages 0\nlog_type warning\nlog_type error\n",
        address.port(),
        address.ip(),
    )
}
