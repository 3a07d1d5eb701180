//! All messages of OCPP 1.6 and its security extension, and who sends each.

use std::io::Write;

use shared::ocpp::v16::schema::Action;

/// Prints each as a JSON line `{"sender", "action", "kind"}`, answers with who sends the answer.
pub(crate) fn print() -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let mut line = |sender: &str, action: Action, kind: &str| {
        writeln!(out, r#"{{"sender":"{sender}","action":"{action}","kind":"{kind}"}}"#)
    };
    for &action in Action::ALL {
        if action.origin().from_charging_station() {
            line("simulator", action, "request")?;
            line("agent", action, "response")?;
        }
        if action.origin().from_csms() {
            line("agent", action, "request")?;
            line("simulator", action, "response")?;
        }
    }
    Ok(())
}
