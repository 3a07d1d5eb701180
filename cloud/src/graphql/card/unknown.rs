//! Tap to learn: a card that nobody knows is held to a reader, and becomes somebody's.

use std::sync::Arc;
use std::time::Duration;

use async_graphql::{Context, Error, ID, Object, SimpleObject, Subscription};
use chrono::{DateTime, Utc};
use futures_util::stream::{self, StreamExt as _};
use shared::model::IdToken;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, timeout_at};

use super::super::error::{Fault, Result};
use super::super::live::{self, Live};
use super::super::scalar::Time;
use super::super::{app, parse_id, reach};
use super::{Card, Desk, Wanted, about, checked_name, log, optional_id};
use crate::App;
use crate::auth::{Deed, Reach, Viewer};
use crate::db::audit::Entry;
use crate::db::card::NewCard;
use crate::db::{card as cards, unknown_card as rows, viewer};

/// How long one may take to hold the card to the reader; less than a mutation may take.
const LESSON_SECONDS: std::ops::RangeInclusive<i32> = 5..=25;

/// A card that a site refused because nobody knows it.
#[derive(SimpleObject)]
pub(in super::super) struct UnknownCard {
    id: ID,
    /// The number that the station read off it.
    token: String,
    site_id: ID,
    /// Where it was seen last, as long as that is there.
    charge_point_id: Option<ID>,
    /// That station's identity.
    station: String,
    /// The station's number of the connector, if it told.
    connector: Option<i32>,
    /// How often it was told of; a card that is held on is told of less.
    taps: i32,
    first_seen_at: Time,
    last_seen_at: Time,
}

impl From<rows::UnknownCard> for UnknownCard {
    fn from(row: rows::UnknownCard) -> Self {
        Self {
            id: row.id.into(),
            token: row.token,
            site_id: row.site_id.into(),
            charge_point_id: row.charge_point_id.map(ID::from),
            station: row.station,
            connector: row.evse,
            taps: row.taps,
            first_seen_at: Time(row.first_seen_at),
            last_seen_at: Time(row.last_seen_at),
        }
    }
}

#[derive(Default)]
pub(in super::super) struct UnknownCardQuery;

#[Object]
impl UnknownCardQuery {
    /// Cards that a site refused during the last day because nobody knows them, the newest first.
    async fn unknown_cards(&self, ctx: &Context<'_>, site_id: ID) -> Result<Vec<UnknownCard>> {
        let (viewer, reach) = reach(ctx, Deed::Operate).await?;
        let seen = after(app(ctx), &viewer, &reach, parse_id(&site_id, "siteId")?, 0).await?;
        Ok(seen.into_iter().rev().map(UnknownCard::from).collect())
    }
}

#[derive(Default)]
pub(in super::super) struct UnknownCardMutation;

#[Object]
impl UnknownCardMutation {
    /// Makes an unknown card one's own or, with a group and without a person, the group's. The site accepts it at the next tap.
    async fn adopt_card(
        &self,
        ctx: &Context<'_>,
        unknown_card_id: ID,
        name: String,
        user_id: Option<ID>,
        group_id: Option<ID>,
        expires_at: Option<Time>,
    ) -> Result<Card> {
        let name = checked_name(&name)?;
        let (_, operating) = reach(ctx, Deed::Operate).await?;
        let (user, group) =
            (optional_id(user_id.as_ref(), "userId")?, optional_id(group_id.as_ref(), "groupId")?);
        let id = parse_id(&unknown_card_id, "unknownCardId")?;
        let mut desk = Desk::open(ctx).await?;
        if let Some(id) = group {
            desk.group(id).await?;
        }
        let user = desk.holder(user, group).await?;
        let seen = rows::take(&mut desk.tx, id, &operating)
            .await?
            .ok_or_else(|| Fault::no_such("UnknownCard", id))?;
        let expires_at = expires_at.map(|time| time.0);
        let wanted = Wanted { token: &seen.token, name: Some(name), user, group, expires_at };
        let (card, _) = desk.add(&wanted).await?;
        desk.close(Entry { site_id: Some(seen.site_id), ..about("adopt", None, Some(&card)) }).await?;
        Ok(card.into())
    }

    /// "The next unknown card at this station is mine": answers when one is held to the reader within these seconds (5 to
    /// 25, which is also the time when left out), and makes it the asking one's. At public stations, one's own, and those of
    /// organizations where one is owner or operator.
    async fn learn_card(
        &self,
        ctx: &Context<'_>,
        charge_point_id: ID,
        name: String,
        seconds: Option<i32>,
    ) -> Result<Card> {
        let name = checked_name(&name)?;
        let (viewer, reach) = reach(ctx, Deed::ManageCards).await?;
        if reach.user.is_none() {
            return Err(Fault::role());
        }
        let seconds = seconds.unwrap_or(*LESSON_SECONDS.end());
        if !LESSON_SECONDS.contains(&seconds) {
            return Err(Fault::BadInput("seconds is 5 to 25.".into()));
        }
        let (app, station) = (app(ctx), parse_id(&charge_point_id, "chargePointId")?);
        let site = rows::classroom(&app.db, station, &reach)
            .await?
            .ok_or_else(|| Fault::no_such("ChargePoint", station))?;
        let began_at = rows::begin_lesson(&app.db, station, viewer.id, seconds).await?.ok_or_else(|| {
            Fault::BadInput(
                "Somebody holds a card to this station's reader already. Try again in half a minute.".into(),
            )
        })?;
        let lesson = Lesson { station, site, began_at, viewer, reach };
        let learned = lesson.wait(app, name, Duration::from_secs(seconds.unsigned_abs().into())).await;
        rows::end_lesson(&app.db, station, began_at).await?;
        learned?.ok_or_else(|| {
            Fault::BadInput(
                "No unknown card was held to the reader. Ask first, then hold the card there.".into(),
            )
        })
    }
}

/// A person before a reader.
struct Lesson {
    station: i64,
    site: i64,
    began_at: DateTime<Utc>,
    viewer: Viewer,
    reach: Reach,
}

impl Lesson {
    async fn wait(&self, app: &App, name: &str, patience: Duration) -> Result<Option<Card>> {
        let mut seen = app.live.unknown_cards();
        let deadline = Instant::now() + patience;
        loop {
            if let Some(card) = self.learn(app, name).await? {
                return Ok(Some(card));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            // A hint may be lost, so look again now and then.
            let look_again = deadline.min(Instant::now() + Duration::from_secs(2));
            while let Ok(Ok(site)) = timeout_at(look_again, seen.recv()).await
                && *site != self.site
            {}
        }
    }

    /// What was seen is not the person's to see, so this is done in our name.
    async fn learn(&self, app: &App, name: &str) -> Result<Option<Card>> {
        let mut tx = app.db.begin().await?;
        let Some(seen) = rows::learn(&mut tx, self.station, self.began_at).await? else { return Ok(None) };
        let token = IdToken::typed(&seen.token).map_err(|error| Fault::BadInput(error.to_string()))?;
        if cards::count(&mut tx, Some(self.viewer.id), None).await? >= super::MOST_OF_A_PERSON {
            return Err(Fault::BadInput("You have too many cards. Delete one that is not used.".into()));
        }
        let new = NewCard {
            token: token.as_str(),
            kind: "rfid",
            name: Some(name),
            user_id: Some(self.viewer.id),
            ..NewCard::default()
        };
        let id = cards::insert(&mut tx, &new).await?;
        let card = cards::find(&mut tx, id, &self.reach).await?.ok_or_else(|| Fault::no_such("Card", id))?;
        let entry = Entry {
            actor: Some(self.viewer.id),
            site_id: Some(self.site),
            ..about("learn", None, Some(&card))
        };
        log(&mut tx, entry).await?;
        tx.commit().await?;
        Ok(Some(card.into()))
    }
}

#[derive(Default)]
pub(in super::super) struct UnknownCardSubscription;

#[Subscription]
impl UnknownCardSubscription {
    /// The unknown cards of a site as they are, the oldest first, then each as it is held to a reader (again).
    async fn unknown_card_seen(&self, ctx: &Context<'_>, site_id: ID) -> Result<Live<UnknownCard>> {
        let (viewer, reach) = reach(ctx, Deed::Operate).await?;
        let (app, site) = (app(ctx).clone(), parse_id(&site_id, "siteId")?);
        let mut tx = viewer::begin(&app.db, &viewer).await?;
        if !cards::site_within(&mut tx, site, &reach).await? {
            return Err(Fault::no_such("Site", site));
        }
        drop(tx);
        let hints = app.live.unknown_cards();
        let watcher = viewer.clone();
        let batches = stream::unfold((hints, 0, true), move |(mut hints, tap, first)| {
            let (app, viewer, reach) = (app.clone(), watcher.clone(), reach.clone());
            async move {
                if !first && !news(&mut hints, site).await {
                    return None;
                }
                let seen = after(&app, &viewer, &reach, site, tap).await;
                let newest = seen.as_ref().ok().and_then(|seen| seen.last()).map_or(tap, |last| last.tap);
                Some((seen, (hints, newest, false)))
            }
        });
        let taps = batches.flat_map(|seen| match seen {
            Ok(seen) => stream::iter(seen).map(|row| Ok(UnknownCard::from(row))).boxed(),
            Err(fault) => stream::iter([Err(Error::from(fault))]).boxed(),
        });
        Ok(live::while_signed_in(&viewer, taps.boxed()))
    }
}

/// Waits for a tap at the site; false when there never will be one.
async fn news(hints: &mut Receiver<Arc<i64>>, site: i64) -> bool {
    loop {
        match hints.recv().await {
            Ok(other) if *other != site => {}
            Ok(_) | Err(RecvError::Lagged(_)) => return true,
            Err(RecvError::Closed) => return false,
        }
    }
}

/// In the viewer's name, so that one who is no longer of the organization sees no more.
async fn after(
    app: &App,
    viewer: &Viewer,
    reach: &Reach,
    site: i64,
    tap: i64,
) -> Result<Vec<rows::UnknownCard>> {
    let mut tx = viewer::begin(&app.db, viewer).await?;
    Ok(rows::after(&mut tx, reach, site, tap).await?)
}
