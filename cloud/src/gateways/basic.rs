//! A gateway over HTTP: its id and its secret as Basic credentials, the same as at the broker.

use axum::http::header::{AUTHORIZATION, HeaderMap};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use shared::id::GatewayId;
use sqlx::PgPool;

use super::Keys;
use crate::db::gateway::Gateway;

/// The gateway that asks; `None` unless it is enrolled, not revoked, and knows its secret.
///
/// # Errors
/// When the database has to be asked and does not answer.
pub async fn who(
    db: &PgPool,
    keys: &Keys,
    headers: &HeaderMap,
) -> sqlx::Result<Option<(GatewayId, Gateway)>> {
    let Some((id, secret)) = credentials(headers) else { return Ok(None) };
    let fits = |gateway: &Gateway| gateway.key.fits(&secret);
    let gateway = match keys.get(db, id).await?.filter(fits) {
        Some(gateway) => Some(gateway),
        None => keys.doubt(db, id).await?.filter(fits),
    };
    Ok(gateway.map(|gateway| (id, gateway)))
}

fn credentials(headers: &HeaderMap) -> Option<(GatewayId, Vec<u8>)> {
    let (scheme, encoded) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let decoded = STANDARD.decode(encoded.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let (id, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((id.parse().ok()?, URL_SAFE_NO_PAD.decode(secret).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_an_id_and_a_secret() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, format!("Basic {}", STANDARD.encode(text)).parse().unwrap());
            credentials(&headers).map(|(id, secret)| (id.to_string(), secret))
        };
        let id = "018f4e1c-0000-7000-8000-000000000001";
        assert_eq!(read(&format!("{id}:c2VjcmV0")), Some((id.into(), b"secret".to_vec())));
        assert_eq!(read("somebody:c2VjcmV0"), None);
        assert_eq!(read(id), None);
    }
}
