//! The way to the cloud's files: HTTPS, in this gateway's name and with its secret.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::{Client, Method, RequestBuilder, redirect};

use crate::config;
use crate::enroll::Identity;

const CONNECTING: Duration = Duration::from_secs(10);
/// Silence in the middle of a transfer.
const SILENCE: Duration = Duration::from_secs(30);

/// The cloud.
pub(super) struct Cloud {
    data_dir: PathBuf,
    url: Option<String>,
    client: Client,
}

impl Cloud {
    pub(super) fn new(data_dir: &Path, config: &config::Sync) -> anyhow::Result<Self> {
        let mut client = Client::builder()
            // Nobody leads us, and our secret, anywhere else.
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECTING)
            .read_timeout(SILENCE);
        if let Some(file) = &config.ca_file {
            let pem = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
            client = client.tls_certs_merge(reqwest::Certificate::from_pem_bundle(&pem)?);
        }
        Ok(Cloud { data_dir: data_dir.to_owned(), url: config.cloud_url.clone(), client: client.build()? })
    }

    /// A request to a path of the cloud's. Fails before enrolment: then there is neither a cloud nor a name.
    pub(super) fn request(&self, method: Method, path: &str) -> anyhow::Result<RequestBuilder> {
        let Some(identity) = Identity::load(&self.data_dir)? else { bail!("this gateway is not enrolled") };
        let url = self.url.as_ref().or(identity.cloud_url.as_ref());
        let url = url.context("where the cloud is was not kept: set sync.cloud_url")?.trim_end_matches('/');
        let request = self.client.request(method, format!("{url}{path}"));
        Ok(request.basic_auth(identity.gateway, Some(identity.secret)))
    }
}
