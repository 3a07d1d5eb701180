//! What the gateway and the simulator write, many times over: `samples [COUNT]` prints JSON lines
//! `{"sender", "action", "kind", "payload"}` of random payloads. `deploy/clients/schemas.py` holds them against the JSON
//! schemas that others keep, message by message.
//!
//! The values are wilder than what ever comes in: what the schema does not allow must be refused by our own writers, so
//! whatever they let through has to be valid. `samples read` is the other direction: it reads JSON lines `{"sender",
//! "action", "kind", "payload"}` of valid payloads on its input, and prints what was found to be wrong with each. `samples
//! expected` lists all messages that there are.

mod agent;
mod expected;
mod file;
mod reading;
mod security;
mod simulator;
mod values;

use std::io::Write;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::value::RawValue;

/// Payloads of each message unless told otherwise.
const COUNT: u32 = 100;

fn main() -> anyhow::Result<()> {
    let argument = std::env::args().nth(1);
    match argument.as_deref() {
        Some("read") => return reading::read(),
        Some("expected") => return expected::print(),
        Some(_) | None => {}
    }
    let mut out =
        Lines { out: std::io::stdout().lock(), count: argument.map_or(Ok(COUNT), |count| count.parse())? };
    agent::write(&mut out)?;
    simulator::write(&mut out)
}

/// Where samples go.
struct Lines {
    out: std::io::StdoutLock<'static>,
    count: u32,
}

/// What a writer made of random values: the action and its payload, unless it refused them.
type Written = Option<(&'static str, Box<RawValue>)>;

impl Lines {
    /// Writes what `write` makes of as many values as are wanted.
    fn many<S: Strategy>(
        &mut self,
        (sender, kind): (&str, &str),
        values: S,
        write: impl Fn(S::Value) -> Written,
    ) -> anyhow::Result<()> {
        let mut runner = TestRunner::deterministic();
        for _ in 0..self.count {
            let value = values.new_tree(&mut runner).map_err(|reason| anyhow::anyhow!("{reason}"))?.current();
            if let Some((action, payload)) = write(value) {
                let head = format!(r#""sender":"{sender}","action":"{action}","kind":"{kind}""#);
                writeln!(self.out, "{{{head},\"payload\":{payload}}}")?;
            }
        }
        Ok(())
    }
}
