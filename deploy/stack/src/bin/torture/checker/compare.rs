//! Sessions: the stations' journal against the edge and the cloud.

use std::collections::{HashMap, HashSet};

use firmware_sim::SessionRecord;
use shared::units::Timestamp;

use super::books::{CloudBook, EdgeBook, Kept};
use super::finding::{Finding, Verdict};
use super::money;

/// What holds in a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// What a kWh costs, in millionths.
    pub(crate) price_micros: i64,
    /// Every edge has all the sessions of its stations: none lost its storage.
    pub(crate) edges_whole: bool,
    /// So many records were made to be unreadable.
    pub(crate) poison: i64,
}

/// A station, its transaction and when it began: what both sides know a session by. A gateway that has lost its memory may
/// give a number again when it gives more than one in a second.
type Key = (String, String, String);

/// Compares every session of the journal, and looks for sessions that are not in it.
pub(crate) fn sessions(
    journal: &[SessionRecord],
    edges: &[EdgeBook],
    cloud: &CloudBook,
    rules: Rules,
) -> Verdict {
    let mut verdict = Verdict { records: cloud.records, ..Verdict::default() };
    let in_cloud = by_key(cloud.sessions.iter());
    let at_edge = by_key(edges.iter().flat_map(|edge| &edge.sessions));
    let mut known = HashSet::new();
    for record in journal {
        let (Some(transaction), true) = (record.transaction_id, record.start_answered) else {
            verdict.findings.push(Finding::NotAnswered { session: name(record) });
            continue;
        };
        verdict.sessions += 1;
        let key = (record.identity.clone(), transaction.to_string(), record.started_at.clone());
        judge(record, in_cloud.get(&key).map_or(&[][..], Vec::as_slice), &mut verdict, rules);
        if rules.edges_whole {
            judge_edge(record, at_edge.get(&key).map_or(&[][..], Vec::as_slice), &mut verdict);
        }
        known.insert(key);
    }
    invented(&cloud.sessions, "cloud", &known, &mut verdict);
    for edge in edges {
        invented(&edge.sessions, "edge", &known, &mut verdict);
    }
    if cloud.parked != rules.poison {
        verdict.findings.push(Finding::Parked { count: cloud.parked, poison: rules.poison });
    }
    verdict
}

fn by_key<'a>(sessions: impl Iterator<Item = &'a Kept>) -> HashMap<Key, Vec<&'a Kept>> {
    let mut map: HashMap<Key, Vec<&'a Kept>> = HashMap::new();
    for session in sessions {
        map.entry(key(session)).or_default().push(session);
    }
    map
}

fn key(session: &Kept) -> Key {
    let began = session.started_at.map(|at| Timestamp(at).to_string());
    (session.station.clone(), session.tx_ref.clone().unwrap_or_default(), began.unwrap_or_default())
}

/// One session in the cloud: there, once, ended, with its energy and its price.
fn judge(record: &SessionRecord, found: &[&Kept], verdict: &mut Verdict, rules: Rules) {
    let session = name(record);
    let [kept] = found else {
        let finding = match found.len() {
            0 => Finding::Lost { session },
            times => Finding::Doubled { session, place: "cloud", times },
        };
        return verdict.findings.push(finding);
    };
    let (Some(metered), true) = (record.energy_wh(), record.stop_answered) else {
        return verdict.findings.push(Finding::NotAnswered { session });
    };
    let owed = money::owed(metered, rules.price_micros);
    verdict.energy_wh += metered;
    verdict.owed_micros += owed;
    if !kept.ended {
        verdict.findings.push(Finding::Open { session: session.clone(), place: "cloud" });
    }
    if kept.energy_wh != Some(metered) {
        let (session, kept) = (session.clone(), kept.energy_wh);
        verdict.findings.push(Finding::Energy { session, place: "cloud", metered, kept });
    }
    match kept.billed {
        None => verdict.findings.push(Finding::NotBilled { session }),
        Some(billed) if billed != owed => verdict.findings.push(Finding::Money { session, owed, billed }),
        Some(_) => {}
    }
}

fn judge_edge(record: &SessionRecord, found: &[&Kept], verdict: &mut Verdict) {
    let session = name(record);
    let finding = match found {
        [] => Finding::EdgeForgot { session },
        [kept] => {
            let metered = record.energy_wh().unwrap_or_default();
            if !kept.ended {
                Finding::Open { session, place: "edge" }
            } else if kept.energy_wh != Some(metered) {
                Finding::Energy { session, place: "edge", metered, kept: kept.energy_wh }
            } else {
                return;
            }
        }
        several => Finding::Doubled { session, place: "edge", times: several.len() },
    };
    verdict.findings.push(finding);
}

fn invented(sessions: &[Kept], place: &'static str, known: &HashSet<Key>, verdict: &mut Verdict) {
    for session in sessions.iter().filter(|session| !known.contains(&key(session))) {
        let (station, transaction, _) = key(session);
        verdict
            .findings
            .push(Finding::Invented { session: format!("{station} transaction {transaction}"), place });
    }
}

fn name(record: &SessionRecord) -> String {
    let transaction = record.transaction_id.map_or("unanswered".to_owned(), |id| id.to_string());
    format!("{} transaction {transaction} begun {}", record.identity, record.started_at)
}
