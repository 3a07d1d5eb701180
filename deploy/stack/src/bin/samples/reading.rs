//! Valid payloads of any message, read as the gateway and the simulator read them.

use std::io::BufRead;

use firmware_sim::behaviour::v16 as simulator;
use serde::Deserialize;
use serde_json::value::RawValue;
use shared::ocpp::lenient::Severity;
use shared::ocpp::v16::{Confirmation, StationCall};

#[derive(Deserialize)]
struct Sample {
    sender: String,
    action: String,
    kind: String,
    payload: Box<RawValue>,
}

/// Reads samples to the end of the input and prints each one that was refused, or found to lack something.
pub(crate) fn read() -> anyhow::Result<()> {
    let mut count = 0;
    for line in std::io::stdin().lock().lines() {
        let sample: Sample = serde_json::from_str(&line?)?;
        if let Some(trouble) = trouble(&sample) {
            println(&format!(
                "{} {} of the {}: {trouble}: {}",
                sample.action, sample.kind, sample.sender, sample.payload
            ));
        }
        count += 1;
    }
    println(&format!("read {count}"));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a program for the command line")]
fn println(text: &str) {
    println!("{text}");
}

fn trouble(sample: &Sample) -> Option<String> {
    let (action, payload) = (sample.action.as_str(), &*sample.payload);
    let findings = match (sample.sender.as_str(), sample.kind.as_str()) {
        ("station", "request") => match StationCall::read(action, payload) {
            Ok(read) => read.findings,
            Err(code) => return Some(format!("refused with {code}")),
        },
        ("station", _) => Confirmation::read(payload).findings,
        (_, "request") => return simulator::asked(action, payload).err().map(|violation| violation.reason),
        (_, _) => return simulator::told(action, payload).err().map(|violation| violation.reason),
    };
    let hard = findings.into_iter().find(|finding| finding.severity == Severity::Hard);
    hard.map(|finding| finding.text)
}
