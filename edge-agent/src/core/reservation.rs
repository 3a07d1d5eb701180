//! Reservations: an EVSE kept for a driver until an hour.
//!
//! The station is asked (OCPP 1.6 §5.13): one that keeps reservations shows `Reserved` and turns other cards away by itself.
//! One that does not (NotSupported, NotImplemented, or Rejected: "not configured to accept reservations", §7.40) leaves it to
//! the site, which does what can be done from here: it refuses remote starts by others, their cards where every connector is
//! kept for somebody else, and, whatever the station started, their token in the answer to StartTransaction. That message is
//! never refused itself; a station with `StopTransactionOnInvalidId` then ends the session.
//!
//! The site judges starts so also where the station keeps the reservation, for it may have forgotten it in a restart. What it
//! does not do there is to refuse the check of a card: the station asks to learn the card's group (§5.13), and needs it.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use shared::id::{EvseNo, ReservationId, SessionId, StationId};
use shared::model::command::{Command, CommandBody, Outcome};
use shared::model::event::Event;
use shared::model::reservation::{Reservation, ReservationEnd, ReservationEnded};
use shared::model::{AuthStatus, ConnectorStatus, IdToken};
use shared::units::Timestamp;

use super::authorize::Decision;
use super::{Ask, AskEnd, Core, Effects, LinkId, Send, StartFact, Write};

/// A reservation with what the gateway needs to go on with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// At which station.
    pub station: StationId,
    /// The reservation.
    pub reservation: Reservation,
    /// Since when.
    pub since: Timestamp,
    /// Who turns others away.
    pub keeper: Keeper,
}

/// Who turns others away from a reserved EVSE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Keeper {
    /// Nobody yet: the station was asked.
    Asked,
    /// The station, and the site where the station forgets it.
    Station,
    /// The site alone: the station keeps no reservations.
    Site,
    /// Nobody any more; the station may not know, and is told when it comes back.
    Withdrawn,
}

/// The reservations that have not reached their hour.
pub(super) type Reservations = HashMap<ReservationId, Held>;

/// What the reservations say of a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// Nothing.
    Free,
    /// It is what was reserved.
    Own(ReservationId),
    /// The EVSE is somebody else's until then.
    Foreign(Timestamp),
}

impl Held {
    fn is_in_force(&self, now: Timestamp) -> bool {
        matches!(self.keeper, Keeper::Station | Keeper::Site) && self.reservation.until > now
    }
}

impl Decision {
    /// The decision where a reservation has a say. A station may remember a refusal: it ends with the reservation.
    pub(super) fn under(self, claim: Claim) -> Decision {
        match claim {
            Claim::Foreign(until) if self.status == AuthStatus::Accepted => Decision {
                status: AuthStatus::Blocked,
                by: shared::model::token::AuthorisedBy::Reservation,
                expires_at: Some(until),
                group: self.group,
            },
            Claim::Free | Claim::Own(_) | Claim::Foreign(_) => self,
        }
    }
}

impl Core {
    /// The reservations that hold now.
    pub fn reserved(&self, now: Timestamp) -> impl Iterator<Item = &Held> {
        self.reservations.values().filter(move |held| held.is_in_force(now))
    }

    // --- who may start

    /// What the reservations say of a start. One that began before the reservation was made is none of its business.
    pub(super) fn claim(
        &self,
        now: Timestamp,
        station: &StationId,
        start: &StartFact,
        decision: &Decision,
    ) -> Claim {
        let began = start.at.unwrap_or(now);
        let named = |held: &Held| start.reservation == Some(held.reservation.id);
        let mut claim = Claim::Free;
        for held in self.in_force(now, station).filter(|held| held.since <= began || named(held)) {
            let here = held.reservation.evse == start.evse;
            if held.reservation.is_for(&start.token, decision.group.as_deref()) {
                if here || named(held) {
                    return Claim::Own(held.reservation.id);
                }
            } else if here {
                claim = Claim::Foreign(held.reservation.until);
            }
        }
        claim
    }

    /// What they say of a card at a station, which does not tell at which EVSE it was shown: it is turned away where each is
    /// kept for somebody else, by the site.
    pub(super) fn claim_anywhere(
        &self,
        now: Timestamp,
        station: &StationId,
        token: &IdToken,
        decision: &Decision,
    ) -> Claim {
        let Some(known) = self.stations.get(station) else { return Claim::Free };
        let mut soonest = None;
        for evse in known.connectors.keys() {
            let kept = self.in_force(now, station).find(|held| held.reservation.evse == *evse);
            let foreign = kept.filter(|held| {
                held.keeper == Keeper::Site && !held.reservation.is_for(token, decision.group.as_deref())
            });
            let Some(held) = foreign else { return Claim::Free };
            soonest = soonest.min(Some(held.reservation.until)).or(Some(held.reservation.until));
        }
        soonest.map_or(Claim::Free, Claim::Foreign)
    }

    /// Is an EVSE kept for somebody else than this token?
    pub(super) fn is_kept_from(
        &self,
        now: Timestamp,
        station: &StationId,
        evse: EvseNo,
        token: &IdToken,
    ) -> bool {
        let group = self.tokens.decide(token, now).group;
        let mut here = self.in_force(now, station).filter(|held| held.reservation.evse == evse);
        here.any(|held| !held.reservation.is_for(token, group.as_deref()))
    }

    /// Whoever has a reservation here may charge here: the cloud has checked him.
    pub(super) fn has_reservation(&self, now: Timestamp, station: &StationId, token: &IdToken) -> bool {
        let live = |held: &&Held| held.keeper != Keeper::Withdrawn && held.reservation.until > now;
        let mut here = self.reservations.values().filter(|held| held.station == *station).filter(live);
        here.any(|held| held.reservation.token == *token)
    }

    /// The reserved charge has begun.
    pub(super) fn use_reservation(
        &mut self,
        now: Timestamp,
        id: ReservationId,
        session: SessionId,
        fx: &mut Effects,
    ) {
        self.end_reservation(now, id, ReservationEnd::Used(session), fx);
    }

    // --- made

    /// Why an EVSE cannot be reserved, as far as the site can say before the station is asked.
    pub(super) fn objection_to_reserving(
        &self,
        now: Timestamp,
        station: &StationId,
        wanted: &Reservation,
    ) -> Option<(Outcome, &'static str)> {
        if wanted.until <= now {
            return Some((Outcome::Expired, "the reservation's time is over"));
        }
        let mut others = self.in_force(now, station).filter(|held| held.reservation.id != wanted.id);
        let taken = others.any(|held| held.reservation.evse == wanted.evse);
        taken.then_some((Outcome::Occupied, "it is reserved already"))
    }

    /// The station is about to be asked.
    pub(super) fn reserving(&mut self, now: Timestamp, command: &Command, fx: &mut Effects) {
        if let CommandBody::Reserve(wanted) = &command.body
            && !self.reservations.contains_key(&wanted.id)
        {
            self.hold(now, &command.station, wanted, Keeper::Asked, fx);
        }
    }

    /// The station has answered, or cannot any more.
    pub(super) fn reserve_answered(
        &mut self,
        now: Timestamp,
        station: &StationId,
        wanted: &Reservation,
        end: AskEnd,
        fx: &mut Effects,
    ) -> AskEnd {
        if self.reservations.get(&wanted.id).is_some_and(|held| held.keeper == Keeper::Withdrawn) {
            self.tell_withdrawn(now, station, fx);
            return AskEnd::plain(Outcome::Rejected, "it was cancelled meanwhile");
        }
        if end.outcome == Outcome::Accepted {
            self.hold(now, station, wanted, Keeper::Station, fx);
            return end;
        }
        if !matches!(end.outcome, Outcome::NotSupported | Outcome::Rejected) {
            return end;
        }
        match self.obstacle(station, wanted.evse) {
            Some(obstacle) => {
                AskEnd::plain(obstacle, "the station keeps no reservations, and it is not free")
            }
            None => {
                self.hold(now, station, wanted, Keeper::Site, fx);
                AskEnd::plain(Outcome::BySite, "the station keeps no reservations; the gateway does")
            }
        }
    }

    /// A reservation was not made. Whether the station knows that is not always known.
    pub(super) fn not_reserved(
        &mut self,
        now: Timestamp,
        station: &StationId,
        id: ReservationId,
        outcome: Outcome,
        fx: &mut Effects,
    ) {
        let Some(held) = self.reservations.get_mut(&id).filter(|held| held.keeper == Keeper::Asked) else {
            return;
        };
        if matches!(outcome, Outcome::TimedOut | Outcome::StationOffline | Outcome::Unknown) {
            held.keeper = Keeper::Withdrawn;
            fx.writes.push(Write::Reservation(Box::new(held.clone())));
            self.tell_withdrawn(now, station, fx);
        } else {
            self.forget_reservation(id, fx);
        }
    }

    /// What stands in the way of a reservation at a station that does not say.
    fn obstacle(&self, station: &StationId, evse: EvseNo) -> Option<Outcome> {
        if self.sessions.open_at(station, evse).is_some() {
            return Some(Outcome::Occupied);
        }
        match self.stations.get(station)?.connectors.get(&evse)?.status {
            ConnectorStatus::Available | ConnectorStatus::Reserved => None,
            ConnectorStatus::Faulted => Some(Outcome::Faulted),
            ConnectorStatus::Unavailable => Some(Outcome::Unavailable),
            ConnectorStatus::Preparing
            | ConnectorStatus::Charging
            | ConnectorStatus::SuspendedEv
            | ConnectorStatus::SuspendedEvse
            | ConnectorStatus::Finishing => Some(Outcome::Occupied),
        }
    }

    // --- cancelled

    /// A reservation is over at once, whether its station can be told or not. `None`: the station has to be asked.
    pub(super) fn cancel_here(
        &mut self,
        command: &Command,
        id: ReservationId,
        fx: &mut Effects,
    ) -> Option<AskEnd> {
        let held = self.reservations.get_mut(&id).filter(|held| held.station == command.station)?;
        if held.keeper == Keeper::Site {
            self.forget_reservation(id, fx);
            return Some(AskEnd::plain(Outcome::Accepted, "the gateway had kept it"));
        }
        held.keeper = Keeper::Withdrawn;
        fx.writes.push(Write::Reservation(Box::new(held.clone())));
        let away = self.stations.get(&command.station).is_none_or(|station| station.link.is_none());
        away.then(|| AskEnd::plain(Outcome::Accepted, "the station is away; it is told when it comes back"))
    }

    /// The station was told. One that knows no such reservation, or none at all, has nothing to let go of.
    pub(super) fn cancel_answered(&mut self, id: ReservationId, end: AskEnd, fx: &mut Effects) -> AskEnd {
        if matches!(end.outcome, Outcome::Accepted | Outcome::Rejected | Outcome::NotSupported) {
            self.forget_reservation(id, fx);
            return AskEnd { outcome: Outcome::Accepted, ..end };
        }
        end
    }

    // --- what the station does meanwhile

    /// A station that failed or was taken out of service keeps nothing for anybody (§5.13).
    pub(super) fn drop_reservations(
        &mut self,
        now: Timestamp,
        station: &StationId,
        evse: Option<EvseNo>,
        status: ConnectorStatus,
        fx: &mut Effects,
    ) {
        if !matches!(status, ConnectorStatus::Faulted | ConnectorStatus::Unavailable) {
            return;
        }
        let there = |held: &&Held| evse.is_none_or(|evse| evse == held.reservation.evse);
        let dropped: Vec<_> =
            self.in_force(now, station).filter(there).map(|held| held.reservation.id).collect();
        for id in dropped {
            self.end_reservation(now, id, ReservationEnd::Dropped, fx);
        }
    }

    /// Tells a station that came back what it need not keep any longer. Its answer changes nothing.
    pub(super) fn tell_withdrawn(&mut self, now: Timestamp, station: &StationId, fx: &mut Effects) {
        let withdrawn = |held: &&Held| held.keeper == Keeper::Withdrawn && held.station == *station;
        let ids: Vec<_> = self.reservations.values().filter(withdrawn).map(|h| h.reservation.id).collect();
        for reservation in ids {
            self.say(now, station, CommandBody::CancelReservation { reservation }, fx);
        }
    }

    /// Reminds a station that restarted of what it keeps: many forget. The same id again replaces the reservation (§5.13).
    pub(super) fn remind(&mut self, now: Timestamp, station: &StationId, fx: &mut Effects) {
        let kept = |held: &&Held| held.keeper == Keeper::Station;
        let kept: Vec<_> =
            self.in_force(now, station).filter(kept).map(|held| held.reservation.clone()).collect();
        for reservation in kept {
            self.say(now, station, CommandBody::Reserve(reservation), fx);
        }
    }

    pub(super) fn say(&mut self, now: Timestamp, station: &StationId, body: CommandBody, fx: &mut Effects) {
        let link: Option<LinkId> = self.stations.get(station).and_then(|station| station.link);
        if let Some(link) = link {
            // Nobody waits for its end: no command of this id is open.
            let command = shared::id::CommandId((self.ids)(now));
            fx.sends.push(Send::Ask { link, command, ask: Ask::Command(body) });
        }
    }

    // --- time, and the database

    pub(super) fn next_reservation_deadline(&self) -> Option<Timestamp> {
        self.reservations.values().map(|held| held.reservation.until).min()
    }

    /// The hour has come; the station has the same one.
    pub(super) fn expire_reservations(&mut self, now: Timestamp, fx: &mut Effects) {
        let over = self.reservations.values().filter(|held| held.reservation.until <= now);
        let over: Vec<_> = over.map(|held| held.reservation.id).collect();
        for id in over {
            self.forget_reservation(id, fx);
        }
    }

    fn in_force<'a>(&'a self, now: Timestamp, station: &'a StationId) -> impl Iterator<Item = &'a Held> {
        self.reservations.values().filter(move |held| held.station == *station && held.is_in_force(now))
    }

    fn hold(
        &mut self,
        now: Timestamp,
        station: &StationId,
        wanted: &Reservation,
        keeper: Keeper,
        fx: &mut Effects,
    ) {
        let since = self.reservations.get(&wanted.id).map_or(now, |held| held.since);
        let held = Held { station: station.clone(), reservation: wanted.clone(), since, keeper };
        fx.writes.push(Write::Reservation(Box::new(held.clone())));
        self.reservations.insert(wanted.id, held);
    }

    fn end_reservation(&mut self, now: Timestamp, id: ReservationId, end: ReservationEnd, fx: &mut Effects) {
        if let Some(held) = self.forget_reservation(id, fx) {
            let station = held.station;
            fx.event(Event::ReservationEnded(ReservationEnded { reservation: id, station, end, at: now }));
        }
    }

    fn forget_reservation(&mut self, id: ReservationId, fx: &mut Effects) -> Option<Held> {
        let held = self.reservations.remove(&id)?;
        fx.writes.push(Write::ReservationGone(id));
        Some(held)
    }
}
