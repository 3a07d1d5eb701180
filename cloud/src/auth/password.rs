//! Passwords of people: argon2id, off the async threads, a few at a time, because each run takes 19 MiB and some 20 ms.

use std::sync::LazyLock;

use anyhow::{Context, anyhow};
use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};
use tokio::sync::Semaphore;

const AT_ONCE: usize = 2;
static TURNS: Semaphore = Semaphore::const_new(AT_ONCE);

/// Verified against when there is no such account, so that both cases take the same time.
static NOBODY: LazyLock<String> = LazyLock::new(|| hash_now(b"nobody").expect("argon2 takes any password"));

/// Characters of a password.
const LENGTH: std::ops::RangeInclusive<usize> = 10..=256;

/// What is wrong with a password that somebody chose, in a sentence for him.
pub(crate) fn weakness(password: &str) -> Option<String> {
    let (least, most) = (LENGTH.start(), LENGTH.end());
    let wrong = !LENGTH.contains(&password.chars().count());
    wrong.then(|| format!("A password has {least} to {most} characters."))
}

/// The PHC text to store for a password.
///
/// # Errors
/// When the runtime is shutting down.
pub async fn hash(password: &str) -> anyhow::Result<String> {
    let password = password.as_bytes().to_vec();
    in_turn(move || hash_now(&password)).await?
}

/// Is it the password? With no hash to compare to, takes as long and says no.
pub(super) async fn verify(password: &str, stored: Option<&str>) -> anyhow::Result<bool> {
    let password = password.as_bytes().to_vec();
    let stored = stored.map(String::from);
    in_turn(move || {
        let text = stored.as_deref().unwrap_or(&NOBODY);
        let matches = PasswordHash::new(text)
            .is_ok_and(|hash| Argon2::default().verify_password(&password, &hash).is_ok());
        matches && stored.is_some()
    })
    .await
}

fn hash_now(password: &[u8]) -> anyhow::Result<String> {
    let hash = Argon2::default().hash_password(password).map_err(|error| anyhow!("argon2: {error}"))?;
    Ok(hash.to_string())
}

async fn in_turn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> anyhow::Result<T> {
    let _turn = TURNS.acquire().await.context("the semaphore is never closed")?;
    tokio::task::spawn_blocking(work).await.context("password thread")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_password_verifies() {
        let stored = hash("correct horse").await.unwrap();
        assert!(stored.starts_with("$argon2id$"), "{stored}");
        assert!(verify("correct horse", Some(&stored)).await.unwrap());
        assert!(!verify("Correct horse", Some(&stored)).await.unwrap());
        assert!(!verify("nobody", None).await.unwrap());
        assert!(!verify("x", Some("not a hash")).await.unwrap());
    }
}
