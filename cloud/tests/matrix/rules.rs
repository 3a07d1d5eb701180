//! Who may ask what: `rules.txt` for the fields at the top, `fields.txt` for everything below them.

use std::collections::{BTreeMap, BTreeSet};

/// What becomes of a question about one's own rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Given,
    Missing,
    Forbidden,
    Unauthenticated,
}

pub(crate) struct Rule {
    pub(crate) outcomes: Vec<Outcome>,
    /// It is about what is everybody's to see and use: tenants do not hide it from one another.
    pub(crate) everybodys: bool,
    /// Its answer shows no ids.
    pub(crate) plain: bool,
}

pub(crate) fn of_roots() -> BTreeMap<String, Rule> {
    let mut rules = BTreeMap::new();
    for line in lines(include_str!("rules.txt")) {
        let (letters, fields) = line.split_once(char::is_whitespace).expect(line);
        for field in fields.split_whitespace() {
            let rule = Rule {
                outcomes: letters.chars().filter(char::is_ascii_uppercase).map(outcome).collect(),
                everybodys: letters.contains('*'),
                plain: letters.contains('~'),
            };
            assert!(rules.insert(field.to_owned(), rule).is_none(), "{field} has two rules");
        }
    }
    rules
}

fn outcome(letter: char) -> Outcome {
    match letter {
        'Y' => Outcome::Given,
        'N' => Outcome::Missing,
        'F' => Outcome::Forbidden,
        'U' => Outcome::Unauthenticated,
        _ => panic!("rules.txt: no letter {letter}"),
    }
}

/// Is a field of an object known? Aggregates and deleted rows have the fields of their entity.
pub(crate) fn knows(known: &BTreeSet<String>, field: &str) -> bool {
    let (object, name) = field.split_once('.').expect("Type.field");
    if known.contains(field) || (object.ends_with("AggregateResponse") && ROOMS.contains(&name)) {
        return true;
    }
    let aggregate = ["Count", "Sum", "Avg", "Min", "Max"]
        .iter()
        .find_map(|it| object.strip_suffix("Aggregate")?.strip_suffix(it))
        .or_else(|| object.strip_suffix("AggregateGroupBy"))
        .or_else(|| object.strip_suffix("DeleteResponse"));
    let Some(counted) = aggregate else { return false };
    let entities = ["Site", "ChargePoint", "Connector", "Organization", "User"];
    let entity = entities.iter().find(|it| counted.trim_end_matches('s').ends_with(*it));
    entity.is_some_and(|entity| known.contains(&format!("{entity}.{name}")))
}

const ROOMS: [&str; 6] = ["groupBy", "count", "sum", "avg", "min", "max"];

/// The fields of objects that somebody has looked at and found to be no more secret than their object.
pub(crate) fn of_fields() -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for line in lines(include_str!("fields.txt")) {
        let (object, fields) = line.split_once(':').expect(line);
        known.extend(fields.split_whitespace().map(|field| format!("{object}.{field}")));
    }
    known
}

fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}
