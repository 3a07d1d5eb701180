//! Writes as rows.

use rusqlite::{Transaction, params};
use shared::id::SessionId;
use shared::model::Event;
use shared::sync::{Header, Record};

use super::journal::Entry;
use super::meta::{DECIDED_HERE, set_meta};
use super::outbox::{self, signed};
use super::{Position, Stamp, by_station, findings, gaps, settings, sum};
use crate::core::{RunningSession, Write};

/// Where one commit stands.
pub(super) struct Commit<'a> {
    pub(super) db: &'a Transaction<'a>,
    pub(super) position: &'a mut Position,
    /// Makes the keys of facts that have none of their own unique within this process.
    pub(super) count: &'a mut u64,
    /// What the journal keeps of it.
    pub(super) entries: &'a mut Vec<Entry>,
    /// Readings are told as gaps now.
    pub(super) without_samples: bool,
}

impl Commit<'_> {
    /// Carries out what was decided together. Sessions go to the journal with what made them weighty: a start, an end. How
    /// far a running one has come does not.
    pub(super) fn writes(&mut self, stamp: &Stamp, writes: &[Write]) -> anyhow::Result<()> {
        let before = self.entries.len();
        let mut sessions = Vec::new();
        for write in writes {
            if let Write::Event(event) = write {
                self.event(stamp, event)?;
            } else if let Write::Session(_) = write {
                sessions.push(write);
            } else {
                self.entries.extend(Entry::of_row(write)?);
            }
            row(self.db, stamp, write)?;
        }
        if self.entries.len() > before {
            for session in sessions {
                self.entries.extend(Entry::of_row(session)?);
            }
        }
        Ok(())
    }

    fn event(&mut self, stamp: &Stamp, event: &Event) -> anyhow::Result<()> {
        if let Event::SessionMetered(metered) = event
            && self.without_samples
        {
            return Ok(gaps::add(self.db, metered)?);
        }
        if let Event::SessionStopped(stopped) = event {
            self.end_gap(stamp, stopped.session)?;
        }
        self.append(stamp, event)
    }

    /// The readings of a session that were not kept, if there are any, as one gap.
    pub(super) fn end_gap(&mut self, stamp: &Stamp, session: SessionId) -> anyhow::Result<()> {
        match gaps::take(self.db, session)? {
            Some(gap) => self.append(stamp, &Event::MeterGap(gap)),
            None => Ok(()),
        }
    }

    fn append(&mut self, stamp: &Stamp, event: &Event) -> anyhow::Result<()> {
        *self.count += 1;
        let (lane, record) = (event.lane(), record(stamp, event.key(stamp.boot, *self.count), event));
        self.entries.extend(Entry::of_record(lane, &record));
        Ok(outbox::append(self.db, self.position, lane, &record)?)
    }
}

/// A fact as it travels.
fn record(stamp: &Stamp, key: String, event: &Event) -> Record {
    let header = Header {
        kind: event.kind(),
        kind_ver: 1,
        occurred_at: stamp.at,
        clock: stamp.clock,
        boot: stamp.boot,
        mono_ms: stamp.mono_ms,
        key,
    };
    Record { header, body: event.body() }
}

/// Carries out a write that is no event.
pub(super) fn row(db: &Transaction<'_>, stamp: &Stamp, write: &Write) -> anyhow::Result<()> {
    match write {
        Write::Event(_) => {}
        Write::Session(running) => upsert_session(db, running)?,
        Write::Command { command, result } => {
            let result = result.as_ref().map(|result| serde_json::to_string(&result)).transpose()?;
            db.prepare_cached(
                "insert into commands (id, received_at, command, result) values (?1, ?2, ?3, ?4)
                 on conflict (id) do update set command = excluded.command, result = excluded.result, waiting = 0",
            )?
            .execute(params![
                command.id.0.as_bytes(),
                stamp.at.0,
                serde_json::to_string(command)?,
                result
            ])?;
        }
        Write::CommandWaits(command) => {
            db.prepare_cached(
                "insert into commands (id, received_at, command, waiting) values (?1, ?2, ?3, 1)
                 on conflict (id) do nothing",
            )?
            .execute(params![
                command.id.0.as_bytes(),
                stamp.at.0,
                serde_json::to_string(command)?
            ])?;
        }
        Write::LocalList(list) => {
            db.prepare_cached("insert or replace into local_lists (station, state) values (?1, ?2)")?
                .execute(params![list.station.as_str(), serde_json::to_string(list)?])?;
        }
        Write::Document(document) => {
            db.prepare_cached("insert or replace into documents (name, version, body) values (?1, ?2, ?3)")?
                .execute(params![
                    &document.body.name(),
                    signed(document.version),
                    postcard::to_stdvec(&document.body)?
                ])?;
        }
        Write::TxRefFloor(floor) => set_meta(db, "tx_ref_floor", &floor.to_string())?,
        Write::Reservation(held) => {
            db.prepare_cached("insert or replace into reservations (id, state) values (?1, ?2)")?
                .execute(params![held.reservation.id.0, serde_json::to_string(held)?])?;
        }
        Write::ReservationGone(id) => {
            db.prepare_cached("delete from reservations where id = ?1")?.execute([id.0])?;
        }
        Write::Errand(errand) => {
            db.prepare_cached("insert or replace into errands (command, state) values (?1, ?2)")?
                .execute(params![errand.command.0.as_bytes(), serde_json::to_string(errand)?])?;
        }
        Write::ErrandGone(command) => {
            db.prepare_cached("delete from errands where command = ?1")?.execute([command.0.as_bytes()])?;
        }
        Write::DecidedHere(decided) => set_meta(db, DECIDED_HERE, &serde_json::to_string(decided)?)?,
        Write::Settings(read) => settings::keep(db, read)?,
        Write::SettingsMemory(station, memory) => by_station::SETTINGS.keep(db, station, memory)?,
        Write::SecurityMemory(station, memory) => by_station::SECURITY.keep(db, station, memory)?,
        Write::Known(station, info) => by_station::STATIONS.keep(db, station, info)?,
        Write::Finding(finding) => findings::keep(db, finding)?,
        Write::Suggested(suggested) => findings::suggested(db, suggested)?,
    }
    Ok(())
}

fn upsert_session(db: &Transaction<'_>, running: &RunningSession) -> anyhow::Result<()> {
    let start = &running.session.start;
    let state = serde_json::to_string(running)?;
    db.prepare_cached(
        "insert into sessions (id, station, tx_ref, start_key, open, started_at, energy_wh, state, sum)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         on conflict (id) do update
         set open = excluded.open, energy_wh = excluded.energy_wh, state = excluded.state, sum = excluded.sum",
    )?
    .execute(params![
        start.session.0.as_bytes(),
        start.station.as_str(),
        start.tx_ref.0,
        running.start_key.as_ref().map(|key| &key.0),
        running.session.is_open(),
        start.at.0,
        running.session.energy.0,
        state,
        sum::of(&[state.as_bytes()]),
    ])?;
    Ok(())
}
