//! Firmware and logs: from the cloud through the gateway to stations and back, across cuts and crashes, byte for byte.

use std::time::Duration;

use firmware_sim::{FileFault, FileHabits, Station, StationConfig, Tls};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, SigningKey as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use stack::puppet::{Call, Puppet};
use stack::wait;

use crate::story::{SOON, Story, now};

const CREATE: &str =
    "mutation($input: CreateFirmwareInput!) { it: createFirmware(input: $input) { id uploadPath } }";
const UPDATE: &str = "mutation($station: ID!, $firmware: ID!, $at: DateTime, $unsigned: Boolean! = false, $by: Transfer) {
    it: updateFirmware(chargePointId: $station, firmwareId: $firmware, retrieveAt: $at, unsigned: $unsigned, transfer: $by,
                       retries: 5, retryInterval: 1) { id state detail } }";
pub(crate) const UPDATES: &str = "query($station: ID!) { it: firmwareUpdates(chargePointId: $station) {
    id state detail ended signed version steps { state } } }";
const WATCH: &str =
    "subscription($station: ID!) { it: firmwareUpdatesChanged(chargePointId: $station) { id state } }";
const LOG: &str = "mutation($station: ID!, $kind: LogKind!, $by: Transfer) {
    it: requestLog(chargePointId: $station, kind: $kind, transfer: $by, retries: 3, retryInterval: 1) { id state detail } }";
pub(crate) const LOGS: &str = "query($station: ID!) { it: stationLogs(chargePointId: $station) {
    id state ended name size sha256 receivedAt arrivedAt downloadPath } }";

/// A station that does not boot again is left alone for half a minute before it is asked anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// An image of so many bytes, none of which repeat soon.
pub(crate) fn image(version: &str, size: usize) -> Vec<u8> {
    let mut image = format!("FIRMWARE {version}\n").into_bytes();
    let mut block = [0; 32];
    while image.len() < size {
        block = Sha256::digest(block).into();
        image.extend(block);
    }
    image.truncate(size);
    image
}

/// A maker's certificate, and the signature of an image in base64.
pub(crate) fn signature_of(image: &[u8]) -> (String, String) {
    use base64::Engine as _;
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let certificate =
        CertificateParams::new(vec!["maker.example".into()]).unwrap().self_signed(&key).unwrap();
    let signature = key.sign(image).unwrap();
    (certificate.pem(), base64::engine::general_purpose::STANDARD.encode(signature))
}

/// The operator uploads an image; signed, if a signature is given.
async fn upload(story: &Story, version: &str, image: &[u8], signed: Option<(String, String)>) -> String {
    let mut input =
        json!({ "name": format!("acme-{version}.bin"), "version": version, "vendor": "FirmwareSim" });
    if let Some((certificate, signature)) = signed {
        input["signingCertificate"] = certificate.into();
        input["signature"] = signature.into();
    }
    let created = story.operator.ask(CREATE, json!({ "input": input })).await.unwrap();
    let url = format!("{}{}", story.cloud.http_url(), created["it"]["uploadPath"].as_str().unwrap());
    let put = |token: Option<&str>, body: &[u8]| {
        let request = reqwest::Client::new().put(&url).body(body.to_vec());
        if let Some(token) = token { request.bearer_auth(token) } else { request }
    };
    // Little, because whoever is refused is not heard to the end.
    assert_eq!(put(None, b"x").send().await.unwrap().status(), 401);
    assert_eq!(put(story.driver.token(), b"x").send().await.unwrap().status(), 404, "it is not the driver's");
    let answer = put(story.operator.token(), image).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let told: Value = answer.json().await.unwrap();
    assert_eq!(told["sha256"], hex(image), "{told}");
    assert_eq!(
        put(story.operator.token(), b"x").send().await.unwrap().status(),
        409,
        "an image never changes"
    );
    created["it"]["id"].as_str().unwrap().to_owned()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) async fn simulated(story: &Story, identity: &str, tls: Option<Tls>) -> Station {
    let url = if tls.is_some() { story.edge.tls_urls().0 } else { story.edge.ocpp_url() };
    let mut config = StationConfig::new(url, identity).with_password(&story.site.password);
    config.tls = tls;
    config.time_scale = 20;
    config.clock_offset = 0;
    config.redial = (100, 500);
    let station = Station::connect(config);
    station.booted(SOON).await.unwrap();
    station
}

async fn authority(story: &Story) -> Tls {
    let url = format!("{}/site-ca.pem", story.edge.local_url());
    let authority = reqwest::get(url).await.unwrap().text().await.unwrap();
    Tls::new(&authority, None).unwrap()
}

/// The number by which the API knows a station.
async fn number(story: &Story, station: &str) -> String {
    let query = "select id from charge_points where charge_point_hardware_id = $1";
    let id: i64 = sqlx::query_scalar(query).bind(station).fetch_one(&story.db).await.unwrap();
    id.to_string()
}

async fn update(story: &Story, station: &str, firmware: &str, more: Value) -> Value {
    let mut variables = json!({ "station": number(story, station).await, "firmware": firmware });
    variables.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    story.operator.ask(UPDATE, variables).await.unwrap()["it"].clone()
}

/// The first row of a station's list that is as wanted.
pub(crate) async fn until(
    story: &Story,
    query: &str,
    station: &str,
    wanted: impl Fn(&Value) -> bool,
) -> Value {
    let variables = json!({ "station": number(story, station).await });
    let look = || async {
        let rows = story.operator.ask(query, variables.clone()).await.ok()?;
        rows["it"].as_array()?.iter().find(|row| wanted(row)).cloned()
    };
    match wait::until("a row as wanted", PATIENCE, look).await {
        Ok(row) => row,
        Err(error) => panic!("{error}: {}", story.operator.ask(query, variables.clone()).await.unwrap()),
    }
}

async fn until_state(story: &Story, station: &str, id: &Value, state: &str) -> Value {
    until(story, UPDATES, station, |row| row["id"] == *id && row["state"] == state).await
}

fn steps(row: &Value) -> Vec<&str> {
    row["steps"].as_array().unwrap().iter().map(|step| step["state"].as_str().unwrap()).collect()
}

pub(crate) async fn runs(station: &Station, version: &str) {
    let look = || async { (station.firmware().await.as_deref() == Some(version)).then_some(()) };
    wait::until("the new firmware", PATIENCE, look).await.unwrap();
    station.booted(SOON).await.unwrap();
}

#[tokio::test]
async fn two_stations_update_from_their_gateway_while_the_internet_is_gone() {
    let story = Story::begin("firmware").await;
    let image = image("2.0.0", 3_300_000);
    let firmware = upload(&story, "2.0.0", &image, Some(signature_of(&image))).await;
    let plain = simulated(&story, "S1", None).await;
    let encrypted = simulated(&story, "S2", Some(authority(&story).await)).await;
    let watched = json!({ "station": number(&story, "S1").await });
    let mut watch = story.operator.subscribe(WATCH, watched).await.unwrap();
    watch.next(SOON).await.unwrap();

    // The station's clock runs 20 times as fast, so its hour comes soon.
    let later = json!({ "at": now().plus_millis(60_000).to_string() });
    let first = update(&story, "S1", &firmware, later.clone()).await;
    let second = update(&story, "S2", &firmware, later).await;
    for (station, order) in [("S1", &first), ("S2", &second)] {
        let wanted = |row: &Value| {
            row["id"] == order["id"]
                && ["Accepted", "DownloadScheduled"].iter().any(|state| row["state"] == *state)
        };
        until(&story, UPDATES, station, wanted).await;
    }
    story.proxy.cut();
    story.files.cut();
    runs(&plain, "2.0.0").await;
    runs(&encrypted, "2.0.0").await;
    story.proxy.heal();
    story.files.heal();

    for (station, order) in [("S1", &first), ("S2", &second)] {
        let row = until_state(&story, station, &order["id"], "Installed").await;
        assert!(row["ended"] == true && row["signed"] == true, "{row}");
        for step in
            ["Fetched", "Downloading", "Downloaded", "SignatureVerified", "Installing", "InstallRebooting"]
        {
            assert!(steps(&row).contains(&step), "{step} is missing: {row}");
        }
    }
    watch.first(SOON, |event| event["it"][0]["state"] == "Installed").await.unwrap();
    let fetched = stack::metrics::read(&story.cloud.http_url(), "firmware_fetches_total", "").await.unwrap();
    assert_eq!(fetched, 1.0, "one download from the cloud for both");
    let told = "select count(*) from charge_points where firmware = '2.0.0'";
    wait::until("their versions", SOON, || async { (story.count(told).await == 2).then_some(()) })
        .await
        .unwrap();
    for station in [plain, encrypted] {
        assert_eq!(station.violations().await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn interrupted_on_both_ways_and_killed_in_the_middle() {
    let mut story = Story::begin("resume").await;
    let image = image("3.1", 4_000_000);
    let firmware = upload(&story, "3.1", &image, None).await;
    let station = simulated(&story, "S1", None).await;
    station
        .set_file_habits(FileHabits { fault: Some(FileFault::Interrupted(700_000)), ..FileHabits::default() })
        .await;
    let refused = story
        .operator
        .answer(UPDATE, json!({ "station": number(&story, "S1").await, "firmware": firmware }))
        .await
        .unwrap();
    assert!(refused["errors"][0]["message"].as_str().unwrap().contains("unsigned: true"), "{refused}");

    // So slow that there is a middle.
    story.files.delay(Duration::from_millis(20));
    let before = story.files.forwarded();
    let variables = json!({ "station": number(&story, "S1").await, "firmware": firmware, "unsigned": true });
    let ordering = order(&story, UPDATE, variables);
    let part = story.dir.join(format!("edge/files/firmware/{}.part", hex(&image)));
    let came = || std::fs::metadata(&part).map_or(0, |part| part.len());
    let more_than =
        |bytes| wait::until("a part of it", SOON, move || async move { (came() > bytes).then_some(()) });
    more_than(800_000).await.unwrap();
    story.files.cut();
    story.files.heal();
    story.files.delay(Duration::from_millis(20));
    more_than(came() + 800_000).await.unwrap();
    story.edge.service().kill9().unwrap();
    assert!(came() < 4_000_000, "{} bytes: there is nothing left to fetch", came());
    let order = ordering.await.unwrap();
    story.files.heal();
    story.edge.start().await.unwrap();

    let row = until_state(&story, "S1", &order["id"], "Installed").await;
    assert_eq!(row["signed"], false);
    runs(&station, "3.1").await;
    let carried = story.files.forwarded() - before;
    assert!(carried < 5_500_000, "{carried} bytes for 4 MB: it did not go on where it was");
}

#[tokio::test]
async fn what_goes_wrong_ends_in_the_station_s_words() {
    let story = Story::begin("bad-firmware").await;
    let image = image("4.0", 300_000);
    let (certificate, _) = signature_of(&image);
    let (_, other) = signature_of(b"something else");
    let forged = upload(&story, "4.0", &image, Some((certificate, other))).await;
    let good = upload(&story, "4.1", &image, Some(signature_of(&image))).await;
    let station = simulated(&story, "S1", None).await;

    let order = update(&story, "S1", &forged, json!({})).await;
    let row = until_state(&story, "S1", &order["id"], "InvalidSignature").await;
    assert!(row["ended"] == true && !steps(&row).contains(&"Installing"), "{row}");
    assert_ne!(station.firmware().await.as_deref(), Some("4.0"));

    for (fault, state) in [
        (FileFault::Download, "DownloadFailed"),
        (FileFault::Verification, "InstallVerificationFailed"),
        (FileFault::Installation, "InstallationFailed"),
    ] {
        station.set_file_habits(FileHabits { fault: Some(fault), ..FileHabits::default() }).await;
        let order = update(&story, "S1", &good, json!({})).await;
        until_state(&story, "S1", &order["id"], state).await;
    }

    station.set_file_habits(FileHabits { signed_only: true, ..FileHabits::default() }).await;
    let order = update(&story, "S1", &good, json!({ "unsigned": true })).await;
    assert_eq!(order["state"], "Refused", "{order}");
}

async fn request_log(story: &Story, station: &str, kind: &str, by: &str) -> Value {
    let variables = json!({ "station": number(story, station).await, "kind": kind, "by": by });
    story.operator.ask(LOG, variables).await.unwrap()["it"].clone()
}

#[tokio::test]
async fn logs_come_by_http_and_ftp_while_the_cloud_is_away() {
    let mut story = Story::begin("logs").await;
    let station = simulated(&story, "S1", None).await;
    story.files.cut();
    let mut made = Vec::new();
    for (kind, by, form) in [
        ("DIAGNOSTICS", "HTTP", false),
        ("DIAGNOSTICS", "HTTP", true),
        ("DIAGNOSTICS", "FTP", false),
        ("SECURITY", "FTP", false),
    ] {
        let log_bytes = 2_500_000 + made.len();
        station.set_file_habits(FileHabits { form, log_bytes, ..FileHabits::default() }).await;
        let order = request_log(&story, "S1", kind, by).await;
        let uploaded = |row: &Value| {
            row["id"] == order["id"] && row["state"] == "Uploaded" && !row["receivedAt"].is_null()
        };
        let row = until(&story, LOGS, "S1", uploaded).await;
        assert!(row["arrivedAt"].is_null() && row["downloadPath"].is_null(), "the cloud is away: {row}");
        made.push((order["id"].clone(), station.last_log().await.unwrap()));
    }
    story.edge.service().kill9().unwrap();
    story.edge.start().await.unwrap();
    story.files.heal();

    for (id, log) in &made {
        let row = until(&story, LOGS, "S1", |row| row["id"] == *id && !row["arrivedAt"].is_null()).await;
        assert_eq!(row["size"], log.len());
        let url = format!("{}{}", story.cloud.http_url(), row["downloadPath"].as_str().unwrap());
        let get = |token: Option<&str>| {
            let request = reqwest::Client::new().get(&url);
            if let Some(token) = token { request.bearer_auth(token) } else { request }
        };
        assert_eq!(get(None).send().await.unwrap().status(), 401);
        assert_eq!(get(story.driver.token()).send().await.unwrap().status(), 404, "it is not the driver's");
        let bytes = get(story.operator.token()).send().await.unwrap().bytes().await.unwrap();
        assert!(bytes == log.as_slice(), "{} bytes came of {}", bytes.len(), log.len());
        let part = get(story.operator.token()).header("Range", "bytes=1048570-1048580").send().await.unwrap();
        assert_eq!(part.status(), 206);
        assert_eq!(part.bytes().await.unwrap(), log[1_048_570..=1_048_580]);
    }
    let waiting = || {
        let folder = std::fs::read_dir(story.dir.join("edge/files/logs")).unwrap();
        folder
            .filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|kind| kind == "log"))
            .count()
    };
    wait::until("an empty tray", SOON, || async { (waiting() == 0).then_some(()) }).await.unwrap();
    assert_eq!(station.violations().await, Vec::<String>::new());
}

/// What the gateway asks a puppet next about a file, answered; and where the file is. Whatever else it asks, it gets nothing.
async fn asked(puppet: &mut Puppet, answer: Value) -> (Call, String) {
    loop {
        let call = puppet.asked().await.unwrap();
        let places = ["/location", "/firmware/location", "/log/remoteLocation"];
        let location =
            places.iter().find_map(|place| call.payload.pointer(place)?.as_str().map(str::to_owned));
        let payload = if location.is_some() { answer.clone() } else { json!({}) };
        puppet.reply(&call, payload).await.unwrap();
        if let Some(location) = location {
            return (call, location);
        }
    }
}

fn order(story: &Story, query: &'static str, variables: Value) -> tokio::task::JoinHandle<Value> {
    let operator = story.operator.clone();
    tokio::spawn(async move { operator.ask(query, variables).await.unwrap()["it"].clone() })
}

/// Runs a program that we did not write; what it prints.
async fn run(program: &str, arguments: &[&str]) -> Vec<u8> {
    let ended = tokio::process::Command::new(program).args(arguments).output().await.unwrap();
    assert!(ended.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&ended.stderr));
    ended.stdout
}

#[tokio::test]
async fn curl_and_ftplib_fetch_and_bring_and_nobody_else_does() {
    let mut story = Story::begin("foreign-files").await;
    story.edge.service().set("EDGE_FILES__LOG_MEGABYTES", 3);
    story.edge.service().stop().await.unwrap();
    story.edge.start().await.unwrap();
    let mut puppet = story.station("S1").await;
    let station = number(&story, "S1").await;
    let image = image("5", 2_000_000);
    let firmware = upload(&story, "5", &image, None).await;

    let variables = |by| json!({ "station": station, "firmware": firmware, "unsigned": true, "by": by });
    let ordering = order(&story, UPDATE, variables("HTTP"));
    let (call, location) = asked(&mut puppet, json!({})).await;
    assert_eq!((call.action.as_str(), call.payload["retries"].as_i64()), ("UpdateFirmware", Some(5)));
    assert_eq!(ordering.await.unwrap()["state"], "Accepted");
    let range = run("curl", &["-sS", "--fail", "-r", "1000-1999", &location]).await;
    assert_eq!(range, image[1000..2000]);
    let file = story.dir.join("fetched");
    std::fs::write(&file, &image[..123_456]).unwrap();
    run("curl", &["-sS", "--fail", "-C", "-", "-o", file.to_str().unwrap(), &location]).await;
    assert!(std::fs::read(&file).unwrap() == image, "curl went on from where the file ended");
    let head =
        String::from_utf8(run("curl", &["-sS", "--fail", "-I", &location]).await).unwrap().to_lowercase();
    assert!(head.contains("etag:") && head.contains("accept-ranges: bytes"), "{head}");
    let status = async |method: reqwest::Method, url: &str| {
        reqwest::Client::new().request(method, url).body("x").send().await.unwrap().status().as_u16()
    };
    assert_eq!(status(reqwest::Method::PUT, &location).await, 405);
    let guessed = location.replace("/firmware/", "/firmware/x");
    assert_eq!(status(reqwest::Method::GET, &guessed).await, 404);

    let ordering = order(&story, UPDATE, variables("FTP"));
    let (_, location) = asked(&mut puppet, json!({})).await;
    ordering.await.unwrap();
    let fetch = "import sys,ftplib,urllib.parse as u
l=u.urlparse(sys.argv[1]); f=ftplib.FTP(); f.connect(l.hostname,l.port); f.login(l.username,l.password)
assert f.size(l.path)==int(sys.argv[2]); f.retrbinary('RETR '+l.path, sys.stdout.buffer.write, rest=500000); f.quit()";
    let rest = run("python3", &["-c", fetch, &location, &image.len().to_string()]).await;
    assert!(rest == image[500_000..], "{} bytes came", rest.len());

    let log = self::image("log", 1_700_000);
    std::fs::write(&file, &log).unwrap();
    let variables = |by| json!({ "station": station, "kind": "DIAGNOSTICS", "by": by });
    let ordering = order(&story, LOG, variables("FTP"));
    let (_, location) = asked(&mut puppet, json!({ "fileName": "diag.zip" })).await;
    let id = ordering.await.unwrap()["id"].clone();
    let bring = "import sys,ftplib,urllib.parse as u
l=u.urlparse(sys.argv[1]); f=ftplib.FTP(); f.connect(l.hostname,l.port)
try: f.login(l.username,'wrong'); sys.exit('let in with a wrong password')
except ftplib.error_perm: pass
f=ftplib.FTP(); f.connect(l.hostname,l.port); f.login(l.username,l.password)
print(f.storbinary('STOR diag.zip', open(sys.argv[2],'rb'))); f.quit()";
    let told = run("python3", &["-c", bring, &location, file.to_str().unwrap()]).await;
    assert!(told.starts_with(b"226"), "{}", String::from_utf8_lossy(&told));
    let row = until(&story, LOGS, "S1", |row| row["id"] == id && !row["arrivedAt"].is_null()).await;
    assert_eq!((&row["name"], &row["sha256"]), (&json!("diag.zip"), &json!(hex(&log))), "{row}");

    let ordering = order(&story, LOG, variables("HTTP"));
    let (_, location) = asked(&mut puppet, json!({ "fileName": "diag.zip" })).await;
    let id = ordering.await.unwrap()["id"].clone();
    let large = reqwest::Client::new().put(&location).body(vec![7; 3_100_000]).send().await.unwrap();
    assert_eq!(large.status(), 413);
    run("curl", &["-sS", "--fail", "-T", file.to_str().unwrap(), &location]).await;
    until(&story, LOGS, "S1", |row| row["id"] == id && row["sha256"] == hex(&log)).await;
    puppet.call("DiagnosticsStatusNotification", json!({ "status": "Uploaded" })).await.unwrap();
    let closed = || async { (status(reqwest::Method::PUT, &location).await == 404).then_some(()) };
    wait::until("a closed place", SOON, closed).await.unwrap();
}
