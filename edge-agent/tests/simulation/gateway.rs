//! The gateway's half: the real sync machine over a database that is a value.

use std::collections::BTreeMap;

use edge_agent::sync::machine::{Action, Heard, Machine, Patience};
use shared::id::{BootId, Epoch};
use shared::model::Lane;
use shared::sync::v1::PerLane;
use uuid::Uuid;

use crate::cloud::Down;
use crate::dice::Dice;
use crate::world::{Fact, Up};

pub(crate) const PATIENCE: Patience = Patience { first_ms: 2_000, most_ms: 30_000, quiet_ms: 600_000 };

/// What survives a crash.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    pub(crate) epoch: Epoch,
    pub(crate) heads: PerLane,
    pub(crate) acked: PerLane,
    rows: [BTreeMap<u64, Fact>; 3],
}

impl Disk {
    pub(crate) fn new(epoch: Epoch) -> Self {
        Disk { epoch, heads: [0; 3], acked: [0; 3], rows: Default::default() }
    }

    /// Facts that are held; in the billing lane those that were acknowledged too.
    pub(crate) fn facts(&self) -> impl Iterator<Item = &Fact> {
        self.rows.iter().flat_map(BTreeMap::values)
    }

    /// Facts that the cloud said it has committed, as far as they are held.
    pub(crate) fn settled(&self) -> impl Iterator<Item = &Fact> {
        self.rows.iter().zip(self.acked).flat_map(|(rows, acked)| rows.range(..=acked).map(|(_, fact)| fact))
    }

    pub(crate) fn backlog(&self) -> u64 {
        self.heads.iter().zip(self.acked).map(|(head, acked)| head - acked).sum()
    }

    /// Commits a fact.
    pub(crate) fn record(&mut self, fact: Fact) {
        let place = fact.lane.index();
        self.heads[place] += 1;
        self.rows[place].insert(self.heads[place], fact);
    }

    /// What a batch of at most `most` records would be: the number of the first, and they.
    pub(crate) fn batch(&self, lane: Lane, after: u64, most: usize) -> Option<(u64, Vec<Fact>)> {
        let rows = self.rows[lane.index()].range(after + 1..).take(most);
        let (numbers, facts): (Vec<u64>, Vec<Fact>) = rows.map(|(seq, fact)| (*seq, *fact)).unzip();
        Some((*numbers.first()?, facts))
    }

    /// What is new of sessions, and what that needs as far as it is not acknowledged.
    pub(crate) fn ahead(&self, after: u64, most: usize) -> Vec<(u64, Fact)> {
        let place = Lane::Billing.index();
        let rows = &self.rows[place];
        let new: Vec<(u64, Fact)> = rows.range(after + 1..).take(most).map(|(seq, it)| (*seq, *it)).collect();
        let needed = |fact: &Fact| {
            let unacked = rows.range(self.acked[place] + 1..);
            unacked
                .filter(|(_, it)| Some(it.key) == fact.needs)
                .map(|(seq, it)| (*seq, *it))
                .collect::<Vec<_>>()
        };
        let mut all: BTreeMap<u64, Fact> = new.iter().flat_map(|(_, fact)| needed(fact)).collect();
        all.extend(new);
        all.into_iter().collect()
    }

    pub(crate) fn acked(&mut self, lane: Lane, watermark: u64) {
        let place = lane.index();
        let watermark = watermark.min(self.heads[place]);
        if watermark <= self.acked[place] {
            return;
        }
        self.acked[place] = watermark;
        if lane != Lane::Billing {
            self.rows[place].retain(|seq, _| *seq > watermark);
        }
    }

    pub(crate) fn begin_epoch(&mut self, epoch: Epoch) {
        for (rows, head) in self.rows.iter_mut().zip(&mut self.heads) {
            *rows = (1..).zip(std::mem::take(rows).into_values()).collect();
            *head = u64::try_from(rows.len()).unwrap();
        }
        self.acked = [0; 3];
        self.epoch = epoch;
    }
}

pub(crate) fn birth(dice: &mut Dice) -> Epoch {
    Epoch(Uuid::from_u64_pair(dice.next(), dice.next()))
}

/// One box: its disk, and the process that runs or not.
pub(crate) struct Gateway {
    pub(crate) disk: Disk,
    boot: BootId,
    process: Option<Machine>,
    pub(crate) connected: bool,
}

impl Gateway {
    pub(crate) fn new(disk: Disk) -> Self {
        Gateway { disk, boot: BootId(Uuid::nil()), process: None, connected: false }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.process.is_some()
    }

    pub(crate) fn start(&mut self, dice: &mut Dice) {
        let disk = &self.disk;
        self.boot = BootId(Uuid::from_u64_pair(dice.next(), dice.next()));
        self.process = Some(Machine::new(self.boot, disk.epoch, disk.heads, disk.acked, PATIENCE));
    }

    pub(crate) fn crash(&mut self) {
        (self.process, self.connected) = (None, false);
    }

    /// Commits a fact; what is committed is promised.
    pub(crate) fn record(&mut self, fact: Fact) {
        self.disk.record(fact);
    }

    /// One that a later one may be about, every other time: those that need none.
    pub(crate) fn some_start(&self, dice: &mut Dice) -> Option<u64> {
        let held = self.disk.rows[Lane::Billing.index()].values();
        let starts: Vec<u64> = held.filter(|it| it.needs.is_none()).map(|it| it.key).collect();
        let which = usize::try_from(dice.below(2 * starts.len() as u64)).unwrap();
        starts.get(which).copied()
    }

    pub(crate) fn is_drained(&self) -> bool {
        self.disk.backlog() == 0
    }

    pub(crate) fn deadline(&mut self) -> Option<u64> {
        self.process.as_mut()?.deadline()
    }

    /// Tells the process of a commit.
    pub(crate) fn committed(&self) -> Heard {
        Heard::Committed { epoch: self.disk.epoch, heads: self.disk.heads }
    }

    pub(crate) fn heard(down: Down) -> Heard {
        match down {
            Down::Welcome(welcome) => Heard::Welcome(welcome),
            Down::Ack(ack) => Heard::Ack(ack),
        }
    }

    /// Lets the process hear something and do what follows; returns what it sends. It may crash between any two steps.
    pub(crate) fn hear(&mut self, now: u64, heard: Heard, dice: &mut Dice, crashes: bool) -> Vec<Up> {
        let (mut sent, mut news) = (Vec::new(), vec![heard]);
        while let Some(heard) = news.pop() {
            let Some(machine) = &mut self.process else { break };
            for action in machine.on(now, heard) {
                if crashes && dice.below(400) == 0 {
                    self.crash();
                    return sent;
                }
                self.act(action, &mut sent, &mut news, dice);
            }
        }
        sent
    }

    fn act(&mut self, action: Action, sent: &mut Vec<Up>, news: &mut Vec<Heard>, dice: &mut Dice) {
        let disk = &mut self.disk;
        match action {
            Action::Hello => sent.push(Up::Hello { epoch: disk.epoch, heads: disk.heads, acked: disk.acked }),
            Action::Send { lane, after, limit } => sent.extend(self.batch(lane, after, limit, dice)),
            Action::SendAhead { after, limit } => {
                sent.push(Up::Ahead { epoch: disk.epoch, facts: disk.ahead(after, limit) });
            }
            Action::Acked { lane, watermark } => disk.acked(lane, watermark),
            // All brokers are one here.
            Action::Elsewhere => {}
            Action::NewEpoch { .. } => {
                disk.begin_epoch(birth(dice));
                news.push(self.committed());
            }
            Action::Stuck { reason } => panic!("stuck: {reason}"),
        }
    }

    /// Records are of different sizes, so that a batch is sometimes full before its limit.
    fn batch(&mut self, lane: Lane, after: u64, limit: usize, dice: &mut Dice) -> Option<Up> {
        let most = limit - usize::try_from(dice.below(3)).unwrap().min(limit - 1);
        let (first, facts) = self.disk.batch(lane, after, most)?;
        Some(Up::Batch { epoch: self.disk.epoch, boot: self.boot, lane, first, facts })
    }
}
