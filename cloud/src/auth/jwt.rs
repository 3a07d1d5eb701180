//! Access tokens: JWT with HS256 and nothing else.
//!
//! Small on purpose. The algorithm is not the token's to choose, the key comes from a fixed set by its `kid`, and `iss`,
//! `aud` and `exp` are required with their exact types: each was a published hole of a library at some time.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use uuid::Uuid;

use super::keys::{Key, KeySet};

const ISSUER: &str = "evb";
const AUDIENCE: &str = "evb-api";
const ALGORITHM: &str = "HS256";
const MAX_LENGTH: usize = 4096;
/// How far another replica's clock may run ahead, in seconds.
const SKEW: i64 = 60;

/// What a token says. Apps read the first block; the names are theirs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claims {
    pub(super) username: Option<String>,
    pub(super) sub: i64,
    pub(super) name: Option<String>,
    pub(super) email: Option<String>,
    pub(super) role: String,
    pub(super) iat: i64,
    pub(super) exp: i64,

    pub(super) iss: String,
    pub(super) aud: String,
    /// The user's `token_version` when it was issued: raising it ends the token.
    pub(super) ver: i32,
    /// The sign-in that it belongs to: ending that ends the token.
    pub(super) sid: Uuid,
}

impl Claims {
    /// Claims of our own issue, without the person's names and the sign-in.
    pub(super) fn new(sub: i64, role: String, ver: i32, iat: i64, lifetime: i64) -> Self {
        let (iss, aud) = (ISSUER.into(), AUDIENCE.into());
        Self {
            username: None,
            sub,
            name: None,
            email: None,
            role,
            iat,
            exp: iat + lifetime,
            iss,
            aud,
            ver,
            sid: Uuid::nil(),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
}

/// Writes and signs a token.
pub(super) fn sign(claims: &Claims, key: &Key) -> String {
    let header = Header { alg: ALGORITHM.into(), typ: "JWT".into(), kid: key.kid.clone() };
    let signed = format!("{}.{}", encode(&header), encode(claims));
    let mac = mac(key, &signed).finalize().into_bytes();
    format!("{signed}.{}", BASE64.encode(mac))
}

/// Reads a token; `None` when anything at all is wrong with it.
pub(super) fn verify(token: &str, keys: &KeySet, now: i64) -> Option<Claims> {
    if token.len() > MAX_LENGTH {
        return None;
    }
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let header: Header = decode(header)?;
    if header.alg != ALGORITHM {
        return None;
    }
    let key = keys.find(&header.kid)?;
    mac(key, signed).verify_slice(&BASE64.decode(signature).ok()?).ok()?;
    let claims: Claims = decode(claims)?;
    let ours = claims.iss == ISSUER && claims.aud == AUDIENCE;
    let timely = now < claims.exp && claims.iat <= now.saturating_add(SKEW);
    (ours && timely).then_some(claims)
}

fn mac(key: &Key, signed: &str) -> Hmac<Sha256> {
    let mac = Hmac::<Sha256>::new_from_slice(&key.secret).expect("HMAC takes a key of any length");
    mac.chain_update(signed)
}

fn encode(part: &impl Serialize) -> String {
    BASE64.encode(serde_json::to_vec(part).expect("plain structs are JSON"))
}

fn decode<T: for<'de> Deserialize<'de>>(part: &str) -> Option<T> {
    serde_json::from_slice(&BASE64.decode(part).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: i64 = 1_800_000_000;

    fn keys() -> KeySet {
        KeySet::new(vec![Key::new("new", [7; 32]), Key::new("old", [8; 32])]).unwrap()
    }

    fn claims() -> Claims {
        Claims::new(4, "driver".into(), 1, NOW, 3600)
    }

    /// A token with any header and claims, signed with the first key.
    fn forged(header: serde_json::Value, claims: serde_json::Value) -> String {
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let signature = mac(keys().signing(), &signed).finalize().into_bytes();
        format!("{signed}.{}", BASE64.encode(signature))
    }

    #[test]
    fn a_token_comes_back_until_it_expires() {
        let token = sign(&claims(), keys().signing());
        assert_eq!(verify(&token, &keys(), NOW + 3599), Some(claims()));
        assert_eq!(verify(&token, &keys(), NOW + 3600), None);
    }

    #[test]
    fn every_key_of_the_set_verifies_and_no_other() {
        let old = Key::new("old", [8; 32]);
        assert!(verify(&sign(&claims(), &old), &keys(), NOW).is_some());
        let same_name_other_secret = Key::new("old", [9; 32]);
        assert!(verify(&sign(&claims(), &same_name_other_secret), &keys(), NOW).is_none());
        assert!(verify(&sign(&claims(), &Key::new("unknown", [7; 32])), &keys(), NOW).is_none());
    }

    #[test]
    fn header_and_claims_are_not_the_tokens_to_choose() {
        let header = json!({"alg": "HS256", "typ": "JWT", "kid": "new"});
        let good = serde_json::to_value(claims()).unwrap();
        assert!(verify(&forged(header.clone(), good.clone()), &keys(), NOW).is_some());

        for alg in ["none", "None", "HS384", "RS256", "hs256", ""] {
            let header = json!({"alg": alg, "typ": "JWT", "kid": "new"});
            assert!(verify(&forged(header, good.clone()), &keys(), NOW).is_none(), "{alg}");
        }
        for (claim, value) in [
            ("iss", json!("else")),
            ("aud", json!("else")),
            ("aud", json!(["evb-api"])),
            ("exp", json!("9999999999")),
            ("exp", json!(null)),
            ("exp", json!(9_999_999_999.5)),
            ("sub", json!("4")),
            ("sid", json!("4")),
            ("iat", json!(NOW + 3600)),
        ] {
            let mut bad = good.clone();
            bad[claim] = value;
            assert!(verify(&forged(header.clone(), bad), &keys(), NOW).is_none(), "{claim}");
            let mut missing = good.clone();
            missing.as_object_mut().unwrap().remove(claim);
            assert!(verify(&forged(header.clone(), missing), &keys(), NOW).is_none(), "no {claim}");
        }
    }

    #[test]
    fn rubbish_is_refused() {
        let token = sign(&claims(), keys().signing());
        let (signed, _) = token.rsplit_once('.').unwrap();
        for bad in ["", ".", "..", "a.b.c", signed, &format!("{signed}."), &format!("{token}x"), &token[1..]]
        {
            assert!(verify(bad, &keys(), NOW).is_none(), "{bad}");
        }
        assert!(verify(&"a".repeat(MAX_LENGTH + 1), &keys(), NOW).is_none());
    }
}
