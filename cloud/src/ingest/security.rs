//! What gateways tell of how stations are secured: folded, then written.

use std::collections::BTreeMap;

use serde_json::json;
use shared::id::StationId;
use shared::model::security::{CredentialRotated, SecurityProgressed, SecurityReported, StationSecured};
use sqlx::PgConnection;

use crate::db::audit::{self, Entry};
use crate::db::record::Origin;
use crate::db::security as rows;
use crate::documents;

/// All that a batch tells of it.
#[derive(Debug, Default, PartialEq)]
pub struct Security {
    /// What stations reported, each with its record's key.
    pub reported: Vec<(String, SecurityReported)>,
    /// How stations are secured: of each the newest.
    pub secured: BTreeMap<StationId, StationSecured>,
    /// How far it is what is done about it, in order.
    pub progressed: Vec<SecurityProgressed>,
    /// Passwords that stations came with for the first time, in order.
    pub rotated: Vec<CredentialRotated>,
}

impl Security {
    /// Writes it. `true`: there is something to show.
    ///
    /// # Errors
    /// As any statement.
    pub async fn write(&self, tx: &mut PgConnection, origin: Origin) -> sqlx::Result<bool> {
        for (key, reported) in &self.reported {
            rows::reported(tx, origin, key, reported).await?;
        }
        for secured in self.secured.values() {
            rows::secured(tx, origin, secured).await?;
        }
        for progressed in &self.progressed {
            rows::progressed(tx, origin, progressed).await?;
        }
        let mut other_passwords = false;
        for rotated in &self.rotated {
            rows::password_reached(tx, origin, rotated).await?;
            other_passwords |= take_over(tx, origin, rotated).await?;
        }
        if other_passwords {
            documents::refresh(tx, origin.site_id).await?;
        }
        Ok(*self != Security::default())
    }
}

/// A password that the gateway made is the station's from now on, unless somebody has set another one meanwhile.
async fn take_over(tx: &mut PgConnection, origin: Origin, rotated: &CredentialRotated) -> sqlx::Result<bool> {
    let Some(id) = rows::rotated(tx, origin, rotated).await? else { return Ok(false) };
    let entry = Entry {
        action: "rotatePassword",
        entity: "ChargePoint",
        row_id: Some(id.to_string()),
        site_id: Some(origin.site_id),
        after: Some(json!({ "station": rotated.station, "by": "the gateway" })),
        ..Entry::default()
    };
    audit::write(tx, &entry).await?;
    Ok(true)
}
