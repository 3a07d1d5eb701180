//! Bookings, from the app to the gateway's word and back, over a real database, broker and replica. The app asks another
//! replica than the one that talks to the gateway.

#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test looks for one thing and has failed without it"
)]

mod gateway;
mod support;

use std::collections::HashSet;
use std::time::Duration;

use cloud::{App, booking, db};
use gateway::{Gateway, House, T0, meanwhile, record, status};
use serde_json::{Value, json};
use shared::id::{CommandId, ReservationId, SessionId};
use shared::model::event::PresenceChanged;
use shared::model::reservation::{ReservationEnd, ReservationEnded};
use shared::model::{Command, CommandBody, CommandResult, ConnectorStatus, Event as Fact, Outcome};
use shared::sync::{Down, Up, UpTopic};
use shared::units::Timestamp;
use support::{Person, api};
use uuid::Uuid;

const BOOK: &str = "mutation($id: Float) { it: bookConnector(input: {id: $id}) { status reason expiresAt reservationId heldBy } }";
const SOFT: &str = "mutation($id: Float) { it: softBookConnector(input: {id: $id}) { status reason expiresAt reservationId heldBy } }";
const CANCEL: &str =
    "mutation($id: Float) { it: cancelBookConnector(input: {id: $id}) { status reason reservationId } }";
const START: &str = "mutation($id: Float) { it: startTransactionByUser(input: {id: $id}) { status reason } }";
const MARKERS: &str =
    "{ getFilteredMarkers(input: {connectorTypesSelected: [\"T2\"]}) { siteid available } }";
const MINE: &str = "{ it: myReservations { id status heldBy siteName connectorNumber } }";
const THERE: &str = "query($site: ID!) { it: reservations(siteId: $site, live: false) { id userId status } }";

/// A site with a station of six connectors, whose gateway is this test; one that has no gateway.
struct World {
    house: House,
    app: App,
    gateway: Gateway,
    heard: HashSet<CommandId>,
    seq: [u64; 3],
    owner: Person,
    driver: Person,
    other: Person,
    driver_id: i64,
    connectors: Vec<i64>,
    alone: i64,
}

impl World {
    async fn new() -> Self {
        let house = House::new().await;
        let (router, app) = api(house.database_url()).await;
        let anybody = Person { router, token: None };
        sqlx::query("alter table users alter id restart with 100").execute(&app.db).await.unwrap();
        let (owner_id, owner) = person(&app, &anybody, "owner", "business-owner").await;
        let (driver_id, driver) = person(&app, &anybody, "ann", "driver").await;
        let (_, other) = person(&app, &anybody, "ben", "driver").await;
        sqlx::query("update sites set owner_id = $1").bind(owner_id).execute(&app.db).await.unwrap();
        sqlx::query("delete from connectors").execute(&app.db).await.unwrap();
        let connectors = sqlx::query_scalar(
            "insert into connectors (site_id, charge_point_id, connector_id, label, connector_type_name, power, price)
             select site_id, id, n, n::text, 'T2', 22, 0.25 from charge_points, generate_series(1, 6) n returning id",
        );
        let connectors = connectors.fetch_all(&app.db).await.unwrap();
        let alone = sqlx::query_scalar(
            "with s as (insert into sites (name) values ('alone') returning id),
                  p as (insert into charge_points (site_id, charge_point_hardware_id) select id, 'CP9' from s returning *)
             insert into connectors (site_id, charge_point_id, connector_id, label, status_name)
             select site_id, id, 1, '1', 'Available' from p returning id",
        );
        let alone = alone.fetch_one(&app.db).await.unwrap();
        let mut gateway = house.enroll().await.connect().await;
        gateway.hello([0; 3], [0; 3]).await;
        let (heard, seq) = (HashSet::new(), [0; 3]);
        let mut world =
            Self { house, app, gateway, heard, seq, owner, driver, other, driver_id, connectors, alone };
        let present = PresenceChanged { station: gateway::station(), connected: true, at: Timestamp(T0) };
        world.tell(Fact::PresenceChanged(present)).await;
        for evse in 1..=6 {
            world.tell(status(evse, ConnectorStatus::Available, T0)).await;
        }
        world
    }

    /// The gateway tells the cloud something.
    async fn tell(&mut self, fact: Fact) {
        let lane = fact.lane();
        self.seq[lane.index()] += 1;
        let seq = self.seq[lane.index()];
        assert_eq!(self.gateway.batch(lane, seq, vec![record(&fact, seq)]).await, seq);
    }

    /// The next command that was not heard before.
    async fn command(&mut self) -> Command {
        let heard = &self.heard;
        let command = self.gateway.hear(|down| match down {
            Down::Command(command) if !heard.contains(&command.id) => Some(command.clone()),
            _ => None,
        });
        let command = command.await;
        self.heard.insert(command.id);
        command
    }

    async fn answer(&self, command: &Command, outcome: Outcome) {
        let result = CommandResult::plain(command.id, outcome, "", Timestamp(T0));
        self.gateway.publish(UpTopic::Result, &Up::Result(result)).await;
    }

    /// Somebody asks for something that the gateway is asked about, and answers so.
    async fn ask(
        &mut self,
        who: &Person,
        query: &'static str,
        id: i64,
        outcome: Outcome,
    ) -> (Value, CommandBody) {
        let asking = tokio::spawn(ask(who.clone(), query, id));
        let command = self.command().await;
        self.answer(&command, outcome).await;
        (meanwhile(&mut self.gateway.connection, asking).await.unwrap(), command.body)
    }

    async fn shown(&self, connector: i64) -> String {
        let sql = "select status_name from connectors where id = $1";
        sqlx::query_scalar(sql).bind(connector).fetch_one(&self.app.db).await.unwrap()
    }

    async fn row(&self, id: i32) -> db::reservation::Reservation {
        db::reservation::find(&self.app.db, id).await.unwrap().unwrap()
    }

    async fn run(&self, sql: &'static str) {
        sqlx::query(sql).execute(&self.app.db).await.unwrap();
    }

    async fn available(&self) -> i64 {
        let markers = self.driver.get(MARKERS, json!({})).await;
        markers["getFilteredMarkers"][0]["available"].as_i64().unwrap()
    }
}

async fn person(app: &App, anybody: &Person, name: &str, role: &str) -> (i64, Person) {
    let password = "correct horse battery";
    let hash = cloud::auth::hash_password(password).await.unwrap();
    let new =
        db::user::NewUser { username: Some(name), role, password_hash: Some(&hash), ..Default::default() };
    let id = db::user::insert(&mut app.db.acquire().await.unwrap(), &new).await.unwrap();
    let login = "mutation($input: LoginInputDTO!) { login(input: $input) { accessToken } }";
    let input = json!({"input": {"username": name, "password": password}});
    let token = anybody.get(login, input).await["login"]["accessToken"].as_str().unwrap().to_owned();
    (id, Person { token: Some(token), ..anybody.clone() })
}

async fn ask(who: Person, query: &'static str, id: i64) -> Value {
    who.get(query, json!({"id": id})).await["it"].clone()
}

fn id(answer: &Value) -> i32 {
    answer["reservationId"].as_str().unwrap_or_else(|| panic!("{answer}")).parse().unwrap()
}

fn reason(answer: &Value) -> &str {
    answer["reason"].as_str().unwrap_or_else(|| panic!("{answer}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn from_wish_to_end() {
    let mut world = World::new().await;
    kept_and_used(&mut world).await;
    refused_by_the_station(&mut world).await;
    silent(&mut world).await;
    cancelled(&mut world).await;
    soft_then_firm(&mut world).await;
    kept_by_the_gateway_until_its_hour(&mut world).await;
    kept_by_nobody(&mut world).await;
    within_limits(&mut world).await;
    refused_at_once(&mut world).await;
    seen_by_those_it_concerns(&world).await;
}

async fn kept_and_used(world: &mut World) {
    let at = world.connectors[0];
    let (driver, other) = (world.driver.clone(), world.other.clone());
    assert_eq!(world.available().await, 6);
    let (said, body) = world.ask(&driver, BOOK, at, Outcome::Accepted).await;
    assert_eq!((&said["status"], &said["heldBy"]), (&json!("Reserved"), &json!("station")), "{said}");
    let CommandBody::Reserve(wanted) = body else { panic!("{body:?}") };
    let row = world.row(id(&said)).await;
    assert_eq!((wanted.id, wanted.evse.0), (ReservationId(row.id), 1));
    assert_eq!(wanted.group, Some(format!("user-{}", world.driver_id)));
    assert_eq!(wanted.until, Timestamp::from_utc(row.expires_at));
    assert_eq!((row.expires_at - row.created_at).num_seconds(), 420);
    assert_eq!((world.shown(at).await.as_str(), world.available().await), ("Reserved", 5));

    let again = ask(driver.clone(), BOOK, at).await;
    assert_eq!(again, said, "the same booking, and nobody is asked again");
    let refused = ask(other.clone(), BOOK, at).await;
    assert_eq!(refused["status"], "Failed");
    assert!(reason(&refused).contains("reserved already"), "{refused}");
    let refused = ask(other, START, at).await;
    assert_eq!(refused["status"], "Rejected");
    assert!(reason(&refused).contains("reserved for somebody else"), "{refused}");
    let (started, body) = world.ask(&driver, START, at, Outcome::Accepted).await;
    assert_eq!(started["status"], "Accepted");
    let CommandBody::RemoteStart { token, .. } = body else { panic!("{body:?}") };
    assert_eq!(token, wanted.token, "what it was reserved for");

    let session = SessionId(Uuid::now_v7());
    let ended = |station| ReservationEnded {
        reservation: wanted.id,
        station,
        end: ReservationEnd::Used(session),
        at: Timestamp(T0),
    };
    world.tell(Fact::ReservationEnded(ended(gateway::station()))).await;
    let row = world.row(wanted.id.0).await;
    assert_eq!((row.status.as_str(), row.session_id, row.is_live()), ("used", Some(session.0), false));
    assert_eq!(world.shown(at).await, "Charging");
}

async fn refused_by_the_station(world: &mut World) {
    let at = world.connectors[1];
    let driver = world.driver.clone();
    for (outcome, word) in [
        (Outcome::Occupied, "in use"),
        (Outcome::Faulted, "a fault"),
        (Outcome::Unavailable, "out of service"),
        (Outcome::StationOffline, "not connected"),
        (Outcome::TimedOut, "did not answer"),
        (Outcome::Failed, "refused"),
    ] {
        let (said, _) = world.ask(&driver, BOOK, at, outcome).await;
        assert_eq!(said["status"], "Failed", "{outcome:?}");
        assert!(reason(&said).contains(word), "{outcome:?}: {said}");
        assert_eq!(world.row(id(&said)).await.status, "failed");
        assert_eq!(world.shown(at).await, "Available");
    }
}

/// The site never answers; when it does after all, it is told to let go.
async fn silent(world: &mut World) {
    let at = world.connectors[1];
    let asking = tokio::spawn(ask(world.driver.clone(), BOOK, at));
    let command = world.command().await;
    world.run("update commands set expires_at = now() where state <> 'finished'").await;
    let said = meanwhile(&mut world.gateway.connection, asking).await.unwrap();
    assert_eq!(said["status"], "Failed");
    assert!(reason(&said).contains("did not answer"), "{said}");
    for _ in 0..2 {
        world.answer(&command, Outcome::Accepted).await;
    }
    let late = world.command().await;
    assert_eq!(late.body, CommandBody::CancelReservation { reservation: ReservationId(id(&said)) });
    world.answer(&late, Outcome::Accepted).await;
    let once = "select count(*) from commands where kind = 'CancelReservation'";
    assert_eq!(world.house.count(once).await, 1);
    assert_eq!(world.shown(at).await, "Available");
}

async fn cancelled(world: &mut World) {
    let at = world.connectors[1];
    let (driver, owner) = (world.driver.clone(), world.owner.clone());
    let (said, _) = world.ask(&driver, BOOK, at, Outcome::Accepted).await;
    let not_his = ask(world.other.clone(), CANCEL, at).await;
    assert_eq!(not_his["status"], "Failed");
    assert_eq!(
        not_his["reason"],
        ask(world.other.clone(), CANCEL, 999_999).await["reason"],
        "as if none were"
    );
    world.tell(status(2, ConnectorStatus::Reserved, T0 + 1)).await;
    let (freed, body) = world.ask(&driver, CANCEL, at, Outcome::Accepted).await;
    assert_eq!((&freed["status"], &freed["reason"]), (&json!("Available"), &Value::Null));
    assert_eq!(body, CommandBody::CancelReservation { reservation: ReservationId(id(&said)) });
    assert_eq!(world.shown(at).await, "Available", "whatever the station still says");

    let (_, _) = world.ask(&driver, BOOK, world.connectors[2], Outcome::Accepted).await;
    let (freed, _) = world.ask(&owner, CANCEL, world.connectors[2], Outcome::TimedOut).await;
    assert_eq!(freed["status"], "Available", "whoever operates there may");
    assert!(reason(&freed).contains("did not confirm"));
    let actors = "select count(distinct actor) from audit where entity = 'Reservation' and action = 'cancel'";
    assert_eq!(world.house.count(actors).await, 2);
}

async fn soft_then_firm(world: &mut World) {
    let at = world.connectors[3];
    let driver = world.driver.clone();
    let (soft, _) = world.ask(&driver, SOFT, at, Outcome::Accepted).await;
    let before = world.row(id(&soft)).await;
    assert!(before.soft);
    assert_eq!((before.expires_at - before.created_at).num_seconds(), 180);
    let (same, _) = world.ask(&driver, BOOK, at, Outcome::Failed).await;
    assert_eq!((&same["status"], id(&same)), (&json!("Reserved"), before.id), "it stays as it was");
    assert_eq!(world.row(before.id).await.expires_at, before.expires_at);
    let (firm, body) = world.ask(&driver, BOOK, at, Outcome::Accepted).await;
    let after = world.row(id(&firm)).await;
    assert_eq!((after.id, after.soft), (before.id, false));
    assert!(after.expires_at > before.expires_at);
    let CommandBody::Reserve(wanted) = body else { panic!("{body:?}") };
    assert_eq!((wanted.id.0, wanted.until), (after.id, Timestamp::from_utc(after.expires_at)));
}

async fn kept_by_the_gateway_until_its_hour(world: &mut World) {
    let at = world.connectors[4];
    let driver = world.driver.clone();
    let (said, _) = world.ask(&driver, BOOK, at, Outcome::BySite).await;
    assert_eq!(said["heldBy"], "gateway");
    world.tell(status(5, ConnectorStatus::Available, T0 + 1)).await;
    assert_eq!(world.shown(at).await, "Reserved", "the station knows nothing of it");
    world.run("update reservations set expires_at = now() where ended_at is null").await;
    let (one, two) = tokio::join!(booking::expire(&world.app.db), booking::expire(&world.app.db));
    one.and(two).unwrap();
    for connector in [at, world.connectors[3]] {
        let free = async || {
            while world.shown(connector).await != "Available" {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), free()).await.expect("it is freed by a sweep");
    }
    assert_eq!(world.row(id(&said)).await.status, "expired");
    let session = SessionId(Uuid::now_v7());
    let late = ReservationEnded {
        reservation: ReservationId(id(&said)),
        station: gateway::station(),
        end: ReservationEnd::Used(session),
        at: Timestamp(T0),
    };
    world.tell(Fact::ReservationEnded(late)).await;
    assert_eq!(world.row(id(&said)).await.status, "used", "the gateway was offline and knows better");
}

async fn kept_by_nobody(world: &mut World) {
    let said = ask(world.driver.clone(), BOOK, world.alone).await;
    assert_eq!((&said["status"], &said["heldBy"]), (&json!("Reserved"), &json!("cloud")));
    assert!(reason(&said).contains("no gateway"));
    assert_eq!(world.shown(world.alone).await, "Reserved");
    let freed = ask(world.driver.clone(), CANCEL, world.alone).await;
    assert_eq!(freed["status"], "Available");
    assert_eq!(world.shown(world.alone).await, "Available");
}

async fn within_limits(world: &mut World) {
    let again = ask(world.driver.clone(), BOOK, world.alone).await;
    assert!(reason(&again).contains("just now"), "{again}");
    let other = world.other.clone();
    for connector in [world.connectors[1], world.connectors[2], world.connectors[3]] {
        let (said, _) = world.ask(&other, BOOK, connector, Outcome::Accepted).await;
        assert_eq!(said["status"], "Reserved", "{said}");
    }
    let fourth = ask(other, BOOK, world.connectors[5]).await;
    assert!(reason(&fourth).contains("3 bookings"), "{fourth}");
}

async fn refused_at_once(world: &mut World) {
    let (driver, at) = (world.driver.clone(), world.connectors[5]);
    for (state, word) in [
        (ConnectorStatus::Preparing, "in use"),
        (ConnectorStatus::Faulted, "a fault"),
        (ConnectorStatus::Unavailable, "out of service"),
        (ConnectorStatus::Reserved, "reserved already"),
    ] {
        world.tell(status(6, state, T0 + 1)).await;
        let said = ask(driver.clone(), BOOK, at).await;
        assert!(reason(&said).contains(word), "{state:?}: {said}");
    }
    world.tell(status(6, ConnectorStatus::Available, T0 + 2)).await;
    let gone = PresenceChanged { station: gateway::station(), connected: false, at: Timestamp(T0 + 1) };
    world.tell(Fact::PresenceChanged(gone)).await;
    assert!(reason(&ask(driver.clone(), BOOK, at).await).contains("not connected"));
    assert!(reason(&ask(driver.clone(), BOOK, 999_999).await).contains("no such connector"));
    world.run("update charge_points set public = false").await;
    assert!(reason(&ask(driver.clone(), BOOK, at).await).contains("no such connector"), "as if it were not");
    world.run("update charge_points set public = true").await;
    for query in [BOOK, SOFT, CANCEL] {
        let nobody = Person { token: None, ..driver.clone() };
        assert_eq!(nobody.refused(query, json!({"id": at})).await.1, "UNAUTHENTICATED");
        assert_eq!(driver.refused(query, json!({"id": null})).await.1, "BAD_USER_INPUT");
        assert_eq!(driver.refused(query, json!({"id": 0.5})).await.1, "BAD_USER_INPUT");
    }
}

async fn seen_by_those_it_concerns(world: &World) {
    let site = json!({"site": world.house.site.to_string()});
    let count = |answer: Value| answer["it"].as_array().unwrap().len();
    let mine = world.driver.get(MINE, json!({})).await;
    let first = &mine["it"][count(mine.clone()) - 1];
    assert_eq!((&first["status"], &first["connectorNumber"]), (&json!("used"), &json!(1)), "{first}");
    let all = count(world.owner.get(THERE, site.clone()).await);
    let at_site = count(mine) - 1 + 3;
    assert_eq!(all, at_site, "all but the one elsewhere, and the other driver's three");
    assert_eq!(count(world.owner.get(MINE, json!({})).await), 0);
    assert_eq!(world.driver.refused(THERE, site.clone()).await.1, "FORBIDDEN");
    let anybody = Person { token: None, ..world.driver.clone() };
    let (_, stranger) = person(&world.app, &anybody, "stranger", "business-owner").await;
    assert_eq!(count(stranger.get(THERE, site).await), 0);
    assert_eq!(anybody.refused(MINE, json!({})).await.1, "UNAUTHENTICATED");
}
