//! How Postgres finds what the API asks of it: the very statements, as `auto_explain` writes them into its log.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use stack::wait;

use crate::stage::Stage;

const LIMIT: Duration = Duration::from_secs(20);

/// Asks each query once and prints the plan of its statement.
#[expect(clippy::print_stdout, reason = "the plans are what this is for")]
pub(crate) async fn print(
    stage: &mut Stage,
    queries: impl Iterator<Item = (&'static str, Value)>,
) -> Result<()> {
    explain(stage, true).await?;
    let client = stage.cloud.graphql();
    for (name, query) in queries {
        let text = query["query"].as_str().context("a query")?;
        let known = log(stage)?.len();
        client.ask(text, query["variables"].clone()).await?;
        let plan = wait::until("a plan", LIMIT, async || plan(log(stage).ok()?.get(known..)?)).await?;
        println!("{name}, 20,000 sites × 4:\n{plan}\n");
    }
    explain(stage, false).await
}

/// Switches it for the connections of a new process.
async fn explain(stage: &mut Stage, on: bool) -> Result<()> {
    for (setting, value) in [
        ("session_preload_libraries", "auto_explain"),
        ("auto_explain.log_min_duration", "0"),
        ("auto_explain.log_analyze", "on"),
        ("auto_explain.log_buffers", "on"),
    ] {
        let value = if on { format!("= '{value}'") } else { "to default".into() };
        let sql = format!("alter role current_user set {setting} {value}");
        // Known to Postgres only when the library is loaded, which a superuser's session may do.
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("load 'auto_explain'; {sql}"))).execute(&stage.db).await?;
    }
    stage.cloud.service().stop().await?;
    stage.cloud.restart().await
}

fn log(stage: &Stage) -> Result<String> {
    Ok(std::fs::read_to_string(stage.dir().join("postgres.log"))?)
}

/// The newest plan of a statement that counts what is free, with its statement.
fn plan(log: &str) -> Option<String> {
    let statements = log.split("Query Text: ").skip(1);
    let counts = statements.filter(|text| text.contains("as available") && text.contains("\n\t"));
    let lines = counts.last()?.lines();
    let plan: Vec<&str> = lines.take_while(|line| !line.contains(" LOG:  ")).collect();
    Some(plan.join("\n"))
}
