//! A station that asks all the time whether a card may charge, and measures how long the answer takes: whatever happens
//! to the cloud, the site answers (I4), and by the lists it has (I9).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;
use stack::puppet::Puppet;
use tokio::task::AbortHandle;

use crate::checker::{Finding, Verdict};
use crate::stage::{Stage, promise};
use crate::times::{Times, millis};

const PAUSE: Duration = Duration::from_millis(20);
/// Every call has its answer by then.
const LATEST: Duration = Duration::from_secs(2);

/// A running prober. It ends with this value.
pub(crate) struct Prober {
    seen: Arc<Mutex<Seen>>,
    asking: AbortHandle,
}

#[derive(Clone, Debug, Default)]
struct Seen {
    answers: Times,
    wrong: Vec<Finding>,
}

impl Prober {
    /// Asks as a station of the stage that nobody else is.
    pub(crate) async fn begin(stage: &Stage, identity: &str) -> Result<Self> {
        let puppet = Puppet::boot(&stage.house.edge.ocpp_url(), identity, &stage.house.site.password).await?;
        let seen = Arc::new(Mutex::new(Seen::default()));
        let asking = tokio::spawn(ask(puppet, stage.house.site.id_tag.clone(), seen.clone())).abort_handle();
        Ok(Self { seen, asking })
    }

    /// Ends it.
    pub(crate) fn finish(self) -> Answers {
        Answers(self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

/// What a prober was told, and when.
pub(crate) struct Answers(Seen);

impl Answers {
    /// What was wrong goes to the verdict.
    pub(crate) fn judge(self, verdict: &mut Verdict) -> (String, Times) {
        let Answers(Seen { answers, wrong }) = self;
        let longest = answers.percentile(100);
        verdict.findings.extend(wrong);
        promise(verdict, answers.count() > 0, "the prober got no answer at all");
        promise(verdict, longest <= LATEST, format!("an answer took {}", millis(longest)));
        ("from a station's call to its answer".into(), answers)
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.asking.abort();
    }
}

async fn ask(mut puppet: Puppet, tag: String, seen: Arc<Mutex<Seen>>) {
    loop {
        tokio::time::sleep(PAUSE).await;
        let begin = Instant::now();
        let answer = puppet.call("Authorize", json!({ "idTag": tag })).await;
        let took = begin.elapsed();
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Ok(answer) if answer["idTagInfo"]["status"] == "Accepted" => seen.answers.add(took),
            other => {
                let words = format!("a card that is on the list: {other:?}");
                seen.wrong.push(Finding::Promise { words });
                if other.is_err() {
                    return;
                }
            }
        }
    }
}
