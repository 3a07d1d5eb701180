//! A charger's way into service, driven through GraphQL alone: it knocks, is let in and adopted, comes by TLS with a
//! certificate of its own, gets new firmware and delivers its log. `UPDATE=1` writes what was said to `cloud/JOURNEY.md`.

use std::fmt::Write as _;
use std::path::Path;

use firmware_sim::{Station, StationConfig};
use serde_json::{Value, json};
use stack::wait;

use crate::files::{PATIENCE, hex, image, signature_of};
use crate::story::{SOON, Story};

const PASSWORD: &str = "what it came with";

/// What was asked and answered, for people.
struct Journey<'a> {
    story: &'a Story,
    told: String,
}

impl Journey<'_> {
    fn chapter(&mut self, text: &str) {
        write!(self.told, "\n## {text}\n").unwrap();
    }

    /// Asks, and remembers what was said.
    async fn ask(&mut self, query: &str, variables: Value) -> Value {
        let answer = self.story.operator.ask(query, variables.clone()).await.unwrap();
        self.note(query, &variables, &answer);
        answer["it"].clone()
    }

    /// Asks until the answer is as wanted, and remembers that one.
    async fn until(&mut self, query: &str, variables: Value, wanted: impl Fn(&Value) -> bool) -> Value {
        let answer = wait::until(query, PATIENCE, || async {
            let answer = self.story.operator.ask(query, variables.clone()).await.ok()?;
            wanted(&answer["it"]).then_some(answer)
        })
        .await
        .unwrap();
        self.note(query, &variables, &answer);
        answer["it"].clone()
    }

    fn note(&mut self, query: &str, variables: &Value, answer: &Value) {
        let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap();
        write!(
            self.told,
            "\n```graphql\n{query}\n```\n\n```json\n{}\n```\n\n```json\n{}\n```\n",
            pretty(variables),
            pretty(answer)
        )
        .unwrap();
    }
}

const PENDING: &str = "query ($site: ID!) {
  it: pendingStations(siteId: $site) { identity state address vendor model connectors }
}";
const OPEN: &str = "mutation ($site: ID!) {
  it: openOnboardingWindow(siteId: $site, minutes: 5) { openUntil }
}";
const ADOPT: &str = "mutation ($site: ID!) {
  it: adoptStation(siteId: $site, identity: \"NEW-7\", credential: PRESENTED) { chargePointId password }
}";
const RAISE: &str = "mutation ($station: ID!) {
  it: raiseSecurityProfile(chargePointId: $station, to: 3, addressKey: \"CentralSystemURL\", overPlainLine: true,
                           terms: { answerWithin: 0 }) { id outcome }
}";
const SECURED: &str = "query ($station: ID!) {
  it: stationSecurity(chargePointId: $station) {
    profile minimum certificate { serial validUntil expiresSoon } progress { work step detail }
  }
}";
const CREATE: &str = "mutation ($input: CreateFirmwareInput!) {
  it: createFirmware(input: $input) { id uploadPath }
}";
const UPDATE: &str = "mutation ($station: ID!, $firmware: ID!) {
  it: updateFirmware(chargePointId: $station, firmwareId: $firmware) { id state }
}";
const UPDATES: &str = "query ($station: ID!) {
  it: firmwareUpdates(chargePointId: $station) { version signed state ended steps { state } }
}";
const LOG: &str = "mutation ($station: ID!) {
  it: requestLog(chargePointId: $station, kind: SECURITY) { id state }
}";
const LOGS: &str = "query ($station: ID!) {
  it: stationLogs(chargePointId: $station) { name state size sha256 arrivedAt downloadPath }
}";
const EVENTS: &str = "query ($station: ID!) {
  it: securityEvents(chargePointId: $station) { kind techInfo critical }
}";

#[tokio::test]
async fn an_unknown_charger_comes_into_service_by_graphql_alone() {
    let story = Story::begin("journey").await;
    let mut journey = Journey { story: &story, told: String::new() };
    let site = json!({ "site": story.site.id.to_string() });
    let station = newcomer(&story);

    journey.chapter("It knocks");
    journey.until(PENDING, site.clone(), |it| it[0]["state"] == "knocked").await;
    journey.chapter("It is let in, and waits");
    journey.ask(OPEN, site.clone()).await;
    journey.until(PENDING, site.clone(), |it| it[0]["vendor"] == "FirmwareSim").await;
    journey.chapter("It is adopted, and keeps the password that it came with");
    let adopted = journey.ask(ADOPT, site).await;
    let at = json!({ "station": adopted["chargePointId"] });
    station.booted(PATIENCE).await.unwrap();

    journey.chapter("It comes by TLS, with a certificate of its own");
    journey.ask(RAISE, at.clone()).await;
    journey.until(SECURED, at.clone(), |it| it[0]["profile"] == 3 && it[0]["minimum"] == 3).await;
    assert_eq!(station.access().await.profile, 3);

    journey.chapter("It gets new firmware, signed by its maker");
    let image = image("7.0", 500_000);
    let firmware = firmware(&mut journey, &image).await;
    let update = json!({ "station": at["station"], "firmware": firmware });
    journey.ask(UPDATE, update).await;
    journey.until(UPDATES, at.clone(), |it| it[0]["state"] == "Installed").await;
    assert_eq!(station.firmware().await.as_deref(), Some("7.0"));

    journey.chapter("It delivers its security log");
    station.booted(PATIENCE).await.unwrap();
    journey.ask(LOG, at.clone()).await;
    let log = journey.until(LOGS, at.clone(), |it| it[0]["arrivedAt"].is_string()).await[0].take();
    assert_eq!(log["sha256"], hex(&station.last_log().await.unwrap()));
    journey.chapter("What it reported of its security");
    let events = journey.until(EVENTS, at, |it| it.as_array().is_some_and(|all| !all.is_empty())).await;
    assert_eq!(events[0]["kind"], "ReconfigurationOfSecurityParameters", "{events}");

    charges(&story, &station).await;
    keep(&journey.told);
}

fn newcomer(story: &Story) -> Station {
    let mut config = StationConfig::new(story.edge.ocpp_url(), "NEW-7").with_password(PASSWORD);
    (config.clock_offset, config.time_scale, config.redial) = (0, 1, (100, 500));
    Station::connect(config)
}

async fn firmware(journey: &mut Journey<'_>, image: &[u8]) -> Value {
    let (certificate, signature) = signature_of(image);
    let input = json!({ "name": "acme-7.0.bin", "version": "7.0", "vendor": "FirmwareSim",
                        "signingCertificate": certificate, "signature": signature });
    let created = journey.ask(CREATE, json!({ "input": input })).await;
    let story = journey.story;
    let url = format!("{}{}", story.cloud.http_url(), created["uploadPath"].as_str().unwrap());
    let put =
        reqwest::Client::new().put(url).bearer_auth(story.operator.token().unwrap()).body(image.to_vec());
    assert_eq!(put.send().await.unwrap().status(), 200);
    write!(journey.told, "\nThe image follows by `PUT` to `uploadPath`.\n").unwrap();
    created["id"].clone()
}

async fn charges(story: &Story, station: &Station) {
    station.booted(SOON).await.unwrap();
    station.plug(1).await.unwrap();
    station.tap(1, &story.site.id_tag).await.unwrap();
    station.until(SOON, |view| view.connectors.iter().any(|it| it.transaction.is_some())).await.unwrap();
    station.unplug(1).await.unwrap();
    station.drained(SOON).await.unwrap();
    story.settled().await;
    assert_eq!(story.count("select count(*) from sessions where stopped_at is not null").await, 1);
    story.assert_lanes_whole().await;
}

/// The journey as it is in the docs, when that is wanted.
fn keep(told: &str) {
    if std::env::var_os("UPDATE").is_none() {
        return;
    }
    let head = "# A charger's way into service\n\n\
        A simulated charger that nobody knows comes to a site and is brought into service by an operator through the GraphQL API\n\
        alone; each question is followed by its variables and by its answer. The story `journey` of `deploy/stack` does it and checks\n\
        each step; `UPDATE=1 cargo test -p stack --test stories journey` writes this page.\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../cloud/JOURNEY.md");
    std::fs::write(path, format!("{head}{told}")).unwrap();
}
