//! argon2id, in memory that is kept. One run takes 19 MiB; given back each time, what is allocated meanwhile settles in the
//! hole, the next run takes another 19 MiB, and twenty stations that log in after a power cut cost a small gateway 400 MB.

use std::sync::{Mutex, PoisonError};

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use subtle::ConstantTimeEq as _;

/// Memory that waits for the next run.
static KEPT: Mutex<Vec<Vec<Block>>> = Mutex::new(Vec::new());
/// As many as run at once; the rest is given back.
const MOST: usize = 2;

/// Is this the password? `credential` is a PHC text.
pub(super) fn verify(credential: &str, password: &[u8]) -> bool {
    PasswordHash::new(credential).ok().and_then(|hash| is_of(&hash, password)).unwrap_or(false)
}

/// What a password verifies against: a PHC text.
pub(super) fn hash(password: &[u8]) -> Option<String> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).expect("the operating system gives random bytes");
    let (params, mut digest) = (Params::DEFAULT, [0; Params::DEFAULT_OUTPUT_LEN]);
    run(Algorithm::Argon2id, Version::V0x13, params.clone(), (password, &salt), &mut digest)?;
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params).ok()?,
        salt: Some(Salt::new(&salt).ok()?),
        hash: Some(Output::new(&digest).ok()?),
    };
    Some(hash.to_string())
}

fn is_of(hash: &PasswordHash, password: &[u8]) -> Option<bool> {
    let algorithm = Algorithm::try_from(hash.algorithm.as_str()).ok()?;
    let version = hash.version.map_or(Ok(Version::default()), Version::try_from).ok()?;
    let (salt, right) = (hash.salt.as_ref()?, hash.hash.as_ref()?);
    let mut digest = vec![0; right.as_bytes().len()];
    run(algorithm, version, Params::try_from(hash).ok()?, (password, salt), &mut digest)?;
    Some(digest.ct_eq(right.as_bytes()).into())
}

fn run(
    algorithm: Algorithm,
    version: Version,
    params: Params,
    (password, salt): (&[u8], &[u8]),
    digest: &mut [u8],
) -> Option<()> {
    let blocks = params.block_count();
    let mut memory = kept().pop().unwrap_or_default();
    memory.resize(blocks, Block::new());
    let argon2 = Argon2::new(algorithm, version, params);
    let done = argon2.hash_password_into_with_memory(password, salt, digest, &mut memory);
    let mut kept = kept();
    if kept.len() < MOST && blocks == Params::DEFAULT.block_count() {
        kept.push(memory);
    }
    done.ok()
}

fn kept() -> std::sync::MutexGuard<'static, Vec<Vec<Block>>> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use argon2::{PasswordHasher as _, PasswordVerifier as _};

    use super::*;

    #[test]
    fn it_is_argon2id_as_everybody_has_it() {
        let ours = hash(b"correct horse").unwrap();
        assert!(ours.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{ours}");
        assert!(Argon2::default().verify_password(b"correct horse", ours.as_str()).is_ok());
        let theirs = Argon2::default().hash_password(b"correct horse").unwrap().to_string();
        for credential in [&ours, &theirs] {
            assert!(verify(credential, b"correct horse"));
            assert!(!verify(credential, b"battery staple"));
        }
        assert!(!verify("$argon2id$nonsense", b""));
    }

    #[test]
    fn other_parameters_are_taken_as_they_are() {
        let small = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(64, 1, 1, None).unwrap());
        let credential = small.hash_password(b"x").unwrap().to_string();
        assert!(verify(&credential, b"x"));
        assert!(verify(&hash(b"y").unwrap(), b"y"));
    }
}
