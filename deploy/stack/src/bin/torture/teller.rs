//! A station that tells sessions as fast as it is answered, by a clock of its own: days of charging in seconds, every
//! message over its socket, every session in the journal.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use firmware_sim::{Journal, SessionRecord};
use serde_json::{Value, json};
use shared::units::Timestamp;
use stack::puppet::Puppet;
use uuid::Uuid;

use crate::seed::Dice;
use crate::stage::{Stage, now};
use crate::times::Times;

/// As far back as a station may be that came to its site today.
const BACK_MS: i64 = 24 * 3_600_000;
/// Messages of readings in a session, and readings in each.
const MESSAGES: usize = 8;
const READINGS: i64 = 5;

/// A telling station.
pub(crate) struct Teller {
    puppet: Puppet,
    identity: String,
    tag: String,
    clock: Timestamp,
    register: i64,
    journal: Journal,
    live: bool,
    /// How long every message took to be answered.
    pub(crate) answers: Times,
}

impl Teller {
    /// Connects a station of the stage; its day begins a day ago.
    pub(crate) async fn connect(stage: &Stage, url: &str, identity: &str) -> Result<Self> {
        let puppet = Puppet::boot(url, identity, &stage.house.site.password).await?;
        let (identity, tag) = (identity.to_owned(), stage.house.site.id_tag.clone());
        let (clock, journal) = (now().plus_millis(-BACK_MS), stage.journal.clone());
        let (register, live, answers) = (1_000, false, Times::default());
        Ok(Self { puppet, identity, tag, clock, register, journal, live, answers })
    }

    /// The same, but each session begins by the time of this machine.
    pub(crate) fn live(mut self) -> Self {
        self.live = true;
        self
    }

    /// Charges once, for a minute or two of its clock; the transaction id.
    pub(crate) async fn session(&mut self, dice: &mut Dice) -> Result<i64> {
        if self.live {
            self.clock = now();
        }
        let mut record = self.start().await?;
        let transaction = i64::from(record.transaction_id.context("a start has an answer")?);
        for _ in 0..MESSAGES {
            let sample: Vec<Value> = (0..READINGS).map(|_| self.reading(dice)).collect();
            let payload = json!({ "connectorId": 1, "transactionId": transaction, "meterValue": sample });
            self.call("MeterValues", payload).await?;
        }
        self.register += i64::try_from(dice.below(12))?;
        self.stop(&mut record, transaction).await?;
        self.clock = self.clock.plus_millis(i64::try_from(dice.below(30_000))?);
        Ok(transaction)
    }

    async fn start(&mut self) -> Result<SessionRecord> {
        let at = self.clock.to_string();
        let payload =
            json!({ "connectorId": 1, "idTag": self.tag, "meterStart": self.register, "timestamp": at });
        let mut record = SessionRecord {
            session: Uuid::new_v4().to_string(),
            identity: self.identity.clone(),
            connector: 1,
            id_tag: self.tag.clone(),
            transaction_id: None,
            started_at: at,
            meter_start_wh: self.register,
            stopped_at: None,
            meter_stop_wh: None,
            reason: None,
            start_answered: false,
            start_accepted: false,
            stop_answered: false,
        };
        self.status("Preparing").await?;
        let answer = self.call("StartTransaction", payload).await?;
        record.transaction_id = answer["transactionId"].as_i64().map(i32::try_from).transpose()?;
        record.start_answered = record.transaction_id.is_some();
        record.start_accepted = answer["idTagInfo"]["status"] == "Accepted";
        self.journal.write(std::slice::from_ref(&record));
        self.status("Charging").await?;
        Ok(record)
    }

    async fn stop(&mut self, record: &mut SessionRecord, transaction: i64) -> Result<()> {
        let (at, reason) = (self.clock.to_string(), "EVDisconnected");
        record.meter_stop_wh = Some(self.register);
        record.stopped_at = Some(at.clone());
        record.reason = Some(reason.into());
        self.journal.write(std::slice::from_ref(record));
        let payload = json!({
            "transactionId": transaction, "meterStop": self.register, "timestamp": at, "reason": reason,
        });
        self.call("StopTransaction", payload).await?;
        record.stop_answered = true;
        self.journal.write(std::slice::from_ref(record));
        self.status("Available").await
    }

    /// A reading two seconds later.
    fn reading(&mut self, dice: &mut Dice) -> Value {
        self.clock = self.clock.plus_millis(2_000);
        self.register += 1 + i64::try_from(dice.below(11)).unwrap_or_default();
        let values = json!([
            { "value": self.register.to_string(), "measurand": "Energy.Active.Import.Register", "unit": "Wh" },
            { "value": "11000", "measurand": "Power.Active.Import", "unit": "W" },
        ]);
        json!({ "timestamp": self.clock.to_string(), "sampledValue": values })
    }

    async fn status(&mut self, status: &str) -> Result<()> {
        let at = self.clock.to_string();
        let payload = json!({ "connectorId": 1, "errorCode": "NoError", "status": status, "timestamp": at });
        self.call("StatusNotification", payload).await.map(drop)
    }

    async fn call(&mut self, action: &str, payload: Value) -> Result<Value> {
        let begin = Instant::now();
        let answer = self.puppet.call(action, payload).await;
        let took: Duration = begin.elapsed();
        self.answers.add(took);
        answer.with_context(|| format!("{} tells {action}", self.identity))
    }
}

/// Stations S1 up to `stations` tell so many sessions each, all at the same time; how long answers took.
pub(crate) async fn tell(
    stage: &Stage,
    url: &str,
    stations: &[String],
    sessions: u64,
    dice: &mut Dice,
) -> Result<Times> {
    let mut telling = tokio::task::JoinSet::new();
    for identity in stations {
        let (mut teller, mut dice) = (Teller::connect(stage, url, identity).await?, dice.fork());
        telling.spawn(async move {
            for _ in 0..sessions {
                teller.session(&mut dice).await?;
            }
            anyhow::Ok(teller.answers)
        });
    }
    let mut answers = Times::default();
    while let Some(told) = telling.join_next().await {
        answers.extend(&told??);
    }
    Ok(answers)
}
