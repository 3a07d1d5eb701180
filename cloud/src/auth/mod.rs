//! Who asks, and what may they see.
//!
//! [`Auth`] turns a password or a one-time code into [`Tokens`] and an access token back into a [`Viewer`]; [`Viewer::reach`] is the only place
//! that says which role may do what to which rows. Everything else asks it.

pub(crate) mod api_key;
mod caller;
mod code;
mod contact;
mod jwt;
mod keys;
mod limits;
mod login;
mod password;
mod refusal;
mod sign_in;
mod sweep;
pub(crate) mod throttle;
mod viewer;

pub use caller::Caller;
pub(crate) use code::find_or_create;
pub use contact::Contact;
pub use login::{Auth, Credentials};
pub use password::hash as hash_password;
pub(crate) use password::weakness;
pub use refusal::Refusal;
pub use sign_in::Tokens;
pub(crate) use sweep::sweep;
pub use viewer::{Deed, MemberRole, Reach, Role, Viewer};

/// Digits and capital letters without those that look alike (Crockford's base32).
const LEGIBLE: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// At least `bytes` of randomness as text that people can type: passwords and codes that we hand out.
pub fn random_text(bytes: usize) -> String {
    let mut random = vec![0; (bytes * 8).div_ceil(5)];
    getrandom::fill(&mut random).expect("the operating system gives randomness");
    random.iter().map(|byte| char::from(LEGIBLE[usize::from(byte & 31)])).collect()
}
