//! Stations' security: what gateways tell of it is kept once and shown, orders are looked at before they are given, and
//! nothing that gives access is written down.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use cloud::auth::{Auth, Caller};
use cloud::db::record::Origin;
use cloud::graphql::{Api, Event};
use cloud::ingest::batch::{self, Outcome as Applied};
use cloud::{clock, command};
use futures_util::StreamExt as _;
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::{Value, json};
use shared::id::{BootId, CommandId, Epoch, GatewayId, StationId};
use shared::model::command::{Command, ConfigurationEntry, Origin as From, Told};
use shared::model::document::DocumentBody;
use shared::model::event::LocalCommandFinished;
use shared::model::security::{
    CertificateHash, CredentialRotated, HashAlgorithm, ProfileRaise, RootUse, SecurityProgressed,
    SecurityReported, SecurityStep, SecurityWork, StationCertificate, StationSecured,
};
use shared::model::{CommandBody, CommandResult, Event as Fact, Lane, Outcome};
use shared::sync::{Batch, ClockQuality, Header, Record};
use shared::units::Timestamp;
use support::Person;
use support::world::World;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const T0: i64 = 1_790_000_000_000;
const DAY: i64 = 86_400_000;
const AUTHORITY: &str = include_str!("authority.pem");

/// A site with the station CP1 and a gateway, and who it belongs to.
struct Site {
    world: World,
    ann: Person,
    id: i64,
    charge_point: i64,
    origin: Origin,
    told: u64,
}

impl Site {
    async fn new() -> Self {
        let world = World::new().await;
        let (_, ann) = world.person("ann", "business-owner").await;
        let save = "mutation($data: JSON!) { it: createOrUpdateSiteWithChargePoints(input: {data: $data}) { siteId } }";
        let data =
            json!({"name": "Spree", "chargepoints": [{"chargePointHardwareId": "CP1", "connectors": []}]});
        let id = ann.get(save, json!({"data": data})).await["it"]["siteId"].as_i64().unwrap();
        let charge_point =
            sqlx::query_scalar("select id from charge_points").fetch_one(world.db()).await.unwrap();
        let gateway = sqlx::query_scalar(
            "insert into gateways (id, site_id, shard, frame_key, mosquitto_password)
             values (gen_random_uuid(), $1, 0, decode(repeat('00', 32), 'hex'), '') returning id",
        );
        let gateway = GatewayId(gateway.bind(id).fetch_one(world.db()).await.unwrap());
        let epoch = Epoch(Uuid::nil());
        let origin = Origin { gateway, site_id: id, epoch, lane: Lane::Status };
        let mut site = Site { world, ann, id, charge_point, origin, told: 0 };
        site.another_epoch().await;
        site
    }

    /// As after a disaster: the gateway tells anew, under other numbers.
    async fn another_epoch(&mut self) {
        self.origin.epoch = Epoch(Uuid::new_v4());
        self.told = 0;
        sqlx::query(
            "with e as (insert into gateway_epochs (gateway_id, epoch) values ($1, $2))
             insert into cursors (gateway_id, epoch, lane) select $1, $2, generate_series(0, 2)",
        )
        .bind(self.origin.gateway.0)
        .bind(self.origin.epoch.0)
        .execute(self.world.db())
        .await
        .unwrap();
    }

    /// The gateway tells these, twice, as if the answer to the first time had got lost.
    async fn tells(&mut self, facts: &[Fact]) {
        let boot = BootId(Uuid::nil());
        let first_seq = self.told + 1;
        let records = facts.iter().zip(first_seq..).map(|(fact, count)| record(fact, boot, count)).collect();
        let batch = Batch { epoch: self.origin.epoch, boot, lane: Lane::Status, first_seq, records };
        self.told += facts.len() as u64;
        let apply = async || batch::apply(self.world.db(), self.origin, &batch).await.unwrap();
        let Applied::Committed { hint, .. } = apply().await else { panic!("not taken") };
        assert!(matches!(apply().await, Applied::Repeated(_)));
        self.world.app.live.hint(*hint);
    }

    async fn it(&self, query: &str) -> Value {
        let query = query.replace("$at", &format!("chargePointId: \"{}\"", self.charge_point));
        self.ann.get(&query, json!({})).await["it"].take()
    }

    async fn refused(&self, query: &str) -> String {
        let query = query.replace("$at", &format!("chargePointId: \"{}\"", self.charge_point));
        let (message, code) = self.ann.refused(&query, json!({})).await;
        assert_eq!(code, "BAD_USER_INPUT", "{message}");
        message
    }

    async fn text(&self, sql: &'static str) -> Option<String> {
        sqlx::query_scalar(sql).fetch_one(self.world.db()).await.unwrap()
    }

    async fn password(&self, stored: &str) {
        sqlx::query("update charge_points set credential = $1")
            .bind(stored)
            .execute(self.world.db())
            .await
            .unwrap();
    }

    /// What the gateway is told that the station's password verifies against.
    async fn credential_of_the_document(&self) -> Option<String> {
        let body: Option<Vec<u8>> = sqlx::query_scalar(
            "select b.body from documents d join document_bodies b on b.hash = d.hash where d.name = 'stations'",
        )
        .fetch_optional(self.world.db())
        .await
        .unwrap();
        let Ok(DocumentBody::Stations(doc)) = postcard::from_bytes(&body?) else {
            panic!("another document")
        };
        doc.stations.first().map(|it| it.credential.clone())
    }
}

fn record(fact: &Fact, boot: BootId, count: u64) -> Record {
    let key = fact.key(boot, count);
    let (occurred_at, clock) = (Timestamp(T0), ClockQuality::Synced);
    Record {
        header: Header { kind: fact.kind(), kind_ver: 1, occurred_at, clock, boot, mono_ms: count, key },
        body: fact.body(),
    }
}

fn station(name: &str) -> StationId {
    StationId::new(name).unwrap()
}

fn reported(name: &str, kind: &str, tech_info: Option<&str>, at: i64) -> Fact {
    let (station, kind) = (station(name), kind.to_owned());
    Fact::SecurityReported(SecurityReported {
        station,
        kind,
        tech_info: tech_info.map(str::to_owned),
        at: Timestamp(T0 + at),
    })
}

fn secured(profile: u8, certificate: Option<(i64, i64)>, at: i64) -> Fact {
    Fact::StationSecured(StationSecured {
        station: station("CP1"),
        profile,
        minimum: 1,
        certificate: certificate.map(|(from, until)| StationCertificate {
            serial: "0a1b".into(),
            not_before: Timestamp(from),
            not_after: Timestamp(until),
        }),
        password_since: Some(Timestamp(T0)),
        at: Timestamp(T0 + at),
    })
}

fn progressed(command: Option<CommandId>, step: SecurityStep, detail: &str, at: i64) -> Fact {
    let work = SecurityWork::Certificate;
    let (station, detail) = (station("CP1"), detail.to_owned());
    Fact::SecurityProgressed(SecurityProgressed {
        command,
        station,
        work,
        step,
        detail,
        at: Timestamp(T0 + at),
    })
}

fn rotated(over: &str, credential: &str) -> Fact {
    Fact::CredentialRotated(CredentialRotated {
        station: station("CP1"),
        over: over.into(),
        credential: credential.into(),
        at: Timestamp(T0),
    })
}

#[tokio::test]
async fn what_a_station_reports_is_kept_once_and_found() {
    let mut site = Site::new().await;
    let facts = [
        reported("CP1", " tamperDetectionActivated", Some("lid\0 open"), 1_000),
        reported("CP1", "InvalidCentralSystemCertificate", None, 2_000),
        // The same within the same instant is another event.
        reported("CP1", "InvalidCentralSystemCertificate", None, 2_000),
        reported("unheard-of", "StartupOfTheDevice", Some(&"x".repeat(300)), 3_000),
    ];
    site.tells(&facts).await;
    site.another_epoch().await;
    site.tells(&facts).await;

    let all = site.it("{ it: securityEvents { chargePointId station kind techInfo critical at } }").await;
    let all = all.as_array().unwrap();
    let kinds: Vec<&str> = all.iter().map(|it| it["kind"].as_str().unwrap()).collect();
    let twice = "InvalidCentralSystemCertificate";
    assert_eq!(kinds, ["StartupOfTheDevice", twice, twice, "tamperDetectionActivated"]);
    assert_eq!((&all[0]["chargePointId"], &all[0]["station"]), (&Value::Null, &json!("unheard-of")));
    assert_eq!(all[0]["techInfo"].as_str().unwrap().len(), 255);
    assert_eq!((&all[3]["techInfo"], &all[3]["critical"]), (&json!("lid\u{fffd} open"), &json!(true)));
    assert_eq!(all[1]["critical"], false);
    assert_eq!(all[3]["at"], "2026-09-21T14:13:21.000Z");

    let count = async |narrowed: &str| {
        let found = site.it(&format!("{{ it: securityEvents({narrowed}) {{ id }} }}")).await;
        found.as_array().unwrap().len()
    };
    assert_eq!(count("$at").await, 3);
    assert_eq!(count(&format!("siteId: \"{}\"", site.id)).await, 4);
    assert_eq!(count("critical: true").await, 2);
    assert_eq!(count("$at, critical: false").await, 2);
    assert_eq!(count("kind: \"INVALIDcentralsystemcertificate\"").await, 2);
    assert_eq!(count("from: \"2026-09-21T14:13:22Z\"").await, 3);
    assert_eq!(count("to: \"2026-09-21T14:13:22Z\"").await, 1);
    assert_eq!(count("paging: {limit: 3, offset: 2}").await, 2);
    assert_eq!(count("siteId: \"0\"").await, 0);
}

#[tokio::test]
async fn how_a_station_is_secured_is_its_newest_word() {
    let mut site = Site::new().await;
    let ask = format!("{{ it: stationSecurity($at) {} }}", SECURITY);
    let empty = json!({"station": "CP1", "profile": null, "minimum": null, "certificate": null,
        "passwordSince": null, "progress": []});
    assert_eq!(site.it(&ask).await, json!([empty]), "not yet told");
    assert!(site.refused("{ it: stationSecurity { station } }").await.starts_with("Say of which"));

    let now = clock::now().0;
    let order = CommandId(Uuid::new_v4());
    let soon = Some((now - 300 * DAY, now + 29 * DAY));
    site.tells(&[
        secured(3, soon, 20),
        secured(1, None, 10),
        progressed(None, SecurityStep::Done, "by itself", 9),
        progressed(Some(order), SecurityStep::AwaitingRequest, "asked", 10),
        progressed(Some(order), SecurityStep::Failed, "no request came", 12),
        progressed(Some(order), SecurityStep::DeliveringCertificate, "late news", 11),
    ])
    .await;
    let it = site.it(&ask).await[0].take();
    assert_eq!((&it["profile"], &it["minimum"]), (&json!(3), &json!(1)), "{it}");
    assert_eq!(
        (&it["certificate"]["serial"], &it["certificate"]["expiresSoon"]),
        (&json!("0a1b"), &json!(true))
    );
    assert_eq!(it["passwordSince"], "2026-09-21T14:13:20.000Z");
    let work = |command: Value, step: &str, detail: &str| {
        json!({"commandId": command, "work": "Certificate",
        "step": step, "detail": detail, "ended": true})
    };
    let failed = work(json!(order.0.to_string()), "Failed", "no request came");
    assert_eq!(it["progress"], json!([failed, work(Value::Null, "Done", "by itself")]));

    // Renewed, by itself again.
    let later = Some((now, now + 31 * DAY));
    site.tells(&[secured(3, later, 30), progressed(None, SecurityStep::AwaitingRequest, "", 40)]).await;
    let it = site.it(&ask).await[0].take();
    assert_eq!(it["certificate"]["expiresSoon"], false);
    assert_eq!(it["progress"].as_array().unwrap().len(), 2);
    assert_eq!(it["progress"][0]["step"], "AwaitingRequest");
    site.tells(&[secured(2, None, 50)]).await;
    assert_eq!(site.it(&ask).await[0]["certificate"], Value::Null);
}

const SECURITY: &str = "{ station profile minimum certificate { serial expiresSoon } passwordSince
    progress { commandId work step detail ended } }";

#[tokio::test]
async fn whoever_watches_hears_of_it() {
    let mut site = Site::new().await;
    let api = Api::new(site.world.app.clone()).unwrap();
    let auth = Arc::new(Auth::load(&site.world.app.config, site.world.db().clone()).await.unwrap());
    let watch = |query: String| {
        let caller = Caller::new(auth.clone(), site.ann.token.clone(), IpAddr::from([127, 0, 0, 1]));
        api.subscribe(serde_json::from_value(json!({"query": query})).unwrap(), caller)
    };
    let mut state = watch(format!(
        "subscription {{ it: stationSecurityChanged(chargePointId: {}) {{ profile progress {{ step }} }} }}",
        site.charge_point
    ));
    let mut events =
        watch(format!("subscription {{ it: securityEventsChanged(siteId: {}) {{ kind }} }}", site.id));
    assert_eq!(heard(&mut state).await, json!({"profile": null, "progress": []}));
    assert_eq!(heard(&mut events).await, json!([]));
    site.tells(&[secured(2, None, 0), progressed(None, SecurityStep::Writing, "", 0)]).await;
    assert_eq!(heard(&mut state).await, json!({"profile": 2, "progress": [{"step": "Writing"}]}));
    site.tells(&[reported("CP1", "MemoryExhaustion", None, 0)]).await;
    assert_eq!(heard(&mut events).await, json!([{"kind": "MemoryExhaustion"}]));
}

async fn heard(events: &mut futures_util::stream::BoxStream<'static, Event>) -> Value {
    match tokio::time::timeout(Duration::from_secs(5), events.next()).await.expect("in time") {
        Some(Event::Next(text)) => serde_json::from_str::<Value>(&text).unwrap()["data"]["it"].take(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_outlives_its_order_goes_on_and_what_was_hidden_ends_with_it() {
    let mut site = Site::new().await;
    let ask = "{ it: stationSecurity($at) { progress { commandId work step detail ended } } }";
    let order = async |it: &str| {
        let given =
            site.it(&format!("mutation {{ it: {it}($at, terms: {{answerWithin: 0}}) {{ id }} }}")).await;
        CommandId(given["id"].as_str().unwrap().parse().unwrap())
    };
    let (slow, hidden) = (order("renewCertificate").await, order("renewCertificate").await);
    let lives =
        "select string_agg(round(extract(epoch from expires_at - issued_at))::text, ' ') from commands";
    assert_eq!(site.text(lives).await.as_deref(), Some("3600 3600"), "time enough for all steps");
    let finish = async |site: &Site, id, outcome, at| {
        let mut tx = site.world.db().begin().await.unwrap();
        let result = CommandResult::plain(id, outcome, "", Timestamp(T0 + at));
        assert!(command::finish(&mut tx, site.origin.gateway, &result).await.unwrap());
        tx.commit().await.unwrap();
    };
    let shown = |order: CommandId, step: &str, ended: bool| json!({"commandId": order.0.to_string(), "work": "Certificate", "step": step, "detail": null, "ended": ended});

    site.tells(&[progressed(Some(slow), SecurityStep::AwaitingRequest, "", 10)]).await;
    finish(&site, slow, Outcome::TimedOut, 20).await;
    let open = shown(slow, "AwaitingRequest", false);
    assert_eq!(site.it(ask).await[0]["progress"], json!([open]), "the station may still do it");
    site.tells(&[progressed(None, SecurityStep::Done, "", 30)]).await;
    let first = shown(slow, "Done", true);
    assert_eq!(site.it(ask).await[0]["progress"], json!([first]));

    site.tells(&[progressed(Some(hidden), SecurityStep::DeliveringCertificate, "", 40)]).await;
    finish(&site, hidden, Outcome::Accepted, 50).await;
    assert_eq!(site.it(ask).await[0]["progress"], json!([shown(hidden, "Done", true), first]));
    site.tells(&[progressed(None, SecurityStep::AwaitingRequest, "", 60)]).await;
    let progress = site.it(ask).await[0]["progress"].take();
    assert_eq!((progress.as_array().unwrap().len(), &progress[0]["commandId"]), (3, &Value::Null));
}

#[tokio::test]
async fn what_rings_is_counted() {
    let mut site = Site::new().await;
    let now = clock::now().0;
    let facts = [
        secured(3, Some((now - DAY, now + 29 * DAY)), 0),
        reported("CP1", "MemoryExhaustion", None, 0),
        reported("CP1", "memoryExhaustion", None, 1),
        reported("CP1", "InvalidFirmwareSignature", None, 2),
    ];
    site.tells(&facts).await;
    let recorder = PrometheusBuilder::new().build_recorder();
    let (handle, _ours) = (recorder.handle(), metrics::set_default_local_recorder(&recorder));
    let stop = CancellationToken::new();
    let watching = tokio::spawn(cloud::watch::keep(site.world.db().clone(), stop.clone()));
    let told = async {
        loop {
            let numbers = handle.render();
            if numbers.contains("station_certificates_ending") && numbers.contains("security_events_critical")
            {
                return numbers;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let numbers = tokio::time::timeout(Duration::from_secs(10), told).await.unwrap();
    assert!(numbers.contains("station_certificates_ending 1\n"), "{numbers}");
    assert!(numbers.contains("security_events_critical{kind=\"memoryexhaustion\"} 2\n"), "{numbers}");
    assert_eq!(numbers.matches("security_events_critical{").count(), 1, "{numbers}");
    stop.cancel();
    watching.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_password_that_the_gateway_made_is_taken_over_unless_somebody_was_faster() {
    let mut site = Site::new().await;
    let current = "select credential from charge_points";
    let logged = "select string_agg(concat(action, ' ', row_id, ' ', actor, ' ', after), '; ') from audit
                  where action = 'rotatePassword'";
    site.password("first").await;
    // Two at once, and the second again under another epoch.
    site.tells(&[rotated("first", "second"), rotated("second", "third")]).await;
    assert_eq!(site.text(current).await.as_deref(), Some("third"));
    assert_eq!(site.credential_of_the_document().await.as_deref(), Some("third"));
    site.another_epoch().await;
    site.tells(&[rotated("first", "second"), rotated("second", "third")]).await;
    assert_eq!(site.text(current).await.as_deref(), Some("third"));

    let begun = Fact::SecurityProgressed(SecurityProgressed {
        command: None,
        station: station("CP1"),
        work: SecurityWork::Password,
        step: SecurityStep::AwaitingReturn,
        detail: String::new(),
        at: Timestamp(T0),
    });
    site.tells(&[begun, rotated("third", "third")]).await;
    let steps = "select string_agg(concat(step, ' ', ended), '; ') from security_works";
    assert_eq!(site.text(steps).await.as_deref(), Some("Done t"), "though the gateway did not say so");

    let entries = site.text(logged).await.unwrap();
    let one =
        format!("rotatePassword {}  {{\"by\": \"the gateway\", \"station\": \"CP1\"}}", site.charge_point);
    assert_eq!(entries, format!("{one}; {one}"), "each once, and no password in it");

    site.password("an operator's").await;
    site.tells(&[rotated("third", "fourth")]).await;
    assert_eq!(site.text(current).await.as_deref(), Some("an operator's"));
    assert_eq!(site.text(logged).await.unwrap(), entries);
}

#[tokio::test]
async fn orders_about_security_are_given_as_they_are_meant() {
    let site = Site::new().await;
    let now = "terms: {answerWithin: 0}";
    let pem = json!(AUTHORITY).to_string();
    let raise = |to, address_key: Option<&str>, address: Option<&str>, over_plain| {
        let (address_key, address) = (address_key.map(str::to_owned), address.map(str::to_owned));
        CommandBody::RaiseProfile(Box::new(ProfileRaise { to, address_key, address, over_plain }))
    };
    let (algorithm, serial) = (HashAlgorithm::Sha384, "0c".to_owned());
    let hash = CertificateHash { algorithm, issuer_name: "0a".into(), issuer_key: "0b".into(), serial };
    let root = RootUse::CentralSystem;
    let orders = [
        (
            "installCertificate($at, use: CentralSystem".to_owned(),
            CommandBody::InstallCertificate { root, certificate: None, over_plain: false },
        ),
        (
            format!("installCertificate($at, use: Manufacturer, certificate: {pem}, overPlainLine: true"),
            CommandBody::InstallCertificate {
                root: RootUse::Manufacturer,
                certificate: Some(AUTHORITY.trim().into()),
                over_plain: true,
            },
        ),
        (
            "deleteCertificate($at, hash: {algorithm: SHA384, issuerName: \"0a\", issuerKey: \"0b\", serial: \"0c\"}"
                .to_owned(),
            CommandBody::DeleteCertificate(hash.clone()),
        ),
        ("getCertificates($at, use: CentralSystem".to_owned(), CommandBody::GetCertificates { root }),
        ("renewCertificate($at".to_owned(), CommandBody::RenewCertificate),
        ("rotatePassword($at".to_owned(), CommandBody::RotatePassword { over_plain: false }),
        ("rotatePassword($at, overPlainLine: true".to_owned(), CommandBody::RotatePassword { over_plain: true }),
        ("raiseSecurityProfile($at, to: 3".to_owned(), raise(3, None, None, false)),
        (
            "raiseSecurityProfile($at, to: 2, addressKey: \"Url\", address: \"wss://gw:9443\", overPlainLine: true"
                .to_owned(),
            raise(2, Some("Url"), Some("wss://gw:9443"), true),
        ),
    ];
    for (order, meant) in orders {
        let given = site.it(&format!("mutation {{ it: {order}, {now}) {{ id kind state }} }}")).await;
        assert_eq!((&given["kind"], &given["state"]), (&json!(meant.kind()), &json!("pending")), "{order}");
        let body: Vec<u8> = sqlx::query_scalar("select body from commands where id = $1::text::uuid")
            .bind(given["id"].as_str().unwrap())
            .fetch_one(site.world.db())
            .await
            .unwrap();
        assert_eq!(postcard::from_bytes::<CommandBody>(&body).unwrap(), meant, "{order}");
    }

    // What the station told of its authorities is in the command.
    let asked = site
        .it(&format!("mutation {{ it: getCertificates($at, use: CentralSystem, {now}) {{ id }} }}"))
        .await;
    let asked = asked["id"].as_str().unwrap();
    let told = Told::Certificates(vec![hash]);
    let plain = CommandResult::plain(CommandId(asked.parse().unwrap()), Outcome::Accepted, "", Timestamp(T0));
    let mut tx = site.world.db().begin().await.unwrap();
    assert!(command::finish(&mut tx, site.origin.gateway, &CommandResult { told, ..plain }).await.unwrap());
    tx.commit().await.unwrap();
    let shown = site.it(&format!("{{ it: command(id: \"{asked}\") {{ outcome result }} }}")).await;
    let names = json!([{"algorithm": "Sha384", "issuer_name": "0a", "issuer_key": "0b", "serial": "0c"}]);
    assert_eq!(shown["result"]["told"]["certificates"], names, "{shown}");
}

#[tokio::test]
async fn orders_that_would_harm_are_refused_with_what_to_do() {
    let site = Site::new().await;
    let change = |key: &str, value: &str| {
        format!("mutation {{ changeConfiguration($at, key: \"{key}\", value: \"{value}\") {{ id }} }}")
    };
    let want = |key: &str, at: &str| {
        let site = site.id;
        format!(
            "mutation {{ setWantedConfiguration(siteId: \"{site}\", {at} settings: [{{key: \"{key}\", value: \"canary\"}}]) \
             {{ siteId }} }}"
        )
    };
    for (query, word) in [
        (change("AuthorizationKey", "canary"), "rotatePassword"),
        (change(" 'authorizationKEY' ", "canary"), "rotatePassword"),
        (change("WifiPassphrase", "canary"), "gives access"),
        (change("securityprofile", "3"), "raiseSecurityProfile"),
        (want("AuthorizationKey", ""), "rotatePassword"),
        (want("AuthorizationKey", "$at,"), "rotatePassword"),
        (want("\\\"SecurityProfile\\\"", ""), "raiseSecurityProfile"),
        ("mutation { installCertificate($at, use: CentralSystem, certificate: \"canary\") { id } }".into(), "BEGIN"),
        ("mutation { installCertificate($at, use: Manufacturer) { id } }".into(), "maker's"),
        ("mutation { raiseSecurityProfile($at, to: 0) { id } }".into(), "1, 2 or 3"),
        ("mutation { raiseSecurityProfile($at, to: 258) { id } }".into(), "1, 2 or 3"),
        (
            "mutation { raiseSecurityProfile($at, to: 2, addressKey: \"Url\", address: \"wss://CP1:canary@a\") { id } }"
                .into(),
            "user name",
        ),
        (
            "mutation { raiseSecurityProfile($at, to: 2, addressKey: \"AuthorizationKey\") { id } }".into(),
            "gives access",
        ),
        ("mutation { raiseSecurityProfile($at, to: 2, addressKey: \"U\\u0000\") { id } }".into(), "addressKey"),
    ] {
        let why = site.refused(&query).await;
        assert!(why.contains(word) && !why.contains("canary"), "{query}: {why}");
    }
    let canaries = "select concat((select count(*) from commands), (select count(*) from wanted_settings),
                           (select count(*) from audit where after::text like '%canary%'))";
    assert_eq!(site.text(canaries).await.as_deref(), Some("000"), "nothing of it is kept");
}

#[tokio::test]
async fn what_gives_access_is_not_kept_with_commands() {
    let mut site = Site::new().await;
    let entry = |key: &str, value: &str| ConfigurationEntry {
        key: key.into(),
        value: Some(value.into()),
        readonly: false,
    };
    // An installer at the gateway, and a station that tells what it should keep to itself.
    let command = Command {
        id: CommandId(Uuid::new_v4()),
        issued_at: Timestamp(T0),
        expires_at: Timestamp(T0 + 20_000),
        station: station("CP1"),
        body: CommandBody::ChangeConfiguration { key: "AuthorizationKey".into(), value: "canary".into() },
        waits: false,
        origin: From::Installer,
    };
    let entries = vec![entry("AuthorizationKey", "canary"), entry("HeartbeatInterval", "60")];
    let told = Told::Configuration { entries, unknown_keys: vec![] };
    let result = CommandResult {
        told: told.clone(),
        ..CommandResult::plain(command.id, Outcome::Accepted, "", Timestamp(T0))
    };
    site.tells(&[Fact::LocalCommandFinished(Box::new(LocalCommandFinished { command, result }))]).await;

    let ask = "mutation { it: getConfiguration($at, keys: [], terms: {answerWithin: 0}) { id } }";
    let asked = CommandId(site.it(ask).await["id"].as_str().unwrap().parse().unwrap());
    let mut tx = site.world.db().begin().await.unwrap();
    let result = CommandResult { told, ..CommandResult::plain(asked, Outcome::Accepted, "", Timestamp(T0)) };
    assert!(command::finish(&mut tx, site.origin.gateway, &result).await.unwrap());
    tx.commit().await.unwrap();

    let kept = "select concat(count(*), ' ', count(*) filter (where position('canary'::bytea in body) > 0
                    or result::text like '%canary%' or detail like '%canary%')) from commands";
    assert_eq!(site.text(kept).await.as_deref(), Some("2 0"));
    let settings =
        "select result->'told'->'configuration'->>'entries' from commands where kind = 'GetConfiguration'";
    let settings = site.text(settings).await.unwrap();
    assert!(settings.contains("AuthorizationKey") && settings.contains("60"), "{settings}");
}
