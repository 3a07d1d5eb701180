//! A private Postgres: Debian's real binaries, its own data folder and port, never the machine's own cluster.
//!
//! Postgres refuses to run as root, so root runs it as `postgres` or `nobody`; that user must be able to reach the
//! data folder, and where it cannot (a checkout below `/root`, or in a folder made by `mktemp -d`) the data goes to
//! `/var/tmp` instead and is removed at the end. The only door is a loopback port with a random password.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use nix::unistd::{User, geteuid};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::process::{Process, RunAs, command, run};
use crate::{ports, wait};

const SUPERUSER: &str = "ev";
const START_LIMIT: Duration = Duration::from_secs(30);

/// A private Postgres server. It ends with this value, or with this process, whichever is first.
#[derive(Debug)]
pub struct Postgres {
    bin: PathBuf,
    run_as: RunAs,
    data: PathBuf,
    elsewhere: Option<PathBuf>,
    log: PathBuf,
    port: u16,
    password: String,
    process: Option<Process>,
}

impl Postgres {
    /// Makes a database cluster below `dir` and starts it.
    pub async fn start(dir: &Path) -> Result<Self> {
        let (bin, run_as) = (find_binaries()?, unprivileged()?);
        std::fs::create_dir_all(dir)?;
        let (home, elsewhere) = reachable_home(dir, run_as)?;
        let password = Uuid::new_v4().simple().to_string();
        let data = home.join("data");
        initdb(&bin, run_as, &home, &data, &password)?;
        let log = dir.join("postgres.log");
        let mut server =
            Self { bin, run_as, data, elsewhere, log, port: ports::free()?, password, process: None };
        server.restart().await?;
        Ok(server)
    }

    /// A streaming standby of it, below `dir`. From now on nothing is committed here before it is on a standby's disk.
    pub async fn standby(&self, dir: &Path) -> Result<Self> {
        std::fs::create_dir_all(dir)?;
        let (home, elsewhere) = reachable_home(dir, self.run_as)?;
        let data = home.join("data");
        let mut copy = command(&self.bin.join("pg_basebackup"), self.run_as, Signal::SIGKILL);
        copy.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", SUPERUSER, "-D"]).arg(&data);
        copy.args(["-R", "-X", "stream", "-C", "-S", "standby", "-c", "fast", "--no-sync"]);
        copy.current_dir("/").env_clear().env("PATH", "/usr/bin:/bin").env("PGPASSWORD", &self.password);
        run(copy)?;
        let mut standby = Self {
            bin: self.bin.clone(),
            run_as: self.run_as,
            data,
            elsewhere,
            log: dir.join("postgres.log"),
            port: ports::free()?,
            password: self.password.clone(),
            process: None,
        };
        standby.restart().await?;
        let mut connection = self.connect().await?;
        sqlx::query("alter system set synchronous_standby_names = '*'").execute(&mut connection).await?;
        sqlx::query("select pg_reload_conf()").execute(&mut connection).await?;
        let streams = "select count(*) from pg_stat_replication where sync_state in ('sync', 'quorum')";
        wait::until("a standby that keeps up", START_LIMIT, || async {
            let count: i64 =
                sqlx::query_scalar(streams).fetch_one(&mut self.connect().await.ok()?).await.ok()?;
            (count == 1).then_some(())
        })
        .await?;
        Ok(standby)
    }

    /// Makes a standby the primary.
    pub async fn promote(&self) -> Result<()> {
        let mut connection = self.connect().await?;
        let promoted: bool = sqlx::query_scalar("select pg_promote()").fetch_one(&mut connection).await?;
        anyhow::ensure!(promoted, "the standby was not promoted");
        Ok(())
    }

    /// The URL of a database that is on this server and, sooner or later, on another one.
    pub fn url_with(&self, other: &Postgres, database: &str) -> String {
        let (one, two) = (self.port, other.port);
        let password = &self.password;
        format!(
            "postgres://{SUPERUSER}:{password}@127.0.0.1:{one},127.0.0.1:{two}/{database}?target_session_attrs=read-write"
        )
    }

    /// The URL of one of its databases.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{SUPERUSER}:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }

    /// Where it listens.
    pub fn address(&self) -> std::net::SocketAddr {
        (std::net::Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Makes an empty database with a name of its own and returns its URL.
    pub async fn create_database(&self) -> Result<String> {
        let name = format!("ev_{}", Uuid::new_v4().simple());
        let mut connection = self.connect().await?;
        sqlx::query(sqlx::AssertSqlSafe(format!("create database {name}"))).execute(&mut connection).await?;
        Ok(self.url(&name))
    }

    /// Ends the server process at once, as a power cut would.
    pub fn kill9(&mut self) -> Result<()> {
        self.process.take().context("Postgres runs")?.kill9()
    }

    /// Ends it cleanly.
    pub async fn stop(&mut self) -> Result<()> {
        let mut process = self.process.take().context("Postgres runs")?;
        process.stop(Signal::SIGINT, START_LIMIT).await.map(drop)
    }

    /// Starts it again on the same data and port.
    pub async fn restart(&mut self) -> Result<()> {
        let deadline = tokio::time::Instant::now() + START_LIMIT;
        loop {
            match self.launch().await {
                Ok(()) => return Ok(()),
                // The backends of a killed server hold its shared memory for a moment.
                Err(_) if tokio::time::Instant::now() < deadline && self.process.take().is_some() => {}
                Err(error) => return Err(error),
            }
        }
    }

    async fn launch(&mut self) -> Result<()> {
        let mut command = command(&self.bin.join("postgres"), self.run_as, Signal::SIGINT);
        command.arg("-D").arg(&self.data).args(["-p", &self.port.to_string()]).current_dir("/").env_clear();
        for setting in ["listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=200"] {
            command.args(["-c", setting]);
        }
        command.env("PATH", "/usr/bin:/bin").env("LC_ALL", "C");
        self.process = Some(Process::start("postgres", command, self.log.clone())?);
        let url = self.url("postgres");
        let process = self.process.as_mut().expect("just started");
        process.ready(START_LIMIT, async || PgConnection::connect(&url).await.ok()).await?;
        Ok(())
    }

    async fn connect(&self) -> Result<PgConnection> {
        let url = self.url("postgres");
        wait::until("a connection to Postgres", START_LIMIT, || async {
            PgConnection::connect(&url).await.ok()
        })
        .await
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.process.take());
        if let Some(folder) = &self.elsewhere {
            std::fs::remove_dir_all(folder).ok();
        }
    }
}

/// The folder of `initdb` and `postgres`.
fn find_binaries() -> Result<PathBuf> {
    let mut places: Vec<PathBuf> = std::env::var_os("EV_PG_BIN").map(PathBuf::from).into_iter().collect();
    places.extend(debian_folders());
    places.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let found = places.iter().find(|place| place.join("initdb").exists() && place.join("postgres").exists());
    found.cloned().context(
        "no Postgres found: neither in $EV_PG_BIN, nor in /usr/lib/postgresql/*/bin, nor in $PATH.\n\
         Install it (`apt-get install postgresql`) or point EV_PG_BIN at a folder with `initdb` and `postgres`",
    )
}

/// `/usr/lib/postgresql/*/bin`, highest version first.
fn debian_folders() -> Vec<PathBuf> {
    let Ok(entries) = Path::new("/usr/lib/postgresql").read_dir() else { return Vec::new() };
    let mut versions: Vec<u32> =
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    versions.sort_unstable_by(|a, b| b.cmp(a));
    versions.iter().map(|version| format!("/usr/lib/postgresql/{version}/bin").into()).collect()
}

/// Whom to run as: ourselves, unless we are root.
fn unprivileged() -> Result<RunAs> {
    if !geteuid().is_root() {
        return Ok(RunAs::Ourselves);
    }
    for name in ["postgres", "nobody"] {
        if let Some(user) = User::from_name(name)? {
            return Ok(RunAs::Other { uid: user.uid.as_raw(), gid: user.gid.as_raw() });
        }
    }
    bail!("Postgres does not run as root, and there is neither a user `postgres` nor `nobody` to run it as")
}

/// A folder which `run_as` owns and can reach, and whether it had to be elsewhere.
fn reachable_home(dir: &Path, run_as: RunAs) -> Result<(PathBuf, Option<PathBuf>)> {
    let RunAs::Other { uid, gid } = run_as else { return Ok((dir.to_owned(), None)) };
    let dir = dir.canonicalize()?;
    let (home, elsewhere) = if dir.ancestors().all(others_may_pass) {
        (dir.join("postgres"), None)
    } else {
        let folder = tempfile::Builder::new().prefix("ev-postgres-").tempdir_in("/var/tmp")?.keep();
        std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o755))?;
        (folder.join("postgres"), Some(folder))
    };
    std::fs::create_dir_all(&home)?;
    std::fs::set_permissions(&home, PermissionsExt::from_mode(0o700))?;
    chown(&home, Some(uid), Some(gid))?;
    Ok((home, elsewhere))
}

fn others_may_pass(folder: &Path) -> bool {
    folder.metadata().is_ok_and(|meta| meta.permissions().mode() & 0o001 != 0)
}

fn initdb(bin: &Path, run_as: RunAs, home: &Path, data: &Path, password: &str) -> Result<()> {
    let password_file = home.join("password");
    std::fs::write(&password_file, password)?;
    if let RunAs::Other { uid, gid } = run_as {
        chown(&password_file, Some(uid), Some(gid))?;
    }
    std::fs::set_permissions(&password_file, PermissionsExt::from_mode(0o600))?;
    let mut initdb = command(&bin.join("initdb"), run_as, Signal::SIGKILL);
    initdb.arg("-D").arg(data).arg("--pwfile").arg(&password_file).args(["-U", SUPERUSER]);
    initdb.args(["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--data-checksums", "--no-sync"]);
    initdb.current_dir("/").env_clear().env("PATH", "/usr/bin:/bin");
    run(initdb)?;
    std::fs::remove_file(password_file)?;
    Ok(())
}
