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
    viewer: OnceCell<Option<Viewer>>,
}

impl Caller {
    /// A request with what stood behind `Bearer`, if anything.
    pub fn new(auth: Arc<Auth>, token: Option<String>, address: IpAddr) -> Self {
        Self { auth, token, address, viewer: OnceCell::new() }
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
