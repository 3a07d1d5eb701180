//! Every way that a small world can go: one gateway, the cloud, two or three facts, and between them a network that may lose
//! any message, hand any message out again, and in any order. The gateway may die between any two steps and may be put back to
//! a backup; the cloud dies before its commit where a message is lost, and after it where the answer is.
//!
//! `stateright` walks through all states. Times are left out: whatever can happen later can happen at once, and a state is the
//! same when only its clock differs ([`Machine::shape`]).

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};

use edge_agent::sync::machine::{Action, Heard, Machine};
use shared::id::{BootId, Epoch};
use shared::model::Lane;
use stateright::{Checker as _, Model, Property};
use uuid::Uuid;

use crate::cloud::{self, Database, Down};
use crate::gateway::{Disk, Gateway, PATIENCE};
use crate::world::{Fact, Up};

/// How far a world goes.
#[derive(Clone, Debug)]
struct Bounds {
    facts: &'static [Lane],
    /// Processes, the first one included.
    boots: u128,
    epochs: u128,
    /// Different messages under way at a time; more are lost at once.
    air: usize,
    /// Records of a batch at most.
    batch: usize,
    /// The same as the cloud says it: what is behind more than that is sent ahead.
    window: u32,
    restores: bool,
}

#[derive(Clone, Debug)]
struct State {
    disk: Disk,
    process: Option<(BootId, Machine)>,
    connected: bool,
    now: u64,
    cloud: Database,
    /// Moves of watermarks, which is all that the cloud's clock is for.
    moves: u64,
    /// By their words, so that the same message is there once.
    air: BTreeMap<String, Message>,
    promised: BTreeSet<Fact>,
    made: usize,
    boots: u128,
    epochs: u128,
    backup: Option<Disk>,
    restored: bool,
}

#[derive(Clone, Debug)]
enum Message {
    /// With the cloud's clock when it was sent.
    Up(Up, u64),
    Down(Down),
}

/// What may happen next. A number of steps is how many the gateway takes before it dies.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Start,
    Connect,
    Disconnect,
    Crash,
    Record(Option<usize>),
    Tick(Option<usize>),
    /// The replica that takes it may know when it was sent.
    Arrive {
        message: String,
        knows: bool,
    },
    Hear {
        message: String,
        dies: Option<usize>,
    },
    Lose(String),
    Backup,
    Restore,
}

impl Model for Bounds {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            disk: Disk::new(epoch(1)),
            process: None,
            connected: false,
            now: 0,
            cloud: Database::of(self.window),
            moves: 0,
            air: BTreeMap::new(),
            promised: BTreeSet::new(),
            made: 0,
            boots: 0,
            epochs: 1,
            backup: None,
            restored: false,
        }]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        let dying = || {
            [None, Some(0), Some(1), Some(2)]
                .into_iter()
                .filter(|dies| dies.is_none() || state.boots < self.boots)
        };
        if state.process.is_none() {
            steps.extend((state.boots < self.boots).then_some(Step::Start));
        } else {
            steps.push(if state.connected { Step::Disconnect } else { Step::Connect });
            steps.extend((state.boots < self.boots).then_some(Step::Crash));
            steps.extend(dying().map(Step::Tick));
            if state.made < self.facts.len() {
                steps.extend(dying().map(Step::Record));
            }
        }
        for (name, message) in &state.air {
            steps.push(Step::Lose(name.clone()));
            let message = match message {
                Message::Up(..) => {
                    [true, false].map(|knows| Step::Arrive { message: name.clone(), knows }).to_vec()
                }
                Message::Down(_) if state.connected => {
                    dying().map(|dies| Step::Hear { message: name.clone(), dies }).collect()
                }
                Message::Down(_) => Vec::new(),
            };
            steps.extend(message);
        }
        if self.restores && !state.restored {
            match &state.backup {
                None => steps.push(Step::Backup),
                Some(_) if state.boots < self.boots => steps.push(Step::Restore),
                Some(_) => {}
            }
        }
    }

    fn next_state(&self, before: &State, step: Step) -> Option<State> {
        let mut state = before.clone();
        state.take(self, step);
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("what counts as committed is", |_, state: &State| {
                state.disk.settled().all(|fact| state.cloud.facts.contains(fact))
            }),
            Property::always("no fact is forgotten", |_, state: &State| {
                let held: BTreeSet<&Fact> = state.disk.facts().chain(&state.cloud.facts).collect();
                state.promised.iter().all(|fact| held.contains(fact))
            }),
            Property::always("as soon as nothing goes wrong, all arrives", |bounds, state: &State| {
                state.ends_well(bounds)
            }),
            Property::sometimes("all has arrived", |bounds: &Bounds, state: &State| {
                state.cloud.facts.len() == bounds.facts.len() && state.disk.backlog() == 0
            }),
        ]
    }

    fn within_boundary(&self, state: &State) -> bool {
        state.epochs <= self.epochs
    }
}

impl State {
    fn take(&mut self, bounds: &Bounds, step: Step) {
        match step {
            Step::Start => self.start(),
            Step::Connect => {
                self.connected = true;
                self.hear(Heard::Connected, None, bounds);
            }
            Step::Disconnect => {
                self.connected = false;
                self.hear(Heard::Disconnected, None, bounds);
            }
            Step::Crash => self.die(),
            Step::Record(dies) => {
                let lane = bounds.facts[self.made];
                let is_last = self.made + 1 == bounds.facts.len();
                let needs = self.disk.facts().find(|held| held.lane == lane && is_last).map(|held| held.key);
                let fact = Fact { key: self.made as u64, lane, needs };
                self.made += 1;
                self.disk.record(fact);
                self.promised.insert(fact);
                let news = Heard::Committed { epoch: self.disk.epoch, heads: self.disk.heads };
                self.hear(news, dies, bounds);
            }
            Step::Tick(dies) => {
                let deadline = self.process.as_mut().and_then(|(_, machine)| machine.deadline());
                self.now = self.now.max(deadline.unwrap_or_default());
                self.hear(Heard::Tick, dies, bounds);
            }
            Step::Arrive { message, knows } => self.arrive(&message, knows, bounds),
            Step::Hear { message, dies } => {
                if let Some(Message::Down(down)) = self.air.get(&message).cloned() {
                    self.hear(Gateway::heard(down), dies, bounds);
                }
            }
            Step::Lose(message) => drop(self.air.remove(&message)),
            Step::Backup => self.backup = Some(self.disk.clone()),
            Step::Restore => self.restore(),
        }
    }

    fn start(&mut self) {
        self.boots += 1;
        let boot = BootId(Uuid::from_u128(self.boots));
        let Disk { epoch, heads, acked, .. } = self.disk;
        self.process = Some((boot, Machine::new(boot, epoch, heads, acked, PATIENCE)));
    }

    fn die(&mut self) {
        (self.process, self.connected) = (None, false);
    }

    /// What only the newer disk held is gone, and was promised with that reserve.
    fn restore(&mut self) {
        self.die();
        self.restored = true;
        self.disk = self.backup.clone().expect("there is one");
        let kept: BTreeSet<Fact> = self.disk.facts().chain(&self.cloud.facts).copied().collect();
        self.promised.retain(|fact| kept.contains(fact));
    }

    fn hear(&mut self, heard: Heard, dies: Option<usize>, bounds: &Bounds) {
        let (mut news, mut done) = (vec![heard], 0);
        while let Some(heard) = news.pop() {
            let Some((boot, machine)) = &mut self.process else { return };
            let boot = *boot;
            for action in machine.on(self.now, heard) {
                if dies == Some(done) {
                    return self.die();
                }
                done += 1;
                self.act(boot, action, &mut news, bounds);
            }
        }
        if dies.is_some() {
            self.die();
        }
    }

    fn act(&mut self, boot: BootId, action: Action, news: &mut Vec<Heard>, bounds: &Bounds) {
        let Disk { epoch: now, heads, acked, .. } = self.disk;
        match action {
            Action::Hello => {
                self.send(Message::Up(Up::Hello { epoch: now, heads, acked }, self.moves), bounds)
            }
            Action::Send { lane, after, limit } => {
                if let Some((first, facts)) = self.disk.batch(lane, after, limit.min(bounds.batch)) {
                    self.send(Message::Up(Up::Batch { epoch: now, boot, lane, first, facts }, 0), bounds);
                }
            }
            Action::SendAhead { after, limit } => {
                let facts = self.disk.ahead(after, limit);
                self.send(Message::Up(Up::Ahead { epoch: now, facts }, 0), bounds);
            }
            Action::Acked { lane, watermark } => self.disk.acked(lane, watermark),
            // All brokers are one here.
            Action::Elsewhere => {}
            Action::NewEpoch { .. } => {
                self.epochs += 1;
                self.disk.begin_epoch(epoch(self.epochs));
                news.push(Heard::Committed { epoch: self.disk.epoch, heads: self.disk.heads });
            }
            Action::Stuck { reason } => panic!("stuck: {reason}"),
        }
    }

    fn arrive(&mut self, message: &str, knows: bool, bounds: &Bounds) {
        let Some(Message::Up(up, sent)) = self.air.get(message).cloned() else { return };
        let sent = if knows { sent } else { self.moves };
        let before = self.cloud.committed();
        let answer = cloud::take(&mut self.cloud, self.moves + 1, sent, &up);
        self.moves += u64::from(self.cloud.committed() > before);
        if let Some(down) = answer {
            self.send(Message::Down(down), bounds);
        }
    }

    fn send(&mut self, message: Message, bounds: &Bounds) {
        if self.air.len() < bounds.air {
            self.air.insert(format!("{message:?}"), message);
        }
    }

    /// From here on nothing goes wrong: does everything arrive?
    fn ends_well(&self, bounds: &Bounds) -> bool {
        let bounds = &Bounds { air: 20, ..bounds.clone() };
        let mut state = self.clone();
        state.air.clear();
        if state.process.is_none() {
            state.start();
        }
        if !state.connected {
            state.take(bounds, Step::Connect);
        }
        for _ in 0..40 {
            if state.disk.backlog() == 0 && state.promised.is_subset(&state.cloud.facts) {
                return true;
            }
            state.take(bounds, Step::Tick(None));
            while let Some((name, message)) = state.air.pop_first() {
                state.air.insert(name.clone(), message.clone());
                match message {
                    Message::Up(..) => state.arrive(&name, true, bounds),
                    Message::Down(down) => state.hear(Gateway::heard(down), None, bounds),
                }
                state.air.remove(&name);
            }
        }
        false
    }
}

impl State {
    /// All but the clock, in words.
    fn words(&self) -> String {
        let process = self.process.as_ref().map(|(_, machine)| machine.shape());
        let counts = (self.moves, self.made, self.boots, self.epochs, self.restored);
        let air: Vec<_> = self.air.keys().collect();
        let all =
            (&self.disk, process, self.connected, &self.cloud, &self.promised, counts, &self.backup, air);
        format!("{all:?}")
    }
}

impl Hash for State {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.words().hash(hasher);
    }
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        self.words() == other.words()
    }
}

fn epoch(number: u128) -> Epoch {
    Epoch(Uuid::from_u128(number))
}

#[expect(clippy::print_stderr, reason = "how many there were, for who asks with --nocapture")]
fn walk(bounds: Bounds) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let name = format!("{bounds:?}");
    let checker = bounds.checker().threads(threads).spawn_bfs().join();
    eprintln!("{name}: {} states", checker.unique_state_count());
    checker.assert_properties();
}

/// More processes and messages on demand; `WORLD=large` takes minutes, and some gigabytes.
fn more() -> u8 {
    u8::from(std::env::var("WORLD").is_ok_and(|world| world == "large"))
}

#[test]
fn every_way_that_a_network_and_crashes_can_go() {
    let facts = &[Lane::Billing, Lane::Meter];
    let (boots, air) = (2 + u128::from(more()), 2 + usize::from(more()));
    walk(Bounds { facts, boots, epochs: 2, air, batch: 8, window: 8, restores: false });
}

#[test]
fn every_way_that_a_backup_put_back_can_go() {
    let (facts, epochs) = (&[Lane::Billing; 3], 2 + u128::from(more()));
    walk(Bounds { facts, boots: 2, epochs, air: 2, batch: 1, window: 8, restores: true });
}

#[test]
fn every_way_that_what_is_sent_ahead_can_go() {
    let (facts, boots) = (&[Lane::Billing; 3], 1 + u128::from(more()));
    walk(Bounds { facts, boots, epochs: 2, air: 2, batch: 1, window: 1, restores: more() > 0 });
}
