//! Firmware updates and logs of stations: ordered, watched, looked up.

use std::time::Duration;

use async_graphql::{Context, Enum, ID, Object, SimpleObject, Subscription};
use shared::id::FirmwareId;
use shared::model::CommandBody;
use shared::model::file::{
    FirmwareImage, FirmwareSignature, FirmwareUpdate as Order, LogKind, LogRequest, Retries, Sha256, Transfer,
};
use shared::units::Timestamp;
use sqlx::PgConnection;
use tokio::time::Instant;
use uuid::Uuid;

use super::command::{Addressee, NO_GATEWAY, charge_point, entry};
use super::error::{Fault, Result};
use super::filter::Paging;
use super::firmware::{hex, parse_firmware};
use super::live::{self, Live};
use super::scalar::{Float, Time};
use super::{app, parse_id, reach};
use crate::App;
use crate::auth::{Deed, Reach, Viewer};
use crate::command::{self, NewCommand};
use crate::db::audit::{self, Entry};
use crate::db::firmware as rows;
use crate::db::station::Target;
use crate::db::{station_log, viewer};
use crate::files;

/// How long a gateway may take to fetch an image and ask the station.
const LIFE_OF_UPDATE: Duration = Duration::from_hours(1);
/// How long a station may take to say yes to bringing a log.
const LIFE_OF_LOG: Duration = Duration::from_mins(1);
/// How long the asking one waits for the station's word; what comes later comes as progress.
const PATIENCE: Duration = Duration::from_secs(10);

/// How a station fetches or brings a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "Transfer", remote = "Transfer", rename_items = "SCREAMING_SNAKE_CASE")]
pub(super) enum TransferName {
    Http,
    Https,
    Ftp,
}

/// Which log of a station.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "LogKind", remote = "LogKind", rename_items = "SCREAMING_SNAKE_CASE")]
pub(super) enum LogName {
    /// What a technician looks at.
    Diagnostics,
    /// Security events; only stations with the security extension have it.
    Security,
}

/// A step of an update or of a log.
#[derive(SimpleObject, Clone, PartialEq)]
pub(super) struct FileStep {
    state: String,
    /// More, for a person.
    detail: Option<String>,
    at: Time,
}

/// An update of a station's firmware.
#[derive(SimpleObject, Clone, PartialEq)]
pub(super) struct FirmwareUpdate {
    /// The command's, too.
    id: ID,
    charge_point_id: ID,
    /// Null once the image is removed.
    firmware_id: Option<ID>,
    version: String,
    /// Does the station check the maker's signature?
    signed: bool,
    /// Ordered; Fetching, Fetched or FetchFailed (the gateway's); Accepted or Refused (the station's answer); then its own
    /// words: DownloadScheduled, Downloading, DownloadPaused, Downloaded, DownloadFailed, SignatureVerified,
    /// InvalidSignature, InstallScheduled, Installing, InstallRebooting, InstallVerificationFailed, InstallationFailed,
    /// Installed; Stalled when nothing was heard for too long, Superseded when a newer order took its place.
    state: String,
    /// More, for a person.
    detail: Option<String>,
    /// Does nothing follow?
    ended: bool,
    created_at: Time,
    updated_at: Time,
    /// What the gateway and the station told, in order.
    steps: Vec<FileStep>,
}

/// A log that a station was asked for.
#[derive(SimpleObject, Clone, PartialEq)]
pub(super) struct StationLog {
    /// The command's, too.
    id: ID,
    charge_point_id: ID,
    /// Diagnostics or Security.
    kind: String,
    /// Ordered; Accepted or Refused (the station's answer); then its own words: Uploading, Uploaded, UploadFailed,
    /// BadMessage, NotSupported, PermissionDenied; Stalled when nothing was heard for too long, Superseded when a newer
    /// order took its place.
    state: String,
    /// More, for a person.
    detail: Option<String>,
    /// Does nothing follow from the station? The log itself may still be on its way from the gateway.
    ended: bool,
    /// What the station calls it.
    name: Option<String>,
    /// Bytes, once the gateway has it.
    size: Option<Float>,
    /// What they hash to, in hexadecimal digits.
    sha256: Option<String>,
    /// Since when the gateway has it.
    received_at: Option<Time>,
    /// Since when it is here.
    arrived_at: Option<Time>,
    /// Where to GET it, with the same bearer token; null until it is here.
    download_path: Option<String>,
    created_at: Time,
    updated_at: Time,
    /// What the station told, in order.
    steps: Vec<FileStep>,
}

impl From<rows::Step> for FileStep {
    fn from(row: rows::Step) -> Self {
        Self { state: row.state, detail: words(row.detail), at: Time(row.at) }
    }
}

impl From<rows::Update> for FirmwareUpdate {
    fn from(row: rows::Update) -> Self {
        Self {
            id: row.id.to_string().into(),
            charge_point_id: row.charge_point_id.into(),
            firmware_id: row.firmware_id.map(|id| id.to_string().into()),
            version: row.version,
            signed: row.signed,
            state: row.state,
            detail: words(row.detail),
            ended: row.ended,
            created_at: Time(row.created_at),
            updated_at: Time(row.state_at),
            steps: row.steps.0.into_iter().map(FileStep::from).collect(),
        }
    }
}

impl From<station_log::StationLog> for StationLog {
    fn from(row: station_log::StationLog) -> Self {
        Self {
            id: row.id.to_string().into(),
            charge_point_id: row.charge_point_id.into(),
            kind: row.kind,
            state: row.state,
            detail: words(row.detail),
            ended: row.ended,
            name: row.name,
            size: row.size.map(Float::from),
            sha256: row.sha256.map(|digest| hex(&digest)),
            received_at: row.received_at.map(Time),
            arrived_at: row.arrived_at.map(Time),
            download_path: row.arrived_at.is_some().then(|| files::download_path(row.id)),
            created_at: Time(row.created_at),
            updated_at: Time(row.state_at),
            steps: row.steps.0.into_iter().map(FileStep::from).collect(),
        }
    }
}

fn words(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

#[derive(Default)]
pub(super) struct FileQuery;

#[Object]
impl FileQuery {
    /// The updates of a station's firmware, the newest first.
    async fn firmware_updates(
        &self,
        ctx: &Context<'_>,
        charge_point_id: ID,
        paging: Option<Paging>,
    ) -> Result<Vec<FirmwareUpdate>> {
        let (viewer, reach) = reach(ctx, Deed::Operate).await?;
        let (station, page) = (parse_id(&charge_point_id, "chargePointId")?, Paging::rows(paging.as_ref())?);
        let mut tx = viewer::begin(&app(ctx).db, &viewer).await?;
        let rows = rows::updates(&mut tx, Some(station), None, &reach, page).await?;
        Ok(rows.into_iter().map(FirmwareUpdate::from).collect())
    }

    /// The logs that a station was asked for, the newest first.
    async fn station_logs(
        &self,
        ctx: &Context<'_>,
        charge_point_id: ID,
        paging: Option<Paging>,
    ) -> Result<Vec<StationLog>> {
        let (viewer, reach) = reach(ctx, Deed::Operate).await?;
        let (station, page) = (parse_id(&charge_point_id, "chargePointId")?, Paging::rows(paging.as_ref())?);
        let mut tx = viewer::begin(&app(ctx).db, &viewer).await?;
        let rows = station_log::page(&mut tx, Some(station), None, &reach, page).await?;
        Ok(rows.into_iter().map(StationLog::from).collect())
    }
}

#[derive(Default)]
pub(super) struct FileMutation;

#[Object]
impl FileMutation {
    /// Has a station install a firmware image. Its gateway fetches the image once and serves it to its stations. A signed
    /// image is installed by the station only if the signature is good; a station that knows no signatures refuses such an
    /// order (NotSupported), and takes the image with `unsigned: true`.
    #[expect(clippy::too_many_arguments, reason = "they are the message's")]
    async fn update_firmware(
        &self,
        ctx: &Context<'_>,
        charge_point_id: ID,
        firmware_id: ID,
        #[graphql(desc = "Not fetched by the station before this; at once when left out.")]
        retrieve_at: Option<Time>,
        #[graphql(desc = "Not installed before this; at once when left out. Only for signed images.")]
        install_at: Option<Time>,
        #[graphql(desc = "Tries after the first one.")] retries: Option<u16>,
        #[graphql(desc = "Seconds between two tries.")] retry_interval: Option<u32>,
        #[graphql(desc = "By which way; the gateway chooses when left out.")] transfer: Option<TransferName>,
        #[graphql(default, desc = "Without a signature that the station checks.")] unsigned: bool,
    ) -> Result<FirmwareUpdate> {
        let (viewer, reach) = reach(ctx, Deed::Operate).await?;
        let station = parse_id(&charge_point_id, "chargePointId")?;
        let target = charge_point(ctx, &charge_point_id).await?;
        let mut tx = app(ctx).db.begin().await?;
        let firmware = firmware_for(&mut tx, &firmware_id, &target, &reach).await?;
        let order = Order {
            image: image(&firmware)?,
            signature: signature(&firmware, unsigned)?,
            retrieve_at: retrieve_at.map(|at| Timestamp::from_utc(at.0)),
            install_at: install_at.map(|at| Timestamp::from_utc(at.0)),
            retries: Retries { count: retries, interval_s: retry_interval },
            transfer: transfer.map(Transfer::from),
        };
        if order.install_at.is_some() && order.signature.is_none() {
            return Err(Fault::BadInput("installAt is for signed images only: leave it out.".into()));
        }
        let signed = order.signature.is_some();
        let (life, body) = (LIFE_OF_UPDATE, CommandBody::UpdateFirmware(Box::new(order)));
        let id = issue(&mut tx, target, body, life, viewer.id).await?;
        rows::insert_update(&mut tx, id, station, &firmware, signed).await?;
        tx.commit().await?;
        command::wait(&app(ctx).db, &app(ctx).live, id, Instant::now() + PATIENCE).await?;
        update(app(ctx), &viewer, &reach, id.0).await?.ok_or_else(|| Fault::no_such("FirmwareUpdate", id))
    }

    /// Asks a station for a log. It brings it to its gateway, which passes it on; it then stands in `stationLogs`.
    #[expect(clippy::too_many_arguments, reason = "they are the message's")]
    async fn request_log(
        &self,
        ctx: &Context<'_>,
        charge_point_id: ID,
        kind: LogName,
        #[graphql(desc = "What happened since; all when left out.")] from: Option<Time>,
        #[graphql(desc = "What happened until; all when left out.")] to: Option<Time>,
        #[graphql(desc = "Tries after the first one.")] retries: Option<u16>,
        #[graphql(desc = "Seconds between two tries.")] retry_interval: Option<u32>,
        #[graphql(desc = "By which way; the gateway chooses when left out.")] transfer: Option<TransferName>,
    ) -> Result<StationLog> {
        let (viewer, reach) = reach(ctx, Deed::Operate).await?;
        let station = parse_id(&charge_point_id, "chargePointId")?;
        let target = charge_point(ctx, &charge_point_id).await?;
        let kind = LogKind::from(kind);
        let request = LogRequest {
            kind,
            from: from.map(|at| Timestamp::from_utc(at.0)),
            to: to.map(|at| Timestamp::from_utc(at.0)),
            retries: Retries { count: retries, interval_s: retry_interval },
            transfer: transfer.map(Transfer::from),
        };
        let mut tx = app(ctx).db.begin().await?;
        let id = issue(&mut tx, target, CommandBody::RequestLog(request), LIFE_OF_LOG, viewer.id).await?;
        station_log::insert(&mut tx, id, station, kind).await?;
        tx.commit().await?;
        command::wait(&app(ctx).db, &app(ctx).live, id, Instant::now() + PATIENCE).await?;
        log(app(ctx), &viewer, &reach, id.0).await?.ok_or_else(|| Fault::no_such("StationLog", id))
    }
}

/// Has a command about a file sent once the transaction commits, and logs it.
async fn issue(
    tx: &mut PgConnection,
    target: Target,
    body: CommandBody,
    ttl: Duration,
    by: i64,
) -> Result<shared::id::CommandId> {
    let to = Addressee::of(&target).ok_or_else(|| Fault::BadInput(NO_GATEWAY.into()))?;
    let new =
        NewCommand { gateway: to.gateway, station: to.station, body, issued_by: Some(by), ttl, waits: false };
    let logged = entry(tx, &new).await?;
    let id = command::issue_in(tx, new).await?;
    audit::write(tx, &Entry { row_id: Some(id.to_string()), actor: Some(by), ..logged }).await?;
    Ok(id)
}

/// The image, if it is one's own and one for that site.
async fn firmware_for(
    tx: &mut PgConnection,
    id: &ID,
    target: &Target,
    reach: &Reach,
) -> Result<rows::Firmware> {
    let id = parse_firmware(id)?;
    let found = rows::find(tx, id, reach).await?;
    let firmware = found.ok_or_else(|| Fault::no_such("Firmware", id))?;
    if rows::fits_site(tx, &firmware, target.site_id).await? {
        Ok(firmware)
    } else {
        Err(Fault::BadInput(
            "This firmware belongs to others than the charge point does. Create it there.".into(),
        ))
    }
}

fn image(firmware: &rows::Firmware) -> Result<FirmwareImage> {
    let missing = || {
        let path = files::upload_path(firmware.id);
        Fault::BadInput(format!("The image is not uploaded yet: PUT it to {path} first."))
    };
    let size = firmware.size.and_then(|size| u64::try_from(size).ok()).ok_or_else(missing)?;
    let digest = firmware.sha256.clone().and_then(|digest| digest.try_into().ok()).ok_or_else(missing)?;
    Ok(FirmwareImage {
        id: FirmwareId(firmware.id),
        file_name: firmware.name.clone(),
        version: firmware.version.clone(),
        size,
        sha256: Sha256(digest),
    })
}

fn signature(firmware: &rows::Firmware, unsigned: bool) -> Result<Option<FirmwareSignature>> {
    match (&firmware.signing_certificate, &firmware.signature) {
        _ if unsigned => Ok(None),
        (Some(certificate), Some(signature)) => {
            Ok(Some(FirmwareSignature { certificate: certificate.clone(), signature: signature.clone() }))
        }
        (None, _) | (_, None) => Err(Fault::BadInput(
            "This image is not signed, so the station cannot check where it comes from. To install it all the same, say \
             unsigned: true."
                .into(),
        )),
    }
}

async fn update(app: &App, viewer: &Viewer, reach: &Reach, id: Uuid) -> Result<Option<FirmwareUpdate>> {
    let mut tx = viewer::begin(&app.db, viewer).await?;
    let row = rows::updates(&mut tx, None, Some(id), reach, (1, 0)).await?.pop();
    Ok(row.map(FirmwareUpdate::from))
}

async fn log(app: &App, viewer: &Viewer, reach: &Reach, id: Uuid) -> Result<Option<StationLog>> {
    let mut tx = viewer::begin(&app.db, viewer).await?;
    let row = station_log::page(&mut tx, None, Some(id), reach, (1, 0)).await?.pop();
    Ok(row.map(StationLog::from))
}

#[derive(Default)]
pub(super) struct FileSubscription;

#[Subscription]
impl FileSubscription {
    /// The newest updates of a station's firmware as they are, then again whenever one is a step further.
    async fn firmware_updates_changed(
        &self,
        ctx: &Context<'_>,
        charge_point_id: ID,
    ) -> Result<Live<Vec<FirmwareUpdate>>> {
        let station = charge_point_of(ctx, &charge_point_id).await?;
        let (viewer, reach) = reach(ctx, Deed::Operate).await?;
        let (app, watcher) = (app(ctx).clone(), viewer.clone());
        let states = live::states(
            app.live.files(),
            |_: &Uuid| true,
            move || {
                let (app, viewer, reach) = (app.clone(), watcher.clone(), reach.clone());
                async move {
                    let mut tx = viewer::begin(&app.db, &viewer).await?;
                    let rows = rows::updates(&mut tx, Some(station), None, &reach, NEWEST).await?;
                    Ok(rows.into_iter().map(FirmwareUpdate::from).collect::<Vec<_>>())
                }
            },
        );
        Ok(live::while_signed_in(&viewer, live::distinct(states)))
    }

    /// The newest logs that a station was asked for as they are, then again whenever one is a step further.
    async fn station_logs_changed(
        &self,
        ctx: &Context<'_>,
        charge_point_id: ID,
    ) -> Result<Live<Vec<StationLog>>> {
        let station = charge_point_of(ctx, &charge_point_id).await?;
        let (viewer, reach) = reach(ctx, Deed::Operate).await?;
        let (app, watcher) = (app(ctx).clone(), viewer.clone());
        let states = live::states(
            app.live.files(),
            |_: &Uuid| true,
            move || {
                let (app, viewer, reach) = (app.clone(), watcher.clone(), reach.clone());
                async move {
                    let mut tx = viewer::begin(&app.db, &viewer).await?;
                    let rows = station_log::page(&mut tx, Some(station), None, &reach, NEWEST).await?;
                    Ok(rows.into_iter().map(StationLog::from).collect::<Vec<_>>())
                }
            },
        );
        Ok(live::while_signed_in(&viewer, live::distinct(states)))
    }
}

/// What a watcher is shown: what runs, and a little of what came before.
const NEWEST: (i64, i64) = (10, 0);

/// The station, if it is within reach.
async fn charge_point_of(ctx: &Context<'_>, id: &ID) -> Result<i64> {
    charge_point(ctx, id).await?;
    parse_id(id, "chargePointId")
}
