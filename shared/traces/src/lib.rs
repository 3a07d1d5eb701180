//! The steps of charging sessions on their way to an OTLP collector, from the edge agent and from the cloud alike.
//!
//! Told steps wait in a queue with an end, and a task of its own sends them: whoever tells one never waits, and what does not
//! fit, or what the collector does not take, is counted and forgotten. A trace explains; it must not get in the way.
//!
//! Of OpenTelemetry only the exporter is used (no tracer, no global state): the steps have the names of [`shared::trace`],
//! which a tracer would choose at random, and its own queue does not tell how much it dropped.

mod courier;
mod destination;
mod span;

use opentelemetry_sdk::trace::SpanData;
use tokio::sync::mpsc;

pub use courier::Courier;
pub use destination::Settings;
pub use opentelemetry::trace::SpanKind;
pub use span::{Moment, Span};

/// Where steps are told; cheap to clone. The default one is deaf.
#[derive(Clone, Debug, Default)]
pub struct Traces(Option<mpsc::Sender<SpanData>>);

impl Traces {
    /// Is there a collector? If not, no step need be put together.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Takes a step on, if there is room.
    pub fn tell(&self, span: Span) {
        if let Some(queue) = &self.0
            && queue.try_send(span.into_data()).is_err()
        {
            courier::dropped(1, "full");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use metrics_exporter_prometheus::PrometheusBuilder;
    use shared::id::SessionId;
    use shared::trace;
    use shared::units::Timestamp;

    #[test]
    fn what_does_not_fit_is_counted_and_nobody_waits() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let (queue, _queued) = mpsc::channel(2);
        let traces = Traces(Some(queue));
        let session = SessionId(uuid::Uuid::from_u128(1));
        let step =
            || Span::between(session, trace::session(session), "session", (Timestamp(2), Timestamp(1)));
        metrics::with_local_recorder(&recorder, || (0..5).for_each(|_| traces.tell(step())));
        let told = recorder.handle().render();
        assert!(told.contains("trace_spans_dropped_total{why=\"full\"} 3"), "{told}");
        Traces::default().tell(step());
    }
}
