//! What stands in the database and has to be watched, as gauges: gateways that are silent, alarms that nobody has looked at,
//! records that are parked, sessions without a bill, certificates that end.
//!
//! Counters of a replica forget with its process; these do not. Every replica tells the same numbers, so a rule takes their
//! maximum and none of them has to be there.

use std::collections::BTreeSet;
use std::time::Duration;

use metrics::{Gauge, gauge};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

/// A station's certificate with fewer days left is to be renewed.
pub const CERTIFICATE_DAYS: i64 = 30;

const LOOK_EVERY: Duration = Duration::from_secs(15);

/// A gateway that has not been heard for so long is silent. A quiet one says hello every hour.
const SILENT_AFTER: &str = "75 minutes";

/// Tells the numbers until `stop`.
///
/// # Errors
/// None: a database that is away is waited for, and the last numbers stay.
pub async fn keep(db: PgPool, stop: CancellationToken) -> anyhow::Result<()> {
    let forever = async {
        let (mut every, mut kinds) = (tokio::time::interval(LOOK_EVERY), Kinds::default());
        loop {
            every.tick().await;
            if let Err(error) = look(&db, &mut kinds).await {
                tracing::warn!(%error, "the numbers to watch could not be read");
            }
        }
    };
    stop.run_until_cancelled(forever).await;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct Numbers {
    heard: i64,
    silent: i64,
    never: i64,
    parked: i64,
    frozen: i64,
    commands: i64,
    sessions: i64,
    unbilled: i64,
    behind: i64,
    certificates: i64,
}

async fn look(db: &PgPool, kinds: &mut Kinds) -> sqlx::Result<()> {
    let numbers: Numbers = sqlx::query_as(
        "select count(*) filter (where last_seen_at > now() - $1::interval) as heard,
                count(*) filter (where last_seen_at <= now() - $1::interval) as silent,
                count(*) filter (where last_seen_at is null) as never,
                (select count(*) from quarantine where replayed_at is null) as parked,
                (select count(*) from gateway_epochs where frozen_at > now() - interval '1 day') as frozen,
                (select count(*) from commands where state <> 'finished') as commands,
                (select count(*) from sessions where started_at is not null and stopped_at is null) as sessions,
                (select count(*) from sessions s where stopped_at is not null and updated_at < now() - interval '5 minutes'
                    and not exists (select from bills where session_id = s.id)) as unbilled,
                (select count(*) from documents where held_version < version
                    and updated_at < now() - interval '5 minutes') as behind,
                (select count(*) from station_security where certificate_not_after < now() + make_interval(days => $2))
                    as certificates
         from gateways where revoked_at is null",
    )
    .bind(SILENT_AFTER)
    .bind(i32::try_from(CERTIFICATE_DAYS).unwrap_or(i32::MAX))
    .fetch_one(db)
    .await?;
    tell(&numbers);
    let alarms: Vec<(String, i64)> =
        sqlx::query_as("select kind, count(*) from alarms where acknowledged_at is null group by kind")
            .fetch_all(db)
            .await?;
    kinds.alarms.tell(alarms, |kind| gauge!("alarms_open", "kind" => kind));
    let events: Vec<(String, i64)> = sqlx::query_as(
        "select lower(kind), count(*) from security_events
         where critical and received_at > now() - interval '1 hour' group by lower(kind)",
    )
    .fetch_all(db)
    .await?;
    kinds.events.tell(events, |kind| gauge!("security_events_critical", "kind" => kind));
    Ok(())
}

/// Kinds that were told of: those that are no more have to be told as none.
#[derive(Default)]
struct Known(BTreeSet<String>);

#[derive(Default)]
struct Kinds {
    alarms: Known,
    events: Known,
}

impl Known {
    fn tell(&mut self, counts: Vec<(String, i64)>, gauge: impl Fn(String) -> Gauge) {
        for gone in self.0.iter().filter(|kind| counts.iter().all(|(still, _)| still != *kind)) {
            gauge(gone.clone()).set(0.0);
        }
        for (kind, count) in counts {
            self.0.insert(kind.clone());
            gauge(kind).set(number(count));
        }
    }
}

fn tell(numbers: &Numbers) {
    gauge!("gateways", "state" => "heard").set(number(numbers.heard));
    gauge!("gateways", "state" => "silent").set(number(numbers.silent));
    gauge!("gateways", "state" => "never").set(number(numbers.never));
    gauge!("quarantined_records").set(number(numbers.parked));
    gauge!("epochs_frozen_today").set(number(numbers.frozen));
    gauge!("commands_open").set(number(numbers.commands));
    gauge!("sessions_open").set(number(numbers.sessions));
    gauge!("sessions_unbilled").set(number(numbers.unbilled));
    gauge!("documents_behind").set(number(numbers.behind));
    gauge!("station_certificates_ending").set(number(numbers.certificates));
}

/// Counts far below 2^52 are exact.
#[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
fn number(count: i64) -> f64 {
    count as f64
}
