//! Frames without what gives access: passwords in settings, in messages of vendors, in addresses of file servers.

use serde_json::Value;
use shared::model::settings::is_secret;

/// What stands in a secret's place.
const MASK: &str = "…";

/// The frame as it may be kept.
pub(super) fn masked(text: &str) -> String {
    let folded = text.to_lowercase();
    let has_login = folded.contains("://") && folded.contains('@');
    if !is_secret(&folded) && !has_login {
        return text.to_owned();
    }
    match serde_json::from_str::<Value>(text) {
        Ok(mut frame) => {
            mask(&mut frame);
            frame.to_string()
        }
        // Nobody can say where the secret begins.
        Err(_) => format!("{MASK} ({} bytes that cannot be read and hold a secret)", text.len()),
    }
}

fn mask(value: &mut Value) {
    match value {
        Value::Object(members) => {
            let names_secret = members.get("key").and_then(Value::as_str).is_some_and(is_secret);
            for (name, member) in members.iter_mut() {
                if is_secret(name) || names_secret && name == "value" {
                    *member = MASK.into();
                } else {
                    mask(member);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mask),
        Value::String(text) => {
            if let Some(masked) = masked_text(text) {
                *text = masked;
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A text that holds more than a secret's name: a vendor's own message, or an address with a password.
fn masked_text(text: &str) -> Option<String> {
    if is_secret(text) && text.contains(['=', ':', '{', '<']) {
        return Some(MASK.into());
    }
    let (scheme, rest) = text.split_once("://")?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (_, host) = authority.rsplit_once('@')?;
    Some(format!("{scheme}://{MASK}@{host}{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_and_the_rest_stays() {
        for (frame, secret) in [
            (r#"[2,"1","ChangeConfiguration",{"key":"authorizationKey ","value":"s3cret"}]"#, "s3cret"),
            (
                r#"[3,"1",{"configurationKey":[{"key":"AuthorizationKey","readonly":false,"value":"s3cret"}]}]"#,
                "s3cret",
            ),
            (r#"[2,"1","DataTransfer",{"vendorId":"V","data":"{\"wifiPassword\":\"s3cret\"}"}]"#, "s3cret"),
            (r#"[2,"1","GetDiagnostics",{"location":"ftp://log:s3cret@10.0.0.1/x"}]"#, "s3cret"),
            (r#"[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":"s3cret"#, "s3cret"),
        ] {
            let masked = masked(frame);
            assert!(!masked.contains(secret) && masked.contains(MASK), "{masked}");
        }
        let plain = r#"[2,"1",  "ChangeConfiguration",{"key":"HeartbeatInterval","value":"60"}]"#;
        assert_eq!(masked(plain), plain, "word for word");
        let asked = r#"[2,"1","GetConfiguration",{"key":["AuthorizationKey"]}]"#;
        assert!(masked(asked).contains("AuthorizationKey"), "a name is no secret");
    }
}
