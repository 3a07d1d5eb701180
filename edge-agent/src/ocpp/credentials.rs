//! Who may connect: the directory of stations and the check of their passwords.
//!
//! Passwords chosen by people are stored as argon2id, which is slow on purpose and would be a lever for denial of service
//! when a thousand stations reconnect at once: what was verified once is remembered in memory as a keyed hash, hashing is
//! limited to a few at a time, and an address that fails too often is refused unheard (SECURITY S2, CWE-307).

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use shared::id::StationId;
use shared::units::Timestamp;
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;

use super::habits::Habits;
use super::{password, slow_hash};
use crate::core::{Gate, Pass, Passes};

/// argon2 runs so many times at once at most.
const HASHING: usize = 2;
/// Addresses whose failures are counted at most; beyond that the count starts anew.
const ADDRESSES: usize = 4096;

/// Unknown stations whose passwords are remembered at most; beyond that all are hashed anew.
const SHOWN: usize = 64;

/// A station of the directory.
struct Known {
    /// What its password may be verified against: the first is the usual one.
    credentials: Arc<[Arc<str>]>,
    /// The lowest security profile by which it may come.
    minimum: u8,
    /// The serial numbers of its certificates that are good no more.
    superseded: BTreeSet<String>,
    habits: Arc<Habits>,
}

/// The stations that may connect.
pub struct Directory {
    stations: ArcSwap<HashMap<StationId, Known>>,
    gate: ArcSwap<Gate>,
    verified: Mutex<HashMap<StationId, blake3::Hash>>,
    /// What unknown stations showed lately, and its hash: one that comes again and again is hashed once.
    shown: Mutex<HashMap<StationId, (blake3::Hash, String)>>,
    key: [u8; 32],
    hashing: Arc<Semaphore>,
    failures: Mutex<HashMap<IpAddr, (u64, u32)>>,
    most_failures: u32,
}

/// The answer to a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// Come in; this is what the password was verified against.
    Welcome(Arc<str>),
    /// No such station.
    Unknown,
    /// Wrong or missing password.
    Wrong,
    /// Too many failures from this address; nothing was checked.
    TooMany,
}

impl Directory {
    /// An empty directory: nobody may connect.
    pub fn new(most_failures: u32) -> Self {
        let mut key = [0; 32];
        getrandom::fill(&mut key).expect("the operating system gives random bytes");
        Directory {
            stations: ArcSwap::default(),
            gate: ArcSwap::default(),
            verified: Mutex::default(),
            shown: Mutex::default(),
            key,
            hashing: Arc::new(Semaphore::new(HASHING)),
            failures: Mutex::default(),
            most_failures,
        }
    }

    /// Takes over a site's stations.
    pub fn replace(&self, passes: Passes) {
        let Passes { timezone, stations } = passes;
        let known = |pass: Pass| {
            let Pass { entry, candidates, minimum, superseded } = pass;
            let habits = Arc::new(Habits::at(&timezone, entry.quirks));
            let credentials = std::iter::once(entry.credential).chain(candidates).map(Arc::from).collect();
            (entry.station, Known { credentials, minimum, superseded, habits })
        };
        self.stations.store(Arc::new(stations.into_iter().map(known).collect()));
    }

    /// Takes over whom the doors let in besides.
    pub fn open(&self, gate: Gate) {
        self.gate.store(Arc::new(gate));
    }

    /// May this unknown station come in to wait for a decision?
    pub fn admits(&self, station: &StationId, now: Timestamp) -> bool {
        let gate = self.gate.load();
        gate.open_until.is_some_and(|until| until > now) && !gate.rejected.contains(station)
    }

    /// What a password that an unknown station shows verifies against from now on. Nobody knows how good it is, so it is
    /// hashed slowly.
    pub async fn credential_of(&self, station: &StationId, password: Vec<u8>) -> Option<String> {
        let seen = blake3::keyed_hash(&self.key, &password);
        let known = self.shown.lock().unwrap_or_else(PoisonError::into_inner).get(station).cloned();
        if let Some((_, credential)) = known.filter(|(before, _)| *before == seen) {
            return Some(credential);
        }
        let _turn = self.hashing.acquire().await.ok()?;
        let credential = tokio::task::spawn_blocking(move || hash_chosen(&password)).await.ok()??;
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.len() >= SHOWN {
            shown.clear();
        }
        shown.insert(station.clone(), (seen, credential.clone()));
        Some(credential)
    }

    /// How to understand a station; by the book if it is unknown.
    pub fn habits(&self, station: &StationId) -> Arc<Habits> {
        self.stations.load().get(station).map(|known| known.habits.clone()).unwrap_or_default()
    }

    /// Does the directory know this station?
    pub fn knows(&self, station: &StationId) -> bool {
        self.stations.load().contains_key(station)
    }

    /// Checks a login. `minute` is any clock's, to count failures by.
    pub async fn login(
        &self,
        station: &StationId,
        password: Option<&[u8]>,
        from: IpAddr,
        minute: u64,
    ) -> Login {
        if self.failures_of(from, minute) >= self.most_failures {
            return Login::TooMany;
        }
        let known = self.stations.load().get(station).map(|known| known.credentials.clone());
        let Some(credentials) = known else {
            self.failed(from, minute);
            return Login::Unknown;
        };
        for credential in credentials.iter() {
            if let Some(password) = password
                && self.verify_forms(station, credential, password).await
            {
                return Login::Welcome(credential.clone());
            }
        }
        self.failed(from, minute);
        Login::Wrong
    }

    /// The lowest security profile by which a station may come.
    pub fn minimum(&self, station: &StationId) -> u8 {
        self.stations.load().get(station).map_or(0, |known| known.minimum)
    }

    /// Is a certificate of a station good no more?
    pub fn is_superseded(&self, station: &StationId, serial: &str) -> bool {
        self.stations.load().get(station).is_some_and(|known| known.superseded.contains(serial))
    }

    /// A password as it was shown, and as the same bytes written otherwise (QUIRKS Q11).
    async fn verify_forms(&self, station: &StationId, credential: &Arc<str>, password: &[u8]) -> bool {
        for form in password::forms(password) {
            if self.verify(station, credential.clone(), &form).await {
                return true;
            }
        }
        false
    }

    async fn verify(&self, station: &StationId, credential: Arc<str>, password: &[u8]) -> bool {
        let seen = blake3::Hasher::new_keyed(&self.key)
            .update(credential.as_bytes())
            .update(&[0])
            .update(password)
            .finalize();
        if self.verified.lock().unwrap_or_else(PoisonError::into_inner).get(station) == Some(&seen) {
            return true;
        }
        let right = match credential.strip_prefix("sha256$") {
            Some(rest) => verify_generated(rest, password),
            None => self.verify_chosen(credential.clone(), password.to_vec()).await,
        };
        if right {
            self.verified.lock().unwrap_or_else(PoisonError::into_inner).insert(station.clone(), seen);
        }
        right
    }

    async fn verify_chosen(&self, credential: Arc<str>, password: Vec<u8>) -> bool {
        let Ok(_turn) = self.hashing.acquire().await else { return false };
        let check = move || slow_hash::verify(&credential, &password);
        tokio::task::spawn_blocking(check).await.unwrap_or(false)
    }

    fn failures_of(&self, from: IpAddr, minute: u64) -> u32 {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.get(&from).filter(|(at, _)| *at == minute).map_or(0, |(_, count)| *count)
    }

    fn failed(&self, from: IpAddr, minute: u64) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= ADDRESSES {
            failures.clear();
        }
        let entry = failures.entry(from).or_insert((minute, 0));
        *entry = if entry.0 == minute { (minute, entry.1.saturating_add(1)) } else { (minute, 1) };
    }
}

/// What a password that somebody chose verifies against: an argon2id PHC text.
pub fn hash_chosen(password: &[u8]) -> Option<String> {
    slow_hash::hash(password)
}

/// What a password that was generated with at least 128 bits of randomness verifies against.
pub fn hash_generated(password: &[u8]) -> String {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).expect("the operating system gives random bytes");
    let digest = Sha256::new().chain_update(salt).chain_update(password).finalize();
    format!("sha256${}${}", STANDARD.encode(salt), STANDARD.encode(digest))
}

/// `salt$digest`, both base64: SHA-256 over salt and password. Good for generated passwords only.
fn verify_generated(salt_and_digest: &str, password: &[u8]) -> bool {
    let Some((salt, digest)) = salt_and_digest.split_once('$') else { return false };
    let (Ok(salt), Ok(digest)) = (STANDARD.decode(salt), STANDARD.decode(digest)) else { return false };
    Sha256::new().chain_update(salt).chain_update(password).finalize().as_slice().ct_eq(&digest).into()
}

#[cfg(test)]
mod tests {
    use shared::model::document::StationEntry;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn directory(credential: String) -> (Directory, StationId) {
        let directory = Directory::new(3);
        let station = StationId::new("CP1").unwrap();
        let entry = entry(&station, credential);
        directory.replace(Passes { timezone: "UTC".into(), stations: vec![entry] });
        (directory, station)
    }

    fn entry(station: &StationId, credential: String) -> Pass {
        let (station, quirks) = (station.clone(), Default::default());
        StationEntry { station, credential, quirks, since: None }.into()
    }

    async fn welcome(directory: &Directory, station: &StationId, password: &[u8]) -> bool {
        matches!(directory.login(station, Some(password), HERE, 1).await, Login::Welcome(_))
    }

    fn generated(password: &str) -> String {
        let digest = Sha256::new().chain_update(b"salt").chain_update(password).finalize();
        format!("sha256${}${}", STANDARD.encode(b"salt"), STANDARD.encode(digest))
    }

    #[tokio::test]
    async fn only_the_right_password_comes_in_and_a_new_one_replaces_the_old() {
        let (directory, station) = directory(generated("right"));
        for _ in 0..2 {
            assert!(welcome(&directory, &station, b"right").await);
        }
        assert_eq!(directory.login(&station, Some(b"wrong"), HERE, 0).await, Login::Wrong);
        assert_eq!(directory.login(&station, None, HERE, 0).await, Login::Wrong);
        let entry = entry(&station, generated("new"));
        directory.replace(Passes { timezone: "UTC".into(), stations: vec![entry] });
        assert_eq!(directory.login(&station, Some(b"right"), HERE, 1).await, Login::Wrong);
        assert!(welcome(&directory, &station, b"new").await);
    }

    #[tokio::test]
    async fn until_a_new_password_has_worked_the_old_one_is_good_too() {
        let (directory, station) = directory(generated("old"));
        let candidates = vec![generated("new")];
        let pass = Pass { candidates: candidates.clone(), ..entry(&station, generated("old")) };
        directory.replace(Passes { timezone: "UTC".into(), stations: vec![pass] });
        assert!(welcome(&directory, &station, b"old").await);
        let login = directory.login(&station, Some(b"new"), HERE, 1).await;
        assert_eq!(login, Login::Welcome(candidates[0].as_str().into()));
        assert_eq!(directory.login(&station, Some(b"other"), HERE, 1).await, Login::Wrong);
    }

    #[tokio::test]
    async fn guessing_is_stopped_for_the_rest_of_the_minute() {
        let (directory, station) = directory(generated("right"));
        let other = StationId::new("other").unwrap();
        for _ in 0..3 {
            assert_eq!(directory.login(&other, Some(b"x"), HERE, 7).await, Login::Unknown);
        }
        assert_eq!(directory.login(&station, Some(b"right"), HERE, 7).await, Login::TooMany);
        assert!(matches!(directory.login(&station, Some(b"right"), HERE, 8).await, Login::Welcome(_)));
    }
}
