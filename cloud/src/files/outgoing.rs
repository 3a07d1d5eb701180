//! Pieces into a body: all of it, or the range that is asked for.

use std::ops::RangeInclusive;

use axum::body::Body;
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, IF_RANGE, RANGE,
};
use axum::http::{HeaderValue, Response, StatusCode};
use bytes::Bytes;
use futures_util::stream;
use sqlx::PgPool;
use uuid::Uuid;

use crate::db::file::{self, PIECE};

/// A file to give.
pub(super) struct Outgoing<'a> {
    pub(super) id: Uuid,
    pub(super) size: u64,
    /// What the request asks for.
    pub(super) asked: &'a HeaderMap,
}

impl Outgoing<'_> {
    /// The answer: whole, a part, or that there is no such part.
    pub(super) fn answer(&self, db: &PgPool) -> Response<Body> {
        let mut response = match self.range() {
            Ok(None) => Response::new(self.body(db, 0..=self.size.saturating_sub(1))),
            Ok(Some(range)) => {
                let told = format!("bytes {}-{}/{}", range.start(), range.end(), self.size);
                let mut response = Response::new(self.body(db, range.clone()));
                *response.status_mut() = StatusCode::PARTIAL_CONTENT;
                put(&mut response, CONTENT_RANGE, &told);
                put(&mut response, CONTENT_LENGTH, &(range.end() - range.start() + 1).to_string());
                response
            }
            Err(()) => {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
                put(&mut response, CONTENT_RANGE, &format!("bytes */{}", self.size));
                response
            }
        };
        if response.status() == StatusCode::OK {
            put(&mut response, CONTENT_LENGTH, &self.size.to_string());
        }
        put(&mut response, ACCEPT_RANGES, "bytes");
        put(&mut response, CONTENT_TYPE, "application/octet-stream");
        put(&mut response, ETAG, &self.tag());
        response
    }

    /// A file never changes: its id says which one it is.
    fn tag(&self) -> String {
        format!("\"{}\"", self.id.simple())
    }

    /// The range that is asked for: the first one, if there are several.
    fn range(&self) -> Result<Option<RangeInclusive<u64>>, ()> {
        let text = |name: HeaderName| self.asked.get(name).and_then(|value| value.to_str().ok());
        if text(IF_RANGE).is_some_and(|tag| tag != self.tag()) {
            return Ok(None);
        }
        let Some(Ok(ranges)) = text(RANGE).map(http_range_header::parse_range_header) else {
            return Ok(None);
        };
        ranges.validate(self.size).map(|ranges| ranges.into_iter().next()).map_err(|_| ())
    }

    fn body(&self, db: &PgPool, range: RangeInclusive<u64>) -> Body {
        let (db, id, size) = (db.clone(), self.id, self.size);
        let last = *range.end();
        let pieces = stream::try_unfold(*range.start(), move |at| {
            let db = db.clone();
            async move {
                if size == 0 || at > last {
                    return Ok::<_, std::io::Error>(None);
                }
                let number = i32::try_from(at / PIECE as u64).map_err(std::io::Error::other)?;
                let piece = file::read_piece(&db, id, number).await.map_err(std::io::Error::other)?;
                let mut piece =
                    Bytes::from(piece.ok_or_else(|| std::io::Error::other("a piece is missing"))?);
                let begin = usize::try_from(at % PIECE as u64).map_err(std::io::Error::other)?;
                piece = piece.split_off(begin.min(piece.len()));
                piece.truncate(usize::try_from(last - at + 1).unwrap_or(usize::MAX));
                if piece.is_empty() {
                    return Err(std::io::Error::other("a piece is too short"));
                }
                let next = at + piece.len() as u64;
                Ok(Some((piece, next)))
            }
        });
        Body::from_stream(pieces)
    }
}

fn put(response: &mut Response<Body>, name: HeaderName, value: &str) {
    let value = HeaderValue::from_str(value).expect("digits and names are header values");
    response.headers_mut().insert(name, value);
}
