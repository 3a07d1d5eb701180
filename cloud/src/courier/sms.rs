//! Text messages over a provider's HTTP API: a template is filled in and POSTed. Every provider that we know has such a call.

use std::time::Duration;

use anyhow::anyhow;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Url, redirect};
use serde_json::Value;

use super::Undelivered;
use crate::config::{Sms, SmsFormat};

const TIME: Duration = Duration::from_secs(10);

/// A provider.
pub(super) struct Provider {
    http: Client,
    url: Url,
    headers: HeaderMap,
    format: SmsFormat,
    template: Value,
}

impl Provider {
    /// `None` without a configured address.
    pub(super) fn new(config: &Sms) -> anyhow::Result<Option<Self>> {
        let Some(url) = &config.url else { return Ok(None) };
        // Fails only when one is installed already, which is what we want.
        rustls::crypto::ring::default_provider().install_default().ok();
        let mut headers = HeaderMap::new();
        for (name, value) in &config.headers {
            let mut value = HeaderValue::try_from(value.expose())?;
            value.set_sensitive(true);
            headers.insert(HeaderName::try_from(name)?, value);
        }
        // What is posted is a secret: it goes where it was configured to go and nowhere else.
        let http = Client::builder().timeout(TIME).redirect(redirect::Policy::none()).build()?;
        let (format, template) = (config.format, config.body.0.clone());
        Ok(Some(Self { http, url: Url::parse(url.expose())?, headers, format, template }))
    }

    pub(super) async fn send(&self, to: &str, text: &str) -> Result<(), Undelivered> {
        let body = filled(&self.template, to, text);
        let request = self.http.post(self.url.clone()).headers(self.headers.clone());
        let request = match self.format {
            SmsFormat::Json => request.json(&body),
            SmsFormat::Form => request.form(&body),
        };
        // The address may hold a key, and the answer may repeat the text: neither is logged.
        let answer = request.send().await.map_err(|error| {
            Undelivered::Outage(anyhow::Error::new(error.without_url()).context("provider of text messages"))
        })?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => {
                Err(Undelivered::Outage(anyhow!("the provider of text messages answered with {status}")))
            }
        }
    }
}

/// The template with its places filled in; texts stay texts, whatever is in them.
fn filled(template: &Value, to: &str, text: &str) -> Value {
    match template {
        Value::String(place) => {
            // In one pass: a text may itself speak of `{to}`.
            let parts = place.split("{text}").map(|part| part.replace("{to}", to));
            Value::String(parts.collect::<Vec<_>>().join(text))
        }
        Value::Array(items) => items.iter().map(|item| filled(item, to, text)).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), filled(value, to, text))).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => template.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn templates_are_filled_in_once() {
        let template =
            json!({"from": "EV", "n": 1, "recipients": ["{to}"], "body": {"t": "To {to}: {text}!"}});
        assert_eq!(
            filled(&template, "+1", "say \"{to}\" {text}"),
            json!({"from": "EV", "n": 1, "recipients": ["+1"], "body": {"t": "To +1: say \"{to}\" {text}!"}})
        );
    }
}
