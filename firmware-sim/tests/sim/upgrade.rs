//! A station goes from profile 1 over 2 to 3 on real sockets, and comes back where that does not work out.

use firmware_sim::{Event, Station, StationConfig};
use serde_json::{Value, json};
use shared::model::security::RootUse;
use shared::ocpp::frame::Frame;
use tokio::time::timeout;

use crate::authority::{Authority, Wanted};
use crate::csms::{Arrival, Csms};
use crate::socket::{PATIENCE, reply};

const PASSWORD: &str = "sixteen-or-more!";
/// `S1:` and the password.
const BASIC: &str = "Basic UzE6c2l4dGVlbi1vci1tb3JlIQ==";

impl Csms {
    async fn ask(&mut self, action: &str, payload: &Value) -> String {
        self.say(&json!([2, action, action, payload]).to_string());
        let answer = reply(&mut self.hears, action).await;
        let answer: Value = serde_json::from_str(&answer).unwrap();
        answer[2]["status"].as_str().unwrap_or_default().to_owned()
    }

    async fn change(&mut self, key: &str, value: &str) -> String {
        self.ask("ChangeConfiguration", &json!({ "key": key, "value": value })).await
    }

    async fn install(&mut self, root: &Authority) -> String {
        let kind = "CentralSystemRootCertificate";
        self.ask("InstallCertificate", &json!({ "certificateType": kind, "certificate": root.pem })).await
    }

    async fn arrival(&mut self) -> Arrival {
        timeout(PATIENCE, self.arrivals.recv()).await.unwrap().unwrap()
    }

    /// The next call of such an action.
    async fn call(&mut self, wanted: &str) -> Value {
        loop {
            let text = timeout(PATIENCE, self.hears.recv()).await.unwrap().unwrap();
            if let Ok(Frame::Call { action, payload, .. }) = Frame::parse(&text)
                && action == wanted
            {
                return serde_json::from_str(payload.get()).unwrap();
            }
        }
    }

    /// What the station writes when it is asked for a request.
    async fn request(&mut self) -> String {
        let payload = json!({ "requestedMessage": "SignChargePointCertificate" });
        assert_eq!(self.ask("ExtendedTriggerMessage", &payload).await, "Accepted");
        // What was heard before the answer is gone: the request comes after it (A02.FR.02).
        self.call("SignCertificate").await["csr"].as_str().unwrap().to_owned()
    }
}

async fn station(csms: &Csms) -> Station {
    let mut config = StationConfig::new(&csms.url, "S1").with_password(PASSWORD);
    config.redial = (10, 50);
    let station = Station::connect(config);
    station.booted(PATIENCE).await.unwrap();
    station
}

#[tokio::test]
async fn from_profile_1_over_2_to_3() {
    let (site, other) = (Authority::new("site"), Authority::new("other"));
    let mut plain = Csms::start().await;
    let mut tls = Csms::start_tls(site.server(false)).await;
    let mut mutual = Csms::start_tls(site.server(true)).await;
    let station = station(&plain).await;
    assert_eq!(plain.arrival().await.authorization.as_deref(), Some(BASIC));

    for root in [&other, &site] {
        assert_eq!(plain.install(root).await, "Accepted");
    }
    assert_eq!(plain.change("CentralSystemURL", &tls.url).await, "Accepted");
    assert_eq!(plain.change("SecurityProfile", "2").await, "Accepted");
    let came = tls.arrival().await;
    assert_eq!((came.authorization.as_deref(), came.certificate), (Some(BASIC), None));
    station.booted(PATIENCE).await.unwrap();
    let [others, sites] = &station.roots(RootUse::CentralSystem).await[..] else { panic!() };
    for (hash, verdict) in [(sites, "Failed"), (others, "Accepted")] {
        let data = json!({ "hashAlgorithm": "SHA256", "issuerNameHash": hash.issuer_name,
            "issuerKeyHash": hash.issuer_key, "serialNumber": hash.serial });
        let told = tls.ask("DeleteCertificate", &json!({ "certificateHashData": data })).await;
        assert_eq!(told, verdict, "M04.FR.06");
    }

    let csr = tls.request().await;
    let chain = site.sign(&csr, &Wanted { name: "S1", from: 2021, to: 2090 });
    assert_eq!(tls.ask("CertificateSigned", &json!({ "certificateChain": chain })).await, "Accepted");
    assert_eq!(tls.change("CentralSystemURL", &mutual.url).await, "Accepted");
    assert_eq!(tls.change("SecurityProfile", "3").await, "Accepted");
    let came = mutual.arrival().await;
    let given = x509_parser::pem::parse_x509_pem(chain.as_bytes()).unwrap().1.contents;
    assert_eq!((came.authorization, came.certificate), (None, Some(given)));
    station.booted(PATIENCE).await.unwrap();
    let access = station.access().await;
    assert_eq!((access.profile, access.url), (3, mutual.url.clone()));
    assert_eq!(mutual.change("SecurityProfile", "2").await, "Rejected", "A05.FR.01");
    assert_eq!(station.violations().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_new_password_is_shown_with_the_next_connection() {
    let mut csms = Csms::start().await;
    let station = station(&csms).await;
    csms.arrival().await;
    assert_eq!(csms.change("AuthorizationKey", "another-of-sixteen").await, "Accepted");
    let came = csms.arrival().await;
    assert_eq!(came.authorization.as_deref(), Some("Basic UzE6YW5vdGhlci1vZi1zaXh0ZWVu"));
    assert_eq!(csms.call("SecurityEventNotification").await["type"], "ReconfigurationOfSecurityParameters");
    assert_eq!(station.access().await.password_generation, 1);
}

#[tokio::test]
async fn a_csms_that_is_not_trusted_is_left_after_three_tries() {
    let (site, stranger) = (Authority::new("site"), Authority::new("stranger"));
    let mut plain = Csms::start().await;
    let strange = Csms::start_tls(stranger.server(false)).await;
    let station = station(&plain).await;
    plain.arrival().await;
    assert_eq!(plain.install(&site).await, "Accepted");
    assert_eq!(plain.change("CentralSystemURL", &strange.url).await, "Accepted");
    let mut events = station.events().await;
    assert_eq!(plain.change("SecurityProfile", "2").await, "Accepted");
    for _ in 0..3 {
        let refused = |event: &Event| match event {
            Event::Disconnected { reason } if reason.contains("not to be trusted") => Some(()),
            Event::Connected => panic!("it came somewhere"),
            _ => None,
        };
        events.find(PATIENCE, refused).await.unwrap();
    }
    let came = plain.arrival().await;
    assert_eq!(came.authorization.as_deref(), Some(BASIC));
    let access = station.access().await;
    assert_eq!((access.profile, access.url), (1, plain.url.clone()), "A05.FR.08");
    let mut told = Vec::new();
    for _ in 0..3 {
        told.push(plain.call("SecurityEventNotification").await);
    }
    let kinds: Vec<_> = told.iter().map(|report| report["type"].as_str().unwrap()).collect();
    let reconfigured = "ReconfigurationOfSecurityParameters";
    assert_eq!(kinds, [reconfigured, "InvalidCentralSystemCertificate", reconfigured]);
    assert_eq!(told[2]["techInfo"], "profile 2 did not come about: back to 1");
    let configuration =
        json!([2, "c", "GetConfiguration", { "key": ["SecurityProfile", "CentralSystemURL"] }]);
    plain.say(&configuration.to_string());
    let settings = reply(&mut plain.hears, "c").await;
    assert!(settings.contains(r#""value":"1""#) && settings.contains(&plain.url), "{settings}");
}

#[tokio::test]
async fn a_door_that_asks_for_a_certificate_stays_shut_without_one() {
    let site = Authority::new("site");
    let mut plain = Csms::start().await;
    let mut mutual = Csms::start_tls(site.server(true)).await;
    let station = station(&plain).await;
    plain.arrival().await;
    plain.install(&site).await;
    plain.change("CentralSystemURL", &mutual.url).await;
    assert_eq!(plain.change("SecurityProfile", "2").await, "Accepted");
    plain.arrival().await;
    assert_eq!(station.access().await.profile, 1);
    assert!(mutual.arrivals.try_recv().is_err());
    // The CSMS is to be trusted; it is the station that is not.
    station.booted(PATIENCE).await.unwrap();
    plain.call("SecurityEventNotification").await;
    plain.call("SecurityEventNotification").await;
    let reported = station.reported().await;
    assert!(!reported.contains(&"InvalidCentralSystemCertificate"), "{reported:?}");
}
