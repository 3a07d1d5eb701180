//! One table: our figures, what people would pick instead, and what we want to reach, all of the same machine and the
//! same minutes. `deploy/bench/run` builds everything it needs and starts it.

mod api;
mod chargers;
mod figure;
mod footprint;
mod gateway;
mod hammer;
mod ingest;
mod life;
mod live;
mod plans;
mod processes;
mod scale;
mod stage;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, ValueEnum};

use crate::figure::Figure;

/// Measures ours and theirs in turn and prints the table.
#[derive(Parser)]
struct Arguments {
    /// Seconds for each measurement.
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    /// Where the peers are installed: holds `node/` and `python/`.
    #[arg(long)]
    peers: Option<PathBuf>,
    /// Only these.
    #[arg(long, value_enum)]
    only: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    Footprint,
    Chargers,
    Ingest,
    Api,
    Live,
    Scale,
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let time = Duration::from_secs(arguments.seconds);
    let wanted = |part| arguments.only.is_empty() || arguments.only.contains(&part);
    println!("{}", Figure::header());
    let show = |figures: Vec<Figure>| figures.iter().for_each(|figure| println!("{figure}"));
    if wanted(Part::Footprint) {
        show(footprint::measure().await?);
    }
    if wanted(Part::Chargers) {
        show(chargers::measure(time, arguments.peers.as_deref()).await?);
    }
    if wanted(Part::Ingest) {
        show(ingest::measure(time).await?);
    }
    if wanted(Part::Api) {
        show(api::measure(time, arguments.peers.as_deref()).await?);
    }
    if wanted(Part::Live) {
        show(live::measure().await?);
    }
    if wanted(Part::Scale) {
        show(scale::measure(time).await?);
    }
    Ok(())
}
