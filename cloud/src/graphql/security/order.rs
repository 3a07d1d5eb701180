//! Orders about security. What they set off goes in steps: `stationSecurity` tells how far it is.

use std::time::Duration;

use async_graphql::{Context, Enum, ID, InputObject, Object};
use shared::model::CommandBody;
use shared::model::security::{
    CertificateHash as Hash, HashAlgorithm as Algorithm, ProfileRaise, RootUse as Root,
};

use super::super::command::{CommandView, OrderTerms, Terms, charge_point, order, order_on};
use super::super::error::{Fault, Result};
use super::check;
use crate::db::station::Target;

/// Stations take minutes to make a key, and come back when they have restarted.
const LIFE_OF_STEPS: Duration = Duration::from_hours(1);

/// What an authority's certificate is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "Root", rename_items = "PascalCase")]
pub(in super::super) enum CertificateUse {
    /// To know the gateway by.
    CentralSystem,
    /// To know the maker's firmware by.
    Manufacturer,
}

/// The hash in which a certificate is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "Algorithm")]
pub(in super::super) enum HashAlgorithm {
    /// SHA-256.
    #[graphql(name = "SHA256")]
    Sha256,
    /// SHA-384.
    #[graphql(name = "SHA384")]
    Sha384,
    /// SHA-512.
    #[graphql(name = "SHA512")]
    Sha512,
}

/// A certificate as stations name it; `getCertificates` has it so.
#[derive(InputObject)]
pub(in super::super) struct CertificateHashInput {
    algorithm: HashAlgorithm,
    /// The hash of the issuer's name, hexadecimal.
    issuer_name: String,
    /// The hash of the issuer's key, hexadecimal.
    issuer_key: String,
    /// The serial number, hexadecimal.
    serial: String,
}

#[derive(Default)]
pub(in super::super) struct SecurityMutation;

#[Object]
impl SecurityMutation {
    /// Has a station trust an authority: the gateway's own one when no certificate is given.
    async fn install_certificate(
        &self,
        ctx: &Context<'_>,
        charge_point_id: ID,
        #[graphql(name = "use", desc = "What for.")] root: CertificateUse,
        #[graphql(desc = "The authority's certificate in PEM, a single one of at most 5500 characters.")]
        certificate: Option<String>,
        #[graphql(default, desc = "Even over a line that anybody in the chargers' network can change.")]
        over_plain_line: bool,
        terms: Option<OrderTerms>,
    ) -> Result<CommandView> {
        let certificate = certificate.as_deref().map(check::certificate).transpose()?;
        if certificate.is_none() && root == CertificateUse::Manufacturer {
            return Err(Fault::BadInput(
                "Give the maker's certificate: the gateway's own authority signs no firmware.".into(),
            ));
        }
        let at = charge_point(ctx, &charge_point_id).await?;
        let (root, over_plain) = (root.into(), over_plain_line);
        order(ctx, at, CommandBody::InstallCertificate { root, certificate, over_plain }, terms).await
    }

    /// Has a station trust an authority no longer.
    async fn delete_certificate(
        &self,
        ctx: &Context<'_>,
        charge_point_id: ID,
        hash: CertificateHashInput,
        terms: Option<OrderTerms>,
    ) -> Result<CommandView> {
        let hash = check::hash(Hash {
            algorithm: hash.algorithm.into(),
            issuer_name: hash.issuer_name,
            issuer_key: hash.issuer_key,
            serial: hash.serial,
        })?;
        let at = charge_point(ctx, &charge_point_id).await?;
        order(ctx, at, CommandBody::DeleteCertificate(hash), terms).await
    }

    /// Asks a station which authorities it trusts. `result` has them.
    async fn get_certificates(
        &self,
        ctx: &Context<'_>,
        charge_point_id: ID,
        #[graphql(name = "use", desc = "What for.")] root: CertificateUse,
        terms: Option<OrderTerms>,
    ) -> Result<CommandView> {
        let at = charge_point(ctx, &charge_point_id).await?;
        order(ctx, at, CommandBody::GetCertificates { root: root.into() }, terms).await
    }

    /// Has a station make a new key and get a certificate for it from the gateway's authority.
    async fn renew_certificate(
        &self,
        ctx: &Context<'_>,
        charge_point_id: ID,
        terms: Option<OrderTerms>,
    ) -> Result<CommandView> {
        let at = charge_point(ctx, &charge_point_id).await?;
        in_steps(ctx, at, CommandBody::RenewCertificate, terms).await
    }

    /// Gives a station a new password, made by the gateway: nobody sees it. The old one is good until the station has come
    /// with the new one.
    async fn rotate_password(
        &self,
        ctx: &Context<'_>,
        charge_point_id: ID,
        #[graphql(default, desc = "Even over a line that anybody in the chargers' network can read.")]
        over_plain_line: bool,
        terms: Option<OrderTerms>,
    ) -> Result<CommandView> {
        let at = charge_point(ctx, &charge_point_id).await?;
        in_steps(ctx, at, CommandBody::RotatePassword { over_plain: over_plain_line }, terms).await
    }

    /// Brings a station to a higher security profile: 1 password, 2 password over TLS, 3 certificates on both sides. There
    /// is no way back by this API. What it had before is good until it has come with the new one.
    #[expect(clippy::too_many_arguments, reason = "they are the order's")]
    async fn raise_security_profile(
        &self,
        ctx: &Context<'_>,
        charge_point_id: ID,
        #[graphql(desc = "1, 2 or 3.")] to: i32,
        #[graphql(
            desc = "The setting in which the station keeps our address, if it does not find the other door by itself."
        )]
        address_key: Option<String>,
        #[graphql(
            desc = "What to write there: a ws:// or wss:// URL; as the station reached the gateway when left out."
        )]
        address: Option<String>,
        #[graphql(
            default,
            desc = "The authority's certificate and a password may go over an unencrypted line."
        )]
        over_plain_line: bool,
        terms: Option<OrderTerms>,
    ) -> Result<CommandView> {
        let to = u8::try_from(to).unwrap_or_default();
        let raise = check::raise(ProfileRaise { to, address_key, address, over_plain: over_plain_line })?;
        let at = charge_point(ctx, &charge_point_id).await?;
        in_steps(ctx, at, CommandBody::RaiseProfile(Box::new(raise)), terms).await
    }
}

/// The order ends with the last of its steps.
async fn in_steps(
    ctx: &Context<'_>,
    at: Target,
    body: CommandBody,
    terms: Option<OrderTerms>,
) -> Result<CommandView> {
    order_on(ctx, at, body, Terms::or(terms, LIFE_OF_STEPS)?).await
}
