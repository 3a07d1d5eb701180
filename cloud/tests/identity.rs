//! Signing in by one-time code and by password, staying signed in, signing out: over a real Postgres, with two replicas.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::Request;
use cloud::config::{MailTls, Secret, SmsBody, SmsFormat};
use cloud::{App, Config, auth, db};
use serde_json::{Value, json};
use support::{NOWHERE, Person, api_with, key, peers, send};
use tempfile::TempDir;

const SEND: &str = "mutation($input: SendCodeLoginInputDTO!) { sendCodeLogin(input: $input) { status } }";
const LOGIN: &str =
    "mutation($input: LoginInputDTO!) { login(input: $input) { accessToken refreshToken expiresAt } }";
const REFRESH: &str =
    "mutation($token: String!) { refreshLogin(refreshToken: $token) { accessToken refreshToken } }";
const RESET: &str =
    "mutation($input: ResetPasswordInput!) { resetPassword(input: $input) { accessToken refreshToken } }";
const ME: &str = "{ me { id email role } }";
const WRONG_CODE: &str = "Incorrect verification code!";

/// A replica and whoever asks it.
struct Replica {
    app: App,
    anybody: Person,
}

struct World {
    _dir: TempDir,
    _postgres: stack::postgres::Postgres,
    url: String,
}

impl World {
    async fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let postgres = stack::postgres::Postgres::start(dir.path()).await.unwrap();
        let url = postgres.create_database().await.unwrap();
        let world = Self { _dir: dir, _postgres: postgres, url };
        sqlx::migrate!().run(&world.replica(|_| ()).await.app.db).await.unwrap();
        world
    }

    async fn replica(&self, configure: impl FnOnce(&mut Config)) -> Replica {
        let (router, app) = api_with(&self.url, configure).await;
        Replica { app, anybody: Person { router, token: None } }
    }

    /// One that shows its messages.
    async fn with_mailbox(&self) -> Replica {
        self.replica(|config| config.auth.dev_mailbox = true).await
    }
}

impl Replica {
    async fn messages(&self) -> Vec<Value> {
        let request =
            Request::get("/dev/mail").header("host", "localhost").header("accept", "application/json");
        let (_, messages) = send(&self.anybody.router, request.body(Body::empty()).unwrap()).await;
        messages.as_array().unwrap().clone()
    }

    /// Asks for a code and reads it.
    async fn code(&self, contact: Value) -> String {
        let sent = self.anybody.get(SEND, json!({ "input": contact })).await;
        assert_eq!(sent["sendCodeLogin"]["status"], "Accepted");
        code_in(self.messages().await[0]["text"].as_str().unwrap())
    }

    fn with(&self, login: &Value) -> Person {
        Person { token: login["accessToken"].as_str().map(String::from), ..self.anybody.clone() }
    }

    async fn login(&self, input: Value) -> Value {
        self.anybody.get(LOGIN, json!({ "input": input })).await["login"].clone()
    }

    async fn refused_login(&self, input: Value) -> (String, String) {
        self.anybody.refused(LOGIN, json!({ "input": input })).await
    }

    async fn wrong_code(&self, input: Value) {
        let refused = self.refused_login(input.clone()).await;
        assert_eq!(refused, (WRONG_CODE.into(), "UNAUTHENTICATED".into()), "{input}");
    }

    async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.app.db).await.unwrap()
    }

    async fn run(&self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(&self.app.db).await.unwrap();
    }
}

fn code_in(text: &str) -> String {
    let code = text.split_whitespace().next().unwrap();
    assert!(code.len() == 6 && code.bytes().all(|it| it.is_ascii_digit()), "{text}");
    code.to_owned()
}

/// Another code of the same looks.
fn not(code: &str) -> String {
    if code == "123456" { "654321".into() } else { "123456".into() }
}

#[tokio::test]
async fn one_time_codes() {
    let world = World::new().await;
    let here = world.with_mailbox().await;
    a_code_signs_in_once(&here).await;
    a_phone_is_one_however_it_is_typed(&here).await;
    guessing_and_waiting_end_a_code(&here).await;
    limits_are_shared(&here, &world.with_mailbox().await).await;
    what_one_claims_is_not_ones_own(&here).await;
    the_page_is_for_this_machine(&here).await;
    assert_eq!(here.count("select count(*) from audit where entity = 'User' and action = 'create'").await, 4);
}

async fn a_code_signs_in_once(here: &Replica) {
    let email = "ann@example.com";
    here.wrong_code(json!({"email": email, "code": "123456"})).await;
    let code = here.code(json!({"email": " Ann@Example.com "})).await;
    here.wrong_code(json!({"email": email, "code": not(&code)})).await;
    here.wrong_code(json!({"email": "ben@example.com", "code": code})).await;
    for never in ["", "12345", "1234567", "12345a", "１２３４５６"] {
        here.wrong_code(json!({"email": email, "code": never})).await;
    }
    let login = here.login(json!({"email": email, "code": code})).await;
    let me = here.with(&login).get(ME, json!({})).await;
    assert_eq!((&me["me"]["email"], &me["me"]["role"]), (&json!(email), &json!("business-owner")));
    here.wrong_code(json!({"email": email, "code": code})).await;

    let again = here.code(json!({"email": email})).await;
    let newer = here.code(json!({"email": email})).await;
    assert_ne!(again, newer);
    here.wrong_code(json!({"email": email, "code": again})).await;
    let second = here.login(json!({"email": email, "code": newer})).await;
    assert_eq!(here.with(&second).get(ME, json!({})).await["me"]["id"], me["me"]["id"]);
}

async fn a_phone_is_one_however_it_is_typed(here: &Replica) {
    let code = here.code(json!({"phone": "+1 (415) 555-2671", "email": "ignored@example.com"})).await;
    let login = here.login(json!({"phone": "+14155552671", "code": code})).await;
    let me = here.with(&login).get("{ me { phone role } }", json!({})).await;
    assert_eq!(me["me"], json!({"phone": "+14155552671", "role": "driver"}));
    for (input, advice) in [
        (json!({"phone": "4155552671"}), "country code"),
        (json!({"email": "nobody"}), "name@example.com"),
        (json!({"phone": "12345678"}), "country code"),
        (json!({}), "Give a phone number"),
    ] {
        let (text, code) = here.anybody.refused(SEND, json!({"input": input})).await;
        assert!(text.contains(advice) && code == "BAD_USER_INPUT", "{text}");
    }
}

async fn guessing_and_waiting_end_a_code(here: &Replica) {
    let email = "guessed@example.com";
    let code = here.code(json!({"email": email})).await;
    // At once, as a program would: still no more than five are looked at.
    let guesses = (0..5).map(|_| here.wrong_code(json!({"email": email, "code": not(&code)})));
    futures_util::future::join_all(guesses).await;
    here.wrong_code(json!({"email": email, "code": code})).await;

    let email = "late@example.com";
    let code = here.code(json!({"email": email})).await;
    here.run("update login_codes set expires_at = now()").await;
    here.wrong_code(json!({"email": email, "code": code})).await;

    let email = "twice@example.com";
    let code = here.code(json!({"email": email})).await;
    let tries = (0..3).map(|_| here.anybody.ask(LOGIN, json!({"input": {"email": email, "code": code}})));
    let answers = futures_util::future::join_all(tries).await;
    assert_eq!(answers.iter().filter(|it| it.get("errors").is_none()).count(), 1, "{answers:?}");
}

async fn limits_are_shared(here: &Replica, there: &Replica) {
    let email = json!({"email": "flooded@example.com"});
    let _ = here.code(email.clone()).await;
    for replica in [here, there, here, there] {
        let _ = replica.code(email.clone()).await;
    }
    for replica in [here, there] {
        let (text, code) = replica.anybody.refused(SEND, json!({"input": email})).await;
        assert!(code == "TOO_MANY_REQUESTS" && text.contains("try again in"), "{text}");
    }
    let first: i64 =
        here.count("select max(extract(epoch from ends_at - now()))::bigint from rate_limits").await;
    assert!(first <= 3600);

    here.run("truncate rate_limits").await;
    let guess = json!({"username": "somebody", "password": "wrong password"});
    for turn in 0..10 {
        let replica = if turn % 2 == 0 { here } else { there };
        assert_eq!(replica.refused_login(guess.clone()).await.1, "UNAUTHENTICATED");
    }
    assert_eq!(here.refused_login(guess.clone()).await.1, "TOO_MANY_REQUESTS");
    assert_eq!(there.refused_login(guess).await.1, "TOO_MANY_REQUESTS");
    here.run("truncate rate_limits").await;
}

/// Whoever wrote somebody else's address into his own record does not get to receive him there.
async fn what_one_claims_is_not_ones_own(here: &Replica) {
    here.run(
        "begin; insert into users (id, name, role) overriding system value values (900, 'mallory', 'driver');
         set local evb.viewer = '900'; set local role evb_viewer;
         update users set email = 'victim@example.com' where id = 900; commit",
    )
    .await;
    let code = here.code(json!({"email": "victim@example.com"})).await;
    let login = here.login(json!({"email": "victim@example.com", "code": code})).await;
    let me = here.with(&login).get(ME, json!({})).await;
    assert_ne!(me["me"]["id"], "900");
    assert_eq!(here.count("select count(*) from users where id = 900 and email is null").await, 1);

    // What one shows to be one's own is.
    let confirm = "mutation($input: ConfirmContactInput!) { confirmContact(input: $input) }";
    let code = here.code(json!({"phone": "+14155550199"})).await;
    let contact = |code: &str| json!({"input": {"phone": "+1 415 555 0199", "code": code}});
    assert_eq!(here.with(&login).refused(confirm, contact(&not(&code))).await.0, WRONG_CODE);
    here.with(&login).get(confirm, contact(&code)).await;
    let code = here.code(json!({"phone": "+14155550199"})).await;
    let by_phone = here.login(json!({"phone": "+14155550199", "code": code})).await;
    assert_eq!(here.with(&by_phone).get(ME, json!({})).await["me"]["id"], me["me"]["id"]);
    let code = here.code(json!({"email": "ann@example.com"})).await;
    let taken = json!({"input": {"email": "ann@example.com", "code": code}});
    assert!(here.with(&login).refused(confirm, taken).await.0.contains("Another account"));

    here.run("update users set is_active = false where email = 'victim@example.com'").await;
    let code = here.code(json!({"email": "victim@example.com"})).await;
    let (text, _) = here.refused_login(json!({"email": "victim@example.com", "code": code})).await;
    assert!(text.contains("deactivated"), "{text}");
    assert_eq!(here.with(&login).refused(ME, json!({})).await.1, "UNAUTHENTICATED");
}

async fn the_page_is_for_this_machine(here: &Replica) {
    let get = async |host: &str| {
        let request = Request::get("/dev/mail").header("host", host).body(Body::empty()).unwrap();
        send(&here.anybody.router, request).await
    };
    let (status, page) = get("localhost:8080").await;
    assert!(status.is_success() && page.as_str().unwrap().contains("victim@example.com"));
    assert_eq!(get("rebound.example:8080").await.0, 403);
}

#[tokio::test]
async fn no_page_unless_it_is_wanted() {
    let (router, _) = api_with(NOWHERE, |_| ()).await;
    let request = Request::get("/dev/mail").header("host", "localhost").body(Body::empty()).unwrap();
    assert_eq!(send(&router, request).await.0, 404);
}

/// What can be refused without the database is, at once: there is none here.
#[tokio::test]
async fn nothing_is_looked_up_for_what_cannot_be() {
    let (router, _) = api_with(NOWHERE, |config| config.auth.dev_mailbox = true).await;
    let anybody = Person { router, token: None };
    let begin = Instant::now();
    for (query, variables, expected) in [
        (SEND, json!({"input": {"email": "nobody"}}), "BAD_USER_INPUT"),
        (LOGIN, json!({"input": {"email": "nobody", "code": "123456"}}), "UNAUTHENTICATED"),
        (LOGIN, json!({"input": {"email": "a@b.cd", "code": "12345"}}), "UNAUTHENTICATED"),
        (LOGIN, json!({"input": {"email": "a@b.cd"}}), "BAD_USER_INPUT"),
        (REFRESH, json!({"token": "evbr_x"}), "UNAUTHENTICATED"),
        (
            RESET,
            json!({"input": {"email": "a@b.cd", "code": "123456", "newPassword": "short"}}),
            "BAD_USER_INPUT",
        ),
    ] {
        assert_eq!(anybody.refused(query, variables).await.1, expected, "{query}");
    }
    let stranger = Person { token: Some("a.b.c".into()), ..anybody.clone() };
    assert_eq!(stranger.refused(ME, json!({})).await.1, "UNAUTHENTICATED");
    assert!(begin.elapsed() < Duration::from_millis(350), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn staying_signed_in() {
    let world = World::new().await;
    let here = world.with_mailbox().await;
    let login = async || {
        here.run("truncate rate_limits").await;
        let code = here.code(json!({"email": "ann@example.com"})).await;
        here.login(json!({"email": "ann@example.com", "code": code})).await
    };
    let refresh = async |token: &Value| here.anybody.ask(REFRESH, json!({ "token": token })).await;
    let signed_in = async |login: &Value| here.with(login).ask(ME, json!({})).await.get("errors").is_none();

    let first = login().await;
    let second = refresh(&first["refreshToken"]).await["data"]["refreshLogin"].clone();
    assert!(signed_in(&first).await && signed_in(&second).await);

    // The answer was lost: asked again, and the one that never arrived is void.
    let third = refresh(&first["refreshToken"]).await["data"]["refreshLogin"].clone();
    assert!(signed_in(&third).await);
    let fourth = refresh(&third["refreshToken"]).await["data"]["refreshLogin"].clone();
    assert!(fourth["refreshToken"].is_string());

    // Now the first one comes again although its successor was used: somebody copied it.
    let other = login().await;
    let reused = refresh(&first["refreshToken"]).await;
    assert_eq!(reused["errors"][0]["extensions"]["code"], "UNAUTHENTICATED", "{reused}");
    assert!(!signed_in(&fourth).await && signed_in(&other).await, "the one sign-in is over, at once");
    assert!(refresh(&fourth["refreshToken"]).await.get("errors").is_some());
    assert_eq!(here.count("select count(*) from alarms where kind = 'refresh-token-reused'").await, 1);
    assert_eq!(here.count("select count(*) from audit where action = 'refresh token reused'").await, 1);

    // Copied and used by two at once: one of them at most goes on.
    let raced = login().await;
    let answers = futures_util::future::join_all((0..4).map(|_| refresh(&raced["refreshToken"]))).await;
    let last: Vec<&Value> = answers.iter().map(|it| &it["data"]["refreshLogin"]["refreshToken"]).collect();
    let mut good = 0;
    for token in last.into_iter().filter(|it| it.is_string()) {
        good += usize::from(refresh(token).await.get("errors").is_none());
    }
    assert!(good <= 1, "{good}");

    let out = "mutation($token: String!) { signOut(refreshToken: $token) }";
    here.anybody.get(out, json!({"token": other["refreshToken"]})).await;
    assert!(!signed_in(&other).await && refresh(&other["refreshToken"]).await.get("errors").is_some());
    here.anybody.get(out, json!({"token": other["refreshToken"]})).await;

    let (phone, laptop) = (login().await, login().await);
    here.with(&phone).get("mutation { signOutEverywhere }", json!({})).await;
    assert!(!signed_in(&phone).await && !signed_in(&laptop).await);
    assert!(refresh(&laptop["refreshToken"]).await.get("errors").is_some());

    let ended = login().await;
    here.run("update users set token_version = token_version + 1").await;
    assert!(!signed_in(&ended).await && refresh(&ended["refreshToken"]).await.get("errors").is_some());
    let late = login().await;
    here.run("update sign_ins set expires_at = now()").await;
    assert!(!signed_in(&late).await && refresh(&late["refreshToken"]).await.get("errors").is_some());
    let gone = login().await;
    here.run("update users set is_active = false").await;
    assert!(!signed_in(&gone).await && refresh(&gone["refreshToken"]).await.get("errors").is_some());
}

#[tokio::test]
async fn passwords_are_changed() {
    let world = World::new().await;
    let here = world.with_mailbox().await;
    let email = "ann@example.com";
    let code = here.code(json!({"email": email})).await;
    let first = here.login(json!({"email": email, "code": code})).await;
    let change = "mutation($current: String!, $new: String!) { changePassword(current: $current, new: $new) { accessToken } }";
    let none_yet = json!({"current": "", "new": "correct horse battery"});
    assert_eq!(here.with(&first).refused(change, none_yet).await.1, "UNAUTHENTICATED");

    let code = here.code(json!({"email": email})).await;
    let reset =
        |code: &str| json!({"input": {"email": email, "code": code, "newPassword": "correct horse battery"}});
    assert_eq!(here.anybody.refused(RESET, reset(&not(&code))).await.0, WRONG_CODE);
    let second = here.anybody.get(RESET, reset(&code)).await["resetPassword"].clone();
    assert_eq!(here.with(&first).refused(ME, json!({})).await.1, "UNAUTHENTICATED", "signed out elsewhere");
    assert_eq!(here.anybody.refused(RESET, reset(&code)).await.0, WRONG_CODE, "once");

    let second = here.with(&second);
    let wrong = json!({"current": "incorrect horse", "new": "another horse battery"});
    assert_eq!(second.refused(change, wrong).await.0, "This is not your current password.");
    let weak = json!({"current": "correct horse battery", "new": "short"});
    assert_eq!(second.refused(change, weak).await.1, "BAD_USER_INPUT");
    let good = json!({"current": "correct horse battery", "new": "another horse battery"});
    let third = second.get(change, good).await["changePassword"].clone();
    assert_eq!(second.refused(ME, json!({})).await.1, "UNAUTHENTICATED");
    assert_eq!(here.with(&third).get(ME, json!({})).await["me"]["email"], email);
    let (text, _) = here.refused_login(json!({"email": email, "password": "correct horse battery"})).await;
    assert_eq!(text, "Incorrect username or password!");
    here.login(json!({"email": email, "password": "another horse battery"})).await;
    assert_eq!(here.count("select count(*) from audit where action = 'set password'").await, 2);
    let log: String = sqlx::query_scalar("select string_agg(a::text, '') from audit a")
        .fetch_one(&here.app.db)
        .await
        .unwrap();
    assert!(!log.contains("horse") && !log.contains("argon2"), "{log}");
}

/// A new key is put in front, the old one stays until its tokens have ended, then goes.
#[tokio::test]
async fn signing_keys_are_changed_without_signing_anybody_out() {
    let world = World::new().await;
    let with_keys = async |kids: &[&str]| {
        let keys = kids.iter().map(|kid| key(kid)).collect();
        world
            .replica(|config| {
                config.auth.signing_keys = keys;
                config.auth.dev_mailbox = true;
            })
            .await
    };
    let before = with_keys(&["2026"]).await;
    let hash = auth::hash_password("correct horse battery").await.unwrap();
    let new = db::user::NewUser {
        username: Some("ann"),
        role: "driver",
        password_hash: Some(&hash),
        ..Default::default()
    };
    db::user::insert(&mut before.app.db.acquire().await.unwrap(), &new).await.unwrap();
    let credentials = json!({"username": "ann", "password": "correct horse battery"});
    let old = before.login(credentials.clone()).await;
    let on_its_way = before.code(json!({"email": "ben@example.com"})).await;

    let during = with_keys(&["2027", "2026"]).await;
    assert!(during.with(&old).get(ME, json!({})).await["me"].is_object(), "the old key still verifies");
    during.login(json!({"email": "ben@example.com", "code": on_its_way})).await;
    let new = during.login(credentials).await;
    assert_eq!(
        before.with(&new).refused(ME, json!({})).await.1,
        "UNAUTHENTICATED",
        "so the new key goes first everywhere"
    );

    let after = with_keys(&["2027"]).await;
    assert!(after.with(&new).get(ME, json!({})).await["me"].is_object());
    assert_eq!(
        after.with(&old).refused(ME, json!({})).await.1,
        "UNAUTHENTICATED",
        "a removed key is refused"
    );
    let renewed = after.anybody.get(REFRESH, json!({"token": old["refreshToken"]})).await;
    assert!(
        after.with(&renewed["refreshLogin"]).get(ME, json!({})).await["me"].is_object(),
        "but nobody is signed out"
    );
}

#[tokio::test]
async fn codes_go_out_by_mail_and_by_text_message() {
    let world = World::new().await;
    let smtp = peers::Smtp::start().await;
    let provider = peers::Http::start(200).await;
    let port = smtp.address.port();
    let here = world
        .replica(|config| {
            config.mail.server = Some("127.0.0.1".into());
            config.mail.port = Some(port);
            config.mail.tls = MailTls::None;
            config.mail.from = "EV Süd <no-reply@example.com>".into();
            config.sms.url = Some(Secret::new(format!("http://{}/messages?key=canary", provider.address)));
            config.sms.headers = [("Authorization".to_owned(), Secret::new("AccessKey canary"))].into();
            config.sms.body = SmsBody(json!({"recipients": ["{to}"], "body": "EV: {text}"}));
            config.sms.per_hour = 2;
        })
        .await;
    let ask = async |input: Value| here.anybody.ask(SEND, json!({ "input": input })).await;

    assert!(ask(json!({"email": "ann@example.com"})).await.get("errors").is_none());
    let letter = smtp.letters().pop().unwrap();
    assert!(
        letter.contains("To: ann@example.com") && letter.contains("Subject: Your sign-in code"),
        "{letter}"
    );
    let code = code_in(letter.split("\r\n\r\n").nth(1).unwrap());
    here.login(json!({"email": "ann@example.com", "code": code})).await;

    assert!(ask(json!({"phone": "+14155552671"})).await.get("errors").is_none());
    let posted = provider.requests().pop().unwrap();
    assert!(posted.to_lowercase().contains("authorization: accesskey canary"), "{posted}");
    let body: Value = serde_json::from_str(posted.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!(body["recipients"], json!(["+14155552671"]));
    let code = code_in(body["body"].as_str().unwrap().strip_prefix("EV: ").unwrap());
    here.login(json!({"phone": "+14155552671", "code": code})).await;

    assert!(ask(json!({"phone": "+14155552672"})).await.get("errors").is_none());
    let (_, limited) = here.anybody.refused(SEND, json!({"input": {"phone": "+14155552673"}})).await;
    assert_eq!(limited, "TOO_MANY_REQUESTS", "what text messages may cost has an end");

    assert_eq!(
        ask(json!({"email": "nobody@example.com"})).await["errors"][0]["extensions"]["code"],
        "BAD_USER_INPUT"
    );
}

#[tokio::test]
async fn an_outage_is_told_and_blocks_no_retry() {
    let world = World::new().await;
    let smtp = peers::Smtp::start().await;
    let port = smtp.address.port();
    let failing = peers::Http::start(500).await;
    let here = world
        .replica(|config| {
            config.mail.server = Some("127.0.0.1".into());
            config.mail.port = Some(port);
            config.mail.tls = MailTls::None;
            config.sms.url = Some(Secret::new(format!("http://{}/", failing.address)));
            config.sms.format = SmsFormat::Form;
        })
        .await;
    for outage in [peers::Outage::Hangs, peers::Outage::Refuses, peers::Outage::Closes] {
        smtp.outage(Some(outage));
        for _ in 0..if outage == peers::Outage::Hangs { 1 } else { 7 } {
            let (text, code) =
                here.anybody.refused(SEND, json!({"input": {"email": "ann@example.com"}})).await;
            assert!(code == "SERVICE_UNAVAILABLE" && text.contains("try again"), "{outage:?}: {text}");
            assert_eq!(here.count("select count(*) from login_codes").await, 0);
        }
    }
    smtp.outage(None);
    here.anybody.get(SEND, json!({"input": {"email": "ann@example.com"}})).await;

    let (_, code) = here.anybody.refused(SEND, json!({"input": {"phone": "+14155552671"}})).await;
    assert_eq!(code, "SERVICE_UNAVAILABLE");
    assert!(failing.requests().pop().unwrap().contains("to=%2B14155552671"));
    assert_eq!(here.count("select count(*) from login_codes where account like '+%'").await, 0);

    let silent = world.replica(|_| ()).await;
    let (text, code) = silent.anybody.refused(SEND, json!({"input": {"email": "ann@example.com"}})).await;
    assert!(code == "SERVICE_UNAVAILABLE" && text.contains("mail.server"), "{text}");
}
