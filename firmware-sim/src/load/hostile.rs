//! Hostility: a station that knows its password and sends everything that no station should, as fast as it is read, again
//! over a new connection whenever it is thrown out.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use shared::ocpp::v16::schema::Action;
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::Message;

use crate::config::StationConfig;
use crate::dial::{Socket, dial};

/// How long it takes nothing for an answer before it gives up.
const PATIENCE: Duration = Duration::from_secs(30);
/// A text beyond what any gateway should take in: sent once in a while, because it is slow to send.
const HUGE: usize = 3 << 19;
const HUGE_EVERY: u32 = 5_000;

/// What became of the frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hostilities {
    /// Frames sent.
    pub frames: u32,
    /// Answers of any kind that came back.
    pub answers: u32,
    /// How often it was thrown out.
    pub thrown_out: u32,
    /// How long it took.
    pub took: Duration,
}

/// Sends so many hostile frames as this station.
///
/// # Errors
/// When the server cannot be reached any more: it did not survive.
pub async fn run(config: &StationConfig, frames: u32) -> anyhow::Result<Hostilities> {
    let (began, mut done) = (Instant::now(), Hostilities::default());
    while done.frames < frames {
        let socket = dial(config).await?;
        if insult(socket, frames, &mut done).await.is_err() {
            done.thrown_out += 1;
        }
    }
    done.took = began.elapsed();
    Ok(done)
}

/// Until all is sent or the server has enough. Every hundred frames an honest call is waited for, so that they were all read.
async fn insult(mut socket: Socket, frames: u32, done: &mut Hostilities) -> anyhow::Result<()> {
    while done.frames < frames {
        let number = done.frames;
        done.frames += 1;
        if number % 997 == 996 {
            // A frame's head, and never its body.
            socket.get_mut().write_all(&[0x81, 0xfe, 0x40, 0x00, 1, 2, 3, 4, b'[']).await?;
            anyhow::bail!("gone in the middle of a frame");
        }
        tokio::time::timeout(PATIENCE, socket.send(message(number))).await??;
        if number % 100 == 95 || done.frames == frames {
            tokio::time::timeout(PATIENCE, all_read(&mut socket, number, done)).await??;
        }
    }
    Ok(())
}

async fn all_read(socket: &mut Socket, number: u32, done: &mut Hostilities) -> anyhow::Result<()> {
    socket.send(Message::text(format!("[2,\"mark-{number}\",\"Heartbeat\",{{}}]"))).await?;
    let mark = format!("[3,\"mark-{number}\"");
    while let Some(answer) = socket.next().await {
        done.answers += 1;
        if matches!(answer?, Message::Text(text) if text.starts_with(&mark)) {
            return Ok(());
        }
    }
    anyhow::bail!("closed")
}

fn message(number: u32) -> Message {
    if number % 1_999 == 1_998 {
        return Message::Binary(Bytes::from_static(&[0, 159, 146, 150]));
    }
    if number % 101 == 100 {
        return Message::Ping(Bytes::from_static(b"still here"));
    }
    if number % HUGE_EVERY == HUGE_EVERY - 1 {
        return Message::text("[2,\"".to_owned() + &"x".repeat(HUGE));
    }
    Message::text(text(number))
}

/// A frame that is wrong in one of many ways; every action has its turn with each.
fn text(number: u32) -> String {
    let action = Action::ALL[number as usize % Action::ALL.len()];
    match number % 23 {
        0 => "\u{0}\u{feff}}{][,:\"\\".repeat(1 + number as usize % 9),
        1 => "[".repeat(number as usize % 300),
        2 => format!("[2,\"{number}\",\"{action}\",{}1{}]", "{\"a\":[".repeat(40), "]}".repeat(40)),
        3 => format!("[2,\"{number}\",\"{action}\",[1,2,3]]"),
        4 => format!("[2,\"{number}\",\"{action}\",\"no object\"]"),
        5 => format!(
            "[2,\"{number}\",\"{action}\",{{\"connectorId\":-1e400,\"idTag\":{{}},\"timestamp\":[]}}]"
        ),
        6 => format!("[2,{{}},\"{action}\",{{}}]"),
        7 => format!("[2,\"{}\",\"{action}\",{{}}]", "9".repeat(300)),
        8 => format!("[2,\"same\",\"{action}\",{{\"status\":\"{number}\"}}]"),
        9 => "[2,\"replayed\",\"Heartbeat\",{}]".to_owned(),
        10 => format!("[3,\"{number}\",{{\"status\":\"Accepted\"}}]"),
        11 => format!("[4,\"{number}\",\"InternalError\",7,null]"),
        12 => format!("[{number},\"{number}\",\"{action}\",{{}}]"),
        13 => format!("[2,\"{number}\",\"{}\",{{}}]", "Ä".repeat(60)),
        14 => format!("[2,\"{number}\",\"{action}\",{{"),
        15 => format!(
            "[2,\"{number}\",\"MeterValues\",{{\"connectorId\":1,\"meterValue\":[{}0]}}]",
            "{},".repeat(if number % 10 == 5 { 1_100 } else { 9 })
        ),
        16 => {
            format!("[2,\"{number}\",\"StopTransaction\",{{\"transactionId\":{number},\"meterStop\":\"x\"}}]")
        }
        17 => format!(
            "[2,\"{number}\",\"StopTransaction\",{{\"transactionId\":2147483647,\"meterStop\":-9223372036854775808,\"timestamp\":\"0000-00-00\"}}]"
        ),
        18 => format!(
            "[2,\"{number}\",\"StatusNotification\",{{\"connectorId\":65535,\"status\":\"<img onerror=x>\"}}]"
        ),
        19 => format!("[2,\"{number}\",\"Authorize\",{{\"idTag\":\"'; drop table sessions; --{number}\"}}]"),
        20 => format!("[2,\"{number}\",\"DataTransfer\",{{\"vendorId\":\"{}\"}}]", "\\ud800".repeat(20)),
        21 => format!(
            "[2,\"{number}\",\"BootNotification\",{{\"chargePointVendor\":{{\"a\":null}},\"chargePointModel\":[]}}]"
        ),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_it_is_an_honest_call() {
        let texts: Vec<String> = (0..23 * 39).map(text).collect();
        let different: std::collections::HashSet<&String> = texts.iter().collect();
        assert!(different.len() > 700, "{}", different.len());
        assert!(texts.iter().any(|text| text.contains("StopTransaction")));
    }
}
