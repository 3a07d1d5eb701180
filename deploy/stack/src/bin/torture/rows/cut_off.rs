//! F20: the cloud is out of reach while sessions begin and end and cards are shown. The site decides by the newest list it
//! has, in time, and a card that was barred meanwhile is barred here as soon as the site can know.

use std::time::Instant;

use anyhow::{Context, Result};
use serde_json::json;
use stack::house::BrokerKind;
use stack::puppet::Puppet;
use tokio::time::sleep;

use super::{Trial, on_stage};
use crate::outcome::Outcome;
use crate::prober::Prober;
use crate::stage::{SOON, Stage, promise, station};
use crate::teller::Teller;
use crate::times::Times;

pub(crate) async fn play(trial: &mut Trial) -> Result<Outcome> {
    on_stage(trial, BrokerKind::Embedded, 3, rounds).await
}

async fn rounds(trial: &mut Trial, stage: &mut Stage) -> Result<Outcome> {
    let rounds = trial.scale.of(8, 40, 200);
    trial.line.of(rounds);
    let url = stage.house.edge.ocpp_url();
    let prober = Prober::begin(stage, &station(3)).await?;
    let mut teller = Teller::connect(stage, &url, &station(1)).await?.live();
    let mut reader = Puppet::boot(&url, &station(2), &stage.house.site.password).await?;
    let (mut barred, mut too_early) = (Times::default(), 0);
    for round in 0..rounds {
        trial.line.doing("a card is added, the cloud goes, the card is barred");
        let token = format!("TORTURE{round}");
        let card = add_card(stage, &token).await?;
        until(&mut reader, &token, true).await?;
        cut_within_a_session(trial, stage, &mut teller).await?;
        bar(stage, &card).await?;
        // What it cannot know it cannot follow.
        too_early += u64::from(!accepts(&mut reader, &token).await?);
        teller.session(&mut trial.dice).await?;
        stage.house.proxy.heal();
        let begin = Instant::now();
        until(&mut reader, &token, false).await?;
        barred.add(begin.elapsed());
        trial.line.round();
    }
    let answers = prober.finish();
    drop((teller.answers, reader));
    stage.settled(SOON).await?;
    let mut verdict = stage.verdict(stage.rules()).await?;
    promise(&mut verdict, too_early == 0, format!("{too_early} cards on the list were refused offline"));
    let times = vec![
        answers.judge(&mut verdict),
        ("from the internet's return until a barred card was refused".into(), barred),
    ];
    Ok(Outcome { verdict, times, notes: Vec::new() })
}

/// The link breaks somewhere between a session's first and last message, and stays broken.
async fn cut_within_a_session(trial: &mut Trial, stage: &Stage, teller: &mut Teller) -> Result<()> {
    let (after, mut dice) = (trial.dice.millis(0, 120), trial.dice.fork());
    trial.line.fault();
    let cut = async {
        sleep(after).await;
        stage.house.proxy.cut();
    };
    let ((), session) = tokio::join!(cut, teller.session(&mut dice));
    session.map(drop)
}

async fn add_card(stage: &Stage, token: &str) -> Result<String> {
    let add =
        "mutation($token: String!, $user: ID) { addCard(token: $token, name: $token, userId: $user) { id } }";
    let variables = json!({ "token": token, "user": stage.house.site.driver.to_string() });
    let answer = stage.house.operator.ask(add, variables).await?;
    answer["addCard"]["id"].as_str().map(str::to_owned).context("a card has an id")
}

async fn bar(stage: &Stage, card: &str) -> Result<()> {
    let bar = "mutation($card: ID!) { blockCard(id: $card) { id } }";
    stage.house.operator.ask(bar, json!({ "card": card })).await.map(drop)
}

async fn accepts(reader: &mut Puppet, token: &str) -> Result<bool> {
    let answer = reader.call("Authorize", json!({ "idTag": token })).await?;
    Ok(answer["idTagInfo"]["status"] == "Accepted")
}

/// Waits until a card is taken, or until it is not.
async fn until(reader: &mut Puppet, token: &str, wanted: bool) -> Result<()> {
    let begin = Instant::now();
    while accepts(reader, token).await? != wanted {
        anyhow::ensure!(begin.elapsed() < SOON, "the card {token} is still not {wanted}");
        sleep(std::time::Duration::from_millis(20)).await;
    }
    Ok(())
}
