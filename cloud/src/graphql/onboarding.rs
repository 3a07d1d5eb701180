//! Putting gateways and stations into service.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::json;
use sha2::{Digest, Sha256};
use shared::id::StationId;

use super::entity::Snapshot;
use super::error::{Fault, Result};
use super::scalar::Time;
use super::user::taken;
use super::{app, parse_id, reach};
use crate::auth::{self, Deed};
use crate::db::audit::{self, Entry};
use crate::db::{site, station};
use crate::{documents, gateways, live};

/// Stations in one call.
const MAX_STATIONS: usize = 100;
/// What an operator may choose himself, as long as AuthorizationKey may be (OCPP 1.6 security whitepaper, A00.FR.205).
const PASSWORD_LENGTH: std::ops::RangeInclusive<usize> = 16..=40;

#[derive(InputObject)]
pub(super) struct CheckChargerIdExistInputDto {
    charger_id: Option<String>,
}

#[derive(SimpleObject)]
pub(super) struct CheckChargerIdExistResponse {
    exist: Option<bool>,
}

/// Lets one gateway enrol, once.
#[derive(SimpleObject)]
pub(super) struct ClaimCode {
    code: String,
    expires_at: Time,
}

impl From<gateways::ClaimCode> for ClaimCode {
    fn from(claim: gateways::ClaimCode) -> Self {
        Self { code: claim.code, expires_at: Time(claim.expires_at) }
    }
}

/// A station that may connect from now on.
#[derive(InputObject)]
pub(super) struct StationInput {
    /// The last part of its OCPP address, and its user name.
    identity: String,
    /// 16 to 40 characters of ASCII; one of 40 hexadecimal digits is made when left out.
    password: Option<String>,
}

/// What to enter at the station. Shown this once.
#[derive(SimpleObject)]
pub(super) struct StationCredential {
    identity: String,
    password: String,
}

#[derive(Default)]
pub(super) struct OnboardingQuery;

#[Object]
impl OnboardingQuery {
    /// Is a station of this identity known, anywhere?
    async fn check_charger_id_exist(
        &self,
        ctx: &Context<'_>,
        input: CheckChargerIdExistInputDto,
    ) -> Result<CheckChargerIdExistResponse> {
        super::viewer(ctx).await?;
        let exist = match input.charger_id {
            Some(identity) => station::identity_exists(&app(ctx).db, &identity).await?,
            None => false,
        };
        Ok(CheckChargerIdExistResponse { exist: Some(exist) })
    }
}

#[derive(Default)]
pub(super) struct OnboardingMutation;

#[Object]
impl OnboardingMutation {
    /// A code with which a gateway enrols for the site, once, within an hour.
    async fn create_claim_code(&self, ctx: &Context<'_>, site_id: ID) -> Result<ClaimCode> {
        let (viewer, reach) = reach(ctx, Deed::Onboard).await?;
        let id = parse_id(&site_id, "siteId")?;
        let mut tx = app(ctx).db.begin().await?;
        site::owned(&mut tx, id, &reach).await?.ok_or_else(|| Fault::no_such("Site", id))?;
        let claim = gateways::create_claim(&mut *tx, id, CLAIM_LIFE).await?;
        let done = json!({"expiresAt": claim.expires_at});
        audit::write(&mut tx, &at_site(viewer.id, "createClaimCode", id, done)).await?;
        tx.commit().await?;
        Ok(claim.into())
    }

    /// Lets stations of a site connect, each with a password; unknown ones are added to the site. Existing passwords are
    /// replaced.
    async fn provision_stations(
        &self,
        ctx: &Context<'_>,
        site_id: ID,
        stations: Vec<StationInput>,
    ) -> Result<Vec<StationCredential>> {
        let (viewer, reach) = reach(ctx, Deed::Onboard).await?;
        let id = parse_id(&site_id, "siteId")?;
        if stations.len() > MAX_STATIONS {
            return Err(Fault::BadInput(format!("At most {MAX_STATIONS} stations in one call.")));
        }
        let mut prepared = Vec::with_capacity(stations.len());
        for station in stations {
            prepared.push(Prepared::of(station).await?);
        }
        let mut tx = app(ctx).db.begin().await?;
        let site_owner = site::owned(&mut tx, id, &reach).await?.ok_or_else(|| Fault::no_such("Site", id))?;
        let before = Snapshot::of_site(&mut tx, id).await?;
        for station in &prepared {
            site::set_credential(&mut tx, id, site_owner.owner_id, &station.identity, &station.stored)
                .await
                .map_err(taken("station identity"))?;
        }
        documents::refresh(&mut tx, id).await?;
        live::notify(&mut tx, &live::Hint::site(id)).await?;
        before.log(&mut tx, viewer.id).await?;
        let identities: Vec<&str> = prepared.iter().map(|it| it.identity.as_str()).collect();
        let done = json!({"identities": identities});
        audit::write(&mut tx, &at_site(viewer.id, "provisionStations", id, done)).await?;
        tx.commit().await?;
        Ok(prepared.into_iter().map(Prepared::shown).collect())
    }
}

/// What was done with a site, for the log.
pub(super) fn at_site(
    actor: i64,
    action: &'static str,
    site: i64,
    done: serde_json::Value,
) -> Entry<'static> {
    Entry {
        actor: Some(actor),
        action,
        entity: "Site",
        row_id: Some(site.to_string()),
        site_id: Some(site),
        after: Some(done),
        ..Entry::default()
    }
}

/// How long a code may be used.
pub(super) const CLAIM_LIFE: std::time::Duration = std::time::Duration::from_hours(1);

struct Prepared {
    identity: String,
    password: String,
    stored: String,
}

impl Prepared {
    async fn of(station: StationInput) -> Result<Self> {
        let identity = station.identity.trim().to_owned();
        StationId::new(identity.clone()).map_err(|error| Fault::BadInput(error.to_string()))?;
        let (password, stored) = credential_of(&identity, station.password).await?;
        Ok(Self { identity, password, stored })
    }

    fn shown(self) -> StationCredential {
        StationCredential { identity: self.identity, password: self.password }
    }
}

/// A password, the given one or one that is made, and what is stored of it.
pub(super) async fn credential_of(identity: &str, password: Option<String>) -> Result<(String, String)> {
    let Some(password) = password else {
        let password = made();
        let stored = digest(&password);
        return Ok((password, stored));
    };
    // Stations differ in what they make of other letters, and a blank at an end gets lost when somebody enters it.
    let clean = password.bytes().all(|it| matches!(it, b' '..=b'~')) && password.trim() == password;
    if !PASSWORD_LENGTH.contains(&password.len()) || !clean {
        return Err(Fault::BadInput(format!(
            "The password of {identity} must have 16 to 40 characters: letters, digits and signs of ASCII."
        )));
    }
    let stored = auth::hash_password(&password).await?;
    Ok((password, stored))
}

/// 20 random bytes in the digits that stations take which read AuthorizationKey as bytes (A00.FR.205).
fn made() -> String {
    let mut random = [0_u8; 20];
    getrandom::fill(&mut random).expect("the operating system gives randomness");
    random.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// Enough for a password of 160 random bits: nobody guesses it, so a slow hash only costs the gateway.
fn digest(password: &str) -> String {
    let mut salt = [0_u8; 16];
    getrandom::fill(&mut salt).expect("the operating system gives randomness");
    let digest = Sha256::new().chain_update(salt).chain_update(password).finalize();
    format!("sha256${}${}", BASE64.encode(salt), BASE64.encode(digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_made_password_verifies_against_what_is_stored() {
        let made = Prepared::of(StationInput { identity: " CP1 ".into(), password: None }).await.unwrap();
        assert_eq!((made.identity.as_str(), made.password.len()), ("CP1", 40));
        assert!(made.password.bytes().all(|it| matches!(it, b'0'..=b'9' | b'A'..=b'F')), "{}", made.password);
        let [_, salt, digest] = made.stored.split('$').collect::<Vec<_>>().try_into().unwrap();
        let again =
            Sha256::new().chain_update(BASE64.decode(salt).unwrap()).chain_update(&made.password).finalize();
        assert_eq!(BASE64.decode(digest).unwrap(), again.as_slice());
    }

    #[tokio::test]
    async fn chosen_passwords_are_hashed_slowly_and_weak_ones_refused() {
        let of = |password: &str| {
            Prepared::of(StationInput { identity: "CP1".into(), password: Some(password.into()) })
        };
        assert!(of("0123456789abcdef").await.unwrap().stored.starts_with("$argon2id$"));
        assert!(
            of("!0123456789:abc~").await.is_ok(),
            "whoever splits at ':' does so at the first one, after the identity"
        );
        for bad in ["short", "0123456789abcde", " 0123456789abcdef", "0123456789äbcdef", &"x".repeat(41)] {
            assert!(of(bad).await.is_err(), "{bad}");
        }
        assert!(Prepared::of(StationInput { identity: "a/b".into(), password: None }).await.is_err());
    }
}
