//! What a row is played on: a house of real programs, a journal of its stations, and what the checker wants to know of
//! it at the end.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result};
use firmware_sim::Journal;
use shared::units::Timestamp;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use stack::cloud::Cloud;
use stack::edge::Edge;
use stack::house::{BrokerKind, House, PRICE_MICROS};
use stack::postgres::Postgres;
use stack::wait;
use stack::workdir::Workdir;

use crate::checker::{self, CloudBook, EdgeBook, Finding, Rules, Verdict};

/// How long the programs may take for what they do at once on an idle machine.
pub(crate) const SOON: Duration = Duration::from_secs(60);
/// How often to look whether all is quiet.
const MOST_LOOKS: usize = 40;
/// How we are called in Postgres, so that nobody's connection but the product's is ended.
pub(crate) const US: &str = "torture";

/// A stage. Its parts end in the order in which they stand here.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) house: House,
    /// Further gateways of the site.
    pub(crate) others: Vec<Edge>,
    /// Further replicas of the cloud.
    pub(crate) replicas: Vec<Cloud>,
    pub(crate) db: PgPool,
    pub(crate) postgres: Postgres,
    standby: Option<(Postgres, String)>,
    pub(crate) journal: Journal,
    journal_path: PathBuf,
    dir: Workdir,
}

impl Stage {
    /// A house with stations S1, S2 …
    pub(crate) async fn build(name: &str, broker: BrokerKind, stations: usize) -> Result<Self> {
        Self::built(name, broker, stations, false).await
    }

    /// The same with a standby of Postgres, on whose disk all is that is committed.
    pub(crate) async fn with_standby(name: &str, broker: BrokerKind, stations: usize) -> Result<Self> {
        Self::built(name, broker, stations, true).await
    }

    async fn built(name: &str, broker: BrokerKind, stations: usize, standby: bool) -> Result<Self> {
        let dir = Workdir::new(&format!("torture-{}", name.to_lowercase()))?;
        let built = Self::furnish(&dir, broker, stations, standby).await;
        match built {
            Ok((house, db, postgres, standby)) => {
                let journal_path = dir.path().join("stations.jsonl");
                let journal = Journal::append(&journal_path)?;
                let (others, replicas) = (Vec::new(), Vec::new());
                let stage =
                    Self { house, others, replicas, db, postgres, standby, journal, journal_path, dir };
                stage.documents_arrived().await?;
                Ok(stage)
            }
            Err(error) => {
                let kept = dir.keep();
                Err(error.context(format!("logs and data are kept in {}", kept.display())))
            }
        }
    }

    async fn furnish(
        dir: &Workdir,
        broker: BrokerKind,
        stations: usize,
        standby: bool,
    ) -> Result<(House, PgPool, Postgres, Option<(Postgres, String)>)> {
        let postgres = Postgres::start(dir.path()).await?;
        let own = postgres.create_database().await?;
        let name = own.rsplit('/').next().unwrap_or_default();
        let standby = match standby {
            true => Some((postgres.standby(&dir.path().join("standby")).await?, name.to_owned())),
            false => None,
        };
        let url =
            standby.as_ref().map_or_else(|| own.clone(), |(standby, name)| postgres.url_with(standby, name));
        let names: Vec<String> = (1..=stations).map(station).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut house = House::build(dir.path(), &url, broker, &names).await?;
        // What was lost with a broker is to be sent again while we look on.
        house.edge.service().set("EDGE_SYNC__ACK_TIMEOUT_SECONDS", 2);
        house.edge.service().set("EDGE_SYNC__ACK_TIMEOUT_MOST_SECONDS", 10);
        house.edge.service().stop().await?;
        house.edge.start().await?;
        Ok((house, connect(&own)?, postgres, standby))
    }

    /// Makes the standby the primary, and looks there from now on.
    pub(crate) async fn promote(&mut self) -> Result<()> {
        let (standby, name) = self.standby.take().context("a standby")?;
        standby.promote().await?;
        self.db = connect(&standby.url(&name))?;
        self.postgres = standby;
        Ok(())
    }

    /// Everybody's data is in another database of the same server from the cloud's next start on.
    pub(crate) fn move_to(&mut self, url: &str) -> Result<()> {
        self.house.cloud.service().set("DATABASE_URL", url);
        self.house.database_url = url.to_owned();
        self.db = connect(url)?;
        Ok(())
    }

    /// The edge holds the list of tokens, the tariffs and its stations.
    pub(crate) async fn documents_arrived(&self) -> Result<()> {
        let held = "select count(*) > 3 and bool_and(held_version = version) from documents";
        wait::until("the agent's documents", SOON, || async {
            sqlx::query_scalar::<_, Option<bool>>(held).fetch_one(&self.db).await.ok()?.filter(|held| *held)
        })
        .await
        .map(drop)
    }

    /// Waits until the cloud has committed everything that the edges wrote.
    pub(crate) async fn settled(&self, limit: Duration) -> Result<()> {
        let look = || async {
            let (edges, cloud) = (self.positions().ok()?, CloudBook::watermarks(&self.db).await.ok()?);
            edges.iter().all(|edge| checker::behind(edge, &cloud).is_empty()).then_some(())
        };
        let waited = wait::until("everything to arrive in the cloud", limit, look).await;
        waited.with_context(|| format!("still to send: {:?}", self.backlog()))
    }

    /// How far all edges are.
    fn positions(&self) -> Result<Vec<EdgeBook>> {
        let edges = self.others.iter().chain([&self.house.edge]);
        edges.map(|edge| EdgeBook::position(edge.data())).collect()
    }

    /// Records that the edges have not sent, or not heard of.
    pub(crate) fn backlog(&self) -> Result<i64> {
        Ok(self.positions()?.iter().map(EdgeBook::backlog).sum())
    }

    /// What the checker says now that all is quiet.
    pub(crate) async fn verdict(&mut self, rules: Rules) -> Result<Verdict> {
        let (edges, cloud) = self.books().await?;
        let journal = Journal::read(&self.journal_path)?;
        let mut verdict = checker::sessions(&journal, &edges, &cloud, rules);
        for edge in &edges {
            verdict.findings.extend(checker::behind(edge, &cloud));
        }
        if rules.edges_whole {
            verdict.findings.extend(checker::broken(&cloud));
        }
        if let Err(error) = self.house.cloud.service().tool(&["audit", "verify"], "") {
            verdict.findings.push(Finding::Audit { words: format!("{error:#}") });
        }
        verdict.findings.extend(self.logs()?);
        Ok(verdict)
    }

    /// All books of one moment: again while something is on its way, which a station that left may cause.
    async fn books(&self) -> Result<(Vec<EdgeBook>, CloudBook)> {
        let mut looks = 0;
        loop {
            let (edges, cloud) = (self.edge_books()?, CloudBook::read(&self.db).await?);
            looks += 1;
            if looks > MOST_LOOKS || edges.iter().all(|edge| checker::behind(edge, &cloud).is_empty()) {
                return Ok((edges, cloud));
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    /// What no row may do: a panic or a secret in a log.
    fn logs(&mut self) -> Result<Vec<Finding>> {
        let secrets = self.secrets()?;
        let mut findings = Vec::new();
        for entry in walk(self.dir.path())? {
            let log = String::from_utf8_lossy(&std::fs::read(&entry)?).into_owned();
            let name = entry.strip_prefix(self.dir.path()).unwrap_or(&entry).display().to_string();
            findings.extend(checker::panics(&name, &log));
            findings.extend(checker::secrets(&name, &log, &secrets));
        }
        Ok(findings)
    }

    fn secrets(&mut self) -> Result<Vec<(String, String)>> {
        let mut secrets = vec![
            ("the stations' password".to_owned(), self.house.site.password.clone()),
            ("the operator's token".to_owned(), self.house.operator.token().unwrap_or_default().to_owned()),
            ("the driver's token".to_owned(), self.house.driver.token().unwrap_or_default().to_owned()),
            ("the installer's token".to_owned(), self.house.edge.installer_token()?),
        ];
        for edge in self.others.iter().chain([&self.house.edge]) {
            secrets.push(("the gateway's secret".to_owned(), edge.identity()?.secret));
        }
        Ok(secrets)
    }

    /// What all edges keep.
    fn edge_books(&self) -> Result<Vec<EdgeBook>> {
        let edges = self.others.iter().chain([&self.house.edge]);
        edges.map(|edge| EdgeBook::read(edge.data())).collect()
    }

    /// Alarms of all kinds, each with how often it was raised.
    pub(crate) async fn alarms(&self) -> Result<Vec<(String, i64)>> {
        let count = "select kind, sum(count)::bigint from alarms group by kind order by kind";
        Ok(sqlx::query_as(count).fetch_all(&self.db).await?)
    }

    /// What every row expects whose edges keep their storage.
    pub(crate) fn rules(&self) -> Rules {
        Rules { price_micros: PRICE_MICROS, edges_whole: true, poison: 0 }
    }

    /// Ends everything; keeps it for a look when something was wrong.
    pub(crate) async fn strike(mut self, fine: bool) -> Result<()> {
        self.db.close().await;
        if !fine {
            let Self { dir, house, others, postgres, .. } = self;
            drop((house, others, postgres));
            let kept = dir.keep();
            crate::progress::say(&format!("     logs and data are kept in {}", kept.display()));
            return Ok(());
        }
        for edge in &mut self.others {
            edge.service().stop().await?;
        }
        self.house.stop().await?;
        self.postgres.stop().await
    }
}

fn connect(url: &str) -> Result<PgPool> {
    let options = PgConnectOptions::from_str(url)?.application_name(US);
    Ok(PgPoolOptions::new().max_connections(4).connect_lazy_with(options))
}

/// The name of a station, counted from 1.
pub(crate) fn station(number: usize) -> String {
    format!("S{number}")
}

/// Files called `log`, or that end so, below a folder.
fn walk(folder: &std::path::Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in folder.read_dir().with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            // Postgres lets nobody else in; its log is outside.
            found.extend(walk(&path).unwrap_or_default());
        } else if name == "log" || name.ends_with(".log") {
            found.push(path);
        }
    }
    Ok(found)
}

/// A figure of this row that must hold.
pub(crate) fn promise(verdict: &mut Verdict, holds: bool, words: impl Into<String>) {
    if !holds {
        verdict.findings.push(Finding::Promise { words: words.into() });
    }
}

/// The time of this machine.
#[expect(clippy::disallowed_methods, reason = "outside every core")]
pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
