//! What the agent costs before it does anything: bytes on disk, milliseconds to the first charger, memory.

use std::time::Instant;

use anyhow::Result;
use serde_json::json;
use stack::process::run;
use stack::programs;
use stack::puppet::Puppet;

use crate::figure::{Figure, millis};
use crate::processes::resident_kib;
use crate::stage::{Stage, identity};

const CHARGERS: usize = 200;

pub(crate) async fn measure() -> Result<Vec<Figure>> {
    let mut stage = Stage::build(CHARGERS).await?;
    let size = stripped_size(&stage)?;
    stage.edge.service().stop().await?;
    let begin = Instant::now();
    stage.edge.start().await?;
    let (url, password) = (stage.edge.ocpp_url(), stage.site.password.clone());
    let mut chargers = vec![Puppet::boot(&url, &identity(1), &password).await?];
    let first = begin.elapsed();
    let idle = resident_kib(stage.edge.service().process()?.pid())?;
    for number in 2..=CHARGERS {
        chargers.push(Puppet::boot(&url, &identity(number), &password).await?);
    }
    for charger in &mut chargers {
        charger.call("Heartbeat", json!({})).await?;
    }
    let busy = resident_kib(stage.edge.service().process()?.pid())?;
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let each = busy.saturating_sub(idle) as f64 / (CHARGERS - 1) as f64;
    Ok(vec![
        Figure::new("agent: stripped binary", mib(size / 1024)).reach("≤ 15 MB"),
        Figure::new("agent: start to first accepted charger", millis(first)).reach("≤ 300 ms"),
        Figure::new("agent: memory with one charger", mib(idle)).reach("≤ 20 MB"),
        Figure::new(format!("agent: memory per idle charger, of {CHARGERS}"), format!("{each:.1} KiB"))
            .reach("≤ 16 KB"),
    ])
}

fn stripped_size(stage: &Stage) -> Result<u64> {
    let copy = stage.dir.join("edge-agent.stripped");
    let mut strip = std::process::Command::new("strip");
    strip.arg(programs::find("edge-agent")?).arg("-o").arg(&copy);
    run(strip)?;
    Ok(copy.metadata()?.len())
}

fn mib(kib: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let mib = kib as f64 / 1024.0;
    format!("{mib:.1} MiB")
}
