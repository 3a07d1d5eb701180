//! How chargers come in.

use firmware_sim::{Station, StationConfig, Tls};
use shared::model::quirks::{StationQuirks, Suggestion};

use super::live::{Live, PASSWORD};

fn book() -> StationQuirks {
    StationQuirks::default()
}

#[tokio::test]
async fn q01_no_subprotocol_is_refused_suggested_and_can_be_taken_for_ours() {
    let live = Live::with(StationQuirks { assume_subprotocol: true, ..book() }).await;
    let login = |station: &str| format!("{station}:{PASSWORD}").into_bytes();
    let mut refused = live.dial_as("BOOK", &login("BOOK"), None, "127.0.0.1").await.unwrap();
    refused.hear().await.unwrap_err();
    live.suggests(Suggestion::AssumeSubprotocol).await;
    let mut taken = live.dial_as("ODD", &login("ODD"), None, "127.0.0.1").await.unwrap();
    taken.works().await;
}

#[tokio::test]
async fn q02_odd_upgrade_headers_are_read_and_missing_ones_can_be_tolerated() {
    let live = Live::with(StationQuirks { tolerate_upgrade: true, ..book() }).await;
    let request = |station: &str, connection: &str| {
        use base64::Engine as _;
        let login = base64::engine::general_purpose::STANDARD.encode(format!("{station}:{PASSWORD}"));
        format!(
            "GET /ocpp/{station} HTTP/1.1\nHost: x\nUpgrade: WebSocket\n{connection}Sec-WebSocket-Version: 13\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\nSec-WebSocket-Protocol: OCPP1.6\nAuthorization: Basic {login}\n\n"
        )
    };
    let odd = "Connection: keep-alive, UPGRADE\n";
    assert!(live.raw(&request("BOOK", odd)).await.contains("101"));
    assert!(live.raw(&request("BOOK", "")).await.contains("400"));
    live.suggests(Suggestion::TolerateUpgrade).await;
    assert!(live.raw(&request("ODD", "")).await.contains("101"));
    live.dial("BOOK").await.unwrap().works().await;
}

#[tokio::test]
async fn q03_of_several_versions_ours_is_taken() {
    let live = Live::with(book()).await;
    let login = format!("BOOK:{PASSWORD}");
    let offer = Some("ocpp2.0.1, ocpp1.6");
    let mut line = live.dial_as("BOOK", login.as_bytes(), offer, "127.0.0.1").await.unwrap();
    assert_eq!(line.chosen.as_deref(), Some("ocpp1.6"));
    line.works().await;
}

#[tokio::test]
async fn q09_the_plain_door_is_closed_unless_opened_and_shown_as_a_risk() {
    let defaults = include_str!("../../src/default.toml");
    let ocpp = defaults.split("[ocpp]").nth(1).unwrap().split("\n[").next().unwrap();
    assert!(ocpp.lines().any(|line| line == "listen = \"\""));
    let live = Live::with(book()).await;
    let mut line = live.dial("BOOK").await.unwrap();
    line.works().await;
    let state: serde_json::Value = serde_json::from_str(&live.get("/api/state").await).unwrap();
    assert_eq!(
        state.pointer("/site/stations/0/security_profile").or(state.pointer("/stations/0/security_profile")),
        Some(&1.into()),
        "{state}"
    );
}

#[tokio::test]
async fn q10_the_sites_own_root_is_there_to_be_fetched() {
    let live = Live::with(book()).await;
    assert!(live.get("/site-ca.pem").await.starts_with("-----BEGIN CERTIFICATE-----"));
}

/// Firmware that knows no elliptic curves gets a certificate of its own kind, and nothing above it.
#[tokio::test]
async fn q10_a_certificate_with_rsa_can_be_shown_instead() {
    let here = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/quirks");
    let (certificate, key) = (format!("{here}/rsa.pem"), format!("{here}/rsa.key.pem"));
    let settings = [("EDGE_TLS__CERTIFICATE", certificate.as_str()), ("EDGE_TLS__KEY", key.as_str())];
    let live = Live::with_settings(book(), &settings).await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let url = format!("wss://{}/ocpp", live.at("tls"));
    let mut config = StationConfig::new(url, "BOOK").with_password(PASSWORD);
    config.tls = Some(Tls::new(include_str!("rsa.pem"), None).unwrap());
    let station = Station::connect(config);
    station.booted(std::time::Duration::from_secs(20)).await.unwrap();
}

#[tokio::test]
async fn q11_a_password_is_its_digits_or_its_bytes_with_or_without_a_user() {
    let live = Live::with(book()).await;
    let bytes: Vec<u8> = (0..16).map(|place| place * 0x11).collect();
    let logins = [
        [b"BOOK:", PASSWORD.as_bytes()].concat(),
        [b"BOOK:".as_slice(), &bytes].concat(),
        [b":", PASSWORD.as_bytes()].concat(),
    ];
    for login in logins {
        live.dial_as("BOOK", &login, Some("ocpp1.6"), "127.0.0.1").await.unwrap().works().await;
    }
    let wrong = live.dial_as("BOOK", b"BOOK:ffffffffffffffffffffffffffffffff", Some("ocpp1.6"), "127.0.0.1");
    assert_eq!(wrong.await.err().as_deref(), Some("401"));
}
