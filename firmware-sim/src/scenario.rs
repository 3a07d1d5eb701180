//! Timed scripts in TOML: plug, tap, cut power, restore. A typing error is told with its line and its key.

mod play;
mod script;

use std::path::Path;
use std::time::Duration;

use anyhow::Context;

pub use self::play::Overrides;
pub use self::script::Scenario;
use self::script::{Action, Step};

/// A step that can be done.
struct Planned {
    pub(super) at: Duration,
    pub(super) line: usize,
    pub(super) station: usize,
    pub(super) step: Step,
}

impl Scenario {
    /// Reads a script.
    pub fn read(path: &Path) -> anyhow::Result<(Scenario, String)> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let scenario = Scenario::parse(&text).with_context(|| format!("in {}", path.display()))?;
        Ok((scenario, text))
    }

    /// Reads a script's text.
    pub fn parse(text: &str) -> anyhow::Result<Scenario> {
        let scenario: Scenario = toml::from_str(text)?;
        scenario.plan(text)?;
        Ok(scenario)
    }

    /// The steps in order of time, checked.
    fn plan(&self, text: &str) -> anyhow::Result<Vec<Planned>> {
        anyhow::ensure!(!self.stations.is_empty(), "a scenario needs a [[station]]");
        let mut plan = Vec::new();
        for spanned in &self.steps {
            let start = spanned.span().start.min(text.len());
            let line = text[..start].matches('\n').count() + 1;
            let planned = self.check(spanned.get_ref(), line);
            plan.push(planned.with_context(|| format!("line {line}, [[step]]"))?);
        }
        plan.sort_by_key(|planned| planned.at);
        Ok(plan)
    }

    fn check(&self, step: &Step, line: usize) -> anyhow::Result<Planned> {
        let at = seconds(&step.at)
            .with_context(|| format!("at = {:?} is no time such as 90s, 5m, 1h", step.at))?;
        let station = match &step.station {
            None if self.stations.len() == 1 => 0,
            None => anyhow::bail!("several stations, so `station` must say which"),
            Some(name) => {
                let place = self.stations.iter().position(|entry| entry.identity == *name);
                place.with_context(|| format!("station = {name:?} is not among the [[station]]s"))?
            }
        };
        let connectors = self.stations[station].connectors;
        anyhow::ensure!(
            (1..=connectors).contains(&step.connector),
            "connector = {} of 1 to {connectors}",
            step.connector
        );
        let needs = |value: &Option<String>, key: &str| {
            anyhow::ensure!(
                value.is_some(),
                "do = {:?} needs `{key}`",
                format!("{:?}", step.action).to_lowercase()
            );
            Ok(())
        };
        match step.action {
            Action::Tap => needs(&step.tag, "tag")?,
            Action::Raw => needs(&step.text, "text")?,
            Action::Replace => {
                needs(&step.text, "text")?;
                needs(&step.with, "with")?;
            }
            Action::Reject | Action::Ignore | Action::Obey => needs(&step.command, "command")?,
            Action::Plug
            | Action::Unplug
            | Action::CutPower
            | Action::RestorePower
            | Action::DropNetwork
            | Action::RestoreNetwork
            | Action::RepeatStart
            | Action::RepeatStop
            | Action::Behave => {}
        }
        Ok(Planned { at, line, station, step: step.clone() })
    }
}

fn seconds(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return None,
    };
    Some(Duration::from_secs(number.parse::<u64>().ok()?.checked_mul(factor)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
time_scale = 60
[[station]]
identity = "A"
connectors = 2
[[step]]
at = "0s"
do = "plug"
connector = 2
[[step]]
at = "1m"
do = "tap"
connector = 2
tag = "T"
"#;

    fn error(text: &str) -> String {
        format!("{:#}", Scenario::parse(text).unwrap_err())
    }

    #[test]
    fn a_good_script_is_read() {
        let plan = Scenario::parse(GOOD).unwrap().plan(GOOD).unwrap();
        let times: Vec<u64> = plan.iter().map(|planned| planned.at.as_secs()).collect();
        assert_eq!(times, [0, 60]);
    }

    #[test]
    fn typing_errors_name_line_and_key() {
        for (wrong, right, line, key) in [
            ("tagg = \"T\"", "tag = \"T\"", 14, "tagg"),
            ("do = \"plugin\"", "do = \"plug\"", 8, "plugin"),
            ("at = \"1 minute\"", "at = \"1m\"", 10, "1 minute"),
            ("", "tag = \"T\"", 10, "`tag`"),
            ("connector = 3", "connector = 2", 6, "connector = 3"),
            ("stations = 2\nconnectors = 2", "connectors = 2", 5, "stations"),
        ] {
            let text = GOOD.replacen(right, wrong, 1);
            let error = error(&text);
            assert!(error.contains(&format!("line {line}")) && error.contains(key), "{wrong}: {error}");
        }
        assert!(error("").contains("station"));
    }

    #[test]
    fn the_scripts_that_come_along_are_right() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let scripts: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(scripts.len() >= 4);
        for script in scripts {
            Scenario::read(&script).unwrap();
        }
    }
}
