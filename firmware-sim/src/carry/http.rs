//! By HTTP and HTTPS.

use anyhow::{Context as _, bail, ensure};
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, IF_RANGE, RANGE};
use reqwest::multipart::{Form, Part};
use reqwest::{Client, StatusCode};

use crate::tls::Tls;

fn client(tls: Option<&Tls>) -> anyhow::Result<Client> {
    let tls = match tls {
        Some(tls) => tls.clone(),
        None => Tls::new("", None)?,
    };
    Ok(Client::builder().tls_backend_preconfigured((*tls.config).clone()).build()?)
}

/// Fetches what is missing of `got`.
pub(super) async fn fetch(
    location: &str,
    tls: Option<&Tls>,
    got: &mut Vec<u8>,
    break_after: Option<u64>,
) -> anyhow::Result<()> {
    let client = client(tls)?;
    let mut request = client.get(location);
    if !got.is_empty() {
        // What it was must not have changed meanwhile.
        let head = client.head(location).send().await?;
        if let Some(tag) = head.headers().get(ETAG) {
            request = request.header(IF_RANGE, tag);
        }
        request = request.header(RANGE, format!("bytes={}-", got.len()));
    }
    let mut response = request.send().await?;
    match response.status() {
        StatusCode::OK => got.clear(),
        StatusCode::PARTIAL_CONTENT => {
            let range = text(response.headers(), CONTENT_RANGE).unwrap_or_default();
            ensure!(range.starts_with(&format!("bytes {}-", got.len())), "got {range:?}");
        }
        other => bail!("{other}"),
    }
    let length: u64 = text(response.headers(), CONTENT_LENGTH).context("no length")?.parse()?;
    let whole = got.len() as u64 + length;
    while let Some(chunk) = response.chunk().await? {
        got.extend(&chunk);
        if let Some(most) = break_after.filter(|most| got.len() as u64 >= *most) {
            got.truncate(usize::try_from(most)?);
            bail!("the line broke as told");
        }
    }
    ensure!(got.len() as u64 == whole, "{} of {whole} bytes came", got.len());
    Ok(())
}

/// Brings a file to exactly this address, as a body or as a form's file.
pub(super) async fn bring(
    location: &str,
    tls: Option<&Tls>,
    (name, bytes): &(String, Vec<u8>),
    form: bool,
) -> anyhow::Result<()> {
    let client = client(tls)?;
    let request = if form {
        let part = Part::bytes(bytes.clone()).file_name(name.clone());
        client.post(location).multipart(Form::new().part("file", part))
    } else {
        client.put(format!("{}/{name}", location.trim_end_matches('/'))).body(bytes.clone())
    };
    let answer = request.send().await?;
    ensure!(answer.status().is_success(), "{}", answer.status());
    Ok(())
}

fn text(headers: &HeaderMap, name: reqwest::header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}
