//! A gate in a database: whoever changes its schema waits in front of the n-th change until it is opened, or is killed there.
//! Postgres itself says when a change is made (an event trigger), and a lock of ours holds the changer up.

use std::time::Duration;

use anyhow::{Context, Result};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection};
use stack::wait;

use crate::stage::SOON;

const MAKE: &str = "
    create schema torture;
    create table torture.plan (stop_at bigint not null);
    insert into torture.plan values (0);
    create sequence torture.steps;
    create function torture.gate() returns event_trigger language plpgsql as $$ begin
        if nextval('torture.steps') = (select stop_at from torture.plan) then
            perform pg_advisory_xact_lock_shared(24, 24);
        end if;
    end $$;
    create event trigger gate on ddl_command_end execute function torture.gate()";

/// One gate. It must be the only one that is connected between rounds.
pub(super) struct Gate {
    options: PgConnectOptions,
    pub(super) db: PgConnection,
}

impl Gate {
    pub(super) async fn make(url: &str) -> Result<Self> {
        let options: PgConnectOptions = url.parse()?;
        let mut db = options.connect().await?;
        sqlx::raw_sql(MAKE).execute(&mut db).await?;
        Ok(Self { options, db })
    }

    /// Shuts it in front of the change of this number, counted from now.
    pub(super) async fn shut(&mut self, stop_at: u64) -> Result<()> {
        sqlx::query("select pg_advisory_lock(24, 24)").execute(&mut self.db).await?;
        sqlx::query("update torture.plan set stop_at = $1")
            .bind(i64::try_from(stop_at)?)
            .execute(&mut self.db)
            .await?;
        // Not `restart`, which is a change, too.
        sqlx::query("select setval('torture.steps', 1, false)").execute(&mut self.db).await?;
        Ok(())
    }

    /// Waits until somebody stands in front of it.
    pub(super) async fn reached(&mut self) -> Result<()> {
        let waits =
            "select count(*) from pg_locks where locktype = 'advisory' and not granted and classid = 24
            and database = (select oid from pg_database where datname = current_database())";
        loop {
            if sqlx::query_scalar::<_, i64>(waits).fetch_one(&mut self.db).await? > 0 {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Lets everybody through.
    pub(super) async fn open(&mut self) -> Result<()> {
        sqlx::query("select pg_advisory_unlock_all()").execute(&mut self.db).await?;
        Ok(())
    }

    /// Ends the connections of everybody else.
    pub(super) async fn hang_up(&mut self) -> Result<()> {
        let end = "select count(pg_terminate_backend(pid)) from pg_stat_activity
            where datname = current_database() and pid <> pg_backend_pid()";
        sqlx::query(end).execute(&mut self.db).await?;
        Ok(())
    }

    /// Waits until nobody else is connected: a server notices late that its client is dead.
    pub(super) async fn alone(&mut self) -> Result<()> {
        let others = "select count(*) from pg_stat_activity where datname = current_database()
            and backend_type = 'client backend' and pid <> pg_backend_pid()";
        let db = tokio::sync::Mutex::new(&mut self.db);
        wait::until("the end of all other connections", SOON, || async {
            let mut db = db.lock().await;
            let count: i64 = sqlx::query_scalar(others).fetch_one(&mut **db).await.ok()?;
            (count == 0).then_some(())
        })
        .await
    }

    /// Connects again: Postgres was killed.
    pub(super) async fn connect_again(&mut self) -> Result<()> {
        self.db = self.options.connect().await.context("Postgres is back")?;
        Ok(())
    }

    /// Takes it away.
    pub(super) async fn take_away(mut self) -> Result<()> {
        sqlx::raw_sql("drop event trigger gate; drop schema torture cascade").execute(&mut self.db).await?;
        Ok(())
    }
}
