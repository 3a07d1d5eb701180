//! What gateways tell of stations' oddities and peculiarities: the newest of each.

use std::collections::BTreeMap;

use shared::id::StationId;
use shared::model::finding::{FindingNoted, Oddity};
use shared::model::quirks::QuirkSuggested;
use sqlx::PgConnection;

use crate::db::record::Origin;
use crate::db::{finding, quirk};

/// All that a batch tells of it.
#[derive(Debug, Default, PartialEq)]
pub struct Oddities {
    findings: BTreeMap<(StationId, String, String, Oddity), FindingNoted>,
    suggestions: Vec<QuirkSuggested>,
}

impl Oddities {
    /// Something odd, as it was last told.
    pub fn found(&mut self, it: FindingNoted) {
        let key = (it.station.clone(), it.action.clone(), it.field.clone(), it.oddity);
        self.findings.insert(key, it);
    }

    /// Something that an operator may want to set.
    pub fn suggested(&mut self, it: QuirkSuggested) {
        self.suggestions.push(it);
    }

    /// Writes it.
    ///
    /// # Errors
    /// As any statement.
    pub async fn write(&self, tx: &mut PgConnection, origin: Origin) -> sqlx::Result<()> {
        for found in self.findings.values() {
            finding::keep(tx, origin, found).await?;
        }
        for suggested in &self.suggestions {
            quirk::suggested(tx, origin, suggested).await?;
        }
        Ok(())
    }
}
