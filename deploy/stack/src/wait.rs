//! Waiting for an event with a deadline. A test never sleeps and hopes: it names what it waits for.

use std::future::Future;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep};

/// How often a condition that cannot notify us is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(25);

/// Waits until `look` yields a value, or fails naming `what` was waited for.
pub async fn until<T, F>(what: &str, limit: Duration, mut look: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Option<T>>,
{
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = look().await {
            return Ok(value);
        }
        if Instant::now() >= deadline {
            bail!("waited {} s in vain for {what}", limit.as_secs());
        }
        sleep(LOOK_AGAIN).await;
    }
}
