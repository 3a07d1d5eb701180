//! The proof: every bill that the driver sees, against what the station's own meter saw. Energy and money are compared
//! as integers, and the money is worked out here anew, not by the code that wrote the bill.

use std::time::Duration;

use anyhow::{Context, Result};
use firmware_sim::{Journal, SessionRecord};
use serde::Deserialize;
use serde_json::json;
use stack::house::PRICE_MICROS;
use stack::wait;

use crate::screen::say;
use crate::stage::{OURS, Stage};

const SOON: Duration = Duration::from_secs(30);

/// What the driver's app shows of a session.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    transaction_id: String,
    charge_point_hardware_id: String,
    energy_wh: f64,
    bill: Option<Bill>,
}

#[derive(Clone, Debug, Deserialize)]
struct Bill {
    currency: String,
    total: String,
}

/// Prints the bills beside the meters; returns how many differ.
pub(crate) async fn bills(stage: &Stage) -> Result<usize> {
    let metered = Journal::read(&stage.journal())?;
    let shown = wait::until("a bill for every session", SOON, || async {
        let shown = history(stage).await.ok()?;
        (shown.len() >= metered.len() && shown.iter().all(|session| session.bill.is_some())).then_some(shown)
    })
    .await?;
    say("\n  station    metered by the station   billed energy   price per kWh   billed      owed");
    let mut differences = shown.len().abs_diff(metered.len());
    for record in &metered {
        let bill = shown.iter().find(|session| session.is_of(record));
        differences += usize::from(!compare(record, bill)?);
    }
    Ok(differences)
}

async fn history(stage: &Stage) -> Result<Vec<Shown>> {
    let query = "{ userChargingHistory(input: { paging: { limit: 100, offset: 0 } }) {
        data { transactionId chargePointHardwareId energyWh bill { currency total } } } }";
    let mut answer = stage.house.driver.ask(query, json!({})).await?;
    let mut shown: Vec<Shown> = serde_json::from_value(answer["userChargingHistory"]["data"].take())?;
    // Others may have joined and charge with the driver's card, too.
    shown.retain(|session| OURS.contains(&session.charge_point_hardware_id.as_str()));
    Ok(shown)
}

impl Shown {
    fn is_of(&self, record: &SessionRecord) -> bool {
        let transaction = record.transaction_id.map(|id| id.to_string());
        self.charge_point_hardware_id == record.identity && Some(&self.transaction_id) == transaction.as_ref()
    }
}

/// Prints one line; true when all is equal.
fn compare(record: &SessionRecord, shown: Option<&Shown>) -> Result<bool> {
    let energy = record.energy_wh().context("every session of the story has ended")?;
    let owed = owed_cents(energy);
    let (billed_energy, billed) = match shown {
        Some(Shown { energy_wh, bill: Some(bill), .. }) => {
            (format!("{energy_wh:.0}"), format!("{} {}", bill.total, bill.currency))
        }
        Some(_) | None => ("nothing".into(), "nothing".into()),
    };
    let owed = format!("{}.{:02} USD", owed / 100, owed % 100);
    let equal = billed_energy == energy.to_string() && billed == owed;
    let verdict = if equal { "equal" } else { "DIFFERENT" };
    let station = &record.identity;
    say(&format!(
        "  {station}  {energy:>19} Wh  {billed_energy:>11} Wh        0.45 USD  {billed:>9}  {owed:>9}  {verdict}"
    ));
    Ok(equal)
}

/// Energy times price, rounded half up to whole cents: the arithmetic of a pocket calculator.
fn owed_cents(energy_wh: i64) -> i64 {
    let millionths = energy_wh * PRICE_MICROS / 1_000;
    (millionths + 5_000) / 10_000
}
