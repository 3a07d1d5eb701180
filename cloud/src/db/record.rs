//! The raw facts, append-only.

use std::collections::HashSet;

use shared::id::{Epoch, GatewayId};
use shared::model::Lane;
use shared::sync::{ClockQuality, Record};
use sqlx::PgConnection;
use uuid::Uuid;

use super::cursor::{number, signed};
use super::text;

/// A record with its number.
#[derive(Debug, Clone, Copy)]
pub struct Numbered<'a> {
    /// Its place in its lane.
    pub seq: u64,
    /// What it is.
    pub record: &'a Record,
}

/// Where records belong.
#[derive(Debug, Clone, Copy)]
pub struct Origin {
    /// Whose.
    pub gateway: GatewayId,
    /// The gateway's site.
    pub site_id: i64,
    /// Of which birth of its database.
    pub epoch: Epoch,
    /// In which lane.
    pub lane: Lane,
}

/// Rows of a batch.
macro_rules! rows {
    () => {
        "unnest($4::bigint[], $5::int[], $6::int[], $7::bigint[], $8::int[], $9::uuid[], $10::bigint[],
                $11::text[], $12::bytea[]) u (seq, kind, ver, at, clock, boot, mono, key, body)"
    };
}

macro_rules! append {
    () => {
        "insert into records
             (gateway_id, epoch, lane, seq, kind, kind_ver, occurred_at, clock, boot_id, mono_ms, key, body)
         select $1, $2, $3, u.seq, u.kind, u.ver, to_timestamp(greatest(least(u.at, 253402300799000), 0) / 1000.0),
                u.clock, u.boot, u.mono, u.key, u.body
         from "
    };
}

const APPEND: &str = concat!(append!(), rows!(), " returning seq");

/// Of several records with one key the first counts.
const APPEND_ONCE: &str = concat!(
    "with fresh as (insert into record_keys (gateway_id, key) select $1, u.key from ",
    rows!(),
    " on conflict do nothing returning key) ",
    append!(),
    "(select distinct on (key) * from ",
    rows!(),
    " order by key, seq) u join fresh using (key) returning seq"
);

/// Appends records. Returns the numbers of those that were new: the same billing fact may have come under another epoch.
pub async fn append(
    tx: &mut PgConnection,
    origin: Origin,
    records: &[Numbered<'_>],
) -> sqlx::Result<HashSet<u64>> {
    let column =
        |value: fn(&Record) -> i32| -> Vec<i32> { records.iter().map(|it| value(it.record)).collect() };
    let seqs: Vec<i64> = records.iter().map(|it| signed(it.seq)).collect();
    let times: Vec<i64> = records.iter().map(|it| it.record.header.occurred_at.0).collect();
    let boots: Vec<Uuid> = records.iter().map(|it| it.record.header.boot.0).collect();
    let monos: Vec<i64> = records.iter().map(|it| signed(it.record.header.mono_ms)).collect();
    let keys: Vec<String> = records.iter().map(|it| text(&it.record.header.key)).collect();
    let bodies: Vec<&[u8]> = records.iter().map(|it| it.record.body.as_slice()).collect();
    let inserted: Vec<i64> =
        sqlx::query_scalar(if origin.lane == Lane::Billing { APPEND_ONCE } else { APPEND })
            .bind(origin.gateway.0)
            .bind(origin.epoch.0)
            .bind(number(origin.lane))
            .bind(seqs)
            .bind(column(|record| record.header.kind.into()))
            .bind(column(|record| record.header.kind_ver.into()))
            .bind(times)
            .bind(column(|record| clock_number(record.header.clock)))
            .bind(boots)
            .bind(monos)
            .bind(keys)
            .bind(bodies)
            .fetch_all(tx)
            .await?;
    Ok(inserted.into_iter().filter_map(|seq| u64::try_from(seq).ok()).collect())
}

/// Is there a record of this number? One that Postgres could not hold is not.
pub async fn is_kept(tx: &mut PgConnection, origin: Origin, seq: u64) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "select exists (select from records where gateway_id = $1 and epoch = $2 and lane = $3 and seq = $4)",
    )
    .bind(origin.gateway.0)
    .bind(origin.epoch.0)
    .bind(number(origin.lane))
    .bind(signed(seq))
    .fetch_one(tx)
    .await
}

/// Is what we have under these numbers the same? Numbers that we have not are no contradiction: they may have been the same
/// fact under another epoch, or have been removed by retention.
pub async fn same_as_stored(
    tx: &mut PgConnection,
    origin: Origin,
    records: &[Numbered<'_>],
) -> sqlx::Result<bool> {
    let numbers: Vec<i64> = records.iter().map(|it| signed(it.seq)).collect();
    let (first, last) = (numbers.iter().min().copied(), numbers.iter().max().copied());
    let other: bool = sqlx::query_scalar(
        "select exists (
             select from unnest($4::bigint[], $5::int[], $6::bytea[]) u (seq, kind, body)
             join records r on r.gateway_id = $1 and r.epoch = $2 and r.lane = $3 and r.seq = u.seq
                  and r.seq between $7 and $8
             where (r.kind, r.body) is distinct from (u.kind, u.body))",
    )
    .bind(origin.gateway.0)
    .bind(origin.epoch.0)
    .bind(number(origin.lane))
    .bind(numbers)
    .bind(records.iter().map(|it| i32::from(it.record.header.kind)).collect::<Vec<_>>())
    .bind(records.iter().map(|it| it.record.body.as_slice()).collect::<Vec<_>>())
    .bind(first)
    .bind(last)
    .fetch_one(tx)
    .await?;
    Ok(!other)
}

fn clock_number(clock: ClockQuality) -> i32 {
    match clock {
        ClockQuality::Synced => 0,
        ClockQuality::Assumed => 1,
        ClockQuality::Unset => 2,
    }
}
