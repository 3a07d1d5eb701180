//! Makes what stations' security needs and the core cannot make: passwords, because they are random, and certificates,
//! because the authority's key stays here.

use std::sync::Arc;

use shared::id::StationId;
use shared::units::Timestamp;

use crate::core::{Made, Making, Secret};
use crate::ocpp::credentials::hash_generated;
use crate::pki::{Authority, hex};

/// As many as a station can be sent (A00.FR.205: forty hexadecimal digits).
const PASSWORD_BYTES: usize = 20;

/// The workshop.
pub struct Workshop {
    /// Signs certificates.
    pub authority: Arc<Authority>,
}

impl Workshop {
    /// Makes it at once: a signature takes less than a millisecond.
    pub fn make(&self, station: &StationId, what: Making, now: Timestamp) -> Made {
        match what {
            Making::Password => {
                let mut bytes = [0; PASSWORD_BYTES];
                getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
                let secret = hex(&bytes).to_uppercase();
                let credential = hash_generated(secret.as_bytes());
                Made::Password { secret: Secret(secret), credential }
            }
            Making::Certificate { request, after } => {
                match self.authority.sign(station, &request, after, now) {
                    Ok(signed) => Made::Certificate { chain: signed.chain, certificate: signed.certificate },
                    Err(refused) => Made::Nothing(refused.to_string()),
                }
            }
        }
    }
}
