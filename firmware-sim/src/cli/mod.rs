//! The commands. Results go to standard output, the log to standard error.
#![expect(clippy::print_stdout, reason = "a command line tool prints")]

pub(crate) mod fleet;
pub(crate) mod load;
pub(crate) mod scenario;
pub(crate) mod station;
pub(crate) mod torture;

use std::path::{Path, PathBuf};

use anyhow::Context;
use firmware_sim::Journal;
use firmware_sim::fleet::Credentials;

/// Who the stations of a fleet or a load are.
#[derive(clap::Args)]
pub(crate) struct Crowd {
    /// Where the CSMS is, without the identity: ws://host:port/path
    #[arg(long, env = "FIRMWARE_SIM_URL")]
    pub(crate) url: String,
    /// How many stations; all in the file with --credentials
    #[arg(long, short = 'n')]
    stations: Option<u32>,
    /// Begins each identity; a number follows
    #[arg(long, default_value = "CP")]
    prefix: String,
    /// The Basic password of every station
    #[arg(long, env = "FIRMWARE_SIM_PASSWORD", hide_env_values = true)]
    password: Option<String>,
    /// A file of lines `identity password`, instead of --prefix and --password
    #[arg(long)]
    credentials: Option<PathBuf>,
    /// New connections a second; 0 is all at once
    #[arg(long, default_value_t = 0)]
    pub(crate) ramp: u32,
}

impl Crowd {
    /// The stations, and how many.
    pub(crate) fn credentials(&self) -> anyhow::Result<(Credentials, u32)> {
        let credentials = match &self.credentials {
            Some(path) => Credentials::read(path)?,
            None => Credentials::Numbered { prefix: self.prefix.clone(), password: self.password.clone() },
        };
        let fixed = credentials.count().and_then(|count| u32::try_from(count).ok());
        if let (Some(wanted), Some(fixed)) = (self.stations, fixed) {
            anyhow::ensure!(wanted <= fixed, "--stations {wanted}, but --credentials names only {fixed}");
        }
        Ok((credentials, self.stations.or(fixed).unwrap_or(10)))
    }
}

pub(crate) fn journal(path: Option<&Path>) -> anyhow::Result<Option<Journal>> {
    let open = |path: &Path| {
        Journal::append(path).with_context(|| format!("cannot write the journal {}", path.display()))
    };
    path.map(open).transpose()
}
