//! The task that brings steps to the collector.

use std::time::Duration;

use anyhow::Context;
use opentelemetry::KeyValue;
use opentelemetry_otlp::{Protocol, RetryPolicy, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use reqwest::redirect::Policy;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::destination::Destination;
use crate::{Settings, Traces};

/// Steps that may wait: those of an hour of a busy site, or of some large batches.
const QUEUE: usize = 8192;
/// Steps sent at once at most.
const BATCH: usize = 512;
/// How long more of them are waited for.
const GATHER: Duration = Duration::from_millis(500);
/// How long the collector may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it may take when the program ends.
const LAST_PATIENCE: Duration = Duration::from_secs(2);

/// Holds the task; to be finished when the program ends.
#[derive(Default)]
pub struct Courier(Option<(oneshot::Sender<()>, JoinHandle<()>)>);

impl Traces {
    /// Begins to tell of a service, if a collector is named. Every step says which service, which version and which process.
    ///
    /// # Errors
    /// When the settings can never work.
    pub fn start(
        settings: &Settings,
        service: &'static str,
        version: &'static str,
        instance: String,
    ) -> anyhow::Result<(Traces, Courier)> {
        let Some(destination) = settings.destination()? else { return Ok(Default::default()) };
        // The host alone: some collectors want their token in the rest.
        tracing::info!(collector = destination.url.host_str(), "sessions are traced");
        let mut exporter = exporter(destination).context("traces")?;
        let version = KeyValue::new("service.version", version);
        let instance = KeyValue::new("service.instance.id", instance);
        let resource =
            Resource::builder_empty().with_service_name(service).with_attributes([version, instance]);
        exporter.set_resource(&resource.build());
        let (queue, queued) = mpsc::channel(QUEUE);
        let (finish, finished) = oneshot::channel();
        let task = tokio::spawn(Round { exporter, queued, failing: false }.run(finished));
        Ok((Traces(Some(queue)), Courier(Some((finish, task)))))
    }
}

impl Courier {
    /// Brings what was told by now, if the collector takes it soon.
    pub async fn finish(self) {
        if let Some((finish, task)) = self.0 {
            let _ = finish.send(());
            let _ = timeout(LAST_PATIENCE, task).await;
        }
    }
}

/// Counts steps that nobody will see.
pub(crate) fn dropped(count: usize, why: &'static str) {
    metrics::counter!("trace_spans_dropped_total", "why" => why)
        .increment(u64::try_from(count).unwrap_or_default());
}

struct Round {
    exporter: SpanExporter,
    queued: mpsc::Receiver<SpanData>,
    failing: bool,
}

impl Round {
    async fn run(mut self, mut finish: oneshot::Receiver<()>) {
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                got = self.queued.recv_many(&mut batch, BATCH) => if got == 0 { return },
                _ = &mut finish => break,
            }
            tokio::select! {
                () = sleep(GATHER) => {}
                _ = &mut finish => break,
            }
            self.fill(&mut batch);
            self.send(std::mem::take(&mut batch)).await;
        }
        while self.fill(&mut batch) {
            self.send(std::mem::take(&mut batch)).await;
        }
    }

    /// Takes what waits, up to a batch; says whether there is anything to send.
    fn fill(&mut self, batch: &mut Vec<SpanData>) -> bool {
        while batch.len() < BATCH
            && let Ok(span) = self.queued.try_recv()
        {
            batch.push(span);
        }
        !batch.is_empty()
    }

    /// A failure is said once, and once when it is over.
    async fn send(&mut self, batch: Vec<SpanData>) {
        let count = batch.len();
        match self.exporter.export(batch).await {
            Ok(()) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!("the collector of traces takes them again");
                }
                metrics::counter!("trace_spans_sent_total")
                    .increment(u64::try_from(count).unwrap_or_default());
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(%error, "the collector of traces does not take them; see traces.url");
                }
                dropped(count, "not taken");
            }
        }
    }
}

fn exporter(to: Destination) -> anyhow::Result<SpanExporter> {
    // A redirect would carry the headers elsewhere.
    let client = reqwest::Client::builder().timeout(PATIENCE).redirect(Policy::none()).build()?;
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(to.url.as_str())
        .with_headers(to.headers)
        .with_timeout(PATIENCE)
        .with_retry_policy(RetryPolicy::disabled());
    Ok(exporter.build()?)
}
