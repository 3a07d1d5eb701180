//! Who this replica is. It is the same one again after a crash, and goes on with the shards that it leased; a stranger would
//! have to wait until those leases end, and gateways with it.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::Path;

use uuid::Uuid;

/// An identity that nobody else has while this value lives.
pub(super) struct Replica {
    pub(super) id: Uuid,
    _kept: Option<File>,
}

impl Replica {
    /// The one that is kept in `folder`; a new one where that cannot be kept, or another process has it.
    pub(super) fn in_folder(folder: &Path) -> Self {
        match kept(folder) {
            Ok((id, file)) => Self { id, _kept: Some(file) },
            Err(error) => {
                tracing::debug!(%error, "a new replica");
                Self { id: Uuid::new_v4(), _kept: None }
            }
        }
    }
}

fn kept(folder: &Path) -> std::io::Result<(Uuid, File)> {
    std::fs::create_dir_all(folder)?;
    let path = folder.join("replica");
    let mut file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
    file.try_lock()?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    if let Ok(id) = text.trim().parse() {
        return Ok((id, file));
    }
    let id = Uuid::new_v4();
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{id}")?;
    Ok((id, file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_again_but_never_two_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let first = Replica::in_folder(folder.path());
        let beside = Replica::in_folder(folder.path());
        assert_ne!(first.id, beside.id, "one has it, the other takes a new one");
        let id = first.id;
        drop(first);
        assert_eq!(Replica::in_folder(folder.path()).id, id);
        std::fs::write(folder.path().join("replica"), "not an id at all, and longer than one by far")
            .unwrap();
        let healed = Replica::in_folder(folder.path()).id;
        assert_eq!(Replica::in_folder(folder.path()).id, healed);
    }
}
