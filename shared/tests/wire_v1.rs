//! The bytes of wire version 1, frozen. A change here breaks gateways in the field: make a new version instead.
//!
//! `UPDATE_GOLDEN=1 cargo test -p shared --test wire_v1` writes the file anew, for a version that was never released.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

use std::fmt::Write as _;

use shared::id::{
    BootId, CommandId, Epoch, EvseNo, FirmwareId, GatewayId, ReservationId, SessionId, Shard, StationId,
    StationTxRef, TariffId,
};
use shared::model::charging::{
    ChargingKind, ChargingPeriod, ChargingProfile, ChargingPurpose, ChargingSchedule, ProfileFilter,
    PurposeKind, RateUnit,
};
use shared::model::command::{
    Command, CommandBody, CommandResult, ConfigurationEntry, Origin, Outcome, Told, TriggeredMessage,
};
use shared::model::document::{
    DocumentBody, DocumentVersion, PublicTokensDoc, StationEntry, StationsDoc, TariffAssignment, TariffsDoc,
    TokensDoc,
};
use shared::model::event::{
    AuthorisationDecided, ClockMeasured, DocumentApplied, Event, Lane, LocalCommandFinished, MeterGap,
    PresenceChanged, SecurityNoticed, SessionMetered, SessionPriced, StationBooted, StatusChanged,
    StopUnmatched, UnknownCardSeen,
};
use shared::model::file::{
    FirmwareImage, FirmwareProgressed, FirmwareSignature, FirmwareState, FirmwareUpdate, LogKind,
    LogProgressed, LogReceived, LogRequest, LogState, ReceivedFile, Retries, Sha256, Transfer,
};
use shared::model::finding::{FindingNoted, Oddity, Severity};
use shared::model::frame_log::{Direction, FrameFilter, FramePage, LoggedFrame};
use shared::model::local_list::{LocalListChanged, LocalListState};
use shared::model::onboarding::{
    AdmissionDoc, StationAdopted, StationKnocked, StationPending, StationRejected, WindowChanged,
};
use shared::model::quirks::{
    ChargingQuirks, EnergyScale, LocalTag, QuirkSuggested, ScheduleStart, StationQuirks, SteadyKind,
    Suggestion,
};
use shared::model::reservation::{Reservation, ReservationEnd, ReservationEnded};
use shared::model::security::{
    CertificateHash, CredentialRotated, HashAlgorithm, ProfileRaise, RootUse, SecurityProgressed,
    SecurityReported, SecurityStep, SecurityWork, StationCertificate, StationSecured,
};
use shared::model::session::{SessionFlag, SessionStarted, SessionStopped, StopReason, TariffRef};
use shared::model::settings::{
    SettingOutcome, SettingState, SettingsApplied, SettingsDoc, SettingsRead, WantedSetting,
};
use shared::model::token::{AuthorisedBy, TokenEntry};
use shared::model::{AuthStatus, ConnectorStatus, IdToken, MeterReading, StationInfo};
use shared::sync::{
    Ack, Ahead, Batch, ClockQuality, Document, Down, DownTopic, FrameKey, Header, Hello, Record, Topic, Up,
    UpTopic, Verdict, Welcome,
};
use shared::tariff::{Dimension, PriceComponent, Tariff, price_quantities};
use shared::units::{Currency, MilliAmps, MilliVolts, Percent, Timestamp, Watts, Wh};
use uuid::Uuid;

const GOLDEN: &str = include_str!("golden/wire_v1.txt");
const AT: Timestamp = Timestamp(1_763_812_800_174);

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn station() -> StationId {
    StationId::new("CP001").unwrap()
}

fn tariff() -> Tariff {
    let component = |dimension, price_micros, step| PriceComponent { dimension, price_micros, step };
    let components = vec![
        component(Dimension::Energy, 250_000, 1),
        component(Dimension::Time, 3_000_000, 60),
        component(Dimension::Flat, 500_000, 0),
    ];
    Tariff { id: TariffId(id(5)), version: 3, currency: Currency::USD, components }
}

fn quirks() -> StationQuirks {
    StationQuirks {
        assume_subprotocol: true,
        tolerate_upgrade: true,
        no_ping: true,
        answer_delay_ms: 1000,
        answer_seconds: Some(60),
        clock_offset_minutes: Some(-120),
        energy_scale: EnergyScale::KilowattHours,
        local_tag: Some(LocalTag { shown: "FREE".into(), token: IdToken::new("CARD1") }),
        never_trigger_boot: true,
        configuration_keys: Some(10),
        charging: ChargingQuirks {
            max_stack_level: Some(0),
            start: ScheduleStart::Omit,
            kind: Some(SteadyKind::Relative),
            unit: Some(RateUnit::Watts),
            phases: Some(1),
            step_tenths: Some(20),
        },
    }
}

fn reading() -> MeterReading {
    MeterReading {
        taken_at: AT,
        register: Some(Wh(12_345)),
        power: Some(Watts(-7)),
        current: Some(MilliAmps(16_000)),
        voltage: Some(MilliVolts(230_100)),
        soc: Some(Percent(80)),
    }
}

fn result() -> CommandResult {
    CommandResult {
        id: CommandId(id(7)),
        outcome: Outcome::Scheduled,
        detail: "RebootRequired".into(),
        told: Told::Configuration {
            entries: vec![ConfigurationEntry { key: "k".into(), value: Some("v".into()), readonly: true }],
            unknown_keys: vec!["u".into()],
        },
        at: AT,
    }
}

fn events() -> Vec<Event> {
    let session = SessionId(id(1));
    let tariff_ref = TariffRef { id: TariffId(id(5)), version: 3 };
    vec![
        Event::SessionStarted(SessionStarted {
            session,
            station: station(),
            evse: EvseNo(1),
            tx_ref: StationTxRef("4711".into()),
            token: Some(IdToken::new("CARD1")),
            auth: AuthStatus::Accepted,
            authorised_by: AuthorisedBy::SiteList,
            at: AT,
            meter_start: Wh(1000),
            tariff: Some(tariff_ref),
            caused_by: Some(CommandId(id(7))),
            flags: vec![SessionFlag::ClockAssumed],
        }),
        Event::SessionStopped(SessionStopped {
            session,
            at: AT,
            meter_stop: Wh(11_000),
            energy: Wh(10_000),
            reason: StopReason::EvDisconnected,
            token: None,
            flags: vec![],
        }),
        Event::AuthorisationDecided(AuthorisationDecided {
            station: station(),
            token: IdToken::new("CARD1"),
            status: AuthStatus::Blocked,
            decided_by: AuthorisedBy::UnknownTokenPolicy,
            at: AT,
        }),
        Event::SessionPriced(SessionPriced {
            session,
            tariff: tariff_ref,
            cost: price_quantities(Wh(10_000), 3600, &tariff()),
        }),
        Event::StopUnmatched(StopUnmatched {
            station: station(),
            tx_ref: "-1".into(),
            token: Some(IdToken::new("X")),
            at: AT,
            meter_stop: Wh(5),
        }),
        Event::SecurityNoticed(SecurityNoticed {
            station: Some(station()),
            what: "duplicate_identity".into(),
            detail: "d".into(),
            at: AT,
        }),
        Event::CommandFinished(result()),
        Event::SessionMetered(SessionMetered { session, reading: reading() }),
        Event::MeterGap(MeterGap {
            session,
            from: AT,
            to: AT,
            count: 9,
            energy_first: Some(Wh(1)),
            energy_last: None,
        }),
        Event::StatusChanged(StatusChanged {
            station: station(),
            evse: Some(EvseNo(2)),
            status: ConnectorStatus::SuspendedEvse,
            error: Some("GroundFailure".into()),
            at: AT,
        }),
        Event::PresenceChanged(PresenceChanged { station: station(), connected: true, at: AT }),
        Event::StationBooted(StationBooted {
            station: station(),
            info: StationInfo {
                vendor: "V".into(),
                model: "M".into(),
                serial: None,
                firmware: Some("1.0".into()),
            },
            at: AT,
        }),
        Event::DocumentApplied(DocumentApplied { name: "tokens".into(), version: 9, at: AT }),
        Event::UnknownCardSeen(UnknownCardSeen {
            station: station(),
            evse: Some(EvseNo(2)),
            token: IdToken::new("04A2B3C4"),
            at: AT,
        }),
        Event::ReservationEnded(ReservationEnded {
            reservation: ReservationId(300),
            station: station(),
            end: ReservationEnd::Used(session),
            at: AT,
        }),
        Event::FirmwareProgressed(FirmwareProgressed {
            update: Some(CommandId(id(7))),
            station: station(),
            state: FirmwareState::Installed,
            detail: "d".into(),
            at: AT,
        }),
        Event::LogProgressed(LogProgressed {
            log: None,
            station: station(),
            state: LogState::Uploaded,
            detail: String::new(),
            at: AT,
        }),
        Event::LogReceived(LogReceived {
            log: CommandId(id(7)),
            station: station(),
            file: ReceivedFile { name: "log.txt".into(), size: 300, sha256: Sha256([7; 32]) },
            at: AT,
        }),
    ]
    .into_iter()
    .chain(life())
    .collect()
}

fn life() -> Vec<Event> {
    let from = || "10.0.0.7".to_owned();
    let info = StationInfo { vendor: "V".into(), model: "M".into(), serial: None, firmware: None };
    let entry = ConfigurationEntry { key: "k".into(), value: None, readonly: false };
    let outcome = SettingOutcome {
        key: "k".into(),
        wanted: "v".into(),
        state: SettingState::NeedsReboot,
        detail: "d".into(),
    };
    vec![
        Event::StationKnocked(StationKnocked {
            station: station(),
            from: from(),
            security_profile: 2,
            had_password: true,
            at: AT,
        }),
        Event::StationPending(StationPending {
            station: station(),
            from: from(),
            security_profile: 1,
            credential: Some("c".into()),
            info: Some(info),
            connectors: Some(2),
            at: AT,
        }),
        Event::StationAdopted(StationAdopted {
            station: station(),
            credential: "c".into(),
            connectors: 2,
            at: AT,
        }),
        Event::StationRejected(StationRejected { station: station(), at: AT }),
        Event::WindowChanged(WindowChanged { until: Some(AT), at: AT }),
        Event::SettingsRead(SettingsRead { station: station(), entries: vec![entry], whole: true, at: AT }),
        Event::SettingsApplied(SettingsApplied { station: station(), outcomes: vec![outcome], at: AT }),
        Event::ClockMeasured(ClockMeasured { station: station(), skew_ms: -61_000, at: AT }),
        Event::LocalListChanged(LocalListChanged {
            station: station(),
            state: LocalListState::Refused,
            version: 7,
            entries: 300,
            left_out: 2,
            detail: "d".into(),
            at: AT,
        }),
        Event::LocalCommandFinished(Box::new(LocalCommandFinished {
            command: command(CommandBody::ClearCache),
            result: result(),
        })),
        Event::FindingNoted(FindingNoted {
            station: station(),
            action: "StopTransaction".into(),
            field: "meterStop".into(),
            oddity: Oddity::RegisterWentBack,
            severity: Severity::Hard,
            count: 10,
            first_at: AT,
            at: AT,
            text: "ended at 5 Wh, began at 9 Wh".into(),
            example: "[2,…".into(),
            session: Some(SessionId(id(1))),
        }),
        Event::QuirkSuggested(QuirkSuggested {
            station: station(),
            suggestion: Suggestion::ClockOffset { minutes: -120 },
            evidence: "times are two hours early".into(),
            at: AT,
        }),
        Event::SecurityReported(SecurityReported {
            station: station(),
            kind: "TamperDetectionActivated".into(),
            tech_info: Some("lid".into()),
            at: AT,
        }),
        Event::SecurityProgressed(SecurityProgressed {
            command: Some(CommandId(id(4))),
            station: station(),
            work: SecurityWork::Profile,
            step: SecurityStep::AwaitingReturn,
            detail: "it said Accepted".into(),
            at: AT,
        }),
        Event::StationSecured(StationSecured {
            station: station(),
            profile: 3,
            minimum: 2,
            certificate: Some(StationCertificate { serial: "0a".into(), not_before: AT, not_after: AT }),
            password_since: Some(AT),
            at: AT,
        }),
        Event::CredentialRotated(CredentialRotated {
            station: station(),
            over: "sha256$b2xk$b2xk".into(),
            credential: "sha256$c2FsdA==$ZGlnZXN0".into(),
            at: AT,
        }),
    ]
}

fn frames() -> FramePage {
    let frame = LoggedFrame {
        number: 9,
        at: AT,
        connection: 3,
        direction: Direction::Sent,
        action: Some("Reset".into()),
        message_id: Some("3-1".into()),
        text: "[]".into(),
        lost_before: 1,
    };
    FramePage { frames: vec![frame], next: Some(9) }
}

fn record(event: &Event) -> Record {
    let boot = BootId(id(3));
    let header = Header {
        kind: event.kind(),
        kind_ver: 1,
        occurred_at: AT,
        clock: ClockQuality::Assumed,
        boot,
        mono_ms: 1234,
        key: event.key(boot, 8),
    };
    Record { header, body: event.body() }
}

fn profile() -> ChargingProfile {
    ChargingProfile {
        id: 1,
        stack_level: 2,
        purpose: ChargingPurpose::Session(SessionId(id(1))),
        kind: ChargingKind::Relative,
        valid_from: Some(AT),
        valid_to: None,
        schedule: ChargingSchedule {
            unit: RateUnit::Amperes,
            start: None,
            duration_s: Some(60),
            min_rate_tenths: Some(60),
            periods: vec![ChargingPeriod { start_s: 0, limit_tenths: 165, phases: Some(3) }],
        },
    }
}

fn firmware_update() -> FirmwareUpdate {
    FirmwareUpdate {
        image: FirmwareImage {
            id: FirmwareId(id(5)),
            file_name: "f.bin".into(),
            version: "2.0".into(),
            size: 300,
            sha256: Sha256([7; 32]),
        },
        signature: Some(FirmwareSignature { certificate: "c".into(), signature: "s".into() }),
        retrieve_at: Some(AT),
        install_at: None,
        retries: Retries { count: Some(3), interval_s: Some(300) },
        transfer: None,
    }
}

fn command(body: CommandBody) -> Command {
    Command {
        id: CommandId(id(7)),
        issued_at: AT,
        expires_at: AT.plus_millis(30_000),
        station: station(),
        body,
        waits: true,
        origin: Origin::Installer,
    }
}

fn commands() -> Vec<CommandBody> {
    let evse = EvseNo(1);
    vec![
        CommandBody::RemoteStart { evse: Some(evse), token: IdToken::new("T") },
        CommandBody::RemoteStop { session: SessionId(id(1)) },
        CommandBody::Reset { hard: true },
        CommandBody::Unlock { evse },
        CommandBody::SetAvailability { evse: None, operative: false },
        CommandBody::GetConfiguration { keys: vec!["k".into()] },
        CommandBody::ChangeConfiguration { key: "k".into(), value: "v".into() },
        CommandBody::ClearCache,
        CommandBody::DataTransfer { vendor: "v".into(), message: Some("m".into()), data: None },
        CommandBody::Trigger { message: TriggeredMessage::MeterValues, evse: Some(evse) },
        CommandBody::Reserve(Reservation {
            id: ReservationId(300),
            evse,
            token: IdToken::new("T"),
            group: Some("g".into()),
            until: AT,
        }),
        CommandBody::CancelReservation { reservation: ReservationId(300) },
        CommandBody::SetChargingProfile { evse: Some(evse), profile: profile() },
        CommandBody::ClearChargingProfiles(ProfileFilter {
            id: Some(1),
            evse: None,
            purpose: Some(PurposeKind::Default),
            stack_level: Some(2),
        }),
        CommandBody::GetCompositeSchedule { evse: None, duration_s: 3600, unit: Some(RateUnit::Watts) },
        CommandBody::UpdateFirmware(Box::new(firmware_update())),
        CommandBody::RequestLog(LogRequest {
            kind: LogKind::Security,
            from: Some(AT),
            to: None,
            retries: Retries { count: None, interval_s: None },
            transfer: Some(Transfer::Ftp),
        }),
        CommandBody::ReadFrames(FrameFilter {
            since: Some(AT),
            action: Some("Reset".into()),
            direction: Some(Direction::Received),
            limit: Some(7),
            ..FrameFilter::default()
        }),
        CommandBody::GetLocalListVersion,
        CommandBody::SendLocalList,
        CommandBody::InstallCertificate {
            root: RootUse::Manufacturer,
            certificate: Some("PEM".into()),
            over_plain: true,
        },
        CommandBody::DeleteCertificate(certificate_hash()),
        CommandBody::GetCertificates { root: RootUse::CentralSystem },
        CommandBody::RenewCertificate,
        CommandBody::RotatePassword { over_plain: false },
        CommandBody::RaiseProfile(Box::new(ProfileRaise {
            to: 3,
            address_key: Some("CentralSystemURL".into()),
            address: None,
            over_plain: true,
        })),
        CommandBody::Trigger { message: TriggeredMessage::SignedFirmwareStatus, evse: None },
    ]
}

fn certificate_hash() -> CertificateHash {
    CertificateHash {
        algorithm: HashAlgorithm::Sha512,
        issuer_name: "ab".into(),
        issuer_key: "cd".into(),
        serial: "01".into(),
    }
}

fn wanted() -> WantedSetting {
    WantedSetting { key: "k".into(), value: "v".into() }
}

fn documents() -> Vec<DocumentBody> {
    let credential = "sha256$c2FsdA==$ZGlnZXN0".into();
    let entry = StationEntry { station: station(), credential, quirks: quirks(), since: Some(AT) };
    let token = TokenEntry {
        token: "card1".into(),
        status: AuthStatus::Accepted,
        expires_at: Some(AT),
        group: Some("g".into()),
    };
    let assigned = TariffAssignment { station: station(), evse: EvseNo(1), tariff: 0 };
    vec![
        DocumentBody::Stations(StationsDoc { timezone: "Europe/Berlin".into(), stations: vec![entry] }),
        DocumentBody::Tokens(TokensDoc {
            unknown: AuthStatus::Invalid,
            on_stations: true,
            tokens: vec![token.clone()],
        }),
        DocumentBody::Tariffs(TariffsDoc { tariffs: vec![tariff()], assigned: vec![assigned] }),
        DocumentBody::PublicTokens(PublicTokensDoc { part: 63, tokens: vec![token] }),
        DocumentBody::Admission(AdmissionDoc {
            window: Some((AT, AT.plus_millis(1))),
            rejected: vec![station()],
            held: vec![station()],
        }),
        DocumentBody::Settings(SettingsDoc {
            site: vec![wanted()],
            stations: vec![(station(), vec![wanted()])],
        }),
    ]
}

fn ups() -> Vec<(UpTopic, Up)> {
    let hello = Hello {
        versions: (1, 1),
        kinds: vec![1, 16, 32],
        epoch: Epoch(id(2)),
        parent: Some((Epoch(id(9)), [7, 8, 9])),
        heads: [4, 5, 6],
        acked: [1, 2, 3],
        boot: BootId(id(3)),
        wallclock: AT,
        clock: ClockQuality::Synced,
        documents: vec![DocumentVersion { name: "tokens".into(), version: 9, hash: [7; 32] }],
        agent: "0.1.0".into(),
    };
    let batch = |lane: Lane| {
        let records = events().iter().filter(|event| event.lane() == lane).map(record).collect();
        (
            UpTopic::Batch,
            Up::Batch(Batch { epoch: Epoch(id(2)), boot: BootId(id(3)), lane, first_seq: 300, records }),
        )
    };
    let mut all = vec![(UpTopic::Hello, Up::Hello(hello))];
    all.extend(Lane::ALL.map(batch));
    all.push((UpTopic::Result, Up::Result(result())));
    all.push((UpTopic::Result, Up::Result(CommandResult { told: Told::Frames(frames()), ..result() })));
    let records = [300, 302].into_iter().zip(events().iter().map(record)).collect();
    all.push((UpTopic::Batch, Up::Ahead(Ahead { epoch: Epoch(id(2)), records })));
    all
}

fn downs() -> Vec<(DownTopic, Down)> {
    let verdicts = [Verdict::Continue, Verdict::NewEpoch("r".into()), Verdict::Refused("r".into())];
    let welcome = |verdict| {
        let epoch = Epoch(id(2));
        let welcome = Welcome {
            version: 1,
            epoch,
            verdict,
            watermarks: [1, 2, 3],
            server_time: AT,
            window: 256,
            pause_ms: 50,
        };
        (DownTopic::Welcome, Down::Welcome(welcome))
    };
    let mut all: Vec<(DownTopic, Down)> = verdicts.map(welcome).into();
    all.push((
        DownTopic::Ack,
        Down::Ack(Ack {
            epoch: Epoch(id(2)),
            boot: BootId(id(3)),
            lane: Lane::Meter,
            last: 310,
            watermark: 300,
            pause_ms: 0,
        }),
    ));
    for body in commands() {
        all.push((DownTopic::Command, Down::Command(command(body))));
    }
    for body in documents() {
        all.push((DownTopic::Want, Down::Want(Document { version: 9, body })));
    }
    all
}

fn golden() -> String {
    let key = FrameKey::derive(b"golden secret");
    let topic = |way: shared::sync::topic::Way| Topic::new(Shard(3), GatewayId(id(4)), way);
    let mut text = String::new();
    let mut line = |name: String, frame: Vec<u8>| {
        let hex: String = frame.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(text, "{name} {hex}").unwrap();
    };
    for (place, (way, up)) in ups().iter().enumerate() {
        line(format!("up/{way:?}/{place}"), key.seal(&topic((*way).into()), up));
    }
    for (place, (way, down)) in downs().iter().enumerate() {
        line(format!("down/{way:?}/{place}"), key.seal(&topic((*way).into()), down));
    }
    text
}

#[test]
fn the_bytes_are_the_golden_ones() {
    let now = golden();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/wire_v1.txt"), &now).unwrap();
        return;
    }
    for (was, is) in GOLDEN.lines().zip(now.lines()) {
        assert_eq!(was, is, "a released frame has other bytes now");
    }
    assert_eq!(GOLDEN.lines().count(), now.lines().count());
}

#[test]
fn every_golden_frame_reads_back_as_what_was_written() {
    let key = FrameKey::derive(b"golden secret");
    let frames: Vec<Vec<u8>> = GOLDEN
        .lines()
        .map(|line| {
            let hex = line.split_once(' ').unwrap().1;
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
        })
        .collect();
    let (ups, downs) = (ups(), downs());
    for ((way, up), frame) in ups.iter().zip(&frames) {
        assert_eq!(key.open(&Topic::new(Shard(3), GatewayId(id(4)), *way), frame).as_ref(), Ok(up));
    }
    for ((way, down), frame) in downs.iter().zip(&frames[ups.len()..]) {
        assert_eq!(key.open(&Topic::new(Shard(3), GatewayId(id(4)), *way), frame).as_ref(), Ok(down));
    }
}

#[test]
fn every_event_reads_back_from_its_record_and_only_in_its_lane() {
    let events = events();
    assert_eq!(events.iter().map(Event::kind).collect::<Vec<_>>(), shared::sync::record::kind::ALL);
    for event in events {
        let record = record(&event);
        assert_eq!(record.event(event.lane()).as_ref(), Ok(&event));
        let wrong = Lane::ALL.into_iter().find(|lane| *lane != event.lane()).unwrap();
        assert!(record.event(wrong).is_err());
        let header = Header { kind_ver: 2, ..record.header.clone() };
        assert!(
            Record { header, ..record.clone() }.event(event.lane()).is_err(),
            "a newer body is not guessed at"
        );
        let cut = Record { body: record.body[..record.body.len() / 2].into(), ..record };
        assert!(cut.event(event.lane()).is_err());
    }
}
