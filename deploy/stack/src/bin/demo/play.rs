//! The story: what happens at the pier, and when the internet is gone.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use stack::wait;
use tokio::time::{Instant, sleep};

use crate::env;
use crate::screen::tell;
use crate::stage::Stage;

const SOON: Duration = Duration::from_secs(20);
/// How long the story dwells on each scene.
const SCENE: Duration = Duration::from_secs(5);
/// Sooner than the tokens end.
const RENEWAL: Duration = Duration::from_secs(40 * 60);

/// Three sessions, one cut.
pub(crate) async fn story(stage: &Stage) -> Result<()> {
    for charger in &stage.chargers {
        charger.until_accepted(SOON).await?;
    }
    let [first, second, third] = &stage.chargers[..] else { unreachable!("there are three") };

    tell("A driver plugs in at PIER-1 and starts from the app");
    first.plug_in().await?;
    let connector = plugged_connector(stage, first.identity()).await?;
    from_app(stage, "startTransactionByUser", connector.clone()).await?;
    first.until_charging(SOON).await?;

    tell("Another one holds a card to PIER-2");
    second.plug_in().await?;
    second.tap(&stage.house.site.id_tag).await?;
    second.until_charging(SOON).await?;
    sleep(SCENE).await;

    tell("The internet is gone");
    stage.house.proxy.cut();
    sleep(SCENE / 2).await;

    tell("A third car comes to PIER-3; the site decides by itself");
    third.plug_in().await?;
    third.tap(&stage.house.site.id_tag).await?;
    third.until_charging(SOON).await?;
    sleep(SCENE).await;

    tell("The car at PIER-2 leaves");
    second.leave(&stage.house.site.id_tag).await?;
    sleep(SCENE / 2).await;

    tell("The internet is back");
    stage.house.proxy.heal();
    until_settled(stage).await?;
    sleep(SCENE / 2).await;

    tell("The driver at PIER-1 stops from the app, the other one with the card; both leave");
    from_app(stage, "stopTransactionByUser", connector).await?;
    first.drive_away().await?;
    third.leave(&stage.house.site.id_tag).await?;
    until_settled(stage).await
}

/// Sessions now and then, until somebody ends the demo.
pub(crate) async fn on_and_on(stage: &mut Stage) -> Result<()> {
    tell("The house stays open: sessions come and go until Ctrl-C");
    let mut renewed = Instant::now();
    for turn in (0..stage.chargers.len()).cycle() {
        sleep(SCENE * 3).await;
        let charger = &stage.chargers[turn];
        charger.plug_in().await?;
        charger.tap(&stage.house.site.id_tag).await?;
        charger.until_charging(SOON).await?;
        sleep(SCENE * 3).await;
        charger.leave(&stage.house.site.id_tag).await?;
        if renewed.elapsed() > RENEWAL {
            stage.house.renew_tokens().await?;
            env::write(&stage.house)?;
            renewed = Instant::now();
        }
    }
    Ok(())
}

/// The driver's app asks for a start or a stop; the station agrees.
async fn from_app(stage: &Stage, operation: &str, connector: Value) -> Result<()> {
    let ask =
        format!("mutation($input: TransactionByUserInputDTO!) {{ {operation}(input: $input) {{ status }} }}");
    let answer = stage.house.driver.ask(&ask, json!({ "input": { "id": connector } })).await?;
    ensure!(answer[operation]["status"] == "Accepted", "{operation} was answered with {answer}");
    Ok(())
}

/// A station's connector, once the app shows that the car there is plugged in. Others may charge here meanwhile.
async fn plugged_connector(stage: &Stage, station: &str) -> Result<Value> {
    let map = "query($station: String!) { connectors(filter: {
        chargePointHardwareId: { eq: $station }, statusName: { eq: \"Preparing\" } }) { id } }";
    wait::until("the plugged connector in the app", SOON, || async {
        let answer = stage.house.operator.ask(map, json!({ "station": station })).await.ok()?;
        answer.pointer("/connectors/0/id")?.as_str()?.parse::<i64>().ok().map(Value::from)
    })
    .await
}

async fn until_settled(stage: &Stage) -> Result<()> {
    wait::until("the agent to have sent everything", SOON, || async {
        let state = stage.house.edge.state().await.ok()?;
        state["lanes"].as_object()?.values().all(|lane| lane["backlog"] == 0).then_some(())
    })
    .await
}
