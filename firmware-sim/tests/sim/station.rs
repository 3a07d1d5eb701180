//! The pure station in virtual time: what it tells, and when.

use firmware_sim::station::{Asker, Core, Effects, Fact, Outcome, Ticket, Told};
use firmware_sim::tempo::Tempo;
use firmware_sim::{Event, Registration, StationConfig, Vehicle};
use shared::ocpp::v16::{CsmsCall, Status, StopReason, Trigger, Verdict};
use shared::units::{Timestamp, Wh};

struct Bench {
    core: Core,
    now: u64,
}

impl Bench {
    fn new(config: &StationConfig) -> Self {
        let tempo = Tempo { scale: 1, origin: Timestamp(0), since: 0 };
        Bench { core: Core::new(config, tempo, 100), now: 0 }
    }

    fn at(seconds: u64, config: &StationConfig) -> Self {
        let mut bench = Bench::new(config);
        bench.now = seconds * 1000;
        bench
    }

    /// A station that is connected and accepted.
    fn ready(settings: &[(&str, &str)]) -> Self {
        let mut config = StationConfig::new("ws://nowhere", "S1");
        config.settings = settings.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        let mut bench = Bench::at(1, &config);
        bench.core.connected(bench.now);
        bench.boot(Registration::Accepted, 300);
        bench.core.take();
        bench
    }

    fn boot(&mut self, registration: Registration, interval: u64) {
        self.answer(Ticket::Boot, Told::Boot { registration, interval });
    }

    fn answer(&mut self, ticket: Ticket, told: Told) {
        self.core.answered(self.now, ticket, Outcome::Told(told));
    }

    fn sends(&mut self) -> Vec<(Ticket, Fact)> {
        self.core.take().sends
    }

    /// Time passes, second by second.
    fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now += 1000;
            self.core.tick(self.now);
        }
    }

    /// Answers every transaction message until none comes; returns them.
    fn drain(&mut self, transaction: i32) -> Vec<Fact> {
        let mut drained = Vec::new();
        loop {
            let messages: Vec<_> = self.sends().into_iter().filter(is_transaction).collect();
            if messages.is_empty() {
                return drained;
            }
            for (ticket, fact) in messages {
                let told = match fact {
                    Fact::Start { .. } => Told::Start { transaction, accepted: true },
                    _ => Told::Nothing,
                };
                drained.push(fact);
                self.answer(ticket, told);
            }
        }
    }

    fn plug_and_tap(&mut self) {
        self.core.plug(self.now, 1, Vehicle::default()).unwrap();
        self.core.tap(self.now, 1, "TAG").unwrap();
        self.answer(
            Ticket::Authorise(1, "TAG".into(), Asker::Driver),
            Told::Token { accepted: true, parent: None },
        );
    }
}

fn is_transaction((ticket, _): &(Ticket, Fact)) -> bool {
    matches!(ticket, Ticket::Transaction(_))
}

#[test]
fn it_says_nothing_but_boot_until_it_is_accepted() {
    let mut bench = Bench::at(1, &StationConfig::new("ws://nowhere", "S1"));
    bench.core.connected(bench.now);
    assert_eq!(bench.sends(), [(Ticket::Boot, Fact::Boot)]);
    bench.boot(Registration::Pending, 30);
    bench.pass(29);
    assert_eq!(bench.sends(), []);
    bench.pass(1);
    assert_eq!(bench.sends(), [(Ticket::Boot, Fact::Boot)]);
    bench.boot(Registration::Rejected, 0);
    bench.pass(10);
    assert_eq!(bench.sends(), [(Ticket::Boot, Fact::Boot)]);
    bench.boot(Registration::Accepted, 60);
    let at = Timestamp(41_000);
    let told: Vec<Fact> = bench.sends().into_iter().map(|(_, fact)| fact).collect();
    let status = |connector| Fact::Status { connector, status: Status::Available, at };
    assert_eq!(told, [status(0), status(1)]);
    bench.pass(60);
    assert_eq!(bench.sends(), [(Ticket::Plain("Heartbeat"), Fact::Heartbeat)]);
}

#[test]
fn a_session_from_plug_to_unplug() {
    let mut bench = Bench::ready(&[]);
    bench.plug_and_tap();
    let started = bench.drain(7);
    assert!(matches!(&started[..], [Fact::Start { connector: 1, meter: Wh(1000), .. }]));
    bench.pass(120);
    let readings = bench.drain(7);
    assert_eq!(readings.len(), 2);
    assert!(matches!(readings[0], Fact::Readings { transaction: Some(7), .. }));
    bench.core.unplug(bench.now, 1).unwrap();
    let stopped = bench.drain(7);
    let [Fact::Stop { transaction: 7, meter, reason: StopReason::EvDisconnected, .. }] = stopped[..] else {
        panic!("{stopped:?}");
    };
    assert_eq!(meter, Wh(1000 + 11_000 * 120 / 3600));
    let record = &bench.core.records()[0];
    assert_eq!(record.energy_wh(), Some(366));
    assert!(record.start_answered && record.stop_answered);
    assert_eq!(record.transaction_id, Some(7));
}

#[test]
fn what_happens_offline_is_told_in_order_afterwards() {
    let mut bench = Bench::ready(&[]);
    bench.core.disconnected(bench.now, "test".into());
    bench.core.plug(bench.now, 1, Vehicle::default()).unwrap();
    bench.core.tap(bench.now, 1, "TAG").unwrap();
    bench.pass(3600);
    bench.core.tap(bench.now, 1, "tag").unwrap();
    assert_eq!(bench.sends(), []);
    bench.core.connected(bench.now);
    let facts = bench.drain(9);
    assert_eq!(facts.len(), 62);
    assert!(matches!(facts[0], Fact::Start { at: Timestamp(1000), .. }));
    assert!(matches!(
        facts[61],
        Fact::Stop { transaction: 9, meter: Wh(12_000), reason: StopReason::Local, .. }
    ));
}

#[test]
fn a_start_that_is_never_answered_leaves_minus_one() {
    let mut bench =
        Bench::ready(&[("TransactionMessageAttempts", "2"), ("TransactionMessageRetryInterval", "5")]);
    bench.plug_and_tap();
    let refused = |bench: &mut Bench| {
        let sent: Vec<_> = bench.sends().into_iter().filter(is_transaction).collect();
        let [(ticket, Fact::Start { .. })] = &sent[..] else { panic!("{sent:?}") };
        bench.core.answered(bench.now, ticket.clone(), Outcome::Refused("InternalError".into()));
    };
    refused(&mut bench);
    bench.pass(4);
    assert!(bench.sends().iter().all(|sent| !is_transaction(sent)));
    bench.pass(1);
    refused(&mut bench);
    bench.core.unplug(bench.now, 1).unwrap();
    assert!(matches!(bench.drain(0)[..], [Fact::Stop { transaction: -1, .. }]));
    assert!(!bench.core.records()[0].start_answered);
}

#[test]
fn a_refused_token_stops_the_session() {
    let mut bench = Bench::ready(&[]);
    bench.plug_and_tap();
    let start = bench.sends().into_iter().find(is_transaction).unwrap();
    bench.answer(start.0, Told::Start { transaction: 5, accepted: false });
    let stopped = bench.drain(5);
    assert!(matches!(stopped[..], [Fact::Stop { transaction: 5, reason: StopReason::DeAuthorized, .. }]));
}

#[test]
fn losing_power_ends_the_session_where_the_meter_stands() {
    let mut bench = Bench::ready(&[]);
    bench.plug_and_tap();
    bench.drain(3);
    bench.pass(36);
    bench.drain(3);
    bench.core.cut_power(bench.now);
    assert!(bench.core.take().restart);
    bench.core.disconnected(bench.now, "power".into());
    assert_eq!(bench.core.next_deadline(), None);
    bench.pass(3600);
    assert_eq!(bench.sends(), []);
    bench.core.restore_power(bench.now);
    bench.core.connected(bench.now);
    assert_eq!(bench.sends(), [(Ticket::Boot, Fact::Boot)]);
    bench.boot(Registration::Accepted, 300);
    let facts = bench.drain(0);
    assert!(matches!(
        facts[..],
        [Fact::Stop {
            transaction: 3,
            meter: Wh(1110),
            at: Timestamp(37_000),
            reason: StopReason::PowerLoss,
            ..
        }]
    ));
    assert_eq!(bench.core.view().connectors[0].status, Status::Finishing);
}

#[test]
fn a_remote_start_waits_for_the_plug_and_a_remote_stop_ends_it() {
    let mut bench = Bench::ready(&[("ConnectionTimeOut", "30")]);
    let start = CsmsCall::RemoteStart { connector: Some(1), id_tag: "APP".into() };
    assert_eq!(bench.core.asked(bench.now, &start).verdict, Some(Verdict::Accepted));
    assert_eq!(bench.core.asked(bench.now, &start).verdict, Some(Verdict::Rejected));
    bench.pass(31);
    assert_eq!(bench.core.view().connectors[0].status, Status::Available);
    assert_eq!(bench.core.asked(bench.now, &start).verdict, Some(Verdict::Accepted));
    bench.core.plug(bench.now, 1, Vehicle::default()).unwrap();
    assert!(matches!(bench.drain(4)[..], [Fact::Start { .. }]));
    let stop = |transaction| CsmsCall::RemoteStop { transaction };
    assert_eq!(bench.core.asked(bench.now, &stop(5)).verdict, Some(Verdict::Rejected));
    assert_eq!(bench.core.asked(bench.now, &stop(4)).verdict, Some(Verdict::Accepted));
    assert!(matches!(bench.drain(4)[..], [Fact::Stop { reason: StopReason::Remote, .. }]));
}

#[test]
fn a_remote_start_is_authorised_when_the_setting_says_so() {
    let mut bench = Bench::ready(&[("AuthorizeRemoteTxRequests", "true")]);
    bench.core.plug(bench.now, 1, Vehicle::default()).unwrap();
    let start = CsmsCall::RemoteStart { connector: None, id_tag: "APP".into() };
    assert_eq!(bench.core.asked(bench.now, &start).verdict, Some(Verdict::Accepted));
    let ticket = Ticket::Authorise(1, "APP".into(), Asker::Csms);
    assert!(bench.sends().contains(&(ticket.clone(), Fact::Authorise { tag: "APP".into() })));
    bench.answer(ticket, Told::Token { accepted: true, parent: None });
    assert!(matches!(bench.drain(4)[..], [Fact::Start { .. }]));
}

#[test]
fn availability_changes_wait_for_the_session() {
    let mut bench = Bench::ready(&[]);
    bench.plug_and_tap();
    bench.drain(3);
    let off = CsmsCall::ChangeAvailability { connector: 0, operative: false };
    assert_eq!(bench.core.asked(bench.now, &off).verdict, Some(Verdict::Scheduled));
    bench.core.unplug(bench.now, 1).unwrap();
    assert_eq!(bench.core.view().connectors[0].status, Status::Unavailable);
    let on = CsmsCall::ChangeAvailability { connector: 1, operative: true };
    assert_eq!(bench.core.asked(bench.now, &on).verdict, Some(Verdict::Accepted));
    assert_eq!(bench.core.view().connectors[0].status, Status::Available);
    let absent = CsmsCall::ChangeAvailability { connector: 7, operative: true };
    assert_eq!(bench.core.asked(bench.now, &absent).verdict, Some(Verdict::Rejected));
}

#[test]
fn the_other_commands() {
    let mut bench = Bench::ready(&[]);
    let mut ask = |call: CsmsCall| bench.core.asked(bench.now, &call);
    let one = ask(CsmsCall::GetConfiguration { keys: vec!["HeartbeatInterval".into(), "Nope".into()] });
    assert_eq!(one.configuration[0].value.as_deref(), Some("300"));
    assert_eq!(one.unknown_keys, ["Nope"]);
    assert!(ask(CsmsCall::GetConfiguration { keys: vec![] }).configuration.len() > 20);
    let change = |key: &str| CsmsCall::ChangeConfiguration { key: key.into(), value: "10".into() };
    assert_eq!(ask(change("MeterValueSampleInterval")).verdict, Some(Verdict::Accepted));
    assert_eq!(ask(change("NumberOfConnectors")).verdict, Some(Verdict::Rejected));
    assert_eq!(ask(change("Nope")).verdict, Some(Verdict::NotSupported));
    assert_eq!(ask(CsmsCall::ClearCache).verdict, Some(Verdict::Accepted));
    assert_eq!(ask(CsmsCall::UnlockConnector { connector: 1 }).verdict, Some(Verdict::Unlocked));
    assert_eq!(ask(CsmsCall::UnlockConnector { connector: 9 }).verdict, Some(Verdict::NotSupported));
    let transfer = CsmsCall::DataTransfer { vendor: "v".into(), message: None, data: None };
    assert_eq!(ask(transfer).verdict, Some(Verdict::UnknownVendorId));
    bench.core.take();
    for &message in Trigger::ALL {
        let call = CsmsCall::Trigger { message, connector: None };
        assert_eq!(bench.core.asked(bench.now, &call).verdict, Some(Verdict::Accepted));
        assert!(!bench.sends().is_empty(), "{message:?}");
    }
    let hard = CsmsCall::Reset { hard: true };
    assert_eq!(bench.core.asked(bench.now, &hard).verdict, Some(Verdict::Accepted));
    let Effects { restart, events, .. } = bench.core.take();
    assert!(restart);
    assert!(events.contains(&Event::CommandReceived { action: "Reset".into() }));
}

#[test]
fn a_full_battery_suspends_the_session() {
    let mut bench = Bench::ready(&[("MeterValueSampleInterval", "0")]);
    let nearly_full = Vehicle { capacity: Wh(100), soc: shared::units::Percent(99), ..Vehicle::default() };
    bench.core.plug(bench.now, 1, nearly_full).unwrap();
    bench.core.tap(bench.now, 1, "TAG").unwrap();
    bench.answer(
        Ticket::Authorise(1, "TAG".into(), Asker::Driver),
        Told::Token { accepted: true, parent: None },
    );
    bench.drain(1);
    bench.pass(60);
    let view = bench.core.view().connectors.remove(0);
    assert_eq!((view.status, view.register, view.in_session), (Status::SuspendedEv, Wh(1001), true));
}

fn reserve(id: i32, parent: Option<&str>, until: i64) -> CsmsCall {
    CsmsCall::ReserveNow {
        connector: 1,
        until: Timestamp(until),
        id_tag: "TAG".into(),
        parent: parent.map(str::to_owned),
        reservation: id,
    }
}

impl Bench {
    fn asked(&mut self, call: &CsmsCall) -> Verdict {
        self.core.asked(self.now, call).verdict.unwrap()
    }

    fn status(&self) -> Status {
        self.core.view().connectors[0].status
    }
}

#[test]
fn a_reserved_connector_turns_others_away_and_names_the_reservation() {
    let mut bench = Bench::ready(&[]);
    assert_eq!(bench.asked(&reserve(7, None, 600_000)), Verdict::Accepted);
    assert_eq!(bench.status(), Status::Reserved);
    assert_eq!(bench.asked(&reserve(8, None, 600_000)), Verdict::Occupied);
    assert_eq!(bench.asked(&reserve(7, None, 900_000)), Verdict::Accepted, "the same again replaces it");
    bench.core.take();
    bench.core.tap(bench.now, 1, "OTHER").unwrap();
    let refused = Event::Authorised { connector: 1, tag: "OTHER".into(), accepted: false };
    assert_eq!(bench.core.take().events, [refused]);
    let remote = CsmsCall::RemoteStart { connector: Some(1), id_tag: "OTHER".into() };
    assert_eq!(bench.asked(&remote), Verdict::Rejected);
    bench.plug_and_tap();
    let facts = bench.drain(4);
    assert!(matches!(facts[..], [Fact::Start { reservation: Some(7), .. }]), "{facts:?}");
    assert_eq!(bench.asked(&CsmsCall::CancelReservation { reservation: 7 }), Verdict::Rejected);
}

#[test]
fn a_tag_of_the_reserved_group_is_let_in() {
    for (parent, expected) in [("GROUP", Status::Preparing), ("ELSE", Status::Reserved)] {
        let mut bench = Bench::ready(&[("LocalPreAuthorize", "true")]);
        bench.asked(&reserve(7, Some("group"), 600_000));
        bench.core.tap(bench.now, 1, "CARD").unwrap();
        let ticket = Ticket::Authorise(1, "CARD".into(), Asker::Driver);
        bench.answer(ticket, Told::Token { accepted: true, parent: Some(parent.into()) });
        assert_eq!(bench.status(), expected, "{parent}");
    }
}

#[test]
fn a_reservation_ends_at_its_hour_by_order_and_by_fault() {
    let mut bench = Bench::ready(&[]);
    assert_eq!(bench.asked(&reserve(7, None, 1000)), Verdict::Rejected, "its hour is over");
    bench.asked(&reserve(7, None, 61_000));
    assert_eq!(bench.core.next_deadline(), Some(61_000));
    bench.pass(60);
    assert_eq!(bench.status(), Status::Available);
    bench.asked(&reserve(8, None, 600_000));
    assert_eq!(bench.asked(&CsmsCall::CancelReservation { reservation: 9 }), Verdict::Rejected);
    assert_eq!(bench.asked(&CsmsCall::CancelReservation { reservation: 8 }), Verdict::Accepted);
    assert_eq!(bench.status(), Status::Available);
    bench.asked(&reserve(9, None, 600_000));
    bench.core.fault(bench.now, 1, true).unwrap();
    assert_eq!(
        (bench.status(), bench.asked(&reserve(10, None, 600_000))),
        (Status::Faulted, Verdict::Faulted)
    );
    bench.core.fault(bench.now, 1, false).unwrap();
    assert_eq!(bench.status(), Status::Available, "it is not kept through a fault");
}

#[test]
fn reservations_are_refused_where_they_cannot_be_kept() {
    let mut bench = Bench::ready(&[("SupportedFeatureProfiles", "Core")]);
    assert!(!bench.core.supports(&reserve(7, None, 600_000)));
    assert!(bench.core.supports(&CsmsCall::ClearCache));
    bench.core.plug(bench.now, 1, Vehicle::default()).unwrap();
    assert_eq!(bench.asked(&reserve(7, None, 600_000)), Verdict::Occupied);
    bench.core.unplug(bench.now, 1).unwrap();
    bench.asked(&CsmsCall::ChangeAvailability { connector: 1, operative: false });
    assert_eq!(bench.asked(&reserve(7, None, 600_000)), Verdict::Unavailable);
}
