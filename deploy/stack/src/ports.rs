//! Free loopback ports, for programs that cannot be told "port 0" and asked afterwards.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context, Result};

/// A loopback TCP port that nobody listens on at this moment.
pub fn free() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free loopback port")?;
    Ok(listener.local_addr()?.port())
}
