//! The gateway's half of the sync protocol as a pure machine: what to send next, given what was heard and when.
//!
//! One unacknowledged batch in flight per lane; billing first. What is recorded while more than a batch is ahead of it is
//! also sent ahead, once: whether that arrives changes nothing here. Time is milliseconds on any monotonic clock.

use shared::id::{BootId, Epoch};
use shared::model::Lane;
use shared::sync::v1::PerLane;
use shared::sync::{Ack, MAX_BATCH_RECORDS, Verdict, Welcome};

/// When to repeat what was not answered.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// The first wait.
    pub first_ms: u64,
    /// The longest.
    pub most_ms: u64,
    /// How long after a welcome to say hello again when there is nothing to send: a cloud whose database was put back to a
    /// backup asks for nothing by itself.
    pub quiet_ms: u64,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The broker took us in.
    Connected,
    /// The broker is gone.
    Disconnected,
    /// The cloud answered our hello.
    Welcome(Welcome),
    /// The cloud answered a batch.
    Ack(Ack),
    /// Something was committed here: the database's position.
    Committed {
        /// The epoch.
        epoch: Epoch,
        /// The last numbers, by lane.
        heads: PerLane,
    },
    /// A deadline came.
    Tick,
}

/// Repetitions without an answer before another broker is tried, once on each connection.
const IN_VAIN: u32 = 4;

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Introduce ourselves.
    Hello,
    /// Send the records of a lane after this number.
    Send {
        /// Which lane.
        lane: Lane,
        /// After which number.
        after: u64,
        /// How many at most.
        limit: usize,
    },
    /// Send what is new of sessions in the billing lane ahead of what is older.
    SendAhead {
        /// After which number.
        after: u64,
        /// How many at most.
        limit: usize,
    },
    /// The cloud has committed so far.
    Acked {
        /// Which lane.
        lane: Lane,
        /// Up to which number.
        watermark: u64,
    },
    /// Try another broker: this one may be cut off from its cluster, and hears us in vain.
    Elsewhere,
    /// Begin a new epoch, then say hello again.
    NewEpoch {
        /// Why, for a person.
        reason: String,
    },
    /// Nothing can be done before a person looks.
    Stuck {
        /// Why.
        reason: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Down,
    /// Hello sent, no welcome yet.
    Greeting {
        since: u64,
        tries: u32,
    },
    /// A new epoch was asked for; waiting for its commit.
    Renewing,
    Ready,
    Stuck,
}

#[derive(Clone, Copy, Debug, Default)]
struct LaneState {
    head: u64,
    acked: u64,
    flight: Option<Flight>,
}

#[derive(Clone, Copy, Debug)]
struct Flight {
    since: u64,
    tries: u32,
}

/// The machine.
#[derive(Clone, Debug)]
pub struct Machine {
    boot: BootId,
    patience: Patience,
    epoch: Epoch,
    phase: Phase,
    lanes: [LaneState; 3],
    /// Billing records up to here are not sent ahead (any more).
    ahead: u64,
    window: usize,
    welcomed_at: u64,
    paused_until: u64,
    jitter: u64,
}

impl Machine {
    /// A machine that is not connected, of the process `boot`, whose random bits spread the repeats of many gateways.
    pub fn new(boot: BootId, epoch: Epoch, heads: PerLane, acked: PerLane, patience: Patience) -> Self {
        let seed = boot.0.as_u64_pair().1;
        let mut machine = Machine {
            boot,
            patience,
            epoch,
            phase: Phase::Down,
            lanes: [LaneState::default(); 3],
            ahead: 0,
            window: MAX_BATCH_RECORDS,
            welcomed_at: 0,
            paused_until: 0,
            jitter: seed | 1,
        };
        for (lane, (head, acked)) in machine.lanes.iter_mut().zip(heads.into_iter().zip(acked)) {
            *lane = LaneState { head, acked, ..LaneState::default() };
        }
        machine
    }

    /// Takes what was heard at `now` and says what to do.
    pub fn on(&mut self, now: u64, heard: Heard) -> Vec<Action> {
        let mut actions = Vec::new();
        match heard {
            Heard::Connected => self.greet(now, 0, &mut actions),
            Heard::Disconnected => self.disconnected(),
            Heard::Welcome(welcome) => self.welcomed(now, welcome, &mut actions),
            Heard::Ack(ack) => self.acked(now, ack, &mut actions),
            Heard::Committed { epoch, heads } => self.committed(now, epoch, heads, &mut actions),
            Heard::Tick => self.repeat_hello(now, &mut actions),
        }
        self.drain(now, &mut actions);
        actions
    }

    /// When [`Heard::Tick`] is due, if ever.
    pub fn deadline(&mut self) -> Option<u64> {
        match self.phase {
            Phase::Down | Phase::Renewing | Phase::Stuck => None,
            Phase::Greeting { since, tries } => Some(since + self.wait(tries)),
            Phase::Ready => {
                let flights = self.lanes.iter().filter_map(|lane| lane.flight);
                let repeats = flights.map(|flight| flight.since + self.wait(flight.tries)).min();
                let waiting = self.lanes.iter().any(|lane| lane.flight.is_none() && lane.head > lane.acked);
                let resume = waiting.then_some(self.paused_until);
                let soonest = [repeats, resume].into_iter().flatten().min();
                soonest.or(Some(self.welcomed_at + self.patience.quiet_ms))
            }
        }
    }

    /// All that decides what it does next, but not when: two of one shape go the same ways.
    pub fn shape(&self) -> impl std::fmt::Debug + use<> {
        let phase = match self.phase {
            Phase::Down => "down",
            Phase::Greeting { .. } => "greeting",
            Phase::Renewing => "renewing",
            Phase::Ready => "ready",
            Phase::Stuck => "stuck",
        };
        let lanes =
            self.lanes.map(|lane| (lane.head, lane.acked, lane.flight.map(|flight| flight.tries > 0)));
        (self.boot, self.epoch, phase, lanes, self.in_turn(), self.window)
    }

    /// Has the cloud welcomed this connection?
    pub fn is_ready(&self) -> bool {
        self.phase == Phase::Ready
    }

    fn greet(&mut self, now: u64, tries: u32, actions: &mut Vec<Action>) {
        self.phase = Phase::Greeting { since: now, tries };
        actions.push(Action::Hello);
        actions.extend((tries == IN_VAIN).then_some(Action::Elsewhere));
    }

    fn disconnected(&mut self) {
        self.phase = Phase::Down;
        for lane in &mut self.lanes {
            lane.flight = None;
        }
    }

    /// A welcome to another epoch is an old one that was on its way.
    fn welcomed(&mut self, now: u64, welcome: Welcome, actions: &mut Vec<Action>) {
        if welcome.epoch != self.epoch || self.phase == Phase::Down || self.phase == Phase::Renewing {
            return;
        }
        match welcome.verdict {
            // The answer to a repeated hello: the first one counted, and its watermarks are old by now.
            Verdict::Continue if self.phase == Phase::Ready => return,
            Verdict::Continue => {}
            Verdict::NewEpoch(reason) => return self.renew(reason, actions),
            Verdict::Refused(reason) => {
                self.phase = Phase::Stuck;
                return actions.push(Action::Stuck { reason });
            }
        }
        self.phase = Phase::Ready;
        self.window =
            usize::try_from(welcome.window).unwrap_or(MAX_BATCH_RECORDS).clamp(1, MAX_BATCH_RECORDS);
        self.paused_until = now + u64::from(welcome.pause_ms);
        self.welcomed_at = now;
        self.ahead = self.lanes[Lane::Billing.index()].head;
        for lane in Lane::ALL {
            let (state, watermark) = (&mut self.lanes[lane.index()], welcome.watermarks[lane.index()]);
            state.flight = None;
            if watermark > state.head || watermark < state.acked {
                // Above our head: this database is a copy or a backup. Below what was acknowledged: the cloud's is, and
                // what lies between may be deleted here. Either way the numbers no longer mean the same to both.
                return self.renew(format!("{} watermark {watermark} does not fit", lane.name()), actions);
            }
            // What lies between our mark and the cloud's is sent again: a backup that was put back and has lived on has
            // other records under these numbers, which only a comparison shows.
        }
    }

    fn acked(&mut self, now: u64, ack: Ack, actions: &mut Vec<Action>) {
        if (ack.epoch, ack.boot) != (self.epoch, self.boot) || self.phase != Phase::Ready {
            return;
        }
        self.paused_until = self.paused_until.max(now + u64::from(ack.pause_ms));
        let state = &mut self.lanes[ack.lane.index()];
        if ack.watermark > state.head {
            return self.renew(format!("{} acknowledged beyond our head", ack.lane.name()), actions);
        }
        let compared = ack.watermark.min(ack.last);
        if compared > state.acked {
            state.acked = compared;
            state.flight = None;
            actions.push(Action::Acked { lane: ack.lane, watermark: compared });
        } else if let Some(flight) = &mut state.flight {
            match flight.tries {
                // The old watermark again: the cloud saw a gap. Once at once; after that in its time.
                0 => {
                    (flight.tries, flight.since) = (1, now);
                    actions.push(Action::Send { lane: ack.lane, after: state.acked, limit: self.window });
                }
                // Still less than it once acknowledged: its database may be a backup. The handshake tells.
                _ if ack.watermark < state.acked => self.greet(now, 0, actions),
                _ => {}
            }
        }
    }

    fn committed(&mut self, now: u64, epoch: Epoch, heads: PerLane, actions: &mut Vec<Action>) {
        if epoch != self.epoch {
            self.epoch = epoch;
            self.lanes = [LaneState::default(); 3];
            self.ahead = heads[Lane::Billing.index()];
            if self.phase == Phase::Renewing {
                self.greet(now, 0, actions);
            }
        }
        for (lane, head) in self.lanes.iter_mut().zip(heads) {
            lane.head = head;
        }
    }

    fn renew(&mut self, reason: String, actions: &mut Vec<Action>) {
        self.phase = Phase::Renewing;
        actions.push(Action::NewEpoch { reason });
    }

    fn repeat_hello(&mut self, now: u64, actions: &mut Vec<Action>) {
        let is_quiet = self.lanes.iter().all(|lane| lane.flight.is_none() && lane.head == lane.acked);
        if self.phase == Phase::Ready && is_quiet && now >= self.welcomed_at + self.patience.quiet_ms {
            self.greet(now, 0, actions);
        }
        if let Phase::Greeting { since, tries } = self.phase
            && now >= since + self.wait(tries)
        {
            self.greet(now, tries.saturating_add(1), actions);
        }
    }

    /// Sends what may be sent: a lane without a batch in flight, or one whose batch was not answered in time.
    fn drain(&mut self, now: u64, actions: &mut Vec<Action>) {
        if self.phase != Phase::Ready || now < self.paused_until {
            return;
        }
        for lane in Lane::ALL {
            let state = self.lanes[lane.index()];
            let tries = match state.flight {
                None if state.head > state.acked => 0,
                Some(flight) if now >= flight.since + self.wait(flight.tries) => {
                    flight.tries.saturating_add(1)
                }
                None | Some(_) => continue,
            };
            if tries > 0 {
                self.jitter = self
                    .jitter
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
            }
            self.lanes[lane.index()].flight = Some(Flight { since: now, tries });
            actions.push(Action::Send { lane, after: state.acked, limit: self.window });
            actions.extend((tries == IN_VAIN).then_some(Action::Elsewhere));
        }
        self.overtake(actions);
    }

    /// Sends ahead what is too far from the front of its lane to be in this batch.
    fn overtake(&mut self, actions: &mut Vec<Action>) {
        let (head, after) = (self.lanes[Lane::Billing.index()].head, self.in_turn());
        if head > after {
            self.ahead = head.min(after.saturating_add(self.batch()));
            actions.push(Action::SendAhead { after, limit: self.window });
        }
    }

    /// The last number of the billing lane that need not, or need no more, be sent ahead.
    fn in_turn(&self) -> u64 {
        self.ahead.max(self.lanes[Lane::Billing.index()].acked.saturating_add(self.batch()))
    }

    fn batch(&self) -> u64 {
        u64::try_from(self.window).unwrap_or(u64::MAX)
    }

    /// Twice as long each time, between half and the whole of it, so that gateways do not repeat in step.
    fn wait(&self, tries: u32) -> u64 {
        let whole =
            self.patience.first_ms.saturating_mul(1 << tries.min(16)).min(self.patience.most_ms).max(2);
        if tries == 0 { whole } else { whole / 2 + (self.jitter >> 33) % (whole / 2) }
    }
}

#[cfg(test)]
mod tests;
