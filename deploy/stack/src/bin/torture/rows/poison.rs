//! F10: records that nobody can read, at the head of a lane: of a kind that the cloud does not know, torn, with values that
//! Postgres does not take, and far too large. Each is parked and told of, and what is behind it goes on.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rusqlite::{Connection, params};
use serde_json::json;
use shared::id::StationId;
use shared::model::Event;
use shared::model::event::PresenceChanged;
use shared::units::Timestamp;
use stack::house::BrokerKind;
use stack::puppet::Puppet;

use super::{Trial, on_stage};
use crate::outcome::Outcome;
use crate::stage::{SOON, Stage, station};
use crate::teller::Teller;
use crate::times::Times;

/// What is done to a record, in words and as SQL over the edge's outbox.
fn poisons() -> [(&'static str, String); 4] {
    let timeless = Event::PresenceChanged(PresenceChanged {
        station: StationId::new("S1").expect("a name"),
        connected: true,
        at: Timestamp(i64::MAX),
    });
    let bytes: String = timeless.body().iter().map(|byte| format!("{byte:02x}")).collect();
    [
        ("of an unknown kind", "kind = 60000".into()),
        ("torn", "body = substr(body, 1, 1)".into()),
        ("outside of time, or of another lane", format!("kind = {}, body = x'{bytes}'", timeless.kind())),
        ("far too large", "kind = 60000, body = zeroblob(300000)".into()),
    ]
}

/// Readings, and presences and statuses: no bill depends on one of them. What is spoiled in the billing lane the agent itself
/// notices and mends from its journal before anything is sent; what the cloud does with such a record, its own tests show.
const LANES: [(i64, &str); 2] = [(1, "meter"), (2, "status")];

pub(crate) async fn play(trial: &mut Trial) -> Result<Outcome> {
    on_stage(trial, BrokerKind::Embedded, 2, rounds).await
}

async fn rounds(trial: &mut Trial, stage: &mut Stage) -> Result<Outcome> {
    let rounds = trial.scale.of(1, 5, 100);
    trial.line.of(rounds * poisons().len() as u64);
    let mut resumed = Times::default();
    for _ in 0..rounds {
        for (what, deed) in poisons() {
            trial.line.doing(format!("records {what} at the head of every lane"));
            resumed.add(poison(trial, stage, &deed).await.context(what)?);
            trial.line.round();
        }
    }
    let faults = i64::try_from(trial.line.faults())?;
    let mut rules = stage.rules();
    rules.poison = faults;
    let verdict = stage.verdict(rules).await?;
    let notes = vec![format!("{faults} records were parked, each with its bytes; the lanes went on")];
    Ok(Outcome {
        verdict,
        times: vec![("from start until everything behind arrived".into(), resumed)],
        notes,
    })
}

/// Offline, a session and what belongs to it pile up; the agent is stopped, its outbox spoiled, and it comes back.
async fn poison(trial: &mut Trial, stage: &mut Stage, deed: &str) -> Result<Duration> {
    stage.settled(SOON).await?;
    stage.house.proxy.cut();
    let (url, password) = (stage.house.edge.ocpp_url(), &stage.house.site.password);
    let mut puppet = Puppet::boot(&url, &station(2), password).await?;
    puppet.call("Authorize", json!({ "idTag": stage.house.site.id_tag })).await?;
    let mut teller = Teller::connect(stage, &url, &station(1)).await?.live();
    teller.session(&mut trial.dice).await?;
    drop((puppet, teller));
    stage.house.edge.service().stop().await?;
    for (lane, name) in LANES {
        spoil(stage.house.edge.data(), lane, deed).with_context(|| format!("the {name} lane"))?;
        trial.line.fault();
    }
    stage.house.proxy.heal();
    let begin = Instant::now();
    stage.house.edge.start().await?;
    stage.settled(SOON).await?;
    Ok(begin.elapsed())
}

/// Spoils the first record that the cloud does not have yet, as if it had been written so: without a sum that says otherwise.
fn spoil(data: &Path, lane: i64, deed: &str) -> Result<()> {
    let db = Connection::open(data.join("edge.sqlite3"))?;
    let acked: i64 = db.query_row("select acked from lanes where lane = ?1", [lane], |row| row.get(0))?;
    let deed = format!("update outbox set {deed}, sum = null where lane = ?1 and seq = ?2");
    let done = db.execute(&deed, params![lane, acked + 1])?;
    ensure!(done == 1, "there is nothing to spoil");
    Ok(())
}
