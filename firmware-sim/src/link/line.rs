//! The line to the CSMS: down, being dialled, or up.

use std::pin::Pin;

use futures_util::StreamExt;
use tokio::time::{Duration, timeout};
use tokio_tungstenite::tungstenite::Message;

use crate::clock::Clock;
use crate::dial::{DialError, Socket};
use crate::tempo::Millis;

type Dialing = Pin<Box<dyn Future<Output = Result<Socket, DialError>> + Send>>;

/// The line to the CSMS.
pub(super) enum Line {
    Down { dial_at: Millis },
    Dialing(Dialing),
    Up(Box<Socket>),
}

/// What a line brings.
pub(super) enum News {
    DialNow,
    Dialled(Box<Socket>),
    Text(String),
    Gone(String),
    /// The CSMS is not to be trusted.
    Untrusted(String),
    Nothing,
}

impl Line {
    pub(super) async fn next(&mut self, clock: Clock, may_dial: bool) -> News {
        match self {
            Line::Down { dial_at } if may_dial => {
                tokio::time::sleep_until(clock.instant(*dial_at)).await;
                News::DialNow
            }
            Line::Down { .. } => std::future::pending().await,
            Line::Dialing(dialing) => match dialing.await {
                Ok(socket) => News::Dialled(Box::new(socket)),
                Err(error @ DialError::Untrusted(..)) => News::Untrusted(error.to_string()),
                Err(error) => News::Gone(error.to_string()),
            },
            Line::Up(socket) => match socket.next().await {
                Some(Ok(Message::Text(text))) => News::Text(text.to_string()),
                Some(Ok(Message::Close(frame))) => {
                    News::Gone(frame.map_or_else(|| "closed".to_owned(), |frame| frame.to_string()))
                }
                Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {
                    News::Nothing
                }
                Some(Err(error)) => News::Gone(error.to_string()),
                None => News::Gone("closed".to_owned()),
            },
        }
    }

    /// Closes in order: what was written arrives, because what comes in is read to its end.
    pub(super) async fn say_goodbye(&mut self) {
        let Line::Up(socket) = self else { return };
        let goodbye = async {
            if socket.close(None).await.is_ok() {
                while let Some(Ok(_)) = socket.next().await {}
            }
        };
        // The other side may be gone already; then there is nobody to say it to.
        let _ = timeout(GOODBYE, goodbye).await;
    }
}

const GOODBYE: Duration = Duration::from_secs(1);

pub(super) async fn sleep_until(clock: Clock, deadline: Option<Millis>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(clock.instant(at)).await,
        None => std::future::pending().await,
    }
}
