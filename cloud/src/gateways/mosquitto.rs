//! What an external mosquitto needs to keep gateways apart: a password file, an access list, and how to use both.
//!
//! mosquitto cannot verify our derived keys, so enrolment also keeps the secret's hash in mosquitto's own format.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::Sha512;
use sqlx::PgPool;

use super::write_private;
use crate::Config;
use crate::db::gateway as rows;

const SALT_BYTES: usize = 12;
/// mosquitto's own default. The secrets are 256 random bits, more rounds would protect nothing.
const ROUNDS: u32 = 101;

/// Writes `passwords`, `acl` and `evb.conf` into a folder. To be run again after an enrolment, followed by a SIGHUP to mosquitto.
///
/// # Errors
/// When the database cannot be read, the cloud has no password, or a file cannot be written.
pub async fn write(config: &Config, db: &PgPool, dir: &Path) -> anyhow::Result<()> {
    let cloud = &config.mqtt.username;
    let password =
        config.mqtt.password.as_ref().context("set mqtt.password: the cloud's own login at the broker")?;
    let mut passwords = format!("{cloud}:{}\n", password_hash(password.expose()));
    for (gateway, hash) in rows::mosquitto_passwords(db).await? {
        writeln!(passwords, "{gateway}:{hash}")?;
    }
    std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    write_private(&dir.join("passwords"), &passwords)?;
    write_private(&dir.join("acl"), &acl(cloud))?;
    write_private(&dir.join("evb.conf"), &snippet(dir))
}

/// A line of the password file without the name: PBKDF2-HMAC-SHA512, `$7$rounds$salt$hash`.
pub fn password_hash(password: &str) -> String {
    let mut salt = [0; SALT_BYTES];
    getrandom::fill(&mut salt).expect("the operating system gives randomness");
    with_salt(password, &salt)
}

fn with_salt(password: &str, salt: &[u8]) -> String {
    let hash = pbkdf2_first_block(password.as_bytes(), salt, ROUNDS);
    format!("$7${ROUNDS}${}${}", STANDARD.encode(salt), STANDARD.encode(hash))
}

/// The 64 bytes that mosquitto takes are exactly one block of PBKDF2 (RFC 8018 §5.2) with SHA-512.
fn pbkdf2_first_block(password: &[u8], salt: &[u8], rounds: u32) -> [u8; 64] {
    let keyed = Hmac::<Sha512>::new_from_slice(password).expect("HMAC takes keys of any length");
    let mut last = keyed.clone().chain_update(salt).chain_update(1_u32.to_be_bytes()).finalize().into_bytes();
    let mut block: [u8; 64] = last.into();
    for _ in 1..rounds {
        last = keyed.clone().chain_update(last).finalize().into_bytes();
        block.iter_mut().zip(last).for_each(|(sum, byte)| *sum ^= byte);
    }
    block
}

fn acl(cloud: &str) -> String {
    format!(
        "# The cloud reads what gateways send and sends what they read.\n\
         user {cloud}\n\
         topic read evb/v1/+/+/up/+\n\
         topic write evb/v1/+/+/down/+\n\n\
         # A gateway's user name is its id: it reaches its own topics only.\n\
         pattern write evb/v1/+/%u/up/#\n\
         pattern read evb/v1/+/%u/down/#\n"
    )
}

fn snippet(dir: &Path) -> String {
    let dir = dir.display();
    format!(
        "# Include this in mosquitto.conf, beside your listener and its TLS files.\n\
         allow_anonymous false\n\
         password_file {dir}/passwords\n\
         acl_file {dir}/acl\n\
         # Above the largest frame (1 MiB and its topic); nothing needs to be kept for absent clients.\n\
         max_packet_size 1049600\n\
         persistence false\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `mosquitto_passwd` 2.0.11 for the password `hello`.
    const BY_MOSQUITTO: &str = "$7$101$U6vKyNMPVcPFxaYb$YgAUOkB13UIF9Hd/Gze+yc+MKmZzmt49o1/4LDZgRHiha/upNGqQFZo7cb5ffHI1wcRniO/RMvw5rQzEhWGPPQ==";

    #[test]
    fn hashes_are_those_of_mosquitto_passwd() {
        let mut parts = BY_MOSQUITTO.split('$').skip(3);
        let salt = STANDARD.decode(parts.next().unwrap()).unwrap();
        assert_eq!(salt.len(), SALT_BYTES);
        assert_eq!(with_salt("hello", &salt), BY_MOSQUITTO);
    }
}
