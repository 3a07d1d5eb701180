//! What stations are set to, what is wanted of them, and what became of the difference, as rows.

use chrono::{DateTime, Utc};
use shared::id::StationId;
use shared::model::settings::{SettingsApplied, SettingsDoc, SettingsRead, WantedSetting, folded};
use shared::units::Timestamp;
use sqlx::PgConnection;

use super::record::Origin;
use super::text;

/// A setting of a station: as it is, as it is wanted, or both.
#[derive(Debug, Clone, sqlx::FromRow)]
#[expect(missing_docs, reason = "the names are the columns'")]
pub struct Setting {
    pub key: String,
    pub value: Option<String>,
    pub readonly: Option<bool>,
    pub wanted: Option<String>,
    pub state: Option<String>,
    pub detail: Option<String>,
}

fn time(at: Timestamp) -> DateTime<Utc> {
    at.to_utc().unwrap_or_default()
}

async fn charge_point(
    tx: &mut PgConnection,
    origin: Origin,
    station: &StationId,
) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar("select id from charge_points where site_id = $1 and charge_point_hardware_id = $2")
        .bind(origin.site_id)
        .bind(text(station.as_str()))
        .fetch_optional(tx)
        .await
}

/// A station told its settings, or some.
///
/// # Errors
/// As any statement.
pub async fn read(tx: &mut PgConnection, origin: Origin, it: &SettingsRead) -> sqlx::Result<()> {
    let Some(id) = charge_point(tx, origin, &it.station).await? else { return Ok(()) };
    sqlx::query(
        "insert into station_settings (charge_point_id, folded, key, value, readonly, read_at)
         select distinct on (u.folded) $1, u.folded, u.key, u.value, u.readonly, $6
         from unnest($2::text[], $3::text[], $4::text[], $5::boolean[]) u (folded, key, value, readonly)
         on conflict (charge_point_id, folded) do update
         set key = excluded.key, value = excluded.value, readonly = excluded.readonly, read_at = excluded.read_at
         where station_settings.read_at <= excluded.read_at",
    )
    .bind(id)
    .bind(it.entries.iter().map(|entry| text(&folded(&entry.key))).collect::<Vec<_>>())
    .bind(it.entries.iter().map(|entry| text(&entry.key)).collect::<Vec<_>>())
    .bind(it.entries.iter().map(|entry| entry.value.as_deref().map(text)).collect::<Vec<_>>())
    .bind(it.entries.iter().map(|entry| entry.readonly).collect::<Vec<_>>())
    .bind(time(it.at))
    .execute(&mut *tx)
    .await?;
    if it.whole {
        sqlx::query("delete from station_settings where charge_point_id = $1 and read_at < $2")
            .bind(id)
            .bind(time(it.at))
            .execute(&mut *tx)
            .await?;
        sqlx::query("update charge_points set settings_read_at = $2 where id = $1")
            .bind(id)
            .bind(time(it.at))
            .execute(tx)
            .await?;
    }
    Ok(())
}

/// What became of all that is wanted of a station.
///
/// # Errors
/// As any statement.
pub async fn applied(tx: &mut PgConnection, origin: Origin, it: &SettingsApplied) -> sqlx::Result<()> {
    let Some(id) = charge_point(tx, origin, &it.station).await? else { return Ok(()) };
    sqlx::query("delete from setting_outcomes where charge_point_id = $1 and at <= $2")
        .bind(id)
        .bind(time(it.at))
        .execute(&mut *tx)
        .await?;
    sqlx::query(
        "insert into setting_outcomes (charge_point_id, folded, wanted, state, detail, at)
         select $1, u.*, $6 from unnest($2::text[], $3::text[], $4::text[], $5::text[]) u (folded, wanted, state, detail)
         on conflict do nothing",
    )
    .bind(id)
    .bind(it.outcomes.iter().map(|it| text(&folded(&it.key))).collect::<Vec<_>>())
    .bind(it.outcomes.iter().map(|it| text(&it.wanted)).collect::<Vec<_>>())
    .bind(it.outcomes.iter().map(|it| it.state.name()).collect::<Vec<_>>())
    .bind(it.outcomes.iter().map(|it| text(&it.detail)).collect::<Vec<_>>())
    .bind(time(it.at))
    .execute(tx)
    .await?;
    Ok(())
}

/// A station's settings by name, with what is wanted of them and how that stands. Its own word goes before its site's.
///
/// # Errors
/// When the database does not answer.
pub async fn of_station(tx: &mut PgConnection, charge_point: i64) -> sqlx::Result<Vec<Setting>> {
    sqlx::query_as(
        "with wanted as (
             select distinct on (w.folded) w.folded, w.key, w.value
             from wanted_settings w join charge_points p on p.site_id = w.site_id
             where p.id = $1 and (w.charge_point_id is null or w.charge_point_id = $1)
             order by w.folded, w.charge_point_id nulls last, w.id)
         select coalesce(s.key, w.key) as key, s.value, s.readonly, w.value as wanted,
                case when w.folded is not null then coalesce(o.state, 'Waiting') end as state, o.detail
         from (select * from station_settings where charge_point_id = $1) s full join wanted w on w.folded = s.folded
         left join setting_outcomes o on o.charge_point_id = $1 and o.folded = w.folded and o.wanted = w.value
         order by lower(coalesce(s.key, w.key)) limit 1000",
    )
    .bind(charge_point)
    .fetch_all(tx)
    .await
}

/// When all settings of a charge point were last read.
///
/// # Errors
/// When the database does not answer.
pub async fn read_at(tx: &mut PgConnection, charge_point: i64) -> sqlx::Result<Option<DateTime<Utc>>> {
    sqlx::query_scalar("select settings_read_at from charge_points where id = $1")
        .bind(charge_point)
        .fetch_one(tx)
        .await
}

/// What a site wants: of all (no charge point), or of single ones.
///
/// # Errors
/// When the database does not answer.
pub async fn wanted(tx: &mut PgConnection, site: i64) -> sqlx::Result<Vec<(Option<i64>, String, String)>> {
    sqlx::query_as("select charge_point_id, key, value from wanted_settings where site_id = $1 order by id")
        .bind(site)
        .fetch_all(tx)
        .await
}

/// Wants this, of all stations of a site or of one, and nothing else any more.
///
/// # Errors
/// As any statement.
pub async fn want(
    tx: &mut PgConnection,
    site: i64,
    charge_point: Option<i64>,
    settings: &[WantedSetting],
) -> sqlx::Result<()> {
    sqlx::query("delete from wanted_settings where site_id = $1 and charge_point_id is not distinct from $2")
        .bind(site)
        .bind(charge_point)
        .execute(&mut *tx)
        .await?;
    sqlx::query(
        "insert into wanted_settings (site_id, charge_point_id, folded, key, value)
         select $1, $2, u.* from unnest($3::text[], $4::text[], $5::text[]) u (folded, key, value)",
    )
    .bind(site)
    .bind(charge_point)
    .bind(settings.iter().map(|it| folded(&it.key)).collect::<Vec<_>>())
    .bind(settings.iter().map(|it| it.key.as_str()).collect::<Vec<_>>())
    .bind(settings.iter().map(|it| it.value.as_str()).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}

/// The same for a gateway.
///
/// # Errors
/// When the database does not answer.
pub async fn document(tx: &mut PgConnection, site: i64) -> sqlx::Result<SettingsDoc> {
    let rows: Vec<(Option<i64>, Option<String>, String, String)> = sqlx::query_as(
        "select w.charge_point_id, p.charge_point_hardware_id, w.key, w.value
         from wanted_settings w left join charge_points p on p.id = w.charge_point_id
         where w.site_id = $1 order by 2, w.id",
    )
    .bind(site)
    .fetch_all(tx)
    .await?;
    let mut doc = SettingsDoc::default();
    for (charge_point, station, key, value) in rows {
        let setting = WantedSetting { key, value };
        if charge_point.is_none() {
            doc.site.push(setting);
            continue;
        }
        let Some(station) = station.and_then(|name| StationId::new(name).ok()) else { continue };
        match doc.stations.last_mut().filter(|(last, _)| *last == station) {
            Some((_, own)) => own.push(setting),
            None => doc.stations.push((station, vec![setting])),
        }
    }
    Ok(doc)
}
