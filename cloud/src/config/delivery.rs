//! How messages to people go out: e-mail over SMTP, text messages over any provider's HTTP API.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use anyhow::{bail, ensure};
use serde::Deserialize;

use super::Secret;

/// An SMTP server.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mail {
    /// Its name; absent: no e-mail is sent.
    pub server: Option<String>,
    /// Absent: the usual one of `tls`.
    pub port: Option<u16>,
    /// How the connection is protected.
    pub tls: MailTls,
    /// A certificate authority besides the system's.
    pub ca_file: Option<PathBuf>,
    /// With `password`: the account there.
    pub username: Option<String>,
    /// See `username`.
    pub password: Option<Secret>,
    /// The sender, as `EV Charging <no-reply@example.com>`.
    pub from: String,
}

/// How the connection to an SMTP server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailTls {
    /// Begins in the clear and must change to TLS before anything is said.
    Starttls,
    /// TLS from the first byte.
    Implicit,
    /// In the clear: for a server on this machine.
    None,
}

/// A provider that sends text messages when it is POSTed to.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sms {
    /// Absent: no text message is sent.
    pub url: Option<Secret>,
    /// What the provider knows us by.
    pub headers: BTreeMap<String, Secret>,
    /// How `body` is written.
    pub format: SmsFormat,
    /// What is posted; `{to}` and `{text}` in its texts are filled in.
    pub body: SmsBody,
    /// Text messages cost money, and numbers of one's own accomplices earn some: no more than so many, over all.
    pub per_hour: u32,
}

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SmsFormat {
    /// `application/json`.
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
}

/// The template of a body; may hold a password.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct SmsBody(pub serde_json::Value);

impl fmt::Debug for SmsBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Default for Mail {
    fn default() -> Self {
        Self {
            server: None,
            port: None,
            tls: MailTls::Starttls,
            ca_file: None,
            username: None,
            password: None,
            from: "EV Charging <no-reply@localhost>".into(),
        }
    }
}

impl Default for Sms {
    fn default() -> Self {
        Self {
            url: None,
            headers: BTreeMap::new(),
            format: SmsFormat::Json,
            body: SmsBody(serde_json::json!({ "to": "{to}", "text": "{text}" })),
            per_hour: 1000,
        }
    }
}

impl Mail {
    pub(super) fn check(&self) -> anyhow::Result<()> {
        ensure!(
            self.from.parse::<lettre::message::Mailbox>().is_ok(),
            "mail.from must look like `EV Charging <no-reply@example.com>`"
        );
        ensure!(
            self.username.is_some() == self.password.is_some(),
            "mail.username and mail.password go together"
        );
        if let Some(server) = self.server.as_deref().filter(|_| self.tls == MailTls::None) {
            let here = server == "localhost"
                || server.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
            if !here {
                bail!(
                    "mail.tls = \"none\" would send one-time codes in the clear to {server}: use starttls or implicit"
                );
            }
        }
        Ok(())
    }
}

impl Sms {
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let Some(url) = &self.url else { return Ok(()) };
        ensure!(reqwest::Url::parse(url.expose()).is_ok(), "sms.url is no address of an HTTP API");
        for (name, value) in &self.headers {
            let fits = reqwest::header::HeaderName::try_from(name).is_ok()
                && reqwest::header::HeaderValue::try_from(value.expose()).is_ok();
            ensure!(fits, "sms.headers: `{name}` is no header");
        }
        let template = self.body.0.to_string();
        ensure!(
            template.contains("{to}") && template.contains("{text}"),
            "sms.body must say where {{to}} and {{text}} go"
        );
        let flat = |body: &serde_json::Value| {
            body.as_object().is_some_and(|fields| fields.values().all(|it| !it.is_object() && !it.is_array()))
        };
        ensure!(
            self.format == SmsFormat::Json || flat(&self.body.0),
            "sms.body: a form has no fields in fields"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_in_the_clear_stays_on_this_machine() {
        let mail = |server: &str, tls| Mail { server: Some(server.into()), tls, ..Mail::default() };
        assert!(mail("127.0.0.1", MailTls::None).check().is_ok());
        assert!(mail("localhost", MailTls::None).check().is_ok());
        assert!(mail("mail.example.com", MailTls::Starttls).check().is_ok());
        let error = mail("mail.example.com", MailTls::None).check().unwrap_err().to_string();
        assert!(error.contains("mail.tls") && error.contains("mail.example.com"), "{error}");
        assert!(Mail { from: "nobody".into(), ..Mail::default() }.check().is_err());
        assert!(Mail { username: Some("me".into()), ..Mail::default() }.check().is_err());
    }

    #[test]
    fn a_text_messages_body_has_its_places() {
        let sms = |body, format| Sms {
            url: Some(Secret::new("https://sms.example/send")),
            body: SmsBody(body),
            format,
            ..Sms::default()
        };
        let nested = serde_json::json!({"recipients": ["{to}"], "body": "{text}"});
        assert!(sms(nested.clone(), SmsFormat::Json).check().is_ok());
        assert!(sms(nested, SmsFormat::Form).check().is_err());
        assert!(sms(serde_json::json!({"to": "{to}"}), SmsFormat::Json).check().is_err());
        assert!(!format!("{:?}", sms(serde_json::json!("canary"), SmsFormat::Json)).contains("canary"));
    }
}
