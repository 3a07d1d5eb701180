//! F8: many gateways come back at once, each with a backlog. Everybody is served, nobody waits much longer than another,
//! and people who look at the map do not notice.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;
use stack::edge::Edge;
use stack::house::BrokerKind;
use stack::proxy::Proxy;
use tokio::sync::watch;
use tokio::time::sleep;

use super::{Trial, on_stage};
use crate::checker::{CloudBook, EdgeBook, behind};
use crate::measure::Peak;
use crate::outcome::Outcome;
use crate::stage::{Stage, promise, station};
use crate::teller::tell;
use crate::times::{Times, millis};

/// Stations of each gateway.
const STATIONS: usize = 3;
const FINISHED: Duration = Duration::from_secs(600);
/// How long the map is looked at before.
const CALM: Duration = Duration::from_secs(3);
/// How much more one gateway may get in than another, side by side.
const UNFAIR: i64 = 3;
/// Some batches more or less are noise.
const NOISE: i64 = 2_000;

pub(crate) async fn play(trial: &mut Trial) -> Result<Outcome> {
    let gateways: usize = trial.scale.of(5, 10, 20);
    on_stage(
        trial,
        BrokerKind::Embedded,
        gateways * STATIONS,
        async |trial: &mut Trial, stage: &mut Stage| rounds(trial, stage, gateways).await,
    )
    .await
}

async fn rounds(trial: &mut Trial, stage: &mut Stage, gateways: usize) -> Result<Outcome> {
    let sessions = trial.scale.of(31, 125, 310);
    trial.line.of(gateways as u64);
    let broker = stage.house.cloud.mqtt()?;
    let mut links = Vec::new();
    for number in 2..=gateways {
        let link = Proxy::start(broker).await?;
        let mut edge = stage.house.another_gateway(&format!("edge-{number}"))?;
        edge.service().set("EDGE_SYNC__MQTT_URL", format!("mqtt://{}", link.address()));
        edge.start().await?;
        stage.others.push(edge);
        links.push(link);
    }
    stage.documents_arrived().await?;
    trial.line.doing("all gateways lose the internet, their stations go on");
    stage.house.proxy.cut();
    links.iter().for_each(Proxy::cut);
    trial.line.fault();
    for (number, edge) in edges(stage).enumerate() {
        let stations: Vec<String> = (1..=STATIONS).map(|own| station(number * STATIONS + own)).collect();
        tell(stage, &edge.ocpp_url(), &stations, sessions, &mut trial.dice).await?;
    }
    let backlog = stage.backlog()?;

    trial.line.doing("a visitor looks at the map while nothing comes");
    let before = visits(stage, sleep(CALM)).await?.1;
    trial.line.doing(format!("{backlog} records come at once"));
    let memory = Peak::of(stage.house.cloud.service().process()?.pid());
    let begin = Instant::now();
    stage.house.proxy.heal();
    links.iter().for_each(Proxy::heal);
    let (served, during) = visits(stage, finish(trial, stage, begin)).await?;
    let Served { done, own, shares } = served?;
    let memory = memory.finish();

    let mut verdict = stage.verdict(stage.rules()).await?;
    let (least, most) =
        (shares.iter().min().copied().unwrap_or(1), shares.iter().max().copied().unwrap_or(1));
    let fair = most <= least * UNFAIR || most < NOISE;
    let all = done.percentile(100);
    promise(&mut verdict, all <= FINISHED, format!("the last gateway was done after {}", millis(all)));
    promise(&mut verdict, fair, format!("side by side one gateway got {most} records in, another {least}"));
    let rate = i128::from(backlog) * 1_000 / i128::try_from(all.as_millis())?.max(1);
    let notes = vec![
        format!(
            "{gateways} gateways with {backlog} records: all there after {}, {rate} a second",
            millis(all)
        ),
        format!(
            "of {} side by side, until the first was done, one got {most} records in, another {least}",
            shares.len()
        ),
        format!(
            "the first was done after {}, the last after {}; they redial at times of their own",
            millis(done.percentile(0)),
            millis(all)
        ),
        format!("the cloud held {} MiB at most", memory >> 20),
    ];
    let times = vec![
        ("from the internet's return until a gateway was done".into(), done),
        ("from a gateway's first record until its last".into(), own),
        ("a visitor of the map before".into(), before),
        ("a visitor of the map meanwhile".into(), during),
    ];
    Ok(Outcome { verdict, times, notes })
}

fn edges(stage: &Stage) -> impl Iterator<Item = &Edge> {
    [&stage.house.edge].into_iter().chain(&stage.others)
}

/// How the herd was served.
#[derive(Default)]
struct Served {
    /// From the link's return until a gateway was done.
    done: Times,
    /// From its first record to its last.
    own: Times,
    /// What each of those got that were served at the same time, until the first of them was done.
    shares: Vec<i64>,
}

/// A gateway on its way.
struct OnTheWay {
    data: PathBuf,
    /// What of it was committed before the herd came.
    before: i64,
    committed: i64,
    /// The same when all that are left had begun.
    together: Option<i64>,
    /// When more of it was there for the first time.
    began: Option<Instant>,
}

/// Waits until each gateway has sent everything. They redial at different times on purpose, so what is fair shows while
/// several are served at once.
async fn finish(trial: &Trial, stage: &Stage, begin: Instant) -> Result<Served> {
    let mut all = Served::default();
    let watermarks = CloudBook::watermarks(&stage.db).await?;
    let on_the_way = |edge: &Edge| {
        let before = watermarks.committed(&EdgeBook::position(edge.data())?.epoch);
        anyhow::Ok(OnTheWay {
            data: edge.data().to_owned(),
            before,
            committed: before,
            together: None,
            began: None,
        })
    };
    let mut left: Vec<OnTheWay> = edges(stage).map(on_the_way).collect::<Result<_>>()?;
    while !left.is_empty() {
        anyhow::ensure!(begin.elapsed() < FINISHED * 2, "{} gateways are not done", left.len());
        sleep(Duration::from_millis(20)).await;
        let watermarks = CloudBook::watermarks(&stage.db).await?;
        let (mut done, mut still) = (Vec::new(), Vec::new());
        for mut one in left {
            let book = EdgeBook::position(&one.data)?;
            one.committed = watermarks.committed(&book.epoch);
            if one.committed > one.before {
                one.began.get_or_insert_with(Instant::now);
            }
            if behind(&book, &watermarks).is_empty() { done.push(one) } else { still.push(one) }
        }
        if !done.is_empty() && all.shares.is_empty() {
            let together = done.iter().chain(&still).filter_map(|one| Some(one.committed - one.together?));
            all.shares = together.collect();
        }
        for one in done {
            all.done.add(begin.elapsed());
            all.own.add(one.began.map_or(Duration::ZERO, |began| began.elapsed()));
            trial.line.round();
        }
        if still.iter().all(|one| one.committed > one.before && one.together.is_none()) {
            still.iter_mut().for_each(|one| one.together = Some(one.committed));
        }
        left = still;
    }
    Ok(all)
}

/// What happens, and how long a visitor waited for the map while it did.
async fn visits<T>(stage: &Stage, happens: impl Future<Output = T>) -> Result<(T, Times)> {
    let (go_on, stop) = watch::channel(true);
    let visitor = tokio::spawn(visit(stage.house.cloud.graphql(), stage.house.site.id, stop));
    let happened = happens.await;
    go_on.send_replace(false);
    Ok((happened, visitor.await??))
}

/// Looks at the map, again and again.
async fn visit(client: stack::graphql::Client, site: i64, go_on: watch::Receiver<bool>) -> Result<Times> {
    let map = "query($input: InputFilterSiteDto!) { getFilteredSite(input: $input) { available_ids } }";
    let input = json!({ "input": { "siteId": site, "connectorTypesSelected": ["Type 2"] } });
    let mut times = Times::default();
    while *go_on.borrow() {
        let begin = Instant::now();
        client.ask(map, input.clone()).await.context("a visitor of the map")?;
        times.add(begin.elapsed());
        sleep(Duration::from_millis(20)).await;
    }
    Ok(times)
}
