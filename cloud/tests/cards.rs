//! Cards over a real database: whose they are, which gateway learns of them, and how an unknown one becomes somebody's.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use cloud::db::record::Origin;
use cloud::db::unknown_card;
use cloud::lists;
use cloud::live::Hint;
use serde_json::{Value, json};
use shared::id::{Epoch, EvseNo, GatewayId, StationId};
use shared::model::Lane;
use shared::model::document::DocumentBody;
use shared::model::event::UnknownCardSeen;
use shared::model::token::{AuthStatus, IdToken, TokenEntry};
use shared::units::Timestamp;
use support::Person;
use support::world::World;
use uuid::Uuid;

const ADD: &str = "mutation($token: String!, $name: String!, $user: ID, $group: ID, $end: DateTime) {
    addCard(token: $token, name: $name, userId: $user, groupId: $group, expiresAt: $end) { id token name userId groupId status } }";
const CARDS: &str = "query($group: ID, $user: ID, $site: ID) {
    cards(groupId: $group, userId: $user, siteId: $site) { count data { id token status } } }";
const UNKNOWN: &str = "query($site: ID!) { unknownCards(siteId: $site) { id token station taps } }";
const ADOPT: &str = "mutation($id: ID!, $group: ID, $user: ID) {
    adoptCard(unknownCardId: $id, name: \"adopted\", groupId: $group, userId: $user) { id token userId groupId } }";
const LEARN: &str = "mutation($at: ID!, $seconds: Int!) { learnCard(chargePointId: $at, name: \"mine\", seconds: $seconds) { token userId } }";

/// Site 1 is public and Ann's; site 2 is private and of Ann's organization, where Ben operates and Ian installs; site 3 is
/// private and Cem's. Each has a station and a gateway of its number. Dia drives.
struct Cast {
    world: World,
    ann: Person,
    ben: Person,
    ian: Person,
    cem: Person,
    dia: Person,
    admin: Person,
    ids: BTreeMap<&'static str, i64>,
}

impl Cast {
    async fn new() -> Self {
        let world = World::new().await;
        let mut ids = BTreeMap::new();
        let mut come = async |name: &'static str, role: &str| {
            let (id, person) = world.person(name, role).await;
            ids.insert(name, id);
            person
        };
        let (ann, ben) = (come("ann", "business-owner").await, come("ben", "driver").await);
        let (ian, cem) = (come("ian", "driver").await, come("cem", "business-owner").await);
        let (dia, admin) = (come("dia", "driver").await, come("admin", "administrator").await);
        for sql in [
            format!("insert into organizations (id, owner_id, name) overriding system value values (1, {}, 'fleet')", ids["ann"]),
            format!("insert into organization_members values (1, {}, 'operator'), (1, {}, 'installer')", ids["ben"], ids["ian"]),
            format!(
                "insert into sites (id, owner_id, organization_id, name) overriding system value
                 values (1, {0}, null, 'street'), (2, null, 1, 'depot'), (3, {1}, null, 'garage')",
                ids["ann"], ids["cem"]
            ),
            "insert into charge_points (id, site_id, charge_point_hardware_id, public) overriding system value
             values (1, 1, 'S1', true), (2, 2, 'S2', false), (3, 3, 'S3', false)".into(),
            "insert into gateways (id, site_id, shard, frame_key, mosquitto_password)
             select ('00000000-0000-0000-0000-00000000000' || id)::uuid, id, 0, decode(repeat('00', 32), 'hex'), '' from sites".into(),
        ] {
            sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(world.db()).await.unwrap();
        }
        Self { world, ann, ben, ian, cem, dia, admin, ids }
    }

    /// Whether the gateway of a site knows a card, once everything stale is built, and as what.
    async fn at(&self, site: i64, token: &str) -> Option<TokenEntry> {
        while lists::renew(self.world.db()).await.unwrap() {}
        let bodies: Vec<Vec<u8>> = sqlx::query_scalar(
            "select b.body from documents d join document_bodies b using (hash) join gateways g on g.id = d.gateway_id
             where g.site_id = $1",
        )
        .bind(site)
        .fetch_all(self.world.db())
        .await
        .unwrap();
        let lists = bodies.iter().map(|body| match postcard::from_bytes(body).unwrap() {
            DocumentBody::Tokens(list) => list.tokens,
            DocumentBody::PublicTokens(part) => part.tokens,
            DocumentBody::Stations(_)
            | DocumentBody::Tariffs(_)
            | DocumentBody::Admission(_)
            | DocumentBody::Settings(_) => vec![],
        });
        lists.flatten().find(|entry| entry.token == IdToken::new(token).folded())
    }

    /// The sites, as digits, whose gateways know a card.
    async fn where_known(&self, token: &str) -> String {
        let mut sites = String::new();
        for site in 1..=3 {
            if self.at(site, token).await.is_some() {
                sites.push_str(&site.to_string());
            }
        }
        sites
    }

    async fn versions(&self) -> Vec<(Uuid, String, i64)> {
        while lists::renew(self.world.db()).await.unwrap() {}
        sqlx::query_as("select gateway_id, name, version from documents order by 1, 2")
            .fetch_all(self.world.db())
            .await
            .unwrap()
    }

    /// An unknown card is held to a station's reader, as ingest hears of it.
    async fn tap(&self, site: i64, token: &str) -> bool {
        self.taps(site, &[token.to_owned()]).await
    }

    async fn taps(&self, site: i64, tokens: &[String]) -> bool {
        let origin = Origin {
            gateway: GatewayId(Uuid::from_u128(site.unsigned_abs().into())),
            site_id: site,
            epoch: Epoch(Uuid::nil()),
            lane: Lane::Status,
        };
        let now = Timestamp::from_utc(chrono::Utc::now());
        let seen = (0..).zip(tokens).map(|(place, token)| UnknownCardSeen {
            station: StationId::new(format!("S{site}")).unwrap(),
            evse: Some(EvseNo(1)),
            token: IdToken::new(token),
            at: now.plus_millis(place - 1000),
        });
        let seen: BTreeMap<String, UnknownCardSeen> = seen.map(|seen| (seen.token.folded(), seen)).collect();
        let mut tx = self.world.db().begin().await.unwrap();
        let news = unknown_card::keep(&mut tx, origin, &seen).await.unwrap();
        tx.commit().await.unwrap();
        self.world.app.live.hint(Hint { unknown_cards: vec![site], ..Hint::default() });
        news
    }

    async fn add(&self, who: &Person, variables: Value) -> Value {
        who.get(ADD, variables).await["addCard"].take()
    }
}

#[tokio::test]
async fn cards_from_the_first_to_the_last() {
    let cast = Cast::new().await;
    own_cards(&cast).await;
    barring(&cast).await;
    groups(&cast).await;
    people_who_leave(&cast).await;
    one_card_costs_one_part(&cast).await;
    tap_to_learn(&cast).await;
    a_person_before_a_reader(&cast).await;
    the_log(&cast).await;
}

async fn own_cards(cast: &Cast) {
    let card = cast.add(&cast.dia, json!({"token": " 04:a2:b3:c4:d5:e6:80 ", "name": "key ring"})).await;
    assert_eq!((&card["token"], &card["status"]), (&json!("04A2B3C4D5E680"), &json!("ACCEPTED")));
    assert_eq!(card["userId"], cast.ids["dia"].to_string());
    let again = cast.add(&cast.dia, json!({"token": "04-A2-B3-C4-D5-E6-80", "name": "other"})).await;
    assert_eq!(again, card, "the same once more changes nothing");
    let taken = ("This token belongs to somebody else.".into(), "BAD_USER_INPUT".into());
    for other in [&cast.cem, &cast.admin] {
        assert_eq!(other.refused(ADD, json!({"token": "04a2b3c4d5e680", "name": "x"})).await, taken);
    }
    for bad in ["", "käse", "123456789012345678901"] {
        let (text, code) = cast.dia.refused(ADD, json!({"token": bad, "name": "x"})).await;
        assert!(text.contains("1 to 20 printable characters") && code == "BAD_USER_INPUT", "{text}");
    }
    let (text, code) =
        cast.cem.refused(ADD, json!({"token": "CEM", "name": "x", "user": cast.ids["dia"]})).await;
    assert!(text.contains("he pays") && code == "FORBIDDEN", "{text}");
    cast.add(&cast.admin, json!({"token": "GIVEN", "name": "by the office", "user": cast.ids["dia"]})).await;

    assert_eq!(
        cast.where_known("04A2B3C4D5E680").await,
        "1",
        "a stranger's card is known where all may charge"
    );
    assert_eq!(cast.at(1, "GIVEN").await.unwrap().group, Some(format!("user-{}", cast.ids["dia"])));
    cast.add(&cast.cem, json!({"token": "CEM", "name": "x"})).await;
    assert_eq!(cast.where_known("cem").await, "13", "and at one's own garage");
    cast.add(&cast.ian, json!({"token": "IAN", "name": "x"})).await;
    assert_eq!(cast.where_known("ian").await, "12", "and where one is a member");

    let seen = async |who: &Person| who.get(CARDS, json!({})).await["cards"]["count"].clone();
    assert_eq!(
        (seen(&cast.dia).await, seen(&cast.cem).await, seen(&cast.admin).await),
        (json!(2), json!(1), json!(4))
    );
    let of_dia = json!({"user": cast.ids["dia"]});
    assert_eq!(cast.ann.get(CARDS, of_dia.clone()).await["cards"]["count"], 0);
    assert_eq!(cast.admin.get(CARDS, of_dia).await["cards"]["data"][1]["token"], "GIVEN");
    assert_eq!(cast.world.anybody.refused(CARDS, json!({})).await.1, "UNAUTHENTICATED");
}

async fn barring(cast: &Cast) {
    let id = cast.dia.get(CARDS, json!({})).await["cards"]["data"][0]["id"].clone();
    let id = json!({"id": id});
    const BLOCK: &str = "mutation($id: ID!) { blockCard(id: $id) { status } }";
    const UNBLOCK: &str = "mutation($id: ID!) { unblockCard(id: $id) { status } }";
    const DELETE: &str = "mutation($id: ID!) { deleteCard(id: $id) { token } }";
    let (text, _) = cast.cem.refused(BLOCK, id.clone()).await;
    assert!(text.starts_with("Unable to find CardEntity"), "{text}");
    assert_eq!(cast.dia.get(BLOCK, id.clone()).await["blockCard"]["status"], "BLOCKED");
    assert_eq!(cast.at(1, "04A2B3C4D5E680").await.unwrap().status, AuthStatus::Blocked);
    assert_eq!(cast.dia.get(UNBLOCK, id.clone()).await["unblockCard"]["status"], "ACCEPTED");

    cast.admin.get(BLOCK, id.clone()).await;
    for trick in [UNBLOCK, DELETE] {
        assert_eq!(cast.dia.refused(trick, id.clone()).await.1, "FORBIDDEN");
    }
    cast.admin.get(UNBLOCK, id.clone()).await;

    const UPDATE: &str = "mutation($id: ID!, $name: String, $end: DateTime, $never: Boolean) {
        updateCard(id: $id, name: $name, expiresAt: $end, neverExpires: $never) { name status expiresAt } }";
    let mut over = id.clone();
    over["end"] = json!("2020-01-01T00:00:00Z");
    let ended = cast.dia.get(UPDATE, over).await["updateCard"].take();
    assert_eq!(
        ended,
        json!({"name": "key ring", "status": "EXPIRED", "expiresAt": "2020-01-01T00:00:00.000Z"})
    );
    let entry = cast.at(1, "04A2B3C4D5E680").await.unwrap();
    assert_eq!(entry.status_at(Timestamp::from_utc(chrono::Utc::now())), AuthStatus::Expired);
    let mut on = id.clone();
    on["never"] = json!(true);
    assert_eq!(
        cast.dia.get(UPDATE, on).await["updateCard"],
        json!({"name": "key ring", "status": "ACCEPTED", "expiresAt": null})
    );
    cast.dia.get(DELETE, id).await;
    assert_eq!(cast.where_known("04A2B3C4D5E680").await, "", "gone at once, everywhere");
}

async fn groups(cast: &Cast) {
    const CREATE: &str =
        "mutation($org: ID, $name: String!) { createCardGroup(organizationId: $org, name: $name) { id } }";
    const GROUPS: &str = "{ cardGroups { id name cards siteIds } }";
    const LET_IN: &str = "mutation($id: ID!, $site: ID!, $allowed: Boolean) {
        letCardGroupIn(id: $id, siteId: $site, allowed: $allowed) { siteIds } }";
    let org = json!({"org": 1, "name": "vans"});
    for nobody in [&cast.cem, &cast.dia, &cast.ian] {
        assert!(nobody.refused(CREATE, org.clone()).await.0.starts_with("Unable to find OrganizationEntity"));
    }
    let group = cast.ben.get(CREATE, org).await["createCardGroup"]["id"].clone();
    let van = cast.add(&cast.ben, json!({"token": "VAN-1", "name": "van 1", "group": group})).await;
    assert_eq!((&van["userId"], &van["groupId"]), (&Value::Null, &group));
    cast.add(&cast.ann, json!({"token": "VAN-2", "name": "van 2", "group": group})).await;
    assert_eq!(cast.where_known("VAN-1").await, "2", "nobody pays for it in the street");
    let name = format!("group-{}", group.as_str().unwrap());
    assert!(name.len() <= 20);
    assert_eq!(cast.at(2, "VAN-2").await.unwrap().group, Some(name));

    assert_eq!(cast.ann.get(GROUPS, json!({})).await["cardGroups"][0]["cards"], 2);
    assert_eq!(cast.ben.get(CARDS, json!({"group": group})).await["cards"]["count"], 2);
    assert_eq!(cast.ben.get(CARDS, json!({"site": 2})).await["cards"]["count"], 2);
    for stranger in [&cast.cem, &cast.dia, &cast.ian] {
        assert_eq!(stranger.get(GROUPS, json!({})).await["cardGroups"], json!([]));
        assert_eq!(stranger.get(CARDS, json!({"group": group})).await["cards"]["count"], 0);
        assert!(
            stranger
                .refused(ADD, json!({"token": "VAN-3", "name": "x", "group": group}))
                .await
                .0
                .contains("CardGroup")
        );
    }
    let into = |site: i64, allowed: bool| json!({"id": group, "site": site, "allowed": allowed});
    assert!(cast.ann.refused(LET_IN, into(3, true)).await.0.contains("Site"), "not her garage");
    cast.ann.get(LET_IN, into(1, true)).await;
    assert_eq!(cast.where_known("VAN-1").await, "12");
    cast.ann.get(LET_IN, into(1, false)).await;
    assert_eq!(cast.where_known("VAN-1").await, "2");

    // A person's card in a group is both's, and outlives the group.
    let join = "mutation($id: ID!, $group: ID!) { updateCard(id: $id, groupId: $group) { userId groupId } }";
    let kit = cast.add(&cast.admin, json!({"token": "KIT", "name": "x", "user": cast.ids["dia"]})).await;
    let joined = cast.admin.get(join, json!({"id": kit["id"], "group": group})).await["updateCard"].take();
    assert_eq!(joined, json!({"userId": kit["userId"], "groupId": group}));
    assert_eq!(cast.where_known("KIT").await, "12");

    let gone =
        cast.ann.get("mutation($id: ID!) { deleteCardGroup(id: $id) { cards } }", json!({"id": group})).await;
    assert_eq!(gone["deleteCardGroup"]["cards"], 3);
    assert_eq!((cast.where_known("VAN-1").await, cast.where_known("KIT").await), ("".into(), "1".into()));
    assert_eq!(cast.ann.get(CARDS, json!({})).await["cards"]["count"], 0, "its cards went with it");
}

async fn people_who_leave(cast: &Cast) {
    let db = cast.world.db();
    assert_eq!(cast.where_known("IAN").await, "12");
    sqlx::query("delete from organization_members where user_id = $1")
        .bind(cast.ids["ian"])
        .execute(db)
        .await
        .unwrap();
    assert_eq!(cast.where_known("IAN").await, "1");
    sqlx::query("insert into organization_members values (1, $1, 'installer')")
        .bind(cast.ids["ian"])
        .execute(db)
        .await
        .unwrap();
    for (active, sites) in [(false, ""), (true, "12")] {
        let sql = "update users set is_active = $2 where id = $1";
        sqlx::query(sql).bind(cast.ids["ian"]).bind(active).execute(db).await.unwrap();
        assert_eq!(cast.where_known("IAN").await, sites);
    }
    sqlx::query("update charge_points set public = false where id = 1").execute(db).await.unwrap();
    assert_eq!(cast.where_known("IAN").await, "2", "the street was closed: strangers' cards are taken away");
    sqlx::query("update charge_points set public = true where id = 1").execute(db).await.unwrap();
    sqlx::query("update sites set organization_id = null where id = 2").execute(db).await.unwrap();
    assert_eq!(cast.where_known("IAN").await, "1");
    sqlx::query("update sites set organization_id = 1 where id = 2").execute(db).await.unwrap();
    let (id, leo) = cast.world.person("leo", "driver").await;
    cast.add(&leo, json!({"token": "LEO", "name": "x"})).await;
    assert_eq!(cast.where_known("LEO").await, "1");
    sqlx::query("delete from users where id = $1").bind(id).execute(db).await.unwrap();
    assert_eq!(cast.where_known("LEO").await, "");
}

async fn one_card_costs_one_part(cast: &Cast) {
    let before = cast.versions().await;
    cast.add(&cast.dia, json!({"token": "ONE-MORE", "name": "x"})).await;
    let changed: Vec<_> = cast.versions().await.into_iter().filter(|row| !before.contains(row)).collect();
    let street = Uuid::from_u128(1);
    assert!(
        changed.len() == 1 && changed[0].0 == street && changed[0].1.starts_with("public-tokens/"),
        "{changed:?}"
    );

    let many = "insert into id_tokens (user_id, token) select $1, upper(left(md5(n::text), 14)) from generate_series(1, 10000) n";
    sqlx::query(many).bind(cast.ids["admin"]).execute(cast.world.db()).await.unwrap();
    cast.versions().await;
    let (parts, whole, largest): (i64, i64, i32) = sqlx::query_as(
        "select count(*), sum(length(body)), max(length(body)) from public_lists join document_bodies using (hash)",
    )
    .fetch_one(cast.world.db())
    .await
    .unwrap();
    assert_eq!(parts, 64);
    assert!(whole < 350_000 && largest < 8_000, "{whole} {largest}");
    sqlx::query("delete from id_tokens where user_id = $1")
        .bind(cast.ids["admin"])
        .execute(cast.world.db())
        .await
        .unwrap();
}

async fn tap_to_learn(cast: &Cast) {
    let unknown = async |who: &Person| who.get(UNKNOWN, json!({"site": 2})).await["unknownCards"].take();
    assert!(cast.tap(2, "04:FF:FF:01").await);
    cast.tap(2, "04FFFF02").await;
    cast.tap(2, "04ffff01").await;
    assert!(!cast.tap(2, "ONE-MORE").await, "Dia's card is nobody's business at the depot");
    for who in [&cast.ann, &cast.ben, &cast.ian, &cast.admin] {
        let seen = unknown(who).await;
        assert_eq!(seen.as_array().unwrap().len(), 2);
        assert_eq!(
            (&seen[0]["token"], &seen[0]["taps"], &seen[0]["station"]),
            (&json!("04:FF:FF:01"), &json!(2), &json!("S2"))
        );
    }
    assert_eq!(unknown(&cast.cem).await, json!([]));
    assert_eq!(cast.dia.refused(UNKNOWN, json!({"site": 2})).await.1, "FORBIDDEN");

    let ids: Vec<Value> =
        unknown(&cast.ben).await.as_array().unwrap().iter().map(|card| card["id"].clone()).collect();
    for who in [&cast.cem, &cast.dia] {
        who.refused(ADOPT, json!({"id": ids[0]})).await;
    }
    assert_eq!(cast.ben.refused(ADOPT, json!({"id": ids[0], "user": cast.ids["dia"]})).await.1, "FORBIDDEN");
    let create = "mutation { createCardGroup(organizationId: 1, name: \"vans\") { id } }";
    let group = cast.ben.get(create, json!({})).await["createCardGroup"]["id"].clone();
    let adopted = cast.ben.get(ADOPT, json!({"id": ids[0], "group": group})).await["adoptCard"].take();
    assert_eq!((&adopted["token"], &adopted["groupId"]), (&json!("04FFFF01"), &group));
    assert_eq!(cast.where_known("04FFFF01").await, "2");
    let own = cast.ian.get(ADOPT, json!({"id": ids[1]})).await["adoptCard"].take();
    assert_eq!(own["userId"], cast.ids["ian"].to_string());
    assert_eq!(unknown(&cast.ben).await, json!([]), "adopted cards are off the list");
    assert!(cast.ben.refused(ADOPT, json!({"id": ids[0]})).await.0.contains("UnknownCard"), "once");

    let random: Vec<String> = (0..unknown_card::MOST + 20).map(|n| format!("random {n}")).collect();
    cast.taps(3, &random).await;
    let most = usize::try_from(unknown_card::MOST).unwrap();
    let kept = cast.cem.get(UNKNOWN, json!({"site": 3})).await["unknownCards"].take();
    assert_eq!(kept.as_array().unwrap().len(), most);
    assert_eq!(kept[0]["token"], format!("random {}", most + 19), "the newest first");
    sqlx::query("update unknown_cards set last_seen_at = now() - interval '25 hours' where site_id = 3")
        .execute(cast.world.db())
        .await
        .unwrap();
    assert_eq!(cast.cem.get(UNKNOWN, json!({"site": 3})).await["unknownCards"], json!([]));
    unknown_card::forget_old(cast.world.db()).await.unwrap();
}

async fn a_person_before_a_reader(cast: &Cast) {
    let lesson = |who: &Person, at: i64, seconds: i32| {
        let who = who.clone();
        tokio::spawn(async move { who.ask(LEARN, json!({"at": at, "seconds": seconds})).await })
    };
    let begun = async || {
        let open = "select count(*) from card_lessons where expires_at > now()";
        while sqlx::query_scalar::<_, i64>(open).fetch_one(cast.world.db()).await.unwrap() == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    cast.tap(1, "TOO-EARLY").await;
    let learning = lesson(&cast.dia, 1, 20);
    begun().await;
    let (text, _) = cast.cem.refused(LEARN, json!({"at": 1, "seconds": 5})).await;
    assert!(text.contains("already"), "one at a time: {text}");
    cast.tap(1, "ONE-MORE").await;
    cast.tap(1, "04FFFF03").await;
    let learned = learning.await.unwrap();
    assert_eq!(
        learned["data"]["learnCard"],
        json!({"token": "04FFFF03", "userId": cast.ids["dia"].to_string()})
    );
    assert_eq!(cast.where_known("04FFFF03").await, "1");

    assert!(
        cast.dia.refused(LEARN, json!({"at": 2, "seconds": 5})).await.0.contains("ChargePoint"),
        "not her depot"
    );
    assert_eq!(cast.dia.refused(LEARN, json!({"at": 1, "seconds": 60})).await.1, "BAD_USER_INPUT");
    let nothing = lesson(&cast.dia, 1, 5).await.unwrap();
    assert!(nothing["errors"][0]["message"].as_str().unwrap().starts_with("No unknown card"), "{nothing}");
    assert_eq!(cast.ann.get(UNKNOWN, json!({"site": 1})).await["unknownCards"][0]["token"], "TOO-EARLY");
}

async fn the_log(cast: &Cast) {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "select entity || ' ' || action, count(*) from audit where entity like 'Card%' group by 1 order by 1",
    )
    .fetch_all(cast.world.db())
    .await
    .unwrap();
    let did: BTreeMap<String, i64> = rows.into_iter().collect();
    let expected = [
        ("Card adopt", 2),
        ("Card block", 2),
        ("Card create", 9),
        ("Card delete", 1),
        ("Card learn", 1),
        ("Card unblock", 2),
        ("Card update", 3),
        ("CardGroup create", 2),
        ("CardGroup delete", 1),
        ("CardGroup update", 2),
    ];
    assert_eq!(did, expected.map(|(what, count)| (what.to_owned(), count)).into());
    let told: i64 = sqlx::query_scalar(
        "select count(*) from audit where (before::text || after::text) like '%04A2B3C4D5E680%'",
    )
    .fetch_one(cast.world.db())
    .await
    .unwrap();
    assert_eq!(told, 0, "a card's number is what it charges with");
}

/// What the second wall shows, whatever the first one forgets.
#[tokio::test]
async fn postgres_itself_hides_others_cards() {
    let cast = Cast::new().await;
    let db = cast.world.db();
    let ids = &cast.ids;
    let sql = format!(
        "insert into card_groups (id, organization_id, owner_id, name) overriding system value
             values (1, 1, null, 'vans'), (2, null, {cem}, 'family');
         insert into id_tokens (token, user_id, group_id) values ('van', null, 1), ('kid', null, 2), ('dia', {dia}, null);
         insert into unknown_cards (site_id, station, token, folded, tap, first_seen_at, last_seen_at)
             values (2, 'S2', 'x', 'x', 1, now(), now())",
        cem = ids["cem"],
        dia = ids["dia"]
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(db).await.unwrap();
    for (name, cards, groups, unknown) in [
        ("ann", "van", 1, 1),
        ("ben", "van", 1, 1),
        ("ian", "", 0, 1),
        ("cem", "kid", 1, 0),
        ("dia", "dia", 0, 0),
    ] {
        let viewer = cloud::auth::Viewer {
            id: ids[name],
            role: cloud::auth::Role::Driver,
            memberships: vec![],
            expires_at: 0,
        };
        let mut tx = cloud::db::viewer::begin(db, &viewer).await.unwrap();
        let seen: (Option<String>, i64, i64) = sqlx::query_as(
            "select (select string_agg(token, ',' order by id) from id_tokens), (select count(*) from card_groups),
                    (select count(*) from unknown_cards)",
        )
        .fetch_one(&mut *tx)
        .await
        .unwrap();
        assert_eq!(seen, (Some(cards.to_owned()).filter(|it| !it.is_empty()), groups, unknown), "{name}");
        for forbidden in [
            "insert into id_tokens (token, user_id) select 'stolen', max(user_id) + 1 from organization_members",
            "update id_tokens set group_id = 3 - group_id where group_id is not null returning id",
            "insert into card_group_sites values (1, 3)",
            "insert into stale_lists (part) values (1)",
        ] {
            let mut attempt = sqlx::Acquire::begin(&mut *tx).await.unwrap();
            let done = sqlx::query(sqlx::AssertSqlSafe(forbidden)).execute(&mut *attempt).await;
            assert!(done.is_err() || done.unwrap().rows_affected() == 0, "{name}: {forbidden}");
        }
    }
}
