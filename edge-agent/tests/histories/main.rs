//! Random histories of transactions, told by stations that repeat themselves, forget, reorder and reconnect, to a gateway
//! that crashes: whatever happens on the way, each real session is one session, with its own energy and its own price.
//!
//! 1,000 histories in every run; `HISTORIES=20000` tells more, `HISTORY=77` tells one again. The gateway is the real one
//! without its sockets: the RPC peer, the adapter, the core, and its memory, in every tenth history the real database.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]
#![expect(clippy::wildcard_enum_match_arm, reason = "a test looks for what it looks for")]

mod dice;
mod gateway;
mod judge;
mod memory;
mod station;
mod truth;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use dice::Dice;
use gateway::Gateway;
use memory::Memory;
use shared::units::Timestamp;
use station::Station;
use truth::Truth;

/// Told in every run.
const HISTORIES: u64 = 1_000;
/// One in so many has the real database under it.
const ON_DISK: u64 = 10;

#[test]
fn whatever_happens_on_the_way_each_session_is_kept_once_and_right() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    if let Some(seed) = number("HISTORY") {
        return history(seed);
    }
    for seed in 0..number("HISTORIES").unwrap_or(HISTORIES) {
        if let Err(failure) = catch_unwind(AssertUnwindSafe(|| history(seed))) {
            eprint(&format!(
                "the history that failed: HISTORY={seed} cargo test -p edge-agent --test histories"
            ));
            resume_unwind(failure);
        }
    }
}

#[expect(clippy::print_stderr, reason = "how to see a failure again")]
fn eprint(text: &str) {
    eprintln!("{text}");
}

fn history(seed: u64) {
    let mut dice = Dice::new(seed);
    let truth = Truth::of(&mut dice);
    let memory = if seed.is_multiple_of(ON_DISK) { Memory::on_disk() } else { Memory::in_mind() };
    let mut gateway = Gateway::new(memory, &truth);
    let mut stations: Vec<Station> = (0..truth.stations).map(|number| Station::new(&truth, number)).collect();
    let mut now = truth::BEGIN;
    while let Some(at) = stations.iter().filter_map(|station| station.next_at()).min() {
        now = Timestamp(now.0.max(at.0) + i64::from(dice.below(90_000)));
        if dice.chance(2) {
            // Out of reach for an hour or two: what waits is told late.
            now = now.plus_millis(3_600_000 * i64::from(1 + dice.below(2)));
        }
        gateway.tick(now);
        let talking: Vec<usize> =
            (0..stations.len()).filter(|&it| stations[it].next_at().is_some_and(|at| at <= now)).collect();
        let next = talking[dice.pick(talking.len())];
        stations[next].tell(&truth, now, &mut dice, &mut gateway);
    }
    gateway.tick(now.plus_millis(3_600_000));
    gateway.tick(now.plus_millis(7_200_000));
    judge::judge(&truth, &stations, &gateway.events());
}
