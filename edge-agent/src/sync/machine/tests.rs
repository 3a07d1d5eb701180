use super::*;
use uuid::Uuid;

const PATIENCE: Patience = Patience { first_ms: 10_000, most_ms: 300_000, quiet_ms: 3_600_000 };
const BOOT: BootId = BootId(Uuid::from_u128(7));

fn epoch(n: u128) -> Epoch {
    Epoch(Uuid::from_u128(n))
}

fn welcome(verdict: Verdict, watermarks: PerLane) -> Heard {
    let server_time = shared::units::Timestamp(0);
    Heard::Welcome(Welcome {
        version: 1,
        epoch: epoch(1),
        verdict,
        watermarks,
        server_time,
        window: 256,
        pause_ms: 0,
    })
}

fn ack(lane: Lane, watermark: u64) -> Heard {
    Heard::Ack(Ack { epoch: epoch(1), boot: BOOT, lane, last: watermark, watermark, pause_ms: 0 })
}

fn send(lane: Lane, after: u64) -> Action {
    Action::Send { lane, after, limit: 256 }
}

fn ready(heads: PerLane, acked: PerLane) -> Machine {
    let mut machine = Machine::new(BOOT, epoch(1), heads, acked, PATIENCE);
    assert_eq!(machine.on(0, Heard::Connected), [Action::Hello]);
    machine
}

#[test]
fn nothing_drains_before_the_welcome_and_billing_drains_first() {
    let mut machine = ready([3, 2, 0], [0, 0, 0]);
    assert_eq!(machine.on(1, Heard::Committed { epoch: epoch(1), heads: [4, 2, 0] }), []);
    let actions = machine.on(2, welcome(Verdict::Continue, [1, 0, 0]));
    assert_eq!(actions, [send(Lane::Billing, 0), send(Lane::Meter, 0)]);
    assert_eq!(machine.on(3, Heard::Tick), [], "one batch in flight per lane");
}

#[test]
fn an_ack_frees_the_lane_and_a_silent_cloud_gets_the_batch_again() {
    let mut machine = ready([3, 0, 0], [0, 0, 0]);
    machine.on(0, welcome(Verdict::Continue, [0, 0, 0]));
    assert_eq!(machine.on(9_999, Heard::Tick), []);
    assert_eq!(machine.on(10_000, Heard::Tick), [send(Lane::Billing, 0)]);
    let due = machine.deadline().unwrap();
    assert!((20_000..30_000).contains(&due), "{due}");
    assert_eq!(
        machine.on(10_001, ack(Lane::Billing, 2)),
        [Action::Acked { lane: Lane::Billing, watermark: 2 }, send(Lane::Billing, 2)]
    );
    assert_eq!(
        machine.on(10_002, ack(Lane::Billing, 3)),
        [Action::Acked { lane: Lane::Billing, watermark: 3 }]
    );
    assert_eq!(machine.deadline(), Some(3_600_000), "nothing to do but to say hello again some time");
    assert_eq!(machine.on(3_600_000, Heard::Tick), [Action::Hello]);
}

#[test]
fn a_gap_is_answered_at_once_but_only_once() {
    let mut machine = ready([3, 0, 0], [1, 0, 0]);
    machine.on(0, welcome(Verdict::Continue, [1, 0, 0]));
    assert_eq!(machine.on(1, ack(Lane::Billing, 1)), [send(Lane::Billing, 1)]);
    assert_eq!(machine.on(2, ack(Lane::Billing, 1)), []);
}

#[test]
fn what_is_new_behind_a_backlog_is_sent_ahead_once() {
    let mut machine = ready([900, 0, 0], [0, 0, 0]);
    let actions = machine.on(0, welcome(Verdict::Continue, [0, 0, 0]));
    assert_eq!(actions, [send(Lane::Billing, 0)], "the backlog is not new");
    let committed = |head| Heard::Committed { epoch: epoch(1), heads: [head, 0, 0] };
    let ahead = |after| Action::SendAhead { after, limit: 256 };
    assert_eq!(machine.on(1, committed(902)), [ahead(900)]);
    assert_eq!(machine.on(2, Heard::Tick), []);
    let acked = |watermark| Action::Acked { lane: Lane::Billing, watermark };
    assert_eq!(machine.on(3, ack(Lane::Billing, 200)), [acked(200), send(Lane::Billing, 200)]);
    assert_eq!(machine.on(4, committed(903)), [ahead(902)]);
    assert_eq!(machine.on(5, ack(Lane::Billing, 700)), [acked(700), send(Lane::Billing, 700)]);
    assert_eq!(machine.on(6, committed(904)), [], "the next batch has it");
}

#[test]
fn a_pause_holds_back_what_is_new_too_and_then_it_goes_in_pieces() {
    let mut machine = ready([900, 0, 0], [0, 0, 0]);
    machine.on(0, welcome(Verdict::Continue, [0, 0, 0]));
    let pause =
        Ack { epoch: epoch(1), boot: BOOT, lane: Lane::Billing, last: 256, watermark: 256, pause_ms: 500 };
    machine.on(1, Heard::Ack(pause));
    assert_eq!(machine.on(2, Heard::Committed { epoch: epoch(1), heads: [1200, 0, 0] }), []);
    let ahead = |after| Action::SendAhead { after, limit: 256 };
    assert_eq!(machine.on(501, Heard::Tick), [send(Lane::Billing, 256), ahead(900)]);
    assert_eq!(machine.on(502, Heard::Tick), [ahead(1156)]);
}

#[test]
fn a_cloud_that_forgot_what_it_acknowledged_is_greeted_again() {
    let mut machine = ready([5, 0, 0], [3, 0, 0]);
    machine.on(0, welcome(Verdict::Continue, [3, 0, 0]));
    assert_eq!(machine.on(1, ack(Lane::Billing, 1)), [send(Lane::Billing, 3)]);
    assert_eq!(machine.on(2, ack(Lane::Billing, 1)), [Action::Hello]);
}

#[test]
fn numbers_that_do_not_fit_need_a_new_epoch() {
    for watermarks in [[4, 0, 0], [1, 0, 0]] {
        let mut machine = ready([3, 0, 0], [2, 0, 0]);
        let actions = machine.on(1, welcome(Verdict::Continue, watermarks));
        assert!(matches!(actions[..], [Action::NewEpoch { .. }]), "{actions:?}");
        assert_eq!(machine.on(2, ack(Lane::Billing, 3)), [], "acks of the old epoch no longer count");
        assert_eq!(machine.on(3, Heard::Committed { epoch: epoch(2), heads: [1, 0, 0] }), [Action::Hello]);
    }
}

#[test]
fn only_what_was_compared_counts_and_only_in_answers_to_this_process() {
    let mut machine = ready([9, 0, 0], [2, 0, 0]);
    assert_eq!(machine.on(1, welcome(Verdict::Continue, [7, 0, 0])), [send(Lane::Billing, 2)]);
    let (epoch, lane) = (epoch(1), Lane::Billing);
    let answer = |boot| Heard::Ack(Ack { epoch, boot, lane, last: 5, watermark: 7, pause_ms: 0 });
    assert_eq!(machine.on(2, answer(BootId(Uuid::nil()))), []);
    let acked = Action::Acked { lane, watermark: 5 };
    assert_eq!(machine.on(3, answer(BOOT)), [acked, send(lane, 5)]);
}

#[test]
fn a_pause_is_kept() {
    let mut machine = ready([1, 0, 0], [0, 0, 0]);
    let heard = Heard::Welcome(Welcome {
        version: 1,
        epoch: epoch(1),
        verdict: Verdict::Continue,
        watermarks: [0; 3],
        server_time: shared::units::Timestamp(0),
        window: 10,
        pause_ms: 500,
    });
    assert_eq!(machine.on(0, heard), []);
    assert_eq!(machine.deadline(), Some(500));
    assert_eq!(machine.on(500, Heard::Tick), [Action::Send { lane: Lane::Billing, after: 0, limit: 10 }]);
}

#[test]
fn another_broker_is_tried_when_this_one_hears_in_vain() {
    for begin in [Heard::Connected, welcome(Verdict::Continue, [0; 3])] {
        let mut machine = ready([1, 0, 0], [0, 0, 0]);
        machine.on(1, Heard::Disconnected);
        machine.on(1, Heard::Connected);
        machine.on(1, begin);
        let mut actions = Vec::new();
        for _ in 0..6 {
            let due = machine.deadline().expect("something is awaited");
            actions.extend(machine.on(due, Heard::Tick));
        }
        let elsewhere = |action: &&Action| **action == Action::Elsewhere;
        assert_eq!(actions.iter().filter(elsewhere).count(), 1, "{actions:?}");
        assert_eq!(actions.iter().position(|action| *action == Action::Elsewhere), Some(4), "{actions:?}");
    }
}

#[test]
fn an_unanswered_hello_is_said_again_and_a_lost_connection_forgets_what_was_in_flight() {
    let mut machine = ready([1, 0, 0], [0, 0, 0]);
    assert_eq!(machine.on(10_000, Heard::Tick), [Action::Hello]);
    machine.on(10_001, welcome(Verdict::Continue, [0; 3]));
    machine.on(10_002, Heard::Disconnected);
    assert_eq!(machine.deadline(), None);
    assert_eq!(machine.on(10_003, ack(Lane::Billing, 1)), []);
    assert_eq!(machine.on(10_004, Heard::Connected), [Action::Hello]);
    assert_eq!(machine.on(10_005, welcome(Verdict::Continue, [0; 3])), [send(Lane::Billing, 0)]);
}
