//! Unknown stations at the door: refused and noticed, or, while the onboarding window is open, let in to wait for a decision.
//!
//! What such a station shows as its password is hashed at once; whoever adopts it can let it keep that password without
//! anybody having seen it. Only a few may wait at a time, because anybody on the chargers' network can come as one.

use shared::id::StationId;
use shared::model::onboarding::{CERTIFICATE_ONLY, StationKnocked};
use tokio::sync::OwnedSemaphorePermit;

use super::server::{Knock, Server};
use crate::core::{Input, Visitor};
use crate::site::Message;

/// Stations that may wait for a decision at a time.
pub const WAITING: usize = 20;

/// An unknown station that may come in.
pub(super) struct Entrance {
    pub(super) visitor: Visitor,
    /// Its place among those that wait.
    pub(super) place: OwnedSemaphorePermit,
}

impl Server {
    /// May an unknown station come in? If not, somebody hears that it was here.
    pub(super) async fn unknown(
        &self,
        station: &StationId,
        knock: &Knock,
        password: Option<Vec<u8>>,
    ) -> Option<Entrance> {
        let (now, from) = (self.clock.now(), knock.from);
        if self.directory.admits(station, now)
            && let Ok(place) = self.waiting.clone().try_acquire_owned()
        {
            let credential = match password {
                Some(password) => self.directory.credential_of(station, password).await,
                None => knock.certified.is_some().then(|| CERTIFICATE_ONLY.into()),
            };
            tracing::info!(%station, %from, "an unknown station was let in to wait for a decision");
            let visitor = Visitor { from: from.to_string(), security_profile: knock.profile, credential };
            return Some(Entrance { visitor, place });
        }
        tracing::info!(%station, %from, "an unknown station was refused");
        let knocked = StationKnocked {
            station: station.clone(),
            from: from.to_string(),
            security_profile: knock.profile,
            had_password: password.is_some(),
            at: now,
        };
        // A full inbox has better things to do.
        let _ = self.site.try_send(Message::Input(Input::Knocked(knocked)));
        None
    }
}
