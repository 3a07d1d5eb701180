//! What an operation that is written by hand changes of entities, for the log: rows before and after, compared.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use sqlx::PgConnection;

use super::{Change, rows};
use crate::db::audit;
use crate::graphql::entity::table::Entity;
use crate::graphql::entity::tables::{CHARGE_POINT, CONNECTOR, SITE, USER};

/// Fields that differ without anybody having changed a row.
const CLOCKS: [&str; 3] = ["updated_at", "ocpp_event_timestamp", "clockSkewMs"];

/// Tables, and the column by which their rows are found.
type Tables = [(&'static Entity, &'static str)];

static AT_SITE: [(&Entity, &str); 3] = [(&SITE, "id"), (&CHARGE_POINT, "site_id"), (&CONNECTOR, "site_id")];
static PERSON: [(&Entity, &str); 1] = [(&USER, "id")];

/// Rows as they were.
pub(in crate::graphql) struct Snapshot {
    of: &'static Tables,
    id: i64,
    rows: BTreeMap<(&'static str, i64), Json>,
}

impl Snapshot {
    /// A site with all that stands there.
    pub(in crate::graphql) async fn of_site(tx: &mut PgConnection, id: i64) -> sqlx::Result<Self> {
        Self::of(tx, &AT_SITE, id).await
    }

    /// A person who is not there yet.
    pub(in crate::graphql) fn of_nobody(id: i64) -> Self {
        Self { of: &PERSON, id, rows: BTreeMap::new() }
    }

    async fn of(tx: &mut PgConnection, of: &'static Tables, id: i64) -> sqlx::Result<Self> {
        let mut found = BTreeMap::new();
        for (entity, column) in of {
            let rows = rows::records_by(tx, entity, column, &[id]).await?;
            found.extend(rows.into_iter().map(|(id, row)| ((entity.name, id), row)));
        }
        Ok(Self { of, id, rows: found })
    }

    /// As if nothing had been there.
    pub(in crate::graphql) fn emptied(self) -> Self {
        Self { rows: BTreeMap::new(), ..self }
    }

    /// Writes what is not as it was into the log; last in the transaction.
    pub(in crate::graphql) async fn log(mut self, tx: &mut PgConnection, actor: i64) -> sqlx::Result<()> {
        let now = Self::of(tx, self.of, self.id).await?;
        for ((name, id), after) in now.rows {
            let before = self.rows.remove(&(name, id));
            let same = before.as_ref().is_some_and(|before| without_clocks(before) == without_clocks(&after));
            let entity = self.of.iter().map(|(entity, _)| *entity).find(|entity| entity.name == name);
            if let Some(entity) = entity.filter(|_| !same) {
                let change = Change { entity, id, before, after: Some(after) };
                audit::write(&mut *tx, &change.entry(actor)).await?;
            }
        }
        Ok(())
    }
}

fn without_clocks(row: &Json) -> Json {
    let mut row = row.clone();
    if let Some(row) = row.as_object_mut() {
        row.retain(|name, _| !CLOCKS.contains(&name.as_str()));
    }
    row
}
