//! The process-wide recorder. Names and their help texts are kept together here, so that a dashboard has one place to look.

pub use metrics_exporter_prometheus::PrometheusHandle as Handle;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};

const SECONDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];

/// Installs the recorder; a second call in one process (tests) gets a handle of its own that records nothing.
pub fn install() -> Handle {
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), SECONDS)
        .expect("the list of buckets is not empty")
        .build_recorder();
    let handle = recorder.handle();
    if metrics::set_global_recorder(recorder).is_ok() {
        describe();
    }
    handle
}

fn describe() {
    use metrics::{describe_counter as counter, describe_gauge as gauge, describe_histogram as histogram};
    counter!("ingest_batches_total", "Batches committed");
    counter!("ingest_records_total", "Records committed");
    counter!("ingest_duplicates_total", "Batches that were already committed and acknowledged again");
    counter!("ingest_rejected_total", "Frames dropped unapplied, by reason");
    counter!("ingest_ahead_total", "Live sessions that came ahead of a backlog, by what became of them");
    counter!(
        "ingest_dropped_total",
        "Frames dropped because a worker's queue was full; gateways send them again"
    );
    counter!("quarantined_total", "Records parked because they could not be applied, by reason");
    histogram!("ingest_commit_seconds", "From a batch's arrival to its commit");
    gauge!("ingest_lag_seconds", "Age of the newest record of the last batch, when committed");
    gauge!("ingest_shards", "Shards this replica leases");
    counter!("lanes_frozen_total", "Epochs frozen because a gateway's database was cloned or restored");
    counter!("gate_refused_total", "What the gate refused, by reason");
    gauge!("gate_connections", "Gateways connected through the gate");
    counter!("graphql_answers_total", "GraphQL answers, by the code of their first error, OK for none");
    counter!("commands_total", "Commands finished, by outcome");
    counter!("bills_total", "Bills written");
    counter!("database_failovers_total", "Times that another server of Postgres became the primary");
    counter!("price_differences_total", "Bills whose total differs from what the gateway computed");
    counter!("ingest_gaps_total", "Batches that skipped records; the gateway goes back to what is missing");
    counter!("ingest_failed_total", "Batches that the database did not take; gateways send them again");
    counter!("refresh_tokens_reused_total", "Spent refresh tokens that came again: somebody has a copy");
    gauge!("gateways", "Enrolled gateways, by when they were last heard");
    gauge!("alarms_open", "Alarms that nobody has acknowledged, by kind");
    gauge!("quarantined_records", "Records that are parked and wait for a person or an upgrade");
    gauge!("epochs_frozen_today", "Epochs frozen within a day: cloned or restored gateways");
    gauge!("commands_open", "Commands without an end");
    gauge!("sessions_open", "Sessions that run");
    gauge!("sessions_unbilled", "Sessions that ended five minutes ago or earlier and have no bill");
    gauge!("documents_behind", "Documents that a gateway should hold for five minutes and does not");
    gauge!("station_certificates_ending", "Stations whose certificate ends within 30 days, or has ended");
    gauge!("security_events_critical", "Critical events from stations within the last hour, by kind");
    counter!("trace_spans_sent_total", "Steps of sessions that the collector of traces took");
    counter!(
        "trace_spans_dropped_total",
        "Steps that nobody will see in a trace, by why: queue full, or not taken"
    );
    counter!("live_lagged_total", "Subscribers that were too slow and had to start over");
}
