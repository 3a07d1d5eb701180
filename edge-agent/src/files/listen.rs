//! The doors through which stations fetch and bring files, and how an address names them.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use hyper::server::conn::http1::Builder;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use shared::model::file::Transfer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{Files, Reached, ftp, serve};
use crate::config;
use crate::ocpp::{door, server};

/// Connections at each door at most: a site has hundreds of stations, and few fetch at a time.
const AT_ONCE: usize = 64;
/// How long a request's head may take (slowloris).
const HEAD: std::time::Duration = std::time::Duration::from_secs(10);

/// Where the open doors are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// Plain HTTP.
    pub http: Option<SocketAddr>,
    /// HTTPS.
    pub https: Option<SocketAddr>,
    /// FTP.
    pub ftp: Option<SocketAddr>,
}

/// The listening sockets.
pub struct Doors {
    http: Option<TcpListener>,
    https: Option<(TcpListener, TlsAcceptor)>,
    ftp: Option<(TcpListener, std::ops::RangeInclusive<u16>)>,
    addresses: Addresses,
}

/// A way to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) transfer: Scheme,
    pub(super) port: u16,
}

/// A transfer as an address begins with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scheme(Transfer);

impl Scheme {
    pub(super) fn is_ftp(self) -> bool {
        self.0 == Transfer::Ftp
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Transfer::Http => "http",
            Transfer::Https => "https",
            Transfer::Ftp => "ftp",
        })
    }
}

impl Addresses {
    /// Names and addresses, for the log and `listening.json`.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, SocketAddr)> {
        let all = [("files", self.http), ("files_tls", self.https), ("files_ftp", self.ftp)];
        all.into_iter().filter_map(|(name, address)| Some((name, address?)))
    }

    /// The wanted way, or the best for a station that reached us so.
    pub(super) fn way(&self, wanted: Option<Transfer>, reached: Reached) -> Result<Way, String> {
        let order = match wanted {
            Some(transfer) => vec![transfer],
            None if reached.tls => vec![Transfer::Https, Transfer::Http, Transfer::Ftp],
            None => vec![Transfer::Http, Transfer::Https, Transfer::Ftp],
        };
        let open = |transfer: &Transfer| {
            let address = match transfer {
                Transfer::Http => self.http,
                Transfer::Https => self.https,
                Transfer::Ftp => self.ftp,
            };
            Some(Way { transfer: Scheme(*transfer), port: address?.port() })
        };
        order.iter().find_map(open).ok_or_else(|| match wanted {
            Some(Transfer::Http) => "this gateway serves no plain HTTP: set files.listen".into(),
            Some(Transfer::Https) => "this gateway serves no HTTPS: set files.tls_listen".into(),
            Some(Transfer::Ftp) => "this gateway serves no FTP: set files.ftp_listen".into(),
            None => {
                "this gateway serves no files: set files.tls_listen, files.listen or files.ftp_listen".into()
            }
        })
    }
}

/// An address as a URL has it.
pub(super) fn host_of(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

impl Doors {
    /// Opens those that the configuration wants.
    ///
    /// # Errors
    /// When an address is in use, or HTTPS is wanted without a certificate.
    pub fn open(config: &config::Files, acceptor: Option<TlsAcceptor>) -> anyhow::Result<Self> {
        let listen = |address: &str| -> anyhow::Result<Option<TcpListener>> {
            if address.is_empty() {
                return Ok(None);
            }
            server::listen(address).map(Some).with_context(|| format!("listening on {address}"))
        };
        let (http, ftp) = (listen(&config.listen)?, listen(&config.ftp_listen)?);
        let https = match (listen(&config.tls_listen)?, acceptor) {
            (Some(listener), Some(acceptor)) => Some((listener, acceptor)),
            (Some(_), None) => bail!("files.tls_listen is set, but there is no certificate to show"),
            (None, _) => None,
        };
        let at = |listener: Option<&TcpListener>| listener.map(TcpListener::local_addr).transpose();
        let addresses = Addresses {
            http: at(http.as_ref())?,
            https: at(https.as_ref().map(|(listener, _)| listener))?,
            ftp: at(ftp.as_ref())?,
        };
        let passive = config.ftp_passive_first..=config.ftp_passive_last;
        Ok(Doors { http, https, ftp: ftp.map(|listener| (listener, passive)), addresses })
    }

    /// Where they are.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    pub(super) fn serve(self, files: &Arc<Files>, stop: &CancellationToken) {
        if let Some(listener) = self.http {
            let accepting = accept(listener, None, serve::router(files.clone()));
            tokio::spawn(stop.clone().run_until_cancelled_owned(accepting));
        }
        if let Some((listener, acceptor)) = self.https {
            let accepting = accept(listener, Some(acceptor), serve::router(files.clone()));
            tokio::spawn(stop.clone().run_until_cancelled_owned(accepting));
        }
        if let Some((listener, passive)) = self.ftp {
            tracing::warn!(
                "stations may fetch and bring files by FTP: whoever is on their network can read along"
            );
            let accepting = ftp::accept(listener, passive, files.clone());
            tokio::spawn(stop.clone().run_until_cancelled_owned(accepting));
        }
    }
}

async fn accept(listener: TcpListener, acceptor: Option<TlsAcceptor>, router: axum::Router) {
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let Ok(turn) = turns.clone().acquire_owned().await else { return };
        let socket = match listener.accept().await {
            Ok((socket, _)) => socket,
            Err(error) => {
                tracing::warn!(%error, "accepting a connection for files failed");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                continue;
            }
        };
        let (acceptor, router) = (acceptor.clone(), router.clone());
        tokio::spawn(async move {
            let _turn = turn;
            match acceptor {
                None => converse(socket, router).await,
                Some(acceptor) => match door::enter(&acceptor, socket).await {
                    Ok(entered) => converse(entered.stream, router).await,
                    Err(error) => tracing::info!(%error, "a TLS handshake for files failed"),
                },
            }
        });
    }
}

async fn converse(socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, router: axum::Router) {
    let service = TowerToHyperService::new(router);
    let connection = Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(socket), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection for files ended early");
    }
}
