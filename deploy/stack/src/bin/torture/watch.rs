//! Looks all the time whether a watermark ever goes back, and whether an edge ever counts as committed what is not.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use sqlx::PgPool;
use tokio::task::AbortHandle;

use crate::checker::{EdgeBook, Finding};
use crate::stage::Stage;

const PAUSE: Duration = Duration::from_millis(200);

/// A running watch.
#[derive(Debug)]
pub(crate) struct Watch {
    findings: Arc<Mutex<Vec<Finding>>>,
    looking: AbortHandle,
}

type Watermarks = HashMap<(String, i64), i64>;

impl Watch {
    /// Watches every lane of the stage's edges.
    pub(crate) fn over(stage: &Stage) -> Self {
        let findings = Arc::new(Mutex::new(Vec::new()));
        let (db, edge) = (stage.db.clone(), stage.house.edge.data().to_owned());
        let looking = tokio::spawn(look(db, edge, findings.clone())).abort_handle();
        Self { findings, looking }
    }

    /// What was seen.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        self.findings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.looking.abort();
    }
}

async fn look(db: PgPool, edge: PathBuf, findings: Arc<Mutex<Vec<Finding>>>) {
    let mut before = Watermarks::new();
    loop {
        tokio::time::sleep(PAUSE).await;
        // The edge first: what it counts by now the cloud must have had committed before.
        let book = EdgeBook::position(&edge);
        let Ok(now) = watermarks(&db).await else { continue };
        let mut found = went_back(&before, &now);
        if let Ok(book) = book {
            found.extend(too_far(&book, &now));
        }
        findings.lock().unwrap_or_else(PoisonError::into_inner).extend(found);
        before = now;
    }
}

async fn watermarks(db: &PgPool) -> Result<Watermarks> {
    let all = "select epoch::text, lane::bigint, watermark from cursors";
    let rows: Vec<(String, i64, i64)> = sqlx::query_as(all).fetch_all(db).await?;
    Ok(rows.into_iter().map(|(epoch, lane, watermark)| ((epoch, lane), watermark)).collect())
}

fn went_back(before: &Watermarks, now: &Watermarks) -> Vec<Finding> {
    let back = before.iter().filter(|(lane, before)| now.get(*lane).is_none_or(|now| now < before));
    back.map(|(lane, before)| Finding::Watermark {
        words: format!("the watermark of {lane:?} went back from {before} to {:?}", now.get(lane)),
    })
    .collect()
}

fn too_far(edge: &EdgeBook, now: &Watermarks) -> Vec<Finding> {
    let far = edge.lanes.iter().filter_map(|&(lane, _, acked)| {
        let committed = now.get(&(edge.epoch.clone(), lane)).copied().unwrap_or_default();
        (acked > committed).then(|| Finding::Watermark {
            words: format!("the edge counts {acked} of lane {lane} as committed, the cloud {committed}"),
        })
    });
    far.collect()
}
