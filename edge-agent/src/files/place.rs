//! The places that are open: who has the secret may fetch the one image, or bring the one log, until it closes.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use shared::id::{CommandId, StationId};
use shared::model::file::{FirmwareImage, Sha256};
use shared::units::Timestamp;

use super::listen::Way;
use crate::core::{Errand, Slot, Work};

/// 144 bits: 24 characters of base64, all of them safe in an address.
const SECRET_BYTES: usize = 18;

/// An open place.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Whose order it belongs to.
    pub(super) command: CommandId,
    /// Who comes here.
    pub(super) station: StationId,
    /// What lies here; a log is brought when nothing does.
    pub(super) image: Option<FirmwareImage>,
    slot: Slot,
}

/// All open places, by command.
#[derive(Default)]
pub(super) struct Places(Mutex<HashMap<CommandId, Place>>);

impl Place {
    pub(super) fn new(errand: &Errand, slot: Slot) -> Self {
        let image = match &errand.work {
            Work::Firmware(update) => Some(update.image.clone()),
            Work::Log(_) => None,
        };
        Place { command: errand.command, station: errand.station.clone(), image, slot }
    }
}

impl Places {
    pub(super) fn open(&self, place: Place) {
        self.lock().insert(place.command, place);
    }

    pub(super) fn close(&self, command: CommandId) {
        self.lock().remove(&command);
    }

    /// The place with this secret. There are few, so that they are all compared, each in full.
    pub(super) fn find(&self, secret: &str, now: Timestamp) -> Option<Place> {
        let mut places = self.lock();
        places.retain(|_, place| place.slot.until > now);
        places.values().find(|place| same(&place.slot.secret, secret)).cloned()
    }

    /// The images that somebody may come for.
    pub(super) fn images(&self) -> HashSet<Sha256> {
        self.lock().values().filter_map(|place| Some(place.image.as_ref()?.sha256)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<CommandId, Place>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn same(one: &str, other: &str) -> bool {
    subtle::ConstantTimeEq::ct_eq(one.as_bytes(), other.as_bytes()).into()
}

/// A new secret.
pub(super) fn secret() -> String {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The FTP user of a place; what protects it is the password.
pub(super) fn user(command: CommandId) -> String {
    command.0.simple().to_string().split_at(24).1.to_owned()
}

/// The address that the station gets. Some stations put the file at exactly this address, some append a name of their own:
/// both arrive.
pub(super) fn location(errand: &Errand, way: Way, host: &str, secret: &str) -> String {
    let port = way.port;
    let scheme = way.transfer;
    match (&errand.work, scheme.is_ftp()) {
        (Work::Firmware(update), false) => {
            format!("{scheme}://{host}:{port}/firmware/{secret}/{}", safe_name(&update.image.file_name))
        }
        (Work::Log(_), false) => format!("{scheme}://{host}:{port}/logs/{secret}"),
        (work, true) => {
            let name = match work {
                Work::Firmware(update) => safe_name(&update.image.file_name),
                Work::Log(_) => String::new(),
            };
            format!("{scheme}://{}:{secret}@{host}:{port}/{name}", user(errand.command))
        }
    }
}

/// A place for later is open from then on as long as any other.
pub(super) fn until(errand: &Errand, at_least: Timestamp, open_ms: i64) -> Timestamp {
    match &errand.work {
        Work::Firmware(update) => {
            update.retrieve_at.map_or(at_least, |at| at.plus_millis(open_ms).max(at_least))
        }
        Work::Log(_) => at_least,
    }
}

/// A file name that needs no escaping anywhere.
pub(super) fn safe_name(name: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    let name: String = name.chars().map(safe).take(100).collect();
    let name = name.trim_start_matches('.');
    if name.is_empty() { "file".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_harmless_and_secrets_are_long_and_never_the_same() {
        assert_eq!(safe_name("../../etc/pass wd"), "_.._etc_pass_wd");
        assert_eq!(safe_name("..."), "file");
        let secrets: HashSet<String> = (0..100).map(|_| secret()).collect();
        assert!(secrets.len() == 100 && secrets.iter().all(|it| it.len() == 24 && safe_name(it).len() >= 23));
    }
}
