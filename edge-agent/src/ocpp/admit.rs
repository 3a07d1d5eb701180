//! Who is let in: by his certificate where he had to show one, else by his password, and by no lower security profile than
//! he has reached (A05.FR.09). An unknown station may come in to wait.

use std::sync::Arc;

use hyper::StatusCode;
use hyper::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use shared::id::StationId;
use shared::model::event::SecurityNoticed;

use super::credentials::Login;
use super::password;
use super::server::{Knock, Refusal, Server, refuse};
use super::visitors::Entrance;
use crate::core::Input;
use crate::site::Message;

/// Somebody who may come in.
#[derive(Default)]
pub(super) struct Admitted {
    /// What his password was verified against.
    pub(super) credential: Option<Arc<str>>,
    /// He is unknown, and waits.
    pub(super) entrance: Option<Entrance>,
}

/// What was shown at the door of profile 3.
enum Shown {
    Good,
    Unknown,
    /// Another station's, or nobody's: one without a usable name was still signed here.
    Others,
    /// The station has come with a newer one.
    Superseded,
}

impl Server {
    /// Lets him in, or says why not.
    pub(super) async fn admit(
        &self,
        station: &StationId,
        knock: &Knock,
        headers: &HeaderMap,
    ) -> Result<Admitted, Refusal> {
        let admitted = match knock.profile {
            3 => self.admit_certified(station, knock).await?,
            _ => self.admit_by_password(station, knock, headers).await?,
        };
        let minimum = self.directory.minimum(station);
        if knock.profile < minimum {
            let detail = format!(
                "it came by security profile {} from {}; {minimum} is the lowest for it since it was raised",
                knock.profile, knock.from
            );
            self.notice(station, "downgrade", detail);
            return Err(Box::new(refuse(
                StatusCode::FORBIDDEN,
                "downgrade",
                "come by the security profile that you have",
            )));
        }
        Ok(admitted)
    }

    async fn admit_by_password(
        &self,
        station: &StationId,
        knock: &Knock,
        headers: &HeaderMap,
    ) -> Result<Admitted, Refusal> {
        let (password, minute) = (password::shown(headers, station), self.clock.mono_ms() / 60_000);
        match self.directory.login(station, password.as_deref(), knock.from, minute).await {
            Login::Welcome(credential) => Ok(Admitted { credential: Some(credential), entrance: None }),
            Login::Unknown => self.admit_to_wait(station, knock, password).await,
            Login::Wrong => {
                tracing::info!(%station, from = %knock.from, "a wrong or missing password was refused");
                let mut response =
                    refuse(StatusCode::UNAUTHORIZED, "wrong_password", "wrong or missing password");
                let challenge = HeaderValue::from_static("Basic realm=\"OCPP\"");
                response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
                Err(Box::new(response))
            }
            Login::TooMany => {
                Err(Box::new(refuse(StatusCode::TOO_MANY_REQUESTS, "too_many", "too many failed logins")))
            }
        }
    }

    async fn admit_certified(&self, station: &StationId, knock: &Knock) -> Result<Admitted, Refusal> {
        let shown = match &knock.certified {
            Some(it) if !it.station.as_str().eq_ignore_ascii_case(station.as_str()) => Shown::Others,
            Some(_) if !self.directory.knows(station) => Shown::Unknown,
            Some(it) if self.directory.is_superseded(station, &it.certificate.serial) => Shown::Superseded,
            Some(_) => Shown::Good,
            None => Shown::Others,
        };
        match shown {
            Shown::Good => Ok(Admitted::default()),
            Shown::Unknown => self.admit_to_wait(station, knock, None).await,
            Shown::Others => {
                tracing::info!(%station, from = %knock.from, certified = ?knock.certified, "another station's certificate was refused");
                Err(Box::new(refuse(
                    StatusCode::UNAUTHORIZED,
                    "wrong_certificate",
                    "the certificate is another station's",
                )))
            }
            Shown::Superseded => {
                let detail =
                    format!("a certificate that a newer one has replaced was shown from {}", knock.from);
                self.notice(station, "old_certificate", detail);
                Err(Box::new(refuse(
                    StatusCode::UNAUTHORIZED,
                    "old_certificate",
                    "the certificate was replaced by a newer one",
                )))
            }
        }
    }

    async fn admit_to_wait(
        &self,
        station: &StationId,
        knock: &Knock,
        password: Option<Vec<u8>>,
    ) -> Result<Admitted, Refusal> {
        match self.unknown(station, knock, password).await {
            Some(entrance) => Ok(Admitted { credential: None, entrance: Some(entrance) }),
            None => Err(Box::new(refuse(StatusCode::NOT_FOUND, "unknown", "this station is not known here"))),
        }
    }

    /// Tells an operator, unless the site has better things to do.
    fn notice(&self, station: &StationId, what: &str, detail: String) {
        tracing::warn!(%station, what, detail, "a station was refused");
        let (station, at) = (Some(station.clone()), self.clock.now());
        let noticed = SecurityNoticed { station, what: what.into(), detail, at };
        let _ = self.site.try_send(Message::Input(Input::Noticed(noticed)));
    }
}
