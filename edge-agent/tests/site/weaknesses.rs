//! Published weaknesses of charging backends, each tried on ours. The names are the references'.

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use shared::model::Event;
use shared::model::session::SessionFlag;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::agent::{Agent, PASSWORD, SOON};

/// A socket that says what it is told.
pub(crate) struct Raw(WebSocketStream<TcpStream>);

impl Raw {
    pub(crate) async fn connect(agent: &Agent, identity: &str) -> Result<Raw, String> {
        Raw::login(agent, identity, Some((identity, PASSWORD))).await
    }

    /// A refusal is the HTTP status.
    pub(crate) async fn login(
        agent: &Agent,
        identity: &str,
        login: Option<(&str, &str)>,
    ) -> Result<Raw, String> {
        use base64::Engine as _;
        let mut request = format!("{}/{identity}", agent.url()).into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", "ocpp1.6".parse().unwrap());
        if let Some((user, password)) = login {
            let text = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
            request.headers_mut().insert("authorization", format!("Basic {text}").parse().unwrap());
        }
        let address = request.uri().authority().unwrap().to_string();
        let socket = TcpStream::connect(&address).await.unwrap();
        match client_async(request, socket).await {
            Ok((socket, _)) => Ok(Raw(socket)),
            Err(Error::Http(response)) => Err(response.status().as_u16().to_string()),
            Err(error) => Err(error.to_string()),
        }
    }

    pub(crate) async fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    /// The next text; `None` when the gateway hangs up.
    pub(crate) async fn hear(&mut self) -> Option<String> {
        loop {
            match tokio::time::timeout(SOON, self.0.next()).await.unwrap()? {
                Ok(Message::Text(text)) => return Some(text.to_string()),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// A call's answer, whole.
    async fn call(&mut self, action: &str, payload: &str) -> Value {
        self.say(&format!(r#"[2,"{action}","{action}",{payload}]"#)).await;
        loop {
            let answer: Value = serde_json::from_str(&self.hear().await.unwrap()).unwrap();
            if answer[1] == action {
                return answer;
            }
        }
    }

    async fn start(&mut self, meter: i64) -> i64 {
        let start = format!(
            r#"{{"connectorId":1,"idTag":"CARD","meterStart":{meter},"timestamp":"2025-11-22T12:00:00Z"}}"#
        );
        self.call("StartTransaction", &start).await[2]["transactionId"].as_i64().unwrap()
    }

    async fn stop(&mut self, transaction: i64, meter: i64) -> Value {
        let stop = format!(
            r#"{{"transactionId":{transaction},"meterStop":{meter},"timestamp":"2025-11-22T13:00:00Z"}}"#
        );
        self.call("StopTransaction", &stop).await
    }
}

/// SteVe up to 3.11: any charger could stop anybody's transaction, because its id was all that was asked for.
#[tokio::test]
async fn cve_2026_28230_another_stations_transaction_is_not_stopped() {
    let agent = Agent::with_stations(&["A", "B"]).await;
    let (mut a, mut b) = (Raw::connect(&agent, "A").await.unwrap(), Raw::connect(&agent, "B").await.unwrap());
    let transaction = b.start(1_000).await;
    let answer = a.stop(transaction, 1_001).await;
    assert_eq!(answer[0], 3, "acknowledged, so that it is not sent for ever: {answer}");
    assert_eq!(b.stop(transaction, 5_000).await[0], 3);
    let facts = agent.facts().await;
    let reported = facts
        .iter()
        .filter(|fact| matches!(fact, Event::StopUnmatched(stop) if stop.station.as_str() == "A"));
    assert_eq!(reported.count(), 1, "an operator hears of it");
    let energies: Vec<i64> = facts.iter().filter_map(crate::hostile::energy_of_a_session).collect();
    assert_eq!(energies, [4_000], "the station's own stop counts");
}

/// The four weaknesses of nearly every advisory of 2026 (ICSA-26-057-03 and on): no login at all …
#[tokio::test]
async fn cwe_306_who_knows_an_identity_only_does_not_come_in() {
    let agent = Agent::with_stations(&["CP1"]).await;
    assert_eq!(Raw::login(&agent, "CP1", None).await.err().as_deref(), Some("401"));
    assert_eq!(Raw::login(&agent, "CP1", Some(("CP1", ""))).await.err().as_deref(), Some("401"));
    assert_eq!(Raw::login(&agent, "CP1", Some(("CP2", PASSWORD))).await.err().as_deref(), Some("401"));
    assert_eq!(Raw::login(&agent, "CP9", Some(("CP9", PASSWORD))).await.err().as_deref(), Some("404"));
}

/// … passwords guessed without end …
#[tokio::test]
async fn cwe_307_guessing_passwords_and_identities_ends_soon() {
    let agent = Agent::with_stations(&["CP1"]).await;
    let mut refusals = Vec::new();
    for guess in 0..40 {
        let identity = if guess % 2 == 0 { "CP1".to_owned() } else { format!("CP{guess}X") };
        refusals.extend(Raw::login(&agent, &identity, Some((&identity, "guess"))).await.err());
    }
    assert!(refusals.len() == 40 && refusals.iter().any(|refusal| refusal == "401"));
    assert_eq!(refusals[35..], ["429"; 5], "unknown and known alike");
}

/// … and a session taken over by whoever connects next in the station's name. Also libocpp's and SaiFlow's double
/// connections: from elsewhere the station's own connection stays, `ocpp::presence` has the cases.
#[tokio::test]
async fn cwe_613_a_second_connection_needs_the_password_and_ends_the_first() {
    let agent = Agent::with_stations(&["CP1"]).await;
    let mut first = Raw::connect(&agent, "CP1").await.unwrap();
    let transaction = first.start(0).await;
    assert_eq!(Raw::login(&agent, "CP1", Some(("CP1", "wrong"))).await.err().as_deref(), Some("401"));
    assert_eq!(first.call("Heartbeat", "{}").await[0], 3, "the first one is still there");
    let mut second = Raw::connect(&agent, "CP1").await.unwrap();
    assert_eq!(first.hear().await, None, "never two at a time");
    assert_eq!(second.stop(transaction, 700).await[0], 3, "the same station, the same session");
    assert_eq!(agent.facts().await.iter().filter_map(crate::hostile::energy_of_a_session).sum::<i64>(), 700);
}

/// OCPP.Core 33, 34 and 36: negative energy, registers that jump.
#[tokio::test]
async fn ocpp_core_33_energy_is_never_negative() {
    let agent = Agent::with_stations(&["CP1"]).await;
    let mut station = Raw::connect(&agent, "CP1").await.unwrap();
    let transaction = station.start(9_000).await;
    assert_eq!(station.stop(transaction, -5).await[0], 3);
    let facts = agent.facts().await;
    let stops = facts.iter().filter_map(|fact| match fact {
        Event::SessionStopped(stop) => Some((stop.energy.0, &stop.flags)),
        _ => None,
    });
    let stops: Vec<_> = stops.collect();
    assert_eq!(stops.len(), 1);
    assert!(stops[0].0 == 0 && !stops[0].1.contains(&SessionFlag::StopConflict), "{stops:?}");
}

/// steve 1293 and 1296: ids that can be guessed are harmless, because each is asked whose it is; and they are never small
/// numbers that another station used.
#[tokio::test]
async fn steve_1296_readings_for_another_stations_transaction_go_nowhere() {
    let agent = Agent::with_stations(&["A", "B"]).await;
    let (mut a, mut b) = (Raw::connect(&agent, "A").await.unwrap(), Raw::connect(&agent, "B").await.unwrap());
    let transaction = b.start(0).await;
    let reading = format!(
        r#"{{"connectorId":1,"transactionId":{transaction},"meterValue":[{{"timestamp":"2025-11-22T12:30:00Z","sampledValue":[{{"value":"999999"}}]}}]}}"#
    );
    assert_eq!(a.call("MeterValues", &reading).await[0], 3);
    let facts = agent.facts().await;
    assert!(!facts.iter().any(|fact| matches!(fact, Event::SessionMetered(_))), "{facts:?}");
}

/// citrineos 213: any valid card stopped anybody's session. Which cards may stop one is the station's to check; when it does
/// not, the energy is billed to who charged, and an operator sees it.
#[tokio::test]
async fn citrineos_213_a_session_that_another_card_stopped_is_flagged() {
    let agent = Agent::with_stations(&["CP1"]).await;
    let mut station = Raw::connect(&agent, "CP1").await.unwrap();
    let transaction = station.start(0).await;
    let stop = format!(
        r#"{{"transactionId":{transaction},"idTag":"OTHERS","meterStop":4000,"timestamp":"2025-11-22T13:00:00Z"}}"#
    );
    let answer = station.call("StopTransaction", &stop).await;
    assert_eq!(answer[2]["idTagInfo"]["status"], "Invalid", "{answer}");
    let facts = agent.facts().await;
    let stops = facts.iter().filter_map(|fact| match fact {
        Event::SessionStopped(stop) => {
            Some((stop.energy.0, stop.flags.contains(&SessionFlag::StoppedByAnother)))
        }
        _ => None,
    });
    assert_eq!(stops.collect::<Vec<_>>(), [(4_000, true)]);
}

/// libocpp 857: certificates were taken and installed over lines that anybody can change.
#[tokio::test]
async fn libocpp_857_no_certificate_is_signed_over_a_line_that_is_not_encrypted() {
    let agent = Agent::with_stations(&["CP1"]).await;
    let mut station = Raw::connect(&agent, "CP1").await.unwrap();
    let csr = rcgen::CertificateParams::default();
    let csr = csr.serialize_request(&rcgen::KeyPair::generate().unwrap()).unwrap().pem().unwrap();
    let answer = station.call("SignCertificate", &serde_json::json!({ "csr": csr }).to_string()).await;
    assert_eq!(answer[2]["status"], "Rejected", "{answer}");
    let answer = station.call("SignCertificate", r#"{"csr":"nonsense"}"#).await;
    assert_eq!(answer[2]["status"], "Rejected", "{answer}");
    let facts = agent.facts().await;
    let noticed =
        |fact: &&Event| matches!(fact, Event::SecurityNoticed(it) if it.what == "certificate_refused");
    assert_eq!(facts.iter().filter(noticed).count(), 1, "the same again is told once an hour");
}

/// … and identities that can be read by anybody (CWE-522): nothing that the gateway shows without a token names a station's
/// credential, and the record of what was said holds no password.
#[tokio::test]
async fn cwe_522_nothing_that_gives_access_is_shown() {
    let agent = Agent::with_stations(&["CP1"]).await;
    let mut station = Raw::connect(&agent, "CP1").await.unwrap();
    station.call("Heartbeat", "{}").await;
    for path in ["/", "/api/state", "/metrics", "/readyz", "/site-ca.pem"] {
        let shown = agent.page(path).await;
        assert!(
            !shown.contains("sha256$") && !shown.contains("argon2") && !shown.contains(PASSWORD),
            "{path}"
        );
        assert!(!shown.contains("PRIVATE KEY"), "{path}");
    }
}
