//! Which messages of OCPP 1.6 and its security extension gateway and simulator speak, as a table in `edge-agent/OCPP.md`, made
//! from what they do: each side writes its samples of a message (`samples`), the other one reads them.
//!
//! `UPDATE=1` writes the table anew. A message that one side lacks must be named in [`GAPS`], and one that is named there and
//! lacks nothing must be taken off.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use shared::ocpp::v16::schema::Action;

/// Messages that somebody cannot write or read yet.
const GAPS: &[&str] = &[];

/// Who sends, what, request or response.
type Message = (String, String, String);

#[test]
fn every_message_is_spoken_on_both_sides_or_named_as_a_gap() {
    let spoken = spoken();
    let whole =
        |action: Action| exchanges(action).into_iter().flatten().all(|message| spoken.contains(&message));
    let gaps: Vec<&str> = Action::ALL.iter().filter(|it| !whole(**it)).map(|it| it.as_str()).collect();
    assert_eq!(gaps, GAPS, "what is really missing, and what is named as missing");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../edge-agent/OCPP.md");
    let table = table(&spoken);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &table).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == table, "edge-agent/OCPP.md is not what the code does; UPDATE=1 writes it anew");
}

/// The exchanges of an action, a request and its response each: from the station, and from the gateway.
fn exchanges(action: Action) -> [Option<Message>; 4] {
    let origin = action.origin();
    let message = |yes: bool, sender: &str, kind: &str| {
        yes.then(|| (sender.to_owned(), action.as_str().to_owned(), kind.to_owned()))
    };
    [
        message(origin.from_charging_station(), "simulator", "request"),
        message(origin.from_charging_station(), "agent", "response"),
        message(origin.from_csms(), "agent", "request"),
        message(origin.from_csms(), "simulator", "response"),
    ]
}

/// The messages of which one side writes samples that the other side reads.
fn spoken() -> BTreeSet<Message> {
    let mut samples = BTreeMap::<Message, Vec<String>>::new();
    for line in run(&["100"], "").lines() {
        let mut sample: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| sample[name].as_str().unwrap().to_owned();
        let message = (text("sender"), text("action"), text("kind"));
        // As `samples read` calls them: by what they are, not by who plays them.
        sample["sender"] = if message.0 == "simulator" { "station" } else { "gateway" }.into();
        samples.entry(message).or_default().push(sample.to_string());
    }
    let read = |lines: &[String]| run(&["read"], &(lines.join("\n") + "\n"));
    // The last line counts them. Some are complained about: wild values, such as tags of nothing but spaces.
    let understood = samples.iter().filter(|(_, lines)| read(lines).lines().count() - 1 < lines.len());
    understood.map(|(message, _)| message.clone()).collect()
}

fn run(arguments: &[&str], input: &str) -> String {
    let mut samples = Command::new(env!("CARGO_BIN_EXE_samples"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = samples.stdin.take().unwrap();
    // It answers while it reads: who only writes would wait for ever.
    let output = std::thread::scope(|threads| {
        threads.spawn(move || stdin.write_all(input.as_bytes()).unwrap());
        samples.wait_with_output().unwrap()
    });
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// Is the message among those that stations of others exchange with the gateway?
fn is_exchanged_with_others(action: Action) -> bool {
    const THEIRS: [&str; 2] =
        [include_str!("../../clients/operations.json"), include_str!("../../clients/charger.py")];
    // The order to renew a certificate is done when CertificateSigned was answered, whatever the table of orders names.
    let action = if action == Action::CertificateSigned { Action::SignCertificate } else { action };
    let (quoted, called) = (format!("\"{action}\""), format!("call.{action}("));
    THEIRS.iter().any(|text| text.contains(&quoted) || text.contains(&called))
}

fn table(spoken: &BTreeSet<Message>) -> String {
    let mut table = String::from(
        "# The messages of OCPP 1.6\n\n\
         Written by `UPDATE=1 cargo test -p stack --test coverage`: `yes` where one side wrote random samples of the message and the\n\
         other side read them. The schemas that others keep judge the same samples in `deploy/clients/schemas.py`. The last column is\n\
         `yes` where the message was exchanged with a station that is not ours (PyPI `ocpp`, npm `ocpp-rpc`) in `deploy/clients/run`.\n\n\
         | message | part | from | gateway | simulator | others' stations |\n|---|---|---|---|---|---|\n",
    );
    let mut count = [0, 0];
    for action in Action::ALL {
        let [told, answered, asked, confirmed] = exchanges(*action);
        for (from, request, response) in [("station", told, answered), ("gateway", asked, confirmed)] {
            let (Some(request), Some(response)) = (request, response) else { continue };
            let mark = |message: &Message| if spoken.contains(message) { "yes" } else { "no" };
            let (station, gateway) = match from {
                "station" => (format!("sends: {}", mark(&request)), format!("answers: {}", mark(&response))),
                _ => (format!("answers: {}", mark(&response)), format!("sends: {}", mark(&request))),
            };
            let others = if is_exchanged_with_others(*action) { "yes" } else { "no" };
            let part = action.block();
            writeln!(table, "| {action} | {part} | {from} | {gateway} | {station} | {others} |").unwrap();
            count[0] += usize::from(spoken.contains(&request) && spoken.contains(&response));
            count[1] += 1;
        }
    }
    writeln!(table, "\n{} of {} exchanges are whole.", count[0], count[1]).unwrap();
    table
}
