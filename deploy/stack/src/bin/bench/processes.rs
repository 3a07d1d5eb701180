//! What the kernel knows of processes: memory and time.

use std::time::Duration;

use anyhow::{Context, Result};

/// Memory that a process really occupies.
pub(crate) fn resident_kib(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("a running process has VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// Fields of `/proc/PID/stat` from the third on: the second is a name that may hold anything.
fn stat(pid: u32) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = text.rsplit_once(") ").context("the form of /proc/PID/stat")?;
    Ok(rest.split(' ').map(str::to_owned).collect())
}

/// Who started it.
pub(crate) fn parent(pid: u32) -> Result<u32> {
    Ok(stat(pid)?[1].parse()?)
}

/// Time on the CPU; with `also_gone`, that of its children that ended, too.
fn ticks(pid: u32, also_gone: bool) -> Result<u64> {
    let fields = stat(pid)?;
    let wanted = if also_gone { 11..15 } else { 11..13 };
    fields[wanted].iter().map(|field| Ok(field.parse::<u64>()?)).sum()
}

/// Time that it had on a CPU; the kernel counts in hundredths of a second.
pub(crate) fn cpu(pid: u32) -> Result<Duration> {
    Ok(Duration::from_millis(ticks(pid, false)? * 10))
}

/// The same of a process with all that it started.
pub(crate) fn cpu_of_family(head: u32) -> Result<Duration> {
    let mut sum = ticks(head, true)?;
    for entry in std::fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // One that ends meanwhile is counted at its parent.
        if parent(pid).is_ok_and(|it| it == head) {
            sum += ticks(pid, false).unwrap_or(0);
        }
    }
    Ok(Duration::from_millis(sum * 10))
}
