//! The bytes of firmware images and logs, in pieces: each is a row, so that a file streams in and out without ever being in
//! memory, and what a broken line left out can be told piece by piece.

use sqlx::{PgExecutor, PgPool};
use uuid::Uuid;

/// Bytes of every piece but the last.
pub const PIECE: usize = 1 << 20;

/// Writes a piece; the same number again replaces it.
///
/// # Errors
/// When the database does not answer.
pub async fn write_piece(db: impl PgExecutor<'_>, file: Uuid, piece: i32, bytes: &[u8]) -> sqlx::Result<()> {
    sqlx::query(
        "insert into file_pieces (file_id, piece, bytes) values ($1, $2, $3)
         on conflict (file_id, piece) do update set bytes = excluded.bytes",
    )
    .bind(file)
    .bind(piece)
    .bind(bytes)
    .execute(db)
    .await?;
    Ok(())
}

/// One piece.
///
/// # Errors
/// When the database does not answer.
pub async fn read_piece(db: &PgPool, file: Uuid, piece: i32) -> sqlx::Result<Option<Vec<u8>>> {
    sqlx::query_scalar("select bytes from file_pieces where file_id = $1 and piece = $2")
        .bind(file)
        .bind(piece)
        .fetch_optional(db)
        .await
}

/// The pieces of a file and how long each is, in order.
///
/// # Errors
/// When the database does not answer.
pub async fn pieces(db: impl PgExecutor<'_>, file: Uuid) -> sqlx::Result<Vec<(i32, i32)>> {
    sqlx::query_as("select piece, length(bytes) from file_pieces where file_id = $1 order by piece")
        .bind(file)
        .fetch_all(db)
        .await
}

/// Deletes pieces, from a number on.
///
/// # Errors
/// When the database does not answer.
pub async fn drop_pieces(db: impl PgExecutor<'_>, file: Uuid, from: i32) -> sqlx::Result<()> {
    sqlx::query("delete from file_pieces where file_id = $1 and piece >= $2")
        .bind(file)
        .bind(from)
        .execute(db)
        .await?;
    Ok(())
}

/// Deletes pieces of uploads that never ended, and logs that are old enough.
///
/// # Errors
/// When the database does not answer.
pub async fn tidy(db: &PgPool, log_days: u32) -> sqlx::Result<()> {
    sqlx::query(
        "delete from file_pieces p where written_at < now() - interval '1 day'
         and not exists (select from firmwares f where f.file_id = p.file_id)
         and not exists (select from station_logs l where l.file_id = p.file_id)",
    )
    .execute(db)
    .await?;
    sqlx::query("delete from station_logs where created_at < now() - make_interval(days => $1)")
        .bind(i32::try_from(log_days).unwrap_or(i32::MAX))
        .execute(db)
        .await?;
    Ok(())
}
