//! Many chargers against the agent, and against the small servers of what people would pick instead.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::figure::Figure;

pub(crate) async fn measure(_time: Duration, _peers: Option<&Path>) -> Result<Vec<Figure>> {
    Ok(Vec::new())
}
