//! What was said between a station and its gateway, read from the gateway's own log.

use async_graphql::{Context, Enum, ID, Object, SimpleObject};
use shared::model::command::{CommandBody, Outcome, Told};
use shared::model::frame_log::{Direction, FrameFilter, LoggedFrame, PAGE_FRAMES};
use shared::units::Timestamp;

use super::super::command::{Addressee, NO_GATEWAY, Terms, give};
use super::super::error::{Fault, Result};
use super::super::scalar::Time;
use super::super::{app, parse_id, reach};
use crate::auth::Deed;
use crate::db::{command as commands, station};

/// Which way a frame went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(in super::super) enum FrameDirection {
    /// From the station.
    Received,
    /// To the station.
    Sent,
}

/// A message as it went over the line.
#[derive(SimpleObject)]
pub(in super::super) struct StationFrame {
    /// Rises over all messages of the gateway.
    number: ID,
    at: Time,
    /// The station's connection, as the gateway counts them.
    connection: ID,
    direction: FrameDirection,
    /// The message's action; an answer has its call's.
    action: Option<String>,
    message_id: Option<String>,
    /// The message; passwords are masked, and one that is very long is cut.
    text: String,
    /// So many messages just before it were not kept.
    lost_before: i32,
}

/// A page of messages, the oldest first.
#[derive(SimpleObject)]
pub(in super::super) struct StationFrames {
    frames: Vec<StationFrame>,
    /// Ask again `after` this one for what comes next; null: that is all so far.
    next: Option<ID>,
}

impl From<LoggedFrame> for StationFrame {
    fn from(frame: LoggedFrame) -> Self {
        Self {
            number: frame.number.into(),
            at: Time(frame.at.to_utc().unwrap_or_default()),
            connection: frame.connection.into(),
            direction: match frame.direction {
                Direction::Received => FrameDirection::Received,
                Direction::Sent => FrameDirection::Sent,
            },
            action: frame.action,
            message_id: frame.message_id,
            text: frame.text,
            lost_before: i32::try_from(frame.lost_before).unwrap_or(i32::MAX),
        }
    }
}

#[derive(Default)]
pub(in super::super) struct FramesMutation;

#[Object]
impl FramesMutation {
    /// Asks a station's gateway for what was lately said between the two, a page of at most 100 messages at a time. The
    /// gateway keeps the last ones of each station.
    #[expect(clippy::too_many_arguments, reason = "each is a filter")]
    async fn read_station_frames(
        &self,
        ctx: &Context<'_>,
        charge_point_id: ID,
        since: Option<Time>,
        until: Option<Time>,
        action: Option<String>,
        direction: Option<FrameDirection>,
        after: Option<ID>,
        limit: Option<i32>,
    ) -> Result<StationFrames> {
        let filter = FrameFilter {
            since: since.map(|it| Timestamp::from_utc(it.0)),
            until: until.map(|it| Timestamp::from_utc(it.0)),
            action: action.filter(|name| !name.is_empty()).map(|name| name.chars().take(50).collect()),
            direction: direction.map(|it| match it {
                FrameDirection::Received => Direction::Received,
                FrameDirection::Sent => Direction::Sent,
            }),
            after: after.map(|id| parse_id(&id, "after")).transpose()?.map(i64::unsigned_abs),
            limit: limit.map(|it| u16::try_from(it).unwrap_or(0)),
        };
        if filter.limit.is_some_and(|limit| !(1..=PAGE_FRAMES).contains(&limit)) {
            return Err(Fault::BadInput(format!("limit is 1 to {PAGE_FRAMES}.")));
        }
        let (viewer, reach) = reach(ctx, Deed::Operate).await?;
        let id = parse_id(&charge_point_id, "chargePointId")?;
        let found = station::charge_point(&app(ctx).db, id, &reach).await?;
        let target = found.ok_or_else(|| Fault::no_such("ChargePoint", id))?;
        let to = Addressee::of(&target).ok_or_else(|| Fault::BadInput(NO_GATEWAY.into()))?;
        let body = CommandBody::ReadFrames(filter);
        let (command, result) = give(app(ctx), to, body, viewer.id, Terms::default()).await?;
        // They were asked for by one person; they are not kept for others.
        commands::forget_told(&app(ctx).db, command).await?;
        match result {
            Some(result) if result.outcome == Outcome::Accepted => {
                let page = if let Told::Frames(page) = result.told { page } else { Default::default() };
                Ok(StationFrames {
                    frames: page.frames.into_iter().map(StationFrame::from).collect(),
                    next: page.next.map(ID::from),
                })
            }
            Some(result) => Err(silent(&result.detail)),
            None => Err(silent("it did not answer in time")),
        }
    }
}

fn silent(detail: &str) -> Fault {
    Fault::BadInput(format!("The gateway could not be asked: {detail}. Try again when it is online."))
}
