//! Debian's nats-server as the broker, alone or as a cluster: JetStream and MQTT, with the accounts that the cloud generates
//! for it.

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
        std::fs::write(dir.join("nats-server.conf"), config("one", dir, mqtt, client))?;
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
        self.launch()?;
        self.ready().await
    }

    fn launch(&mut self) -> Result<()> {
        let program = ["/usr/sbin/nats-server", "/usr/bin/nats-server", "/usr/local/bin/nats-server"]
            .into_iter()
            .map(Path::new)
            .find(|path| path.exists())
            .context("NATS is not installed: `apt-get install nats-server`")?;
        let mut command = command(program, RunAs::Ourselves, Signal::SIGTERM);
        command.arg("-c").arg(self.dir.join("nats-server.conf"));
        self.process = Some(Process::start("nats-server", command, self.dir.join("nats-server.log"))?);
        Ok(())
    }

    async fn ready(&mut self) -> Result<()> {
        let address = self.address;
        let listens = async || TcpStream::connect(address).await.ok();
        self.process.as_mut().context("nats-server runs")?.ready(START_LIMIT, listens).await.map(drop)
    }

    /// Makes it read `evb.conf` again, after a gateway was enrolled.
    pub fn reload(&self) -> Result<()> {
        self.process.as_ref().context("nats-server runs")?.signal(Signal::SIGHUP)
    }
}

/// Nodes that keep everything together: any one of them may die.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Nats>,
}

impl Cluster {
    /// So many nodes below `dir`, not started yet.
    pub fn prepare(dir: &Path, nodes: usize) -> Result<Self> {
        let routes: Vec<u16> = (0..nodes).map(|_| ports::free()).collect::<Result<_>>()?;
        let node = |(number, route): (usize, &u16)| {
            let (name, mqtt, client) = (format!("node-{number}"), ports::free()?, ports::free()?);
            let dir = dir.join(&name);
            std::fs::create_dir_all(&dir)?;
            let others =
                routes.iter().map(|port| format!("nats://127.0.0.1:{port}")).collect::<Vec<_>>().join(", ");
            let cluster =
                format!("cluster {{ name: evb, listen: \"127.0.0.1:{route}\", routes: [{others}] }}\n");
            std::fs::write(dir.join("nats-server.conf"), config(&name, &dir, mqtt, client) + &cluster)?;
            Ok(Nats { dir, address: ([127, 0, 0, 1], mqtt).into(), process: None })
        };
        Ok(Self { nodes: routes.iter().enumerate().map(node).collect::<Result<_>>()? })
    }

    /// Where one of them listens for MQTT.
    pub fn address(&self, node: usize) -> SocketAddr {
        self.nodes[node].address
    }

    /// The processes that run.
    pub fn pids(&self) -> Vec<u32> {
        self.nodes.iter().filter_map(|node| Some(node.process.as_ref()?.pid())).collect()
    }

    /// All addresses in one URL.
    pub fn url(&self) -> String {
        let all: Vec<String> = self.nodes.iter().map(|node| format!("mqtt://{}", node.address)).collect();
        all.join(",")
    }

    /// Gives each node the accounts that are in `from`; those that run take them at once.
    pub fn accounts(&self, from: &Path) -> Result<()> {
        for node in &self.nodes {
            std::fs::copy(from.join("evb.conf"), node.dir.join("evb.conf"))?;
            if node.process.is_some() {
                node.reload()?;
            }
        }
        Ok(())
    }

    /// Starts all that do not run, and waits until each serves.
    pub async fn start(&mut self) -> Result<()> {
        for node in self.nodes.iter_mut().filter(|node| node.process.is_none()) {
            node.launch()?;
        }
        for node in &mut self.nodes {
            node.ready().await?;
        }
        Ok(())
    }

    /// Ends one at once, as a power cut would.
    pub fn kill9(&mut self, node: usize) -> Result<()> {
        self.nodes[node].kill9()
    }

    /// Ends all at once.
    pub fn kill9_all(&mut self) -> Result<()> {
        self.nodes.iter_mut().filter(|node| node.process.is_some()).try_for_each(Nats::kill9)
    }
}

fn config(name: &str, dir: &Path, mqtt: u16, client: u16) -> String {
    let dir = dir.display();
    format!(
        "server_name: {name}\nhost: 127.0.0.1\nport: {client}\njetstream {{ store_dir: \"{dir}/jetstream\" }}\n\
         mqtt {{ host: 127.0.0.1, port: {mqtt} }}\ninclude ./evb.conf\n"
    )
}
