//! One session as a collector of traces sees it: from the charger's message to the bill, over both programs, also when the site
//! was offline and the agent began anew in between. And nobody charges or pays less when there is no collector.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use prost::Message as _;
use stack::wait;
use tokio::net::TcpListener;

use crate::story::{Charging, SOON, Story, cost};

const TOKEN: &str = "Bearer of-the-collector";

/// A step, as it arrived.
#[derive(Clone, Debug)]
struct Step {
    service: String,
    name: String,
    trace: Vec<u8>,
    id: Vec<u8>,
    parent: Vec<u8>,
    from: u64,
    to: u64,
}

/// A collector on a socket of its own.
#[derive(Clone, Default)]
struct Collector {
    posts: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
}

impl Collector {
    async fn open() -> (Self, SocketAddr) {
        let collector = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let take = |State(it): State<Self>, headers: HeaderMap, body: Bytes| async move {
            it.posts.lock().unwrap().push((headers, body));
        };
        let router = axum::Router::new().route("/v1/traces", post(take)).with_state(collector.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (collector, address)
    }

    fn bodies(&self) -> Vec<Bytes> {
        self.posts.lock().unwrap().iter().map(|(_, body)| body.clone()).collect()
    }

    fn steps(&self) -> Vec<Step> {
        let requests = self.bodies().into_iter().map(|body| ExportTraceServiceRequest::decode(body).unwrap());
        requests.flat_map(|request| request.resource_spans).flat_map(steps_of).collect()
    }
}

fn steps_of(spans: opentelemetry_proto::tonic::trace::v1::ResourceSpans) -> Vec<Step> {
    let service = text(&spans.resource.unwrap().attributes, "service.name").unwrap();
    let step = |span: opentelemetry_proto::tonic::trace::v1::Span| Step {
        service: service.clone(),
        name: span.name,
        trace: span.trace_id,
        id: span.span_id,
        parent: span.parent_span_id,
        from: span.start_time_unix_nano,
        to: span.end_time_unix_nano,
    };
    spans.scope_spans.into_iter().flat_map(|scope| scope.spans).map(step).collect()
}

fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let value = attributes.iter().find(|it| it.key == key)?.value.clone()?;
    if let AnyValue { value: Some(Value::StringValue(text)), .. } = value { Some(text) } else { None }
}

/// Both programs tell the collector from now on.
async fn trace_to(story: &mut Story, collector: SocketAddr) {
    let headers = story.dir.join("headers");
    std::fs::write(&headers, format!("# of the collector\nAuthorization: {TOKEN}\n")).unwrap();
    for (service, prefix) in [(story.house.cloud.service(), "CLOUD"), (story.house.edge.service(), "EDGE")] {
        service.set(&format!("{prefix}_TRACES__URL"), format!("http://{collector}"));
        service.set(&format!("{prefix}_TRACES__HEADERS_FILE"), headers.display());
        service.stop().await.unwrap();
    }
    story.cloud.restart().await.unwrap();
    story.edge.start().await.unwrap();
}

#[tokio::test]
async fn a_session_is_one_trace_from_the_chargers_message_to_the_bill() {
    let mut story = Story::begin("trace").await;
    let (collector, address) = Collector::open().await;
    trace_to(&mut story, address).await;
    let mut station = story.station("S1").await;
    let transaction = station.start(&story.site.id_tag, 1_000).await;
    story.settled().await;
    story.proxy.cut();
    station.meter(transaction, 1_700, 11_000).await;
    station.stop(transaction, 3_000).await;
    story.edge.service().stop().await.unwrap();
    story.edge.start().await.unwrap();
    story.proxy.heal();
    assert_eq!(story.bills(1).await[0].total_micros, cost(2_000));

    let steps = wait::until("a whole trace", SOON, || async {
        let steps = collector.steps();
        let whole = steps.iter().all(|it| it.parent.is_empty() || steps.iter().any(|up| up.id == it.parent));
        let count = |name: &str| steps.iter().filter(|it| it.name == name).count();
        // Start, reading, stop and price.
        (whole && count("bill") == 1 && count("record") == 4).then_some(steps)
    })
    .await
    .unwrap();
    let session: uuid::Uuid =
        sqlx::query_scalar("select id from sessions").fetch_one(&story.db).await.unwrap();
    assert!(steps.iter().all(|step| step.trace == session.as_bytes()), "one trace, named after the session");
    assert_steps(&steps);
    assert_no_secrets(&story, &collector);
    assert!(story.edge.metric("trace_spans_sent_total", "").await.unwrap() > 0.0);
    assert_eq!(story.edge.metric("trace_spans_dropped_total", "").await.unwrap(), 0.0);
    assert_eq!(story.cloud.metric("trace_spans_dropped_total", "").await.unwrap(), 0.0);
}

/// Every step is where it belongs, and told by whom it belongs to.
fn assert_steps(steps: &[Step]) {
    let by_id: HashMap<_, _> = steps.iter().map(|step| (step.id.clone(), step)).collect();
    assert_eq!(by_id.len(), steps.len(), "no two steps have one name");
    let way = |step: &Step| {
        let mut names = vec![(step.service.clone(), step.name.clone())];
        let mut at = step;
        while let Some(up) = by_id.get(&at.parent) {
            names.push((up.service.clone(), up.name.clone()));
            at = up;
        }
        names.reverse();
        names.iter().map(|(service, name)| format!("{service} {name}")).collect::<Vec<_>>().join(" > ")
    };
    let ways: BTreeSet<String> = steps.iter().map(way).collect();
    let mut expected = BTreeSet::from(["edge-agent session".to_owned()]);
    for message in ["StartTransaction", "MeterValues", "StopTransaction"] {
        let mut path = "edge-agent session".to_owned();
        for step in [message, "commit", "record"] {
            path = format!("{path} > edge-agent {step}");
            expected.insert(path.clone());
        }
        for step in ["ingest", "project"] {
            path = format!("{path} > cloud {step}");
            expected.insert(path.clone());
        }
    }
    let last = "edge-agent session > edge-agent StopTransaction > edge-agent commit > edge-agent record";
    expected.insert(format!("{last} > cloud ingest > cloud project > cloud bill"));
    assert_eq!(ways, expected);
    assert!(steps.iter().all(|step| step.from > 0 && step.from <= step.to), "{steps:?}");
}

/// The collector knows its token; nothing says whose session it is.
fn assert_no_secrets(story: &Story, collector: &Collector) {
    let all: Vec<u8> = collector.bodies().concat();
    let secrets = [&story.site.id_tag, &story.site.password, "driver@example.com", "Demo Driver", TOKEN];
    for secret in secrets {
        assert!(!all.windows(secret.len()).any(|part| part == secret.as_bytes()), "{secret}");
    }
    let posts = collector.posts.lock().unwrap();
    assert!(posts.iter().all(|(headers, _)| headers["authorization"] == TOKEN));
}

#[tokio::test]
async fn without_the_collector_everything_is_charged_and_billed() {
    let mut story = Story::begin("trace-down").await;
    // Nobody listens there any more.
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    trace_to(&mut story, address).await;
    let mut station = story.station("S1").await;
    for round in 0..3 {
        let transaction = station.start(&story.site.id_tag, round * 1_000).await;
        station.meter(transaction, round * 1_000 + 500, 11_000).await;
        station.stop(transaction, (round + 1) * 1_000).await;
    }
    let bills = story.bills(3).await;
    assert!(bills.iter().all(|bill| bill.total_micros == cost(1_000)), "{bills:?}");
    wait::until("dropped steps, counted by both", SOON, || async {
        let edge = story.edge.metric("trace_spans_dropped_total", "not taken").await.ok()?;
        let cloud = story.cloud.metric("trace_spans_dropped_total", "not taken").await.ok()?;
        // Of each session: itself, three messages with their commits, four records; four ingested, and the bill.
        (edge >= 33.0 && cloud >= 15.0).then_some(())
    })
    .await
    .unwrap();
    story.assert_lanes_whole().await;
    for log in [story.edge.service().log(), story.cloud.service().log()] {
        assert_eq!(log.matches("the collector of traces does not take them").count(), 1, "said once");
        assert!(!log.contains(TOKEN), "the collector's token is in a log");
    }
}
