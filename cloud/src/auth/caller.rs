//! One request's sender: whatever token it brought, looked at only when a resolver needs to know.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::OnceCell;

use super::{Auth, Viewer};

/// Who sent a request. Public queries never cost a look at the token.
pub struct Caller {
    auth: Arc<Auth>,
    token: Option<String>,
    address: IpAddr,
    request_id: Option<Arc<str>>,
    viewer: OnceCell<Option<Viewer>>,
}

impl Caller {
    /// A request with what stood behind `Bearer`, if anything.
    pub fn new(auth: Arc<Auth>, token: Option<String>, address: IpAddr) -> Self {
        Self { auth, token, address, request_id: None, viewer: OnceCell::new() }
    }

    /// The same, with what the request is called in answers and logs.
    #[must_use]
    pub fn with_request_id(self, id: Option<Arc<str>>) -> Self {
        Self { request_id: id, ..self }
    }

    /// What the request is called.
    pub fn request_id(&self) -> Option<&Arc<str>> {
        self.request_id.as_ref()
    }

    /// The address it came from.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// The login service.
    pub fn auth(&self) -> &Auth {
        &self.auth
    }

    /// Who it is; `None` without a good token.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn viewer(&self) -> anyhow::Result<Option<Viewer>> {
        let Some(token) = &self.token else { return Ok(None) };
        self.viewer.get_or_try_init(|| self.auth.viewer(token)).await.cloned()
    }

    /// Who it is now, however long ago he came: for what outlasts a request.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn viewer_now(&self) -> anyhow::Result<Option<Viewer>> {
        match &self.token {
            Some(token) => self.auth.viewer(token).await,
            None => Ok(None),
        }
    }
}
