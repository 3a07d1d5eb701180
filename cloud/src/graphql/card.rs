//! What people charge with.
//!
//! A card is a person's, or a group's. A person's card may charge at every public site, and he pays: so it is given to a
//! person only by himself or by an administrator. A card of nobody but a group (a fleet's, a family's) charges at the sites of
//! the group's owner, and at those where the group was let in.

mod change;
mod group;
mod unknown;

use async_graphql::{Context, Enum, ID, Object, SimpleObject};
use chrono::{DateTime, Utc};
use serde_json::json;
use shared::model::IdToken;
use sqlx::error::DatabaseError;
use sqlx::{PgConnection, Postgres, Transaction};

use super::error::{Fault, Result};
use super::scalar::{Float, Time};
use super::{MAX_ROWS, app, parse_id, reach};
use crate::auth::{Deed, Reach, Viewer};
use crate::clock;
use crate::db::audit::{self, Entry};
use crate::db::card::{self as rows, Filter, NewCard};
use crate::db::{user, viewer};

pub(super) use change::CardMutation;
pub(super) use group::{GroupMutation, GroupQuery};
pub(super) use unknown::{UnknownCardMutation, UnknownCardQuery, UnknownCardSubscription};

/// Cards of one person; of one group that are nobody's.
const MOST_OF_A_PERSON: i64 = 50;
const MOST_OF_A_GROUP: i64 = 10_000;
const NAME_LENGTH: std::ops::RangeInclusive<usize> = 1..=100;

/// What a station answers to a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(super) enum CardStatus {
    /// May charge.
    Accepted,
    /// Barred.
    Blocked,
    /// Its time is over.
    Expired,
}

/// A card, fob or tag that somebody charges with.
#[derive(SimpleObject)]
pub(super) struct Card {
    id: ID,
    /// The number that stations read off it.
    token: String,
    /// What its people call it.
    name: Option<String>,
    /// Who pays; null: the card is nobody's but its group's.
    user_id: Option<ID>,
    group_id: Option<ID>,
    status: CardStatus,
    expires_at: Option<Time>,
    created_at: Time,
}

/// A page of cards.
#[derive(SimpleObject)]
pub(super) struct Cards {
    /// How many there are in all.
    count: i64,
    /// The oldest first.
    data: Vec<Card>,
}

impl From<rows::Card> for Card {
    fn from(row: rows::Card) -> Self {
        let over = row.expires_at.is_some_and(|end| end <= clock::utc());
        Self {
            id: row.id.into(),
            token: row.token,
            name: row.name,
            user_id: row.user_id.map(ID::from),
            group_id: row.group_id.map(ID::from),
            status: match row.status.as_str() {
                "accepted" if !over => CardStatus::Accepted,
                "accepted" | "expired" => CardStatus::Expired,
                _ => CardStatus::Blocked,
            },
            expires_at: row.expires_at.map(Time),
            created_at: Time(row.created_at),
        }
    }
}

/// A card as the first apps know it.
#[derive(SimpleObject)]
pub(super) struct IdTokenView {
    id: ID,
    token: String,
    user_id: Option<Float>,
    status: String,
}

#[derive(Default)]
pub(super) struct CardQuery;

#[Object]
impl CardQuery {
    /// Cards: one's own, those in one's groups and in those of organizations where one is owner or operator; all for
    /// administrators.
    async fn cards(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only this person's.")] user_id: Option<ID>,
        #[graphql(desc = "Only this group's.")] group_id: Option<ID>,
        #[graphql(desc = "Only those that may charge at this site though it be a private one.")]
        site_id: Option<ID>,
        #[graphql(desc = "At most 200, 50 when left out.")] limit: Option<i32>,
        offset: Option<i32>,
    ) -> Result<Cards> {
        let (viewer, reach) = reach(ctx, Deed::ManageCards).await?;
        let (limit, offset) = (limit.unwrap_or(50), offset.unwrap_or(0));
        if !(0..=MAX_ROWS).contains(&i64::from(limit)) || offset < 0 {
            return Err(Fault::BadInput(format!("limit is 0 to {MAX_ROWS}, offset not below 0.")));
        }
        let filter = Filter {
            user: optional_id(user_id.as_ref(), "userId")?,
            group: optional_id(group_id.as_ref(), "groupId")?,
            site: optional_id(site_id.as_ref(), "siteId")?,
        };
        let mut tx = viewer::begin(&app(ctx).db, &viewer).await?;
        let (count, cards) = rows::page(&mut tx, &reach, filter, (limit.into(), offset.into())).await?;
        Ok(Cards { count, data: cards.into_iter().map(Card::from).collect() })
    }
}

/// A card to be, and whose.
struct Wanted<'a> {
    token: &'a str,
    name: Option<&'a str>,
    user: Option<i64>,
    group: Option<i64>,
    expires_at: Option<DateTime<Utc>>,
}

/// Somebody at work on cards: a transaction in his name, with what he may do in it.
struct Desk {
    tx: Transaction<'static, Postgres>,
    viewer: Viewer,
    reach: Reach,
}

impl Desk {
    async fn open(ctx: &Context<'_>) -> Result<Self> {
        let (viewer, reach) = reach(ctx, Deed::ManageCards).await?;
        let tx = viewer::begin(&app(ctx).db, &viewer).await?;
        Ok(Self { tx, viewer, reach })
    }

    async fn card(&mut self, id: &ID) -> Result<rows::Card> {
        let id = parse_id(id, "id")?;
        rows::find(&mut self.tx, id, &self.reach).await?.ok_or_else(|| Fault::no_such("Card", id))
    }

    async fn group(&mut self, id: i64) -> Result<rows::Group> {
        rows::group(&mut self.tx, id, &self.reach).await?.ok_or_else(|| Fault::no_such("CardGroup", id))
    }

    /// Whose the card shall be: the one that is named; else nobody but the group; else the asking one.
    async fn holder(&mut self, user: Option<i64>, group: Option<i64>) -> Result<Option<i64>> {
        let own = self.reach.user;
        match (user, group) {
            (Some(id), _) if Some(id) == own => Ok(own),
            (Some(id), _) if self.reach.everything => {
                user::find(&mut *self.tx, id).await?.map(|_| Some(id)).ok_or_else(|| Fault::no_such("User", id))
            }
            (Some(_), _) => Err(Fault::Forbidden(
                "Only he himself or an administrator makes a card a person's: he pays for what it charges. Give a groupId \
                 without a userId instead."
                    .into(),
            )),
            (None, Some(_)) => Ok(None),
            (None, None) if own.is_some() => Ok(own),
            (None, None) => Err(Fault::BadInput("Give a groupId: you have no cards of your own.".into())),
        }
    }

    /// Adds a card; the same once more changes nothing. `Err` when it is somebody else's. The flag: is it a new one?
    async fn add(&mut self, wanted: &Wanted<'_>) -> Result<(rows::Card, bool)> {
        let token = IdToken::typed(wanted.token).map_err(|error| Fault::BadInput(error.to_string()))?;
        let (tx, reach) = (&mut self.tx, &self.reach);
        if let Some(known) = rows::by_token(tx, token.as_str(), reach).await? {
            let same =
                known.user_id == wanted.user && (wanted.group.is_none() || known.group_id == wanted.group);
            return if same { Ok((known, false)) } else { Err(someone_elses()) };
        }
        let most = if wanted.user.is_some() { MOST_OF_A_PERSON } else { MOST_OF_A_GROUP };
        if rows::count(tx, wanted.user, wanted.group).await? >= most {
            return Err(Fault::BadInput(format!(
                "There are {most} cards already. Delete one that is not used."
            )));
        }
        let new = NewCard {
            token: token.as_str(),
            kind: "rfid",
            name: wanted.name,
            user_id: wanted.user,
            group_id: wanted.group,
            expires_at: wanted.expires_at,
        };
        let id = rows::insert(tx, &new).await.map_err(|error| {
            let taken = error.as_database_error().is_some_and(DatabaseError::is_unique_violation);
            if taken { someone_elses() } else { error.into() }
        })?;
        let card = rows::find(tx, id, reach).await?.ok_or_else(|| Fault::no_such("Card", id))?;
        Ok((card, true))
    }

    /// Writes down what was done, and commits.
    async fn close(mut self, entry: Entry<'_>) -> Result<()> {
        viewer::as_ourselves(&mut self.tx).await?;
        log(&mut self.tx, Entry { actor: Some(self.viewer.id), ..entry }).await?;
        Ok(self.tx.commit().await?)
    }
}

async fn log(tx: &mut PgConnection, entry: Entry<'_>) -> Result<()> {
    audit::write(tx, &entry).await?;
    Ok(())
}

/// An entry of the log about a card.
fn about<'a>(action: &'a str, before: Option<&rows::Card>, after: Option<&rows::Card>) -> Entry<'a> {
    let card = after.or(before);
    Entry {
        action,
        entity: "Card",
        row_id: card.map(|card| card.id.to_string()),
        organization_id: card.and_then(|card| card.organization_id),
        before: before.map(shown),
        after: after.map(shown),
        ..Entry::default()
    }
}

/// What the log shows of a card. Its number is what it charges with, so only its end.
fn shown(card: &rows::Card) -> serde_json::Value {
    let hidden = card.token.chars().count().saturating_sub(4);
    json!({
        "token": format!("…{}", card.token.chars().skip(hidden).collect::<String>()),
        "name": card.name, "userId": card.user_id, "groupId": card.group_id, "status": card.status,
        "expiresAt": card.expires_at,
    })
}

fn someone_elses() -> Fault {
    Fault::BadInput("This token belongs to somebody else.".into())
}

fn checked_name(name: &str) -> Result<&str> {
    let name = name.trim();
    let fine = NAME_LENGTH.contains(&name.chars().count()) && !name.chars().any(char::is_control);
    if fine { Ok(name) } else { Err(Fault::BadInput("A name has 1 to 100 printable characters.".into())) }
}

fn optional_id(id: Option<&ID>, field: &str) -> Result<Option<i64>> {
    id.map(|id| parse_id(id, field)).transpose()
}
