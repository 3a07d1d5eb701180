//! Moving a station's files for real: HTTP and HTTPS with ranges, forms, and FTP; tried again as often as it was told.

mod ftp;
mod http;

use std::time::Duration;

use crate::station::files::{Carried, Load};
use crate::tls::Tls;

/// Moves it, and tells how it went.
pub(crate) async fn carry(load: Load, tls: Option<Tls>) -> Carried {
    let (mut got, mut break_after) = (Vec::new(), load.break_after);
    let mut last = String::new();
    // A break that was ordered is not one of the tries.
    let tries = load.tries.max(1) + u32::from(break_after.is_some());
    for attempt in 0..tries {
        if attempt > 0 {
            tokio::time::sleep(Duration::from_millis(load.pause)).await;
        }
        let moved = match (&load.body, load.location.starts_with("ftp://")) {
            (None, false) => http::fetch(&load.location, tls.as_ref(), &mut got, break_after.take()).await,
            (None, true) => ftp::fetch(&load.location, &mut got, break_after.take()).await,
            (Some(body), false) => http::bring(&load.location, tls.as_ref(), body, load.form).await,
            (Some(body), true) => ftp::bring(&load.location, body).await,
        };
        match moved {
            Ok(()) => return Ok(got),
            Err(error) => last = format!("{error:#}"),
        }
    }
    Err(last)
}
