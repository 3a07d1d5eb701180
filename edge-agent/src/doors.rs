//! Opens the stations' doors that the configuration wants, and keeps the certificate that they show up to date.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use rustls::sign::CertifiedKey;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::{Config, Tls};
use crate::ocpp::door::{self, Door, Shown};
use crate::ocpp::server::{self, Server};
use crate::pki::{self, Authority};

/// How often the certificate is looked after: addresses change, files are renewed.
const LOOK_AFTER: Duration = Duration::from_hours(1);

/// A door and where it is.
pub struct Open {
    /// What it is called in `listening.json`.
    pub name: &'static str,
    /// Where.
    pub address: SocketAddr,
    door: Door,
    listener: TcpListener,
}

/// What is open.
pub struct Opened {
    /// The doors.
    pub doors: Vec<Open>,
    /// Shows the same certificate to those who fetch or bring files.
    pub files: Option<TlsAcceptor>,
}

/// Opens them; one that fails is an error, because a station could not come in.
///
/// # Errors
/// When an address is in use or none at all is wanted, or the certificate cannot be made or read.
pub fn open(
    config: &Config,
    authority: &Arc<Authority>,
    clock: &Arc<Clock>,
    stop: &CancellationToken,
) -> anyhow::Result<Opened> {
    let tls = &config.tls;
    let (mut doors, mut files) = (Vec::new(), None);
    if !tls.listen.is_empty() || !tls.mutual_listen.is_empty() || !config.files.tls_listen.is_empty() {
        let shown = Shown::new(certificate(tls, authority, clock)?);
        if !tls.listen.is_empty() {
            doors.push(at("tls", &tls.listen, Door::tls(&shown))?);
        }
        if !tls.mutual_listen.is_empty() {
            doors.push(at("mutual_tls", &tls.mutual_listen, Door::mutual(&shown, authority.certificate())?)?);
        }
        files = Some(door::acceptor(&shown));
        let (tls, authority, clock) = (tls.clone(), authority.clone(), clock.clone());
        tokio::spawn(stop.clone().run_until_cancelled_owned(look_after(tls, authority, shown, clock)));
    }
    if !config.ocpp.listen.is_empty() {
        tracing::warn!(
            listen = config.ocpp.listen,
            "stations may connect without TLS: their passwords can be read"
        );
        doors.push(at("ocpp", &config.ocpp.listen, Door::Plain)?);
    }
    if doors.is_empty() {
        bail!("no station could connect: set tls.listen, tls.mutual_listen or ocpp.listen");
    }
    Ok(Opened { doors, files })
}

fn at(name: &'static str, address: &str, door: Door) -> anyhow::Result<Open> {
    let listener = server::listen(address).with_context(|| format!("listening on {address}"))?;
    Ok(Open { name, address: listener.local_addr()?, door, listener })
}

impl Open {
    /// The OCPP security profile.
    pub fn profile(&self) -> u8 {
        self.door.profile()
    }

    /// Lets stations in until `stop`.
    pub fn serve(self, server: Arc<Server>, stop: CancellationToken) {
        tokio::spawn(server::serve(server, self.door, self.listener, stop));
    }
}

async fn look_after(tls: Tls, authority: Arc<Authority>, shown: Arc<Shown>, clock: Arc<Clock>) {
    loop {
        tokio::time::sleep(LOOK_AFTER).await;
        match certificate(&tls, &authority, &clock) {
            Ok(certificate) => shown.replace(certificate),
            Err(error) => tracing::error!(error = format!("{error:#}"), "the old server certificate stays"),
        }
    }
}

fn certificate(tls: &Tls, authority: &Authority, clock: &Clock) -> anyhow::Result<Arc<CertifiedKey>> {
    match (&tls.certificate, &tls.key) {
        (Some(certificate), Some(key)) => pki::from_files(certificate, key),
        (None, None) => authority.server(&names(&tls.names), clock.now()),
        (Some(_), None) | (None, Some(_)) => bail!("tls.certificate and tls.key go together"),
    }
}

/// The configured names, then the host's own name and addresses.
fn names(configured: &[String]) -> Vec<String> {
    let mut names = configured.to_vec();
    names.extend(gethostname::gethostname().into_string());
    names.push("localhost".into());
    names.extend(if_addrs::get_if_addrs().unwrap_or_default().iter().map(|it| it.ip().to_string()));
    names
}
