//! What is done with each message. One gateway's messages always go to the same worker, in order.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use shared::id::{Epoch, GatewayId};
use shared::model::{CommandResult, Lane};
use shared::sync::{Ack, Ahead, Batch, Down, Hello, MAX_BATCH_RECORDS, Up, VERSION, Verdict, Welcome};
use tokio::sync::mpsc;

use super::ahead;
use super::batch::{self, Outcome};
use super::frame::{self, Heard, Unheard};
use super::hello;
use super::trace;
use super::uplink::Uplink;
use crate::db::gateway::Gateway;
use crate::db::record::Origin;
use crate::db::{command as commands, cursor, document};
use crate::{App, clock, command, documents};

/// A batch every now and then is enough to say that a gateway lives.
const NOTE_EVERY: Duration = Duration::from_secs(30);
/// With this much of its queue filled, a worker asks gateways to wait.
const BUSY: f64 = 0.5;
const LONGEST_PAUSE_MS: u64 = 2_000;

/// A message as it came.
#[derive(Debug)]
pub(super) struct Message {
    /// Where it was published.
    pub(super) topic: String,
    /// Its bytes.
    pub(super) payload: Bytes,
    /// When it came.
    pub(super) arrived: Instant,
}

/// One of a replica's workers.
pub(super) struct Worker {
    app: App,
    uplink: Arc<Uplink>,
    noted: HashMap<GatewayId, Instant>,
}

impl Worker {
    /// A worker that answers through `uplink`.
    pub(super) fn new(app: App, uplink: Arc<Uplink>) -> Self {
        Self { app, uplink, noted: HashMap::new() }
    }

    /// Works until the queue closes.
    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<Message>) {
        while let Some(message) = queue.recv().await {
            let pause_ms = pause(queue.len(), queue.max_capacity());
            self.handle(message, pause_ms).await;
        }
    }

    async fn handle(&mut self, message: Message, pause_ms: u32) {
        let heard = frame::open(&self.app.db, &self.uplink.keys, &message.topic, &message.payload).await;
        let done = match heard {
            Ok(Heard { id, gateway, message: said }) => match said {
                Up::Hello(hello) => self.hello(id, &gateway, &hello, message.arrived, pause_ms).await,
                Up::Batch(batch) => self.batch(id, &gateway, &batch, message.arrived, pause_ms).await,
                Up::Ahead(ahead) => self.ahead(id, &gateway, &ahead, message.arrived).await,
                Up::Result(result) => self.result(id, &result).await,
            },
            Err(Unheard::Database(error)) => Err(error),
            Err(Unheard::Refused(reason)) => {
                metrics::counter!("ingest_rejected_total", "reason" => reason).increment(1);
                tracing::debug!(topic = message.topic, reason, "message dropped");
                Ok(())
            }
        };
        if let Err(error) = done {
            metrics::counter!("ingest_failed_total").increment(1);
            tracing::warn!(topic = message.topic, %error, "not committed, not acknowledged; the gateway sends again");
        }
    }

    async fn hello(
        &self,
        id: GatewayId,
        gateway: &Gateway,
        hello: &Hello,
        arrived: Instant,
        pause_ms: u32,
    ) -> sqlx::Result<()> {
        // A little more than it really waited: a commit in the same instant counts as later.
        let age = arrived.elapsed() + Duration::from_secs(1);
        let Some(answer) = hello::greet(&self.app.db, id, gateway, hello, age).await? else { return Ok(()) };
        let goes_on = answer.verdict == Verdict::Continue;
        let welcome = Welcome {
            version: VERSION,
            epoch: hello.epoch,
            verdict: answer.verdict,
            watermarks: answer.watermarks,
            server_time: clock::now(),
            window: u32::try_from(MAX_BATCH_RECORDS).unwrap_or(u32::MAX),
            pause_ms,
        };
        self.uplink.send(id, gateway, &Down::Welcome(welcome));
        if goes_on {
            self.bring_up_to_date(id, gateway, hello).await?;
        }
        Ok(())
    }

    /// After the welcome: the documents that it does not hold, and what it was asked to do meanwhile.
    async fn bring_up_to_date(&self, id: GatewayId, gateway: &Gateway, hello: &Hello) -> sqlx::Result<()> {
        let db = &self.app.db;
        let mut tx = db.begin().await?;
        documents::refresh_gateway(&mut tx, id, gateway.site_id).await?;
        tx.commit().await?;
        document::held(db, id, &hello.documents).await?;
        self.uplink.push_documents(db, Some(id)).await?;
        if commands::wake(db, id).await? {
            self.uplink.push_commands(db).await?;
        }
        Ok(())
    }

    async fn batch(
        &mut self,
        id: GatewayId,
        gateway: &Gateway,
        batch: &Batch,
        arrived: Instant,
        pause_ms: u32,
    ) -> sqlx::Result<()> {
        let origin = Origin { gateway: id, site_id: gateway.site_id, epoch: batch.epoch, lane: batch.lane };
        let watermark = match batch::apply(&self.app.db, origin, batch).await? {
            Outcome::Committed { watermark, records, hint, steps } => {
                count(batch, records, arrived);
                let numbered = (batch.first_seq..).zip(&batch.records);
                trace::tell(&self.app.traces, origin, numbered, arrived, &steps);
                self.app.live.hint(*hint);
                watermark
            }
            Outcome::Repeated(watermark) => {
                metrics::counter!("ingest_duplicates_total").increment(1);
                watermark
            }
            Outcome::Gap(watermark) => {
                metrics::counter!("ingest_gaps_total").increment(1);
                watermark
            }
            Outcome::Stopped(reason) => {
                self.uplink.send(id, gateway, &Down::Welcome(start_over(batch.epoch, reason)));
                return Ok(());
            }
        };
        let Batch { epoch, boot, lane, .. } = *batch;
        let ack = Ack { epoch, boot, lane, last: batch.last_seq(), watermark, pause_ms };
        self.uplink.send(id, gateway, &Down::Ack(ack));
        self.note(id).await
    }

    /// The fast copy of live sessions. It gets no answer: the lasting one comes in its turn and then changes nothing.
    async fn ahead(
        &mut self,
        id: GatewayId,
        gateway: &Gateway,
        sent: &Ahead,
        arrived: Instant,
    ) -> sqlx::Result<()> {
        let lane = Lane::Billing;
        let origin = Origin { gateway: id, site_id: gateway.site_id, epoch: sent.epoch, lane };
        let outcome = match ahead::apply(&self.app.db, origin, sent).await? {
            ahead::Outcome::Taken { hint, steps } => {
                let numbered = sent.records.iter().map(|(seq, record)| (*seq, record));
                trace::tell(&self.app.traces, origin, numbered, arrived, &steps);
                metrics::histogram!("ingest_commit_seconds").record(arrived.elapsed());
                self.app.live.hint(*hint);
                "taken"
            }
            ahead::Outcome::Left => "left",
            ahead::Outcome::Stopped(reason) => {
                self.uplink.send(id, gateway, &Down::Welcome(start_over(sent.epoch, reason)));
                "stopped"
            }
        };
        metrics::counter!("ingest_ahead_total", "outcome" => outcome).increment(1);
        self.note(id).await
    }

    async fn note(&mut self, id: GatewayId) -> sqlx::Result<()> {
        let now = Instant::now();
        if self.noted.get(&id).is_some_and(|noted| now.duration_since(*noted) < NOTE_EVERY) {
            return Ok(());
        }
        self.noted.insert(id, now);
        cursor::heard(&mut *self.app.db.acquire().await?, id, None).await
    }

    /// The fast copy of a result. The lasting one comes in the billing lane and then changes nothing.
    async fn result(&self, id: GatewayId, result: &CommandResult) -> sqlx::Result<()> {
        let mut tx = self.app.db.begin().await?;
        command::finish(&mut tx, id, result).await?;
        tx.commit().await
    }
}

fn count(batch: &Batch, records: usize, arrived: Instant) {
    let lane = batch.lane.name();
    metrics::counter!("ingest_batches_total", "lane" => lane).increment(1);
    metrics::counter!("ingest_records_total", "lane" => lane)
        .increment(u64::try_from(records).unwrap_or_default());
    metrics::histogram!("ingest_commit_seconds").record(arrived.elapsed());
    if let Some(newest) = batch.records.last() {
        let behind = clock::now().millis_since(newest.header.occurred_at).max(0);
        metrics::gauge!("ingest_lag_seconds", "lane" => lane)
            .set(Duration::from_millis(behind.unsigned_abs()).as_secs_f64());
    }
}

fn start_over(epoch: Epoch, reason: String) -> Welcome {
    Welcome {
        version: VERSION,
        epoch,
        verdict: Verdict::NewEpoch(reason),
        watermarks: [0; 3],
        server_time: clock::now(),
        window: 0,
        pause_ms: 0,
    }
}

/// How long a gateway shall wait: nothing while there is room, then up to two seconds, each a different time.
#[expect(clippy::cast_precision_loss, reason = "queues are short")]
fn pause(waiting: usize, room: usize) -> u32 {
    if (waiting as f64) < BUSY * room as f64 {
        return 0;
    }
    u32::try_from(getrandom::u64().unwrap_or_default() % LONGEST_PAUSE_MS).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gateways_wait_only_when_it_is_crowded() {
        assert_eq!(pause(31, 64), 0);
        assert!((0..100).map(|_| pause(64, 64)).any(|pause| pause > 0));
    }
}
