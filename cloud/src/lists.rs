//! Who may charge where: the lists of tokens that gateways hold, built anew as soon as something that decides them changed.
//!
//! A gateway holds its site's own list (the cards of its owner, its organization and of groups that were let in) and, if one
//! of its charge points is public, the list of every person's cards. A site that is not public never learns of strangers'
//! cards. The public list is long and the same everywhere: it is kept once, in 64 parts, and a changed card costs each
//! public gateway one part and every other gateway nothing.
//!
//! Whoever changes a card, a person, an organization or a site need not know of this: triggers in the database leave a note
//! in the same transaction (`stale_lists`), and any replica that hears of it does the work. A note that nobody heard of is
//! found by the clock.

use std::time::Duration;

use shared::id::GatewayId;
use shared::model::AuthStatus;
use shared::model::document::{DocumentBody, PUBLIC_TOKENS, PublicTokensDoc, TokensDoc};
use shared::model::token::{IdToken, TokenEntry};
use shared::sync::v1;
use shared::units::Timestamp;
use sqlx::postgres::PgListener;
use sqlx::{PgConnection, PgPool};
use tokio_util::sync::CancellationToken;

use crate::db::list::{self as rows, Listed};
use crate::db::{document, pending_station, unknown_card};
use crate::documents;

/// The channel on which the database says that a list is stale.
const CHANNEL: &str = "stale_lists";
const LOOK_EVERY: Duration = Duration::from_secs(5);
const TIDY_EVERY: Duration = Duration::from_secs(3600);

/// Keeps the lists until `stop`. Any number of replicas may do so at once.
///
/// # Errors
/// None: a database that is away is waited for.
pub async fn keep(db: PgPool, stop: CancellationToken) -> anyhow::Result<()> {
    let forever = async {
        loop {
            if let Err(error) = follow(&db).await {
                tracing::warn!(%error, "the lists of tokens are not kept; trying again");
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    stop.run_until_cancelled(forever).await;
    Ok(())
}

async fn follow(db: &PgPool) -> sqlx::Result<()> {
    let mut listener = PgListener::connect_with(db).await?;
    listener.listen(CHANNEL).await?;
    let (mut look, mut tidy) = (tokio::time::interval(LOOK_EVERY), tokio::time::interval(TIDY_EVERY));
    loop {
        tokio::select! {
            _ = look.tick() => {}
            notice = listener.try_recv() => drop(notice?),
            _ = tidy.tick() => {
                document::forget_bodies(db).await?;
                unknown_card::forget_old(db).await?;
                pending_station::forget_old(db).await?;
            }
        }
        while renew(db).await? {}
    }
}

/// Builds what is stale, up to a batch of it. `true` when there was something.
///
/// # Errors
/// When the database does not answer.
pub async fn renew(db: &PgPool) -> sqlx::Result<bool> {
    if !rows::any_stale(db).await? {
        return Ok(false);
    }
    let mut tx = db.begin().await?;
    let (parts, sites) = rows::take_stale(&mut tx).await?;
    let mut changed = Vec::new();
    for part in &parts {
        changed.extend(renew_part(&mut tx, *part).await?);
    }
    for site in &sites {
        changed.extend(renew_site(&mut tx, *site).await?);
    }
    changed.sort_unstable_by_key(|gateway| gateway.0);
    changed.dedup();
    documents::announce(&mut tx, &changed).await?;
    tx.commit().await?;
    metrics::counter!("lists_renewed_total").increment((parts.len() + sites.len()) as u64);
    Ok(true)
}

async fn renew_part(tx: &mut PgConnection, part: i16) -> sqlx::Result<Vec<GatewayId>> {
    let tokens = rows::public(tx, part).await?.into_iter().map(entry).collect();
    let body = public_part(part.unsigned_abs(), tokens);
    let hash = v1::hash(&body);
    document::keep_body(tx, &body, &hash).await?;
    rows::give_part(tx, part, &body.name(), &hash).await
}

async fn renew_site(tx: &mut PgConnection, site: i64) -> sqlx::Result<Vec<GatewayId>> {
    let tokens = rows::own(tx, site).await?.into_iter().map(entry).collect();
    let on_stations = rows::on_stations(tx, site).await?;
    let body = DocumentBody::Tokens(TokensDoc { unknown: AuthStatus::Invalid, on_stations, tokens });
    let hash = v1::hash(&body);
    let mut changed = rows::give_all_parts(tx, site, PUBLIC_TOKENS).await?;
    for gateway in document::gateways_of(tx, site).await? {
        if document::store(tx, gateway, &body, &hash).await? {
            changed.push(gateway);
        }
    }
    for (gateway, part) in rows::parts_to_empty(tx, site, PUBLIC_TOKENS).await? {
        let empty = public_part(part, vec![]);
        if document::store(tx, gateway, &empty, &v1::hash(&empty)).await? {
            changed.push(gateway);
        }
    }
    Ok(changed)
}

fn public_part(part: u16, tokens: Vec<TokenEntry>) -> DocumentBody {
    DocumentBody::PublicTokens(PublicTokensDoc { part, tokens })
}

fn entry(listed: Listed) -> TokenEntry {
    // A person's card stops what the same person's app started; cards of a group stop one another's sessions.
    let group = |listed: &Listed| match (listed.group_id, listed.user_id) {
        (Some(id), _) => Some(format!("group-{id}")),
        (None, Some(id)) => Some(format!("user-{id}")),
        (None, None) => None,
    };
    TokenEntry {
        group: group(&listed),
        token: IdToken::new(listed.token).folded(),
        status: match listed.status.as_str() {
            "accepted" => AuthStatus::Accepted,
            "blocked" => AuthStatus::Blocked,
            "expired" => AuthStatus::Expired,
            _ => AuthStatus::Invalid,
        },
        expires_at: listed.expires_at.map(Timestamp::from_utc),
    }
}
