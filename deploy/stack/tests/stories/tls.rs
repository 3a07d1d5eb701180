//! Stations that come in over TLS: with a password (security profile 2), and with a certificate of the site's authority
//! (profile 3). What is not theirs opens no door.

use firmware_sim::{Event, Station, StationConfig, Tls};
use rcgen::{CertificateParams, KeyPair};
use stack::wait;

use crate::story::{SOON, Story};

/// A key, and the certificate that the site's authority made of its request.
fn certified(story: &Story, station: &str) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let request = CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
    let file = story.dir.join(format!("{station}.csr"));
    std::fs::write(&file, request).unwrap();
    let arguments = ["sign-station", "--station", station, "--csr", file.to_str().unwrap()];
    (story.edge.tool(&arguments).unwrap(), key.serialize_pem())
}

fn station(url: &str, identity: &str, password: Option<&str>, tls: Tls) -> Station {
    let mut config = StationConfig::new(url, identity);
    config.password = password.map(str::to_owned);
    config.tls = Some(tls);
    config.meter_interval = 1;
    config.redial = (100, 500);
    Station::connect(config)
}

/// The reason that a station gives for staying outside.
async fn turned_away(station: &Station) -> String {
    let mut events = station.events().await;
    let reason = |event: &Event| {
        assert_ne!(*event, Event::Connected, "it came in");
        if let Event::Disconnected { reason } = event { Some(reason.clone()) } else { None }
    };
    events.find(SOON, reason).await.unwrap()
}

async fn profile(story: &Story, station: &str) -> Option<u64> {
    let state = story.edge.state().await.unwrap();
    let known = state["stations"].as_array().unwrap().iter().find(|it| it["station"] == station).cloned();
    known?["security_profile"].as_u64()
}

async fn charge(story: &Story, station: &Station) {
    station.booted(SOON).await.unwrap();
    station.plug(1).await.unwrap();
    station.tap(1, &story.site.id_tag).await.unwrap();
    station.until(SOON, |view| view.connectors.iter().any(|it| it.transaction.is_some())).await.unwrap();
    station.unplug(1).await.unwrap();
    station.drained(SOON).await.unwrap();
}

#[tokio::test]
async fn stations_charge_over_tls_with_a_password_and_with_a_certificate() {
    let story = Story::begin("tls").await;
    let (tls_url, mutual_url) = story.edge.tls_urls();
    let authority = reqwest::get(format!("{}/site-ca.pem", story.edge.local_url())).await.unwrap();
    let authority = authority.text().await.unwrap();
    let trusting = Tls::new(&authority, None).unwrap();
    let password = story.site.password.as_str();

    let encrypted = station(&tls_url, "S1", Some(password), trusting.clone());
    charge(&story, &encrypted).await;
    assert_eq!(profile(&story, "S1").await, Some(2));

    let (certificate, key) = certified(&story, "S2");
    let own = Tls::new(&authority, Some((&certificate, &key))).unwrap();
    let mutual = station(&mutual_url, "S2", None, own.clone());
    charge(&story, &mutual).await;
    assert_eq!(profile(&story, "S2").await, Some(3));
    story.bills(2).await;

    let wrong_password = station(&tls_url, "S3", Some("wrong password"), trusting.clone());
    assert!(turned_away(&wrong_password).await.contains("401"));
    let anothers_certificate = station(&mutual_url, "S3", Some(password), own);
    assert!(turned_away(&anothers_certificate).await.contains("401"), "S2's certificate is not S3's");
    // In TLS 1.3 the server looks at the certificate after the client is done: the first word meets a closed door.
    let none = station(&mutual_url, "S3", Some(password), trusting.clone());
    turned_away(&none).await;
    let (strange_key, mut strange) = (KeyPair::generate().unwrap(), CertificateParams::default());
    strange.distinguished_name.push(rcgen::DnType::CommonName, "S3");
    let strange = strange.self_signed(&strange_key).unwrap().pem();
    let stranger = Tls::new(&authority, Some((&strange, &strange_key.serialize_pem()))).unwrap();
    turned_away(&station(&mutual_url, "S3", None, stranger)).await;
    let distrustful = station(&tls_url, "S3", Some(password), Tls::new(&strange, None).unwrap());
    assert!(
        turned_away(&distrustful).await.contains("certificate"),
        "another authority's gateway is not trusted"
    );
    let unencrypted = station(&tls_url.replace("wss", "ws"), "S3", Some(password), trusting);
    turned_away(&unencrypted).await;

    wait::until("refused handshakes are counted", SOON, || async {
        (story.edge.metric("edge_logins_total", "\"tls\"").await.ok()? >= 3.0).then_some(())
    })
    .await
    .unwrap();
    assert_eq!(profile(&story, "S3").await, None);
}
