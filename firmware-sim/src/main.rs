//! `firmware-sim`: charging stations on demand.

mod cli;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Simulated OCPP 1.6 charging stations.
#[derive(Parser)]
#[command(version, about, max_term_width = 110)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run one station and steer it from the keyboard.
    Station(cli::station::StationArguments),
    /// Run many stations whose drivers come, charge and leave.
    Fleet(cli::fleet::FleetArguments),
    /// Find out what a CSMS can take: calls per second, latency, processor time and memory.
    Load(cli::load::LoadArguments),
    /// Play a timed script.
    Scenario(cli::scenario::ScenarioArguments),
    /// Do everything that can go wrong to a whole system on this machine, and check every session.
    #[command(disable_help_flag = true)]
    Torture(cli::torture::TortureArguments),
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "a command line tool tells what went wrong")]
            {
                eprintln!("firmware-sim: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<()> {
    if let Command::Torture(torture) = &arguments.command {
        return cli::torture::run(torture);
    }
    let filter = tracing_subscriber::EnvFilter::try_from_default_env();
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let mut runtime = match &arguments.command {
        // The load generator shares the machine with what it measures: one thread unless told otherwise.
        Command::Load(load) if load.threads <= 1 => tokio::runtime::Builder::new_current_thread(),
        Command::Load(_)
        | Command::Station(_)
        | Command::Fleet(_)
        | Command::Scenario(_)
        | Command::Torture(_) => tokio::runtime::Builder::new_multi_thread(),
    };
    if let Command::Load(load) = &arguments.command {
        runtime.worker_threads(load.threads.max(1));
    }
    runtime.enable_all().build()?.block_on(async {
        match arguments.command {
            Command::Station(arguments) => cli::station::run(arguments).await,
            Command::Fleet(arguments) => cli::fleet::run(arguments).await,
            Command::Load(arguments) => cli::load::run(arguments).await,
            Command::Scenario(arguments) => cli::scenario::run(arguments).await,
            Command::Torture(arguments) => cli::torture::run(&arguments),
        }
    })
}
