//! The installer's token: made at the first start, in a file that only this system's administrator and the agent can read.
//! There is no default.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

const BYTES: usize = 24;

/// Where it is.
pub fn file(data_dir: &Path) -> PathBuf {
    data_dir.join("local-token")
}

/// Reads the token; makes one first where there is none.
///
/// # Errors
/// When the file can neither be read nor written.
pub fn load_or_make(data_dir: &Path) -> anyhow::Result<String> {
    let path = file(data_dir);
    match fs::read_to_string(&path) {
        Ok(token) if token.trim().len() >= BYTES => Ok(token.trim().to_owned()),
        Ok(_) => make(data_dir),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => make(data_dir),
        Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
    }
}

/// Makes a new token; the old one is worth nothing from then on.
///
/// # Errors
/// When the file cannot be written.
pub fn make(data_dir: &Path) -> anyhow::Result<String> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    let token = URL_SAFE_NO_PAD.encode(bytes);
    fs::create_dir_all(data_dir).with_context(|| format!("creating {}", data_dir.display()))?;
    let (path, draft) = (file(data_dir), data_dir.join("local-token.new"));
    let _ = fs::remove_file(&draft);
    let mut out = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    out.write_all(format!("{token}\n").as_bytes())?;
    out.sync_all()?;
    fs::rename(&draft, &path).with_context(|| format!("writing {}", path.display()))?;
    Ok(token)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn it_is_made_once_and_nobody_else_can_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let token = load_or_make(dir.path()).unwrap();
        assert_eq!((token.len(), load_or_make(dir.path()).unwrap()), (32, token.clone()));
        assert_eq!(fs::metadata(file(dir.path())).unwrap().permissions().mode() & 0o777, 0o600);
        assert_ne!(make(dir.path()).unwrap(), token);
    }
}
