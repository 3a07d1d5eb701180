//! Stations' certificates: who may have one signed, who gets it, and when a new one is due.

use shared::id::StationId;
use shared::model::command::Outcome;
use shared::model::event::{Event, SecurityNoticed};
use shared::model::security::{HIGHEST_PROFILE, SecurityStep, SecurityWork, StationCertificate};
use shared::units::Timestamp;

use super::work::Work;
use super::{Made, Making, SecurityMemory};
use crate::core::admission::Standing;
use crate::core::{Ask, Core, Effects, Reply, Send};

/// A certificate is renewed so long before it ends (A03: one month).
const RENEW_MS: i64 = 30 * 86_400_000;
/// A renewal that failed is tried again after so long.
const AGAIN_MS: i64 = 86_400_000;
/// A station that is busy is asked a little later.
const NOT_NOW_MS: i64 = 60_000;
/// Requests of one station that are signed within [`WITHIN_MS`]: signing is work, and a station needs one in a year.
const REQUESTS: usize = 5;
/// See [`REQUESTS`].
const WITHIN_MS: i64 = 3_600_000;

impl Core {
    /// A station wants a certificate. `request` is its request in PEM if that can be signed, or why not.
    pub(in crate::core) fn certificate_wanted(
        &mut self,
        now: Timestamp,
        station: &StationId,
        request: Result<String, String>,
        fx: &mut Effects,
    ) -> Reply {
        let request = request.and_then(|request| match self.objection_to_signing(now, station) {
            None => Ok(request),
            Some(objection) => Err(objection.to_owned()),
        });
        let request = match request {
            Ok(request) => request,
            Err(detail) => {
                let what = "certificate_refused".into();
                self.noticed(SecurityNoticed { station: Some(station.clone()), what, detail, at: now }, fx);
                return Reply::Signing(false);
            }
        };
        let asked =
            self.security.work.get(station).is_some_and(|work| work.is_at(SecurityStep::AwaitingRequest));
        if asked {
            self.next_step(now, station, fx);
        } else {
            let work = Work::new(SecurityWork::Certificate, [SecurityStep::DeliveringCertificate]);
            self.begin_security(now, station, work, fx);
        }
        let after = self.security.memory.get(station).and_then(SecurityMemory::last_begin);
        let what = Making::Certificate { request, after };
        fx.sends.push(Send::Make { station: station.clone(), what });
        Reply::Signing(true)
    }

    fn objection_to_signing(&mut self, now: Timestamp, station: &StationId) -> Option<&'static str> {
        if !matches!(self.standing(station), Standing::Accepted | Standing::Held) {
            return Some("nobody has adopted the station yet");
        }
        let work = self.security.work.get(station);
        if self.security.is_plain(station) && !work.is_some_and(Work::may_go_plain) {
            return Some("a certificate was asked for over a line that is not encrypted");
        }
        if work.is_some_and(|work| !work.is_at(SecurityStep::AwaitingRequest)) {
            return Some("a certificate was asked for while something else was under way");
        }
        let before = self.security.requests.entry(station.clone()).or_default();
        while before.front().is_some_and(|at| at.plus_millis(WITHIN_MS) <= now) {
            before.pop_front();
        }
        if before.len() >= REQUESTS {
            return Some("certificates were asked for too often");
        }
        before.push_back(now);
        None
    }

    /// The shell made what was wanted, or could not.
    pub(in crate::core) fn security_made(
        &mut self,
        now: Timestamp,
        station: &StationId,
        made: Made,
        fx: &mut Effects,
    ) {
        match made {
            Made::Password { secret, credential } => {
                self.write_password(now, station, secret, credential, fx)
            }
            Made::Certificate { chain, certificate } => self.deliver(now, station, chain, certificate, fx),
            Made::Nothing(why) => self.security_failed(now, station, Outcome::Failed, &why, fx),
        }
    }

    fn deliver(
        &mut self,
        now: Timestamp,
        station: &StationId,
        chain: String,
        certificate: StationCertificate,
        fx: &mut Effects,
    ) {
        let step = SecurityStep::DeliveringCertificate;
        if !self.security.work.get(station).is_some_and(|work| work.is_at(step)) {
            return;
        }
        self.remember_security(station, |memory| memory.was_issued(certificate), fx);
        self.security_question(now, station, step, Ask::DeliverCertificate { chain }, fx);
    }

    /// The station came with a certificate that ends then.
    pub(super) fn plan_renewal(&mut self, station: &StationId, ends: Timestamp) {
        let tried = self.security.renewed.get(station).map(|at| at.plus_millis(AGAIN_MS));
        let due = ends.plus_millis(-RENEW_MS).max(tried.unwrap_or(Timestamp(0)));
        self.security.renewals.insert((due, station.clone()));
    }

    /// Stations whose certificate ends soon are asked to renew it, once a day; an operator hears of it.
    pub(super) fn renew_certificates(&mut self, now: Timestamp, fx: &mut Effects) {
        while let Some((due, station)) = self.security.renewals.first().cloned()
            && due <= now
        {
            self.security.renewals.pop_first();
            if self.security.profile(&station) != Some(HIGHEST_PROFILE) {
                continue;
            }
            if self.is_ready(&station) && !self.security.work.contains_key(&station) {
                self.renew(now, &station, fx);
                self.security.renewals.insert((now.plus_millis(AGAIN_MS), station));
            } else {
                self.security.renewals.insert((now.plus_millis(NOT_NOW_MS), station));
            }
        }
    }

    fn renew(&mut self, now: Timestamp, station: &StationId, fx: &mut Effects) {
        let Some(certificate) = self.security.memory.get(station).and_then(|it| it.certificate()) else {
            return;
        };
        let days = certificate.not_after.millis_since(now) / 86_400_000;
        self.security.renewed.insert(station.clone(), now);
        fx.event(Event::SecurityNoticed(SecurityNoticed {
            station: Some(station.clone()),
            what: "certificate_ends".into(),
            detail: format!(
                "the station's certificate is good for {days} more days; it is asked to renew it"
            ),
            at: now,
        }));
        let plan = [SecurityStep::AwaitingRequest, SecurityStep::DeliveringCertificate];
        self.begin_security(now, station, Work::new(SecurityWork::Certificate, plan), fx);
    }
}
