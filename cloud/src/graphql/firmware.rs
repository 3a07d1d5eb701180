//! Firmware images: announced here, uploaded over HTTP (`crate::files`), then ordered (`super::file`).

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use uuid::Uuid;

use super::error::{Fault, Result};
use super::filter::Paging;
use super::scalar::{Float, Time};
use super::{app, parse_id, reach};
use crate::auth::{Deed, Reach, Viewer};
use crate::db::audit::{self, Entry};
use crate::db::firmware::{self as rows, NewFirmware};
use crate::db::viewer;
use crate::files;

/// What a station takes (1.6 security whitepaper, `FirmwareType`).
const LONGEST_CERTIFICATE: usize = 5500;
const LONGEST_SIGNATURE: usize = 800;

/// A firmware image for stations.
#[derive(SimpleObject)]
pub(super) struct Firmware {
    id: ID,
    /// Whose it is; null: a person's.
    organization_id: Option<ID>,
    /// The file's name.
    name: String,
    /// The version that a station tells once it runs it.
    version: String,
    /// The maker of the stations that it is for.
    vendor: Option<String>,
    /// Their model.
    model: Option<String>,
    /// Is it signed by its maker?
    signed: bool,
    signing_certificate: Option<String>,
    /// Where to PUT its bytes, with the same bearer token; null once it is uploaded.
    upload_path: Option<String>,
    /// Bytes; null until it is uploaded.
    size: Option<Float>,
    /// What they hash to, in hexadecimal digits.
    sha256: Option<String>,
    uploaded_at: Option<Time>,
    created_at: Time,
}

impl From<rows::Firmware> for Firmware {
    fn from(row: rows::Firmware) -> Self {
        Self {
            id: row.id.to_string().into(),
            organization_id: row.organization_id.map(ID::from),
            name: row.name,
            version: row.version,
            vendor: row.vendor,
            model: row.model,
            signed: row.signature.is_some(),
            signing_certificate: row.signing_certificate,
            upload_path: row.file_id.is_none().then(|| files::upload_path(row.id)),
            size: row.size.map(Float::from),
            sha256: row.sha256.map(|digest| hex(&digest)),
            uploaded_at: row.uploaded_at.map(Time),
            created_at: Time(row.created_at),
        }
    }
}

/// An image to be uploaded.
#[derive(InputObject)]
pub(super) struct CreateFirmwareInput {
    /// The organization that shall have it; one's own when left out.
    organization_id: Option<ID>,
    /// The file's name; the last part of the address that stations get.
    name: String,
    /// The version that a station tells once it runs it: then the update is known to be done.
    version: String,
    vendor: Option<String>,
    model: Option<String>,
    /// The certificate that the maker signed it with, in PEM. Together with `signature`.
    signing_certificate: Option<String>,
    /// The maker's signature, in base64.
    signature: Option<String>,
}

#[derive(Default)]
pub(super) struct FirmwareQuery;

#[Object]
impl FirmwareQuery {
    /// The firmware images that one may install, the newest first.
    async fn firmwares(&self, ctx: &Context<'_>, paging: Option<Paging>) -> Result<Vec<Firmware>> {
        let (viewer, reach) = reach(ctx, Deed::Operate).await?;
        let page = Paging::rows(paging.as_ref())?;
        let mut tx = viewer::begin(&app(ctx).db, &viewer).await?;
        Ok(rows::page(&mut tx, &reach, page).await?.into_iter().map(Firmware::from).collect())
    }
}

#[derive(Default)]
pub(super) struct FirmwareMutation;

#[Object]
impl FirmwareMutation {
    /// Announces a firmware image. Its bytes are then PUT to `uploadPath`, once.
    async fn create_firmware(&self, ctx: &Context<'_>, input: CreateFirmwareInput) -> Result<Firmware> {
        let (viewer, reach) = reach(ctx, Deed::Operate).await?;
        let new = input.read(&viewer, &reach)?;
        let mut tx = viewer::begin(&app(ctx).db, &viewer).await?;
        let row = rows::insert(&mut tx, &new, viewer.id).await.map_err(missing)?;
        viewer::as_ourselves(&mut tx).await?;
        audit::write(&mut tx, &about("create", &row, viewer.id)).await?;
        tx.commit().await?;
        Ok(row.into())
    }

    /// Removes a firmware image. Stations that were given it already keep it, and so do gateways until they need the room.
    async fn delete_firmware(&self, ctx: &Context<'_>, id: ID) -> Result<Firmware> {
        let (viewer, reach) = reach(ctx, Deed::Operate).await?;
        let mut tx = viewer::begin(&app(ctx).db, &viewer).await?;
        let id = parse_firmware(&id)?;
        let row = rows::find(&mut tx, id, &reach).await?.ok_or_else(|| Fault::no_such("Firmware", id))?;
        rows::delete(&mut tx, id).await?;
        viewer::as_ourselves(&mut tx).await?;
        audit::write(&mut tx, &about("delete", &row, viewer.id)).await?;
        tx.commit().await?;
        Ok(row.into())
    }
}

impl CreateFirmwareInput {
    fn read(self, viewer: &Viewer, reach: &Reach) -> Result<NewFirmware> {
        let organization =
            self.organization_id.as_ref().map(|id| parse_id(id, "organizationId")).transpose()?;
        match organization {
            Some(id) if !reach.everything && !reach.organizations.contains(&id) => {
                return Err(Fault::no_such("Organization", id));
            }
            None if reach.user.is_none() => {
                return Err(Fault::BadInput(
                    "Give an organizationId: you have no stations of your own.".into(),
                ));
            }
            Some(_) | None => {}
        }
        let (signing_certificate, signature) = signed(self.signing_certificate, self.signature)?;
        Ok(NewFirmware {
            organization_id: organization,
            owner_id: organization.is_none().then_some(viewer.id),
            name: short("name", self.name, 100)?,
            version: short("version", self.version, 50)?,
            vendor: self.vendor.map(|vendor| short("vendor", vendor, 50)).transpose()?,
            model: self.model.map(|model| short("model", model, 50)).transpose()?,
            signing_certificate,
            signature,
        })
    }
}

fn signed(
    certificate: Option<String>,
    signature: Option<String>,
) -> Result<(Option<String>, Option<String>)> {
    let (Some(certificate), Some(signature)) = (&certificate, &signature) else {
        return match (certificate, signature) {
            (None, None) => Ok((None, None)),
            (Some(_), _) | (_, Some(_)) => {
                Err(Fault::BadInput("signingCertificate and signature go together.".into()))
            }
        };
    };
    let (certificate, signature) = (certificate.trim(), signature.trim());
    if certificate.len() > LONGEST_CERTIFICATE || !certificate.starts_with("-----BEGIN CERTIFICATE-----") {
        return Err(Fault::BadInput(format!(
            "signingCertificate is one certificate in PEM, of at most {LONGEST_CERTIFICATE} characters."
        )));
    }
    if signature.len() > LONGEST_SIGNATURE || STANDARD.decode(signature).is_err() {
        return Err(Fault::BadInput(format!(
            "signature is base64, of at most {LONGEST_SIGNATURE} characters."
        )));
    }
    Ok((Some(certificate.into()), Some(signature.into())))
}

fn short(field: &str, text: String, most: usize) -> Result<String> {
    let trimmed = text.trim();
    let fine = (1..=most).contains(&trimmed.chars().count()) && !trimmed.chars().any(char::is_control);
    if fine {
        Ok(trimmed.to_owned())
    } else {
        Err(Fault::BadInput(format!("{field} has 1 to {most} printable characters.")))
    }
}

pub(super) fn parse_firmware(id: &ID) -> Result<Uuid> {
    id.parse().map_err(|_| Fault::no_such("Firmware", id.as_str()))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn about<'a>(action: &'a str, row: &rows::Firmware, by: i64) -> Entry<'a> {
    let shown = Some(json!({
        "name": row.name, "version": row.version, "vendor": row.vendor, "model": row.model,
        "signed": row.signature.is_some(), "size": row.size, "sha256": row.sha256.as_deref().map(hex),
        "organizationId": row.organization_id, "ownerId": row.owner_id,
    }));
    let (before, after) = if action == "delete" { (shown, None) } else { (None, shown) };
    Entry {
        actor: Some(by),
        action,
        entity: "Firmware",
        row_id: Some(row.id.to_string()),
        organization_id: row.organization_id,
        before,
        after,
        ..Entry::default()
    }
}

/// An administrator named an organization that is not there.
fn missing(error: sqlx::Error) -> Fault {
    let gone = error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_foreign_key_violation);
    if gone { Fault::NotFound("There is no such organization.".into()) } else { error.into() }
}
