//! What was odd about stations' words, counted: of each kind of oddity in a field of a message one row, with the first
//! message that had it. A station that is odd at every message would drown everything else, so the cloud hears of the 1st,
//! the 10th, the 100th and so on, and once a day while it goes on; the database keeps the count at the same times and at most
//! once a minute besides.

use std::collections::HashMap;

use shared::id::{SessionId, StationId};
use shared::model::event::Event;
use shared::model::finding::{FindingNoted, Oddity, Severity};
use shared::ocpp::lenient::Finding;
use shared::units::Timestamp;

use super::admission::Standing;
use super::{Core, Effects, Write};

const A_MINUTE_MS: i64 = 60_000;
const A_DAY_MS: i64 = 86_400_000;
/// Kinds of oddities kept of one station. Fields and messages are ours to name, so there are not many more.
const MOST_OF_A_STATION: usize = 200;

/// Words of a station in which something was odd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Odd {
    /// The message; empty for what is none.
    pub action: &'static str,
    /// What was odd.
    pub findings: Vec<Finding>,
    /// The words, as they may be kept ([`shared::model::finding::example`]).
    pub example: String,
}

type Key = (String, String, Oddity);

#[derive(Debug)]
struct Kept {
    finding: FindingNoted,
    kept_at: Timestamp,
    told_at: Timestamp,
}

/// The findings in memory, by station.
#[derive(Debug, Default)]
pub(super) struct Ledger(HashMap<StationId, HashMap<Key, Kept>>);

impl Ledger {
    pub(super) fn new(findings: Vec<FindingNoted>) -> Self {
        let mut ledger = Ledger::default();
        for finding in findings {
            let (station, key) = (finding.station.clone(), key(&finding));
            let kept = Kept { kept_at: finding.at, told_at: finding.at, finding };
            ledger.0.entry(station).or_default().insert(key, kept);
        }
        ledger
    }

    /// Counts one more. Says whether to keep it, and whether to tell of it.
    fn count(&mut self, met: FindingNoted) -> Option<(FindingNoted, bool)> {
        let of_station = self.0.entry(met.station.clone()).or_default();
        let (key, at, full) = (key(&met), met.at, of_station.len() >= MOST_OF_A_STATION);
        let Some(kept) = of_station.get_mut(&key) else {
            if full {
                return None;
            }
            of_station.insert(key, Kept { finding: met.clone(), kept_at: at, told_at: at });
            return Some((met, true));
        };
        let finding = &mut kept.finding;
        finding.count += 1;
        (finding.at, finding.text, finding.severity) = (at, met.text, finding.severity.max(met.severity));
        finding.session = met.session.or(finding.session);
        let tell = is_power_of_ten(finding.count) || at.millis_since(kept.told_at) >= A_DAY_MS;
        if tell {
            kept.told_at = at;
        }
        if !tell && at.millis_since(kept.kept_at) < A_MINUTE_MS {
            return None;
        }
        kept.kept_at = at;
        Some((finding.clone(), tell))
    }
}

fn key(finding: &FindingNoted) -> Key {
    (finding.action.clone(), finding.field.clone(), finding.oddity)
}

fn is_power_of_ten(count: u64) -> bool {
    10_u64.checked_pow(count.ilog10()) == Some(count)
}

impl Core {
    /// Takes note of what was odd. Nothing of a station that nobody has adopted is a fact.
    pub(super) fn odd(&mut self, now: Timestamp, station: &StationId, odd: Odd, fx: &mut Effects) {
        let Odd { action, findings, example } = odd;
        for Finding { severity, field, oddity, text } in findings {
            let (station, action, example) = (station.clone(), action.to_owned(), example.clone());
            let (count, first_at, at, session) = (1, now, now, None);
            let met = FindingNoted {
                station,
                action,
                field,
                oddity,
                severity,
                count,
                first_at,
                at,
                text,
                example,
                session,
            };
            self.count(met, fx);
        }
    }

    /// Takes note of something that the site itself found odd about a session.
    pub(super) fn doubt(
        &mut self,
        now: Timestamp,
        (station, session): (&StationId, Option<SessionId>),
        (action, field): (&str, &str),
        (oddity, severity): (Oddity, Severity),
        text: String,
        fx: &mut Effects,
    ) {
        let (station, action, field) = (station.clone(), action.to_owned(), field.to_owned());
        let (count, first_at, at, example) = (1, now, now, String::new());
        let met = FindingNoted {
            station,
            action,
            field,
            oddity,
            severity,
            count,
            first_at,
            at,
            text,
            example,
            session,
        };
        self.count(met, fx);
    }

    fn count(&mut self, met: FindingNoted, fx: &mut Effects) {
        if matches!(self.standing(&met.station), Standing::Pending | Standing::Rejected) {
            return;
        }
        let Some((finding, tell)) = self.findings.count(met) else { return };
        fx.writes.push(Write::Finding(Box::new(finding.clone())));
        if tell {
            fx.event(Event::FindingNoted(finding));
        }
    }
}
