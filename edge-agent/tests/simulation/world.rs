//! Time, the network and what goes wrong.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use edge_agent::sync::machine::Heard;
use shared::id::{BootId, Epoch};
use shared::model::Lane;
use shared::sync::v1::PerLane;

use crate::cloud::{self, Database, Down};
use crate::dice::Dice;
use crate::gateway::{Disk, Gateway, birth};

/// How long things go wrong. After it they do not.
const TROUBLED_MS: u64 = 120_000;
/// By when everything has to have arrived: troubles leave waits of half a minute behind, a few in a row.
const PATIENCE_MS: u64 = TROUBLED_MS + 30 * 60_000;
/// The longest that a message is on its way.
const SLOWEST_MS: u64 = 3_000;

/// Something that happened at a site; its place in the order of all is its business key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fact {
    pub(crate) key: u64,
    pub(crate) lane: Lane,
    /// The key of an earlier one without which it cannot count, as a stop without its start.
    pub(crate) needs: Option<u64>,
}

/// What a gateway sends.
#[derive(Clone, Debug)]
pub(crate) enum Up {
    Hello { epoch: Epoch, heads: PerLane, acked: PerLane },
    Batch { epoch: Epoch, boot: BootId, lane: Lane, first: u64, facts: Vec<Fact> },
    Ahead { epoch: Epoch, facts: Vec<(u64, Fact)> },
}

/// What goes wrong.
#[derive(Default)]
pub(crate) struct Troubles {
    /// Messages lost, of a hundred; as many are doubled.
    pub(crate) loss: u64,
    /// Both sides die at any step.
    pub(crate) crashes: bool,
    /// Either database is put back to an older copy.
    pub(crate) restores: bool,
    /// A second box runs from a copy of the first one's disk.
    pub(crate) clones: bool,
}

enum What {
    Up(Up, u64),
    Down(usize, Down),
    Produce(usize),
    Connect(usize),
    Disconnect(usize),
    Tick(usize),
    Crash(usize),
    Back(usize),
    Backup,
    RestoreGateway,
    RestoreCloud,
    Clone,
}

/// Everything there is.
pub(crate) struct World {
    dice: Dice,
    troubles: Troubles,
    now: u64,
    count: u64,
    agenda: BinaryHeap<Reverse<(u64, u64)>>,
    plans: std::collections::HashMap<u64, What>,
    gateways: Vec<Gateway>,
    cloud: Database,
    backup: Option<(Disk, Database)>,
    promised: BTreeSet<Fact>,
}

impl World {
    pub(crate) fn new(seed: u64, troubles: fn(&mut Dice) -> Troubles) -> Self {
        let mut dice = Dice::new(seed);
        let troubles = troubles(&mut dice);
        let window = [1, 2, 8][usize::try_from(dice.below(3)).unwrap()];
        let gateway = Gateway::new(Disk::new(birth(&mut dice)));
        let mut world = World {
            dice,
            troubles,
            now: 0,
            count: 0,
            agenda: BinaryHeap::new(),
            plans: Default::default(),
            gateways: vec![gateway],
            cloud: Database::of(window),
            backup: None,
            promised: BTreeSet::new(),
        };
        world.plan();
        world
    }

    fn plan(&mut self) {
        self.at(0, What::Back(0));
        self.at(0, What::Produce(0));
        let sometime = |world: &mut World, times: u64, what: fn() -> What| {
            for _ in 0..world.dice.below(times + 1) {
                let when = world.dice.below(TROUBLED_MS);
                world.at(when, what());
            }
        };
        sometime(self, 6, || What::Disconnect(0));
        if self.troubles.crashes {
            sometime(self, 3, || What::Crash(0));
        }
        if self.troubles.restores {
            sometime(self, 4, || What::Backup);
            sometime(self, 2, || What::RestoreGateway);
            sometime(self, 1, || What::RestoreCloud);
        }
        if self.troubles.clones {
            sometime(self, 1, || What::Clone);
        }
    }

    fn at(&mut self, when: u64, what: What) {
        self.count += 1;
        self.plans.insert(self.count, what);
        self.agenda.push(Reverse((when, self.count)));
    }

    /// Runs to the end and checks it.
    pub(crate) fn run(mut self) {
        while let Some(Reverse((when, number))) = self.agenda.pop()
            && when < PATIENCE_MS
        {
            self.now = self.now.max(when);
            let what = self.plans.remove(&number).expect("planned once");
            self.happen(what);
        }
        let missing = self.missing();
        assert!(missing.is_empty(), "lost: {missing:?}");
        assert!(self.gateways.iter().all(Gateway::is_drained), "a backlog stays");
    }

    /// What was promised and is not in the cloud. Backups and copies may cost meter and status records, never billing.
    fn missing(&self) -> Vec<Fact> {
        let all = !self.troubles.restores && !self.troubles.clones;
        let counts = |fact: &&Fact| all || fact.lane == Lane::Billing;
        self.promised.iter().filter(counts).filter(|fact| !self.cloud.facts.contains(fact)).copied().collect()
    }

    fn troubled(&self) -> bool {
        self.now < TROUBLED_MS
    }

    fn happen(&mut self, what: What) {
        match what {
            What::Up(up, sent) => self.arrive(&up, sent),
            What::Down(to, down) if self.gateways[to].connected => self.tell(to, Gateway::heard(down)),
            What::Down(..) => {}
            What::Produce(at) => self.produce(at),
            What::Connect(at) if self.gateways[at].is_running() && !self.gateways[at].connected => {
                self.gateways[at].connected = true;
                self.tell(at, Heard::Connected);
            }
            What::Connect(_) => {}
            What::Disconnect(at) if self.gateways[at].connected => {
                self.gateways[at].connected = false;
                self.tell(at, Heard::Disconnected);
                self.soon(10_000, What::Connect(at));
            }
            What::Disconnect(_) => {}
            What::Tick(at) => {
                if self.gateways[at].deadline().is_some_and(|deadline| deadline <= self.now) {
                    self.tell(at, Heard::Tick);
                }
            }
            What::Crash(at) => {
                self.gateways[at].crash();
                self.soon(8_000, What::Back(at));
            }
            What::Back(at) => self.start(at),
            What::Backup => self.backup = Some((self.gateways[0].disk.clone(), self.cloud.clone())),
            What::RestoreGateway => self.restore_gateway(),
            What::RestoreCloud => self.restore_cloud(),
            What::Clone => self.clone_gateway(),
        }
    }

    fn soon(&mut self, within: u64, what: What) {
        let when = self.now + 1 + self.dice.below(within);
        self.at(when, what);
    }

    fn start(&mut self, at: usize) {
        if !self.gateways[at].is_running() {
            self.gateways[at].start(&mut self.dice);
            self.soon(2_000, What::Connect(at));
        }
    }

    fn produce(&mut self, at: usize) {
        if !self.troubled() {
            return;
        }
        if self.gateways[at].is_running() {
            for _ in 0..=self.dice.below(4) {
                self.count += 1;
                let lane = Lane::ALL[usize::try_from(self.dice.below(3)).unwrap()];
                let needs = (lane == Lane::Billing).then(|| self.gateways[at].some_start(&mut self.dice));
                let fact = Fact { key: self.count, lane, needs: needs.flatten() };
                self.gateways[at].record(fact);
                self.promised.insert(fact);
            }
            let news = self.gateways[at].committed();
            self.tell(at, news);
        }
        self.soon(4_000, What::Produce(at));
    }

    /// A process hears something; what it sends goes onto the network.
    fn tell(&mut self, at: usize, heard: Heard) {
        let crashes = self.troubles.crashes && self.troubled();
        let sent = self.gateways[at].hear(self.now, heard, &mut self.dice, crashes);
        if !self.gateways[at].is_running() {
            self.soon(8_000, What::Back(at));
        }
        if self.gateways[at].connected {
            for up in sent {
                for delay in self.travel() {
                    self.at(self.now + delay, What::Up(up.clone(), self.now));
                }
            }
        }
        if let Some(deadline) = self.gateways[at].deadline() {
            self.at(deadline.max(self.now + 1), What::Tick(at));
        }
    }

    /// How often a message arrives, and when.
    fn travel(&mut self) -> Vec<u64> {
        let loss = if self.troubled() { self.troubles.loss } else { 0 };
        let copies = if self.dice.percent(loss) {
            0
        } else if self.dice.percent(loss) {
            2
        } else {
            1
        };
        let troubled = self.troubled();
        let delay = |dice: &mut Dice| {
            let slowest = if troubled && dice.percent(20) { SLOWEST_MS } else { 50 };
            1 + dice.below(slowest)
        };
        (0..copies).map(|_| delay(&mut self.dice)).collect()
    }

    /// A replica takes a message. It may know when the message was sent or not; it may die before and after its commit.
    fn arrive(&mut self, up: &Up, sent: u64) {
        let crashes = self.troubles.crashes && self.troubled();
        if crashes && self.dice.percent(3) {
            return;
        }
        let sent = if self.dice.percent(50) { sent } else { self.now };
        let Some(answer) = cloud::take(&mut self.cloud, self.now, sent, up) else { return };
        if crashes && self.dice.percent(3) {
            return;
        }
        for to in 0..self.gateways.len() {
            for delay in self.travel() {
                self.at(self.now + delay, What::Down(to, answer.clone()));
            }
        }
    }

    /// The box gets an older disk. What only the newer one held is gone, and was promised with that reserve.
    fn restore_gateway(&mut self) {
        let Some((disk, _)) = &self.backup else { return };
        let kept: BTreeSet<Fact> = disk.facts().chain(&self.cloud.facts).copied().collect();
        self.promised.retain(|fact| kept.contains(fact));
        self.gateways[0] = Gateway::new(disk.clone());
        let when = self.now + SLOWEST_MS + self.dice.below(20_000);
        self.at(when, What::Back(0));
    }

    /// The cloud gets an older database. What gateways no longer hold is gone; they hold billing records for long.
    fn restore_cloud(&mut self) {
        let Some((_, cloud)) = self.backup.take() else { return };
        self.cloud = cloud;
        let kept: BTreeSet<Fact> =
            self.gateways.iter().flat_map(|it| it.disk.facts()).chain(&self.cloud.facts).copied().collect();
        self.promised.retain(|fact| kept.contains(fact));
    }

    /// A copy of the disk goes into a second box, which lives on by itself.
    fn clone_gateway(&mut self) {
        self.gateways.push(Gateway::new(self.gateways[0].disk.clone()));
        self.soon(1_000, What::Back(1));
        self.soon(1_000, What::Produce(1));
    }
}
