//! How stations' connections are secured (1.6 security whitepaper): by which profile each came, which password and which
//! certificate are good for it, and what has been begun to make it better.
//!
//! What is new replaces what is old only when the station has come with it: until then both are good, so that a station that
//! lost power at the wrong moment, or that did not mean its yes, is not locked out. (A01.FR.03 would have the old password
//! refused at once; no station in the field is served by that.) What the cloud's list of stations says is put aside by a
//! password that was made here only as long as the list still has the one that it replaced: whoever sets another one there is
//! right, and starts over, at no minimum profile.

mod certificate;
mod memory;
mod objection;
mod work;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use shared::id::{CommandId, StationId};
use shared::model::command::{Command, CommandBody, CommandResult, Outcome};
use shared::model::event::{Event, SecurityNoticed};
use shared::model::security::{
    CredentialRotated, SecurityReported, SecurityStep, SecurityWork, StationCertificate,
};
use shared::units::Timestamp;

pub use self::memory::SecurityMemory;
pub(super) use self::objection::objection_to_writing;
use self::work::Work;
use super::admission::Standing;
use super::{Core, Effects, Send, Write};

/// The same of the same station is told once within so long.
const NOTICE_MS: i64 = 3_600_000;
/// Notices that are remembered for that.
const MOST_NOTICES: usize = 1000;

/// How a station came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// By which profile.
    pub profile: u8,
    /// Our address that it came to.
    pub reached_at: IpAddr,
    /// What its password was verified against.
    pub credential: Option<String>,
    /// The certificate that it showed.
    pub certificate: Option<StationCertificate>,
}

/// A text that gives access: it is not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What takes randomness or the authority's key, and so is made outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Making {
    /// A password.
    Password,
    /// A certificate.
    Certificate {
        /// For this request in PEM.
        request: String,
        /// Where the station's last one began.
        after: Option<Timestamp>,
    },
}

/// What was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Made {
    /// A password.
    Password {
        /// The password.
        secret: Secret,
        /// What it is verified against.
        credential: String,
    },
    /// A certificate.
    Certificate {
        /// Its chain in PEM.
        chain: String,
        /// What it is.
        certificate: StationCertificate,
    },
    /// Nothing, and why.
    Nothing(String),
}

#[derive(Debug, Default)]
pub(super) struct Security {
    memory: HashMap<StationId, SecurityMemory>,
    /// How the stations that are here came: the profile, and our address.
    here: HashMap<StationId, (u8, IpAddr)>,
    work: HashMap<StationId, Work>,
    questions: HashMap<CommandId, (StationId, SecurityStep)>,
    requests: HashMap<StationId, VecDeque<Timestamp>>,
    /// When which station's certificate is to be renewed, and when that was last tried.
    renewals: BTreeSet<(Timestamp, StationId)>,
    renewed: HashMap<StationId, Timestamp>,
    /// What was noticed lately.
    noticed: HashMap<(StationId, String), Timestamp>,
    /// The ports of the doors, by profile.
    doors: BTreeMap<u8, u16>,
    authority: String,
}

impl Security {
    pub(super) fn new(memory: Vec<(StationId, SecurityMemory)>) -> Self {
        Security { memory: memory.into_iter().collect(), ..Security::default() }
    }

    /// What a station may show besides what the list says, and what it may not.
    pub(super) fn memory(&self, station: &StationId) -> Option<&SecurityMemory> {
        self.memory.get(station)
    }

    fn profile(&self, station: &StationId) -> Option<u8> {
        self.here.get(station).map(|(profile, _)| *profile)
    }

    fn is_plain(&self, station: &StationId) -> bool {
        self.profile(station).is_none_or(|profile| profile < 2)
    }

    fn address(&self, station: &StationId, profile: u8) -> Option<String> {
        let (_, reached_at) = self.here.get(station)?;
        let at = SocketAddr::new(*reached_at, *self.doors.get(&profile)?);
        let scheme = if profile > 1 { "wss" } else { "ws" };
        Some(format!("{scheme}://{at}/ocpp"))
    }
}

impl Core {
    /// Where the doors are, by profile, and whom stations have to trust to find them genuine.
    pub fn set_doors(&mut self, doors: BTreeMap<u8, u16>, authority: String) {
        self.security.doors = doors;
        self.security.authority = authority;
    }

    /// A station is at the door and has shown what it has. Said before [`super::StationFact::Connected`].
    pub(super) fn arrived(
        &mut self,
        now: Timestamp,
        station: &StationId,
        arrival: Arrival,
        fx: &mut Effects,
    ) {
        let Arrival { profile, reached_at, credential, certificate } = arrival;
        self.security.here.insert(station.clone(), (profile, reached_at));
        let Some(base) = self.admission.credential(station).cloned() else { return };
        let memory = self.security.memory.entry(station.clone()).or_default();
        let before = memory.clone();
        let rotated = credential.is_some_and(|shown| memory.came_with_password(now, &shown));
        let ends = certificate.as_ref().map(|certificate| certificate.not_after);
        if let Some(certificate) = certificate {
            memory.came_with_certificate(certificate);
        }
        let raised = memory.came_by(profile, &base);
        let lets_in_otherwise = !memory.is_let_in_like(&before);
        if *memory != before {
            let secured = memory.tell(station, now);
            fx.writes.push(Write::SecurityMemory(station.clone(), Box::new(memory.clone())));
            fx.event(Event::StationSecured(secured));
        }
        if lets_in_otherwise {
            fx.sends.push(Send::Directory(self.directory()));
        }
        if let Some(ends) = ends {
            self.plan_renewal(station, ends);
        }
        if rotated && let Some(credential) = self.rotated_credential(station) {
            fx.event(Event::CredentialRotated(CredentialRotated {
                station: station.clone(),
                over: base,
                credential,
                at: now,
            }));
            self.security_reached(now, station, SecurityWork::Password, fx);
        }
        if raised {
            self.security_reached(now, station, SecurityWork::Profile, fx);
            if before.was_readable() && profile == 2 {
                // Anybody on the LAN could have read the password until now.
                let plan = [SecurityStep::Writing, SecurityStep::AwaitingReturn];
                self.begin_security(now, station, Work::new(SecurityWork::Password, plan), fx);
            }
        } else {
            self.came_as_before(now, station, profile);
        }
    }

    /// A station that waited is one of the site's: it came as it came.
    pub(super) fn arrived_before(&mut self, now: Timestamp, station: &StationId, fx: &mut Effects) {
        if let Some((profile, reached_at)) = self.security.here.get(station).copied() {
            let arrival = Arrival { profile, reached_at, credential: None, certificate: None };
            self.arrived(now, station, arrival, fx);
        }
    }

    fn rotated_credential(&self, station: &StationId) -> Option<String> {
        self.security.memory.get(station)?.credential().map(str::to_owned)
    }

    pub(super) fn security_left(&mut self, station: &StationId) {
        self.security.here.remove(station);
        self.security.renewals.retain(|(_, other)| other != station);
    }

    /// The list of stations is another one: who set another password there is right.
    pub(super) fn security_listed(&mut self, fx: &mut Effects) {
        for (station, memory) in &mut self.security.memory {
            let before = memory.clone();
            memory.listed(self.admission.credential(station));
            if *memory != before {
                fx.writes.push(Write::SecurityMemory(station.clone(), Box::new(memory.clone())));
            }
        }
    }

    /// A station reports something of its security (A04).
    pub(super) fn security_reported(
        &mut self,
        station: &StationId,
        report: SecurityReported,
        fx: &mut Effects,
    ) {
        if self.standing(station) != Standing::Pending {
            fx.event(Event::SecurityReported(report));
        }
    }

    /// The shell noticed something. A station that does the same again and again is one fact an hour.
    pub(super) fn noticed(&mut self, notice: SecurityNoticed, fx: &mut Effects) {
        if let Some(station) = &notice.station {
            let told = &mut self.security.noticed;
            told.retain(|_, at| at.plus_millis(NOTICE_MS) > notice.at);
            let fact = (station.clone(), notice.what.clone());
            if told.contains_key(&fact) {
                return;
            }
            if told.len() < MOST_NOTICES {
                told.insert(fact, notice.at);
            }
        }
        fx.event(Event::SecurityNoticed(notice));
    }

    /// Takes an order on that goes in steps. `false` when it is none.
    pub(super) fn order_security(&mut self, now: Timestamp, command: &Command, fx: &mut Effects) -> bool {
        let Some(work) = Work::ordered(command, self.security.is_plain(&command.station)) else {
            return false;
        };
        self.begin_security(now, &command.station, work, fx);
        true
    }

    /// Are the steps of an order being gone?
    pub(super) fn is_under_way(&self, order: CommandId) -> bool {
        self.security.work.values().any(|work| work.command == Some(order))
    }

    /// The certificate that the order to install one means.
    pub(super) fn root_to_install(&self, mut body: CommandBody) -> CommandBody {
        if let CommandBody::InstallCertificate { certificate, .. } = &mut body {
            certificate.get_or_insert_with(|| self.security.authority.clone());
        }
        body
    }

    /// The order is over, for whatever reason; what it began goes on without it.
    pub(super) fn security_ended(&mut self, result: &CommandResult) {
        for work in self.security.work.values_mut() {
            if work.command == Some(result.id) {
                work.command = None;
            }
        }
    }

    /// What was aimed at is reached, whoever began it: the orders for it are carried out.
    fn security_reached(
        &mut self,
        now: Timestamp,
        station: &StationId,
        what: SecurityWork,
        fx: &mut Effects,
    ) {
        if self.security.work.get(station).is_some_and(|work| work.kind == what) {
            return self.security_done(now, station, fx);
        }
        // A restart of ours hid the steps, not the aim.
        let profile = self.security.profile(station).unwrap_or(0);
        for command in self.orders_about_security(station) {
            let reached = match what {
                SecurityWork::Password => matches!(command.body, CommandBody::RotatePassword { .. }),
                SecurityWork::Profile => {
                    matches!(&command.body, CommandBody::RaiseProfile(raise) if raise.to <= profile)
                }
                SecurityWork::Certificate => false,
            };
            if reached {
                let result = CommandResult::plain(command.id, Outcome::Accepted, "", now);
                self.finish(command, result, fx);
            }
        }
    }
}
