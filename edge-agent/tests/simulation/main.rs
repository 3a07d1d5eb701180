//! The sync protocol in a world where everything goes wrong, in virtual time, from one seed.
//!
//! Both halves run their real rules: the gateway's `sync::machine`, the cloud's `handshake::judge` and `cursor::accept`. What
//! stands in for them is only what makes them durable: a database is a value that survives a crash. The network between them
//! loses, doubles, delays and reorders; connections break; either side dies before and after a commit, and either side's
//! database may be put back to an older copy, or two gateways live from one.
//!
//! And, for a world that is small enough, every way that it can go ([`exhaustive`]).
//!
//! `SEEDS=100000 cargo test --release -p edge-agent --test simulation` runs more; `SEED=7` runs one again.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cloud;
mod dice;
mod exhaustive;
mod gateway;
mod world;

use dice::Dice;
use world::{Troubles, World};

fn seeds(most: u64) -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap());
    match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SEEDS").unwrap_or(most),
    }
}

/// Runs every seed and says which one failed.
fn run(most: u64, troubles: fn(&mut Dice) -> Troubles) {
    for seed in seeds(most) {
        let outcome = std::panic::catch_unwind(|| World::new(seed, troubles).run());
        assert!(outcome.is_ok(), "seed {seed} failed: SEED={seed} runs it again");
    }
}

#[test]
fn nothing_is_lost_and_nothing_counts_twice_over_a_bad_network_between_two_that_crash() {
    run(3_000, |dice| Troubles { loss: dice.below(40), crashes: true, ..Troubles::default() });
}

#[test]
fn a_backup_put_back_on_either_side_is_noticed_and_loses_nothing_that_is_kept() {
    run(1_000, |dice| Troubles {
        loss: dice.below(20),
        crashes: true,
        restores: true,
        ..Troubles::default()
    });
}

#[test]
fn two_gateways_with_one_identity_are_noticed_and_lose_nothing() {
    run(1_000, |dice| Troubles { loss: dice.below(20), clones: true, ..Troubles::default() });
}
