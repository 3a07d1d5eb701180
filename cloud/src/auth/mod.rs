//! Who asks, and what may they see.
//!
//! [`Auth`] turns a password into an access token and a token back into a [`Viewer`]; [`Viewer::reach`] is the only place
//! that says which role may do what to which rows. Everything else asks it.

mod caller;
mod jwt;
mod keys;
mod login;
mod password;
pub(crate) mod throttle;
mod viewer;

pub use caller::Caller;
pub use login::{Auth, Credentials, Refusal};
pub use password::hash as hash_password;
pub use viewer::{Deed, Reach, Role, Viewer};

/// `bytes` of randomness as text: passwords and tokens that we hand out.
pub fn random_text(bytes: usize) -> String {
    use base64::Engine as _;
    let mut buffer = vec![0; bytes];
    getrandom::fill(&mut buffer).expect("the operating system gives randomness");
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(buffer)
}
