//! Reading the log.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, Row, params};
use shared::id::StationId;
use shared::model::frame_log::{
    Direction, FrameFilter, FramePage, LONGEST_TOLD, LoggedFrame, PAGE_BYTES, PAGE_FRAMES,
};
use shared::units::Timestamp;

pub(super) fn open(path: &Path) -> rusqlite::Result<Connection> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    db.busy_timeout(std::time::Duration::from_secs(5))?;
    Ok(db)
}

/// The frames that a filter wants, the oldest first.
pub(super) fn frames(
    db: &Connection,
    station: &StationId,
    filter: &FrameFilter,
    most: u32,
) -> anyhow::Result<Vec<LoggedFrame>> {
    let mut query = db.prepare_cached(
        "select number, at, connection, sent, action, message_id, text, lost_before from frames
         where station = ?1 and number > ?2 and (?3 is null or at >= ?3) and (?4 is null or at < ?4)
           and (?5 is null or action = ?5 collate nocase) and (?6 is null or sent = ?6)
         order by number limit ?7",
    )?;
    let rows = query.query_map(
        params![
            station.as_str(),
            i64::try_from(filter.after.unwrap_or(0)).unwrap_or(i64::MAX),
            filter.since.map(|at| at.0),
            filter.until.map(|at| at.0),
            filter.action,
            filter.direction.map(|direction| direction == Direction::Sent),
            most,
        ],
        frame,
    )?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// As many of them as fit a message.
pub(super) fn page(db: &Connection, station: &StationId, filter: &FrameFilter) -> anyhow::Result<FramePage> {
    let most = filter.limit.unwrap_or(PAGE_FRAMES).clamp(1, PAGE_FRAMES);
    let found = frames(db, station, filter, u32::from(most) + 1)?;
    let (mut page, mut bytes) = (FramePage::default(), 0);
    let count = found.len();
    for mut frame in found.into_iter().take(usize::from(most)) {
        if frame.text.len() > LONGEST_TOLD {
            frame.text.truncate(frame.text.floor_char_boundary(LONGEST_TOLD));
            frame.text.push('…');
        }
        bytes += frame.text.len();
        if bytes > PAGE_BYTES && !page.frames.is_empty() {
            break;
        }
        page.frames.push(frame);
    }
    let more = page.frames.len() < count;
    page.next = page.frames.last().filter(|_| more).map(|last| last.number);
    Ok(page)
}

fn frame(row: &Row<'_>) -> rusqlite::Result<LoggedFrame> {
    Ok(LoggedFrame {
        number: row.get::<_, i64>(0)?.unsigned_abs(),
        at: Timestamp(row.get(1)?),
        connection: row.get::<_, i64>(2)?.unsigned_abs(),
        direction: if row.get(3)? { Direction::Sent } else { Direction::Received },
        action: row.get(4)?,
        message_id: row.get(5)?,
        text: row.get(6)?,
        lost_before: row.get(7)?,
    })
}
