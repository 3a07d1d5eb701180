//! What a process has used so far, from `/proc`.

use anyhow::Context;

/// Processor time and memory of a process.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    /// Microseconds of processor time, user and system.
    pub(super) cpu_micros: u64,
    /// Resident memory in KiB.
    pub(super) rss_kib: u64,
}

/// The kernel counts processor time for user space in hundredths of a second, whatever its own tick.
const TICK_MICROS: u64 = 10_000;

impl Usage {
    /// Measures a process, if one is given.
    pub(super) fn of(pid: Option<u32>) -> anyhow::Result<Option<Usage>> {
        let Some(pid) = pid else { return Ok(None) };
        let read = |file: &str| {
            let path = format!("/proc/{pid}/{file}");
            std::fs::read_to_string(&path)
                .with_context(|| format!("the server's process {pid} is gone ({path})"))
        };
        let (stat, status) = (read("stat")?, read("status")?);
        let cpu_micros = ticks(&stat).context("unreadable /proc/PID/stat")? * TICK_MICROS;
        let rss_kib = resident(&status).context("unreadable /proc/PID/status")?;
        Ok(Some(Usage { cpu_micros, rss_kib }))
    }
}

/// utime + stime: fields 14 and 15, counted after the name in parentheses, which may contain anything.
fn ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

fn resident(status: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_files_are_read() {
        assert_eq!(ticks("1 (a) b) S 1 1 1 0 -1 4 5 6 7 8 120 30 0 0"), Some(150));
        assert_eq!(resident("Name:\tx\nVmRSS:\t   5120 kB\n"), Some(5120));
        let own = Usage::of(Some(std::process::id())).unwrap().unwrap();
        assert!(own.rss_kib > 100);
        assert!(Usage::of(Some(u32::MAX)).is_err());
    }
}
