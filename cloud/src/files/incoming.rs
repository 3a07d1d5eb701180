//! A body into pieces.

use axum::body::BodyDataStream;
use futures_util::StreamExt as _;
use sha2::{Digest as _, Sha256};
use sqlx::PgPool;
use uuid::Uuid;

use super::Refused;
use crate::db::file::{self, PIECE};

/// What came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Came {
    pub(super) size: u64,
    pub(super) sha256: [u8; 32],
}

/// Writes a body as the pieces of a new file. When it fails, its pieces are gone.
pub(super) async fn store(db: &PgPool, id: Uuid, body: BodyDataStream, most: u64) -> Result<Came, Refused> {
    let stored = write(db, id, body, most).await;
    if stored.is_err() {
        // If even that fails, the sweep does it.
        file::drop_pieces(db, id, 0).await.ok();
    }
    stored
}

async fn write(db: &PgPool, id: Uuid, mut body: BodyDataStream, most: u64) -> Result<Came, Refused> {
    let (mut hasher, mut size, mut number) = (Sha256::new(), 0, 0);
    let mut piece: Vec<u8> = Vec::with_capacity(PIECE);
    while let Some(bytes) = body.next().await {
        let mut bytes = bytes.map_err(|error| Refused::Broken(format!("The upload broke off: {error}")))?;
        size += bytes.len() as u64;
        if size > most {
            return Err(Refused::TooLarge(most));
        }
        hasher.update(&bytes);
        while piece.len() + bytes.len() >= PIECE {
            piece.extend(bytes.split_to(PIECE - piece.len()));
            file::write_piece(db, id, number, &piece).await?;
            number += 1;
            piece.clear();
        }
        piece.extend(bytes);
    }
    if !piece.is_empty() {
        file::write_piece(db, id, number, &piece).await?;
    }
    if size == 0 { Err(Refused::Empty) } else { Ok(Came { size, sha256: hasher.finalize().into() }) }
}
