//! Debian's nats-server as the broker: JetStream and MQTT, with the accounts that the cloud generates for it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use tokio::net::TcpStream;

use crate::ports;
use crate::process::{Process, RunAs, command};

/// JetStream restores what it holds before MQTT listens; of a cluster, a majority has to be there.
const START_LIMIT: Duration = Duration::from_secs(30);

/// A private nats-server, running unless it was killed.
#[derive(Debug)]
pub struct Nats {
    dir: PathBuf,
    address: SocketAddr,
    process: Option<Process>,
}

impl Nats {
    /// Chooses free loopback ports. Before the start, `dir` must hold `evb.conf` as `cloud broker-acl nats` writes it.
    pub fn prepare(dir: &Path) -> Result<Self> {
        let (mqtt, client) = (ports::free()?, ports::free()?);
        std::fs::write(dir.join("nats-server.conf"), config(dir, mqtt, client))?;
        Ok(Self { dir: dir.to_owned(), address: ([127, 0, 0, 1], mqtt).into(), process: None })
    }

    /// Where MQTT listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it at once, as a power cut would.
    pub fn kill9(&mut self) -> Result<()> {
        self.process.take().context("nats-server runs")?.kill9()
    }

    /// Starts it.
    pub async fn restart(&mut self) -> Result<()> {
        let program = ["/usr/sbin/nats-server", "/usr/bin/nats-server", "/usr/local/bin/nats-server"]
            .into_iter()
            .map(Path::new)
            .find(|path| path.exists())
            .context("NATS is not installed: `apt-get install nats-server`")?;
        let mut command = command(program, RunAs::Ourselves, Signal::SIGTERM);
        command.arg("-c").arg(self.dir.join("nats-server.conf"));
        let process = Process::start("nats-server", command, self.dir.join("nats-server.log"))?;
        let address = self.address;
        let listens = async || TcpStream::connect(address).await.ok();
        self.process.insert(process).ready(START_LIMIT, listens).await?;
        Ok(())
    }

    /// Makes it read `evb.conf` again, after a gateway was enrolled.
    pub fn reload(&self) -> Result<()> {
        self.process.as_ref().context("nats-server runs")?.signal(Signal::SIGHUP)
    }
}

fn config(dir: &Path, mqtt: u16, client: u16) -> String {
    let dir = dir.display();
    format!(
        "server_name: one\nhost: 127.0.0.1\nport: {client}\njetstream {{ store_dir: \"{dir}/jetstream\" }}\n\
         mqtt {{ host: 127.0.0.1, port: {mqtt} }}\ninclude ./evb.conf\n"
    )
}
