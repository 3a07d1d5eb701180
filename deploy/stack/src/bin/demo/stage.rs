//! What the story is played on: a house, three stations, and the folder that holds it all.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use firmware_sim::Journal;
use stack::house::{BrokerKind, House};
use stack::postgres::Postgres;
use stack::programs;

use crate::chargers::Charger;
use crate::env;
use crate::screen::say;

/// The stations that we simulate.
pub(crate) const OURS: [&str; 3] = ["PIER-1", "PIER-2", "PIER-3"];
/// Further stations that anyone may join as: CP001, CP002 ….
const FREE: usize = 50;

/// The stage. Its parts end in the order in which they stand here.
pub(crate) struct Stage {
    pub(crate) chargers: Vec<Charger>,
    pub(crate) house: House,
    postgres: Postgres,
    _lock: File,
}

impl Stage {
    /// Starts everything; takes some seconds.
    pub(crate) async fn build() -> Result<Self> {
        let begin = Instant::now();
        let target = programs::target_dir()?;
        let lock = lock(&target)?;
        let dir = target.join("demo");
        std::fs::remove_dir_all(&dir).or_else(|error| if dir.exists() { Err(error) } else { Ok(()) })?;
        std::fs::create_dir_all(&dir)?;
        say("Starting a private Postgres");
        let postgres = Postgres::start(&dir).await?;
        let database = postgres.create_database().await?;
        say("Starting the cloud with its broker, and the agent of a site; enrolling it with a claim code");
        let free: Vec<String> = (1..=FREE).map(|number| format!("CP{number:03}")).collect();
        let stations: Vec<&str> = OURS.into_iter().chain(free.iter().map(String::as_str)).collect();
        let house = House::build(&dir, &database, BrokerKind::Embedded, &stations).await?;
        say("Starting three stations");
        let journal = Journal::append(&journal_of(&dir))?;
        let (url, password) = (house.edge.ocpp_url(), &house.site.password);
        let chargers = OURS.map(|identity| Charger::start(&url, identity, password, &journal)).into();
        let stage = Self { chargers, house, postgres, _lock: lock };
        env::write(&stage.house)?;
        say(&format!("Ready after {:.1} s", begin.elapsed().as_secs_f64()));
        Ok(stage)
    }

    /// What the stations' meters saw.
    pub(crate) fn journal(&self) -> PathBuf {
        journal_of(&self.house.dir)
    }

    /// Where to look.
    pub(crate) fn announce(&self) {
        let (cloud, edge) = (self.house.cloud.http_url(), self.house.edge.local_url());
        say("");
        say(&format!("  {cloud}/graphql     the API, with a page to try it"));
        say(&format!(
            "  {}     one-time codes: sign in as anybody with sendCodeLogin and login",
            self.house.cloud.mailbox_url()
        ));
        say(&format!("  {edge}/api/state   the site as its agent sees it"));
        say(&format!("  {cloud}/metrics and {edge}/metrics"));
        say(&format!("  {}   everything another client needs to join", env::path(&self.house).display()));
        say("");
    }

    /// Ends everything in good order and leaves nothing behind.
    pub(crate) async fn strike(self) -> Result<()> {
        say("Stopping");
        let Self { chargers, mut house, mut postgres, _lock } = self;
        drop(chargers);
        house.stop().await?;
        postgres.stop().await?;
        let dir = house.dir.clone();
        drop((house, postgres));
        std::fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))
    }

    /// Leaves everything where it is, for a look at what went wrong.
    pub(crate) fn keep(self) -> PathBuf {
        self.house.dir.clone()
    }
}

fn journal_of(dir: &Path) -> PathBuf {
    dir.join("stations.jsonl")
}

/// One demo at a time in one folder.
fn lock(target: &Path) -> Result<File> {
    let lock = File::create(target.join("demo.lock"))?;
    lock.try_lock().context("a demo is running already")?;
    Ok(lock)
}
