//! Where the collector is, as operators write it down.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};
use serde::Deserialize;

/// The section `[traces]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The collector; empty: nothing is told.
    pub url: String,
    /// Headers that it wants, such as a token: a line each, `Name: value`.
    pub headers_file: Option<PathBuf>,
}

/// A collector that can be sent to.
pub(crate) struct Destination {
    pub(crate) url: Url,
    pub(crate) headers: HashMap<String, String>,
}

impl Settings {
    /// Refuses what can never work, also before anything is started.
    ///
    /// # Errors
    /// Name the key, and say what to write instead.
    pub fn check(&self) -> anyhow::Result<()> {
        self.destination().map(drop)
    }

    /// The collector, if there is one.
    pub(crate) fn destination(&self) -> anyhow::Result<Option<Destination>> {
        match (self.url.trim(), &self.headers_file) {
            ("", None) => Ok(None),
            ("", Some(_)) => {
                bail!("traces.headers_file without traces.url: name the collector, or take both out")
            }
            (url, file) => {
                let headers = file.as_deref().map(headers).transpose().context("traces.headers_file")?;
                Ok(Some(Destination { url: endpoint(url)?, headers: headers.unwrap_or_default() }))
            }
        }
    }
}

/// The address that is posted to. Without a path it is the one that OTLP names.
fn endpoint(text: &str) -> anyhow::Result<Url> {
    let example = "such as http://127.0.0.1:4318";
    let mut url = Url::parse(text).with_context(|| format!("traces.url is no address {example}"))?;
    ensure!(
        matches!(url.scheme(), "http" | "https") && url.has_host(),
        "traces.url begins with http:// or https://, {example}"
    );
    ensure!(
        url.port() != Some(4317),
        "traces.url: 4317 is OTLP's port for gRPC; take the one for HTTP, 4318"
    );
    ensure!(
        url.username().is_empty() && url.password().is_none(),
        "traces.url holds a password: write a line `Authorization: …` into a file and name it in traces.headers_file"
    );
    if url.path() == "/" {
        url.set_path("/v1/traces");
    }
    Ok(url)
}

/// The headers of a file. What is wrong is named by its line, never by what stands there.
fn headers(path: &Path) -> anyhow::Result<HashMap<String, String>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let lines = text.lines().enumerate().map(|(place, line)| (place + 1, line.trim()));
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(number, line)| {
            header(line).with_context(|| format!("{} line {number} is no `Name: value`", path.display()))
        })
        .collect()
}

fn header(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    let (name, value) = (name.trim(), value.trim());
    let fits = HeaderName::try_from(name).is_ok() && HeaderValue::try_from(value).is_ok();
    fits.then(|| (name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str, file: Option<&Path>) -> Settings {
        Settings { url: url.into(), headers_file: file.map(Path::to_owned) }
    }

    #[test]
    fn nothing_is_told_unless_it_is_wanted() {
        assert!(Settings::default().destination().unwrap().is_none());
    }

    #[test]
    fn an_address_without_a_path_gets_the_usual_one() {
        for (given, posted) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("https://otlp.example.com/", "https://otlp.example.com/v1/traces"),
            ("https://example.com/otlp/v1/traces?org=1", "https://example.com/otlp/v1/traces?org=1"),
        ] {
            assert_eq!(settings(given, None).destination().unwrap().unwrap().url.as_str(), posted);
        }
    }

    #[test]
    fn what_cannot_work_is_answered_with_what_does() {
        for (url, hint) in [
            ("127.0.0.1:4318", "such as http://127.0.0.1:4318"),
            ("collector:4318", "begins with http://"),
            ("grpc://collector:4317", "begins with http://"),
            ("http://collector:4317", "4318"),
            ("https://me:canary@otlp.example.com", "traces.headers_file"),
        ] {
            let error = format!("{:#}", settings(url, None).check().unwrap_err());
            assert!(error.contains("traces.url") && error.contains(hint), "{url}: {error}");
            assert!(!error.contains("canary"), "{error}");
        }
    }

    #[test]
    fn headers_stand_in_a_file_and_are_never_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("headers");
        let wanted = settings("http://127.0.0.1:4318", Some(&file));
        assert!(format!("{:#}", wanted.check().unwrap_err()).contains("traces.headers_file"), "no such file");
        std::fs::write(&file, "# of the collector\n\nAuthorization: Bearer canary\n").unwrap();
        let headers = wanted.destination().unwrap().unwrap().headers;
        assert_eq!(
            headers.into_iter().collect::<Vec<_>>(),
            [("Authorization".to_owned(), "Bearer canary".to_owned())]
        );
        std::fs::write(&file, "Authorization Bearer canary\n").unwrap();
        let error = format!("{:#}", wanted.check().unwrap_err());
        assert!(error.contains("line 1") && !error.contains("canary"), "{error}");
        assert!(settings("", Some(&file)).check().is_err(), "headers for nobody");
    }
}
