//! What an error means for the database: a file that must be replaced, a disk that is full, or something that a person has
//! to mend.

use rusqlite::ErrorCode;
use rusqlite::ffi;

/// Why a database could not be opened.
#[derive(Debug)]
pub(super) enum Trouble {
    /// What is in it cannot be trusted: it is put aside and restored.
    Damaged(String),
    /// It may be fine, and must be left alone: no permission, a full disk, a newer schema.
    Other(anyhow::Error),
}

impl Trouble {
    /// What an error while reading rows means. One that is not SQLite's is a row that says nothing any more.
    pub(super) fn of(error: anyhow::Error) -> Self {
        match error.chain().find_map(|cause| cause.downcast_ref::<rusqlite::Error>()) {
            Some(sqlite) if !is_damage(sqlite) => Trouble::Other(error),
            Some(_) | None => Trouble::Damaged(format!("{error:#}")),
        }
    }
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        if is_damage(&error) { Trouble::Damaged(error.to_string()) } else { Trouble::Other(error.into()) }
    }
}

/// Does it come from a damaged file, or from a disk that does not give back what it took?
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    const READING: [i32; 3] =
        [ffi::SQLITE_IOERR_READ, ffi::SQLITE_IOERR_SHORT_READ, ffi::SQLITE_IOERR_CORRUPTFS];
    // A table or a column that is not there: the schema itself is damaged.
    if matches!(error, rusqlite::Error::SqlInputError { .. }) {
        return true;
    }
    match error.sqlite_error() {
        Some(it) => {
            matches!(it.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
                || READING.contains(&it.extended_code)
        }
        // A value that is not of its column's type: nobody wrote that.
        None => matches!(
            error,
            rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::Utf8Error(..)
        ),
    }
}

/// Is there no room on the disk?
pub(super) fn is_full(error: &anyhow::Error) -> bool {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    error.chain().any(|cause| {
        let sqlite = cause.downcast_ref::<rusqlite::Error>().and_then(rusqlite::Error::sqlite_error_code);
        let io = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        sqlite == Some(ErrorCode::DiskFull) || matches!(io, Some(StorageFull | QuotaExceeded | FileTooLarge))
    })
}
