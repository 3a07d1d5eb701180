//! Where settings come from: the TOML file, then the environment over it.

use std::path::Path;

use anyhow::{Context, bail};

use super::Config;

const ENV_PREFIX: &str = "CLOUD_";

impl Config {
    /// Reads the file, if any, and the process environment.
    ///
    /// # Errors
    /// Names the key and its place: line and column of the file, or the variable.
    pub fn load(file: Option<&Path>) -> anyhow::Result<Self> {
        let (name, text) = match file {
            Some(path) => {
                let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
                (path.display().to_string(), text)
            }
            None => ("defaults".into(), String::new()),
        };
        Self::from_sources(&name, &text, std::env::vars()).and_then(Self::checked)
    }

    fn from_sources(
        name: &str,
        text: &str,
        vars: impl Iterator<Item = (String, String)>,
    ) -> anyhow::Result<Self> {
        let mut config: Self = toml::from_str(text).with_context(|| format!("configuration {name}"))?;
        let mut table: toml::Table = toml::from_str(text)?;
        let mut vars: Vec<_> = vars.filter_map(|(key, value)| Some((path_of(&key)?, key, value))).collect();
        vars.sort();
        for (path, key, value) in vars {
            let mut with = table.clone();
            set(&mut with, &path, parse_value(&value)).with_context(|| key.clone())?;
            match with.clone().try_into() {
                Ok(read) => (table, config) = (with, read),
                // Other programs use the prefix too (CLOUD_SDK_VERSION, for one).
                Err(error) if path.len() == 1 && error.message().starts_with("unknown field") => {
                    tracing::warn!("{key} is no setting; ignored");
                }
                Err(error) => return Err(error).with_context(|| format!("environment variable {key}")),
            }
        }
        Ok(config)
    }
}

/// `CLOUD_HTTP__LISTEN` → `http`, `listen`; `DATABASE_URL` is taken as well, because every host sets it.
fn path_of(key: &str) -> Option<Vec<String>> {
    if key == "DATABASE_URL" {
        return Some(vec!["database_url".into()]);
    }
    let rest = key.strip_prefix(ENV_PREFIX)?;
    Some(rest.to_lowercase().split("__").map(String::from).collect())
}

/// Numbers, booleans and lists are written as in TOML, everything else is text.
fn parse_value(text: &str) -> toml::Value {
    match toml::from_str::<toml::Table>(&format!("v = {text}")).ok().and_then(|mut table| table.remove("v")) {
        Some(toml::Value::Datetime(_)) | None => toml::Value::String(text.into()),
        Some(value) => value,
    }
}

fn set(table: &mut toml::Table, path: &[String], value: toml::Value) -> anyhow::Result<()> {
    match path {
        [] => bail!("empty name"),
        [last] => {
            table.insert(last.clone(), value);
            Ok(())
        }
        [first, rest @ ..] => {
            let section =
                table.entry(first.clone()).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            let inner = section.as_table_mut().with_context(|| format!("`{first}` is not a section"))?;
            set(inner, rest, value)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DEFAULT, Roles};

    fn load(text: &str, vars: &[(&str, &str)]) -> anyhow::Result<Config> {
        let vars = vars.iter().map(|(key, value)| ((*key).into(), (*value).into()));
        Config::from_sources("test.toml", text, vars).and_then(Config::checked)
    }

    #[test]
    fn the_printed_defaults_are_the_defaults() {
        let printed = load(DEFAULT, &[]).expect("default.toml is valid");
        assert_eq!(format!("{printed:?}"), format!("{:?}", Config::default()));
    }

    #[test]
    fn a_typo_names_the_key_and_the_line() {
        let error = format!("{:#}", load("[http]\nlisen = \"127.0.0.1:1\"\n", &[]).expect_err("typo"));
        assert!(error.contains("lisen") && error.contains("line 2"), "{error}");
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let config = load(
            "[http]\nlisten = \"127.0.0.1:1\"",
            &[
                ("CLOUD_HTTP__LISTEN", "127.0.0.1:2"),
                ("CLOUD_ROLES", "api,broker"),
                ("CLOUD_INGEST__WORKERS", "3"),
            ],
        )
        .expect("valid");
        assert_eq!(config.http.listen.port(), 2);
        assert_eq!(config.roles, Roles { api: true, ingest: false, broker: true });
        assert_eq!(config.ingest.workers, 3);
    }

    #[test]
    fn a_wrong_variable_is_named() {
        let error = format!("{:#}", load("", &[("CLOUD_HTTP__PORT", "80")]).expect_err("no such key"));
        assert!(error.contains("CLOUD_HTTP__PORT"), "{error}");
        assert!(load("", &[("CLOUD_SDK_VERSION", "1")]).is_ok(), "another program's variable");
    }

    #[test]
    fn secrets_do_not_print() {
        let config = load("database_url = \"postgres://u:canary@h/d\"\n[mqtt]\npassword = \"canary\"", &[]);
        assert!(!format!("{:?}", config.expect("valid")).contains("canary"));
    }

    #[test]
    fn ingest_without_any_broker_is_refused() {
        assert!(load("roles = [\"api\", \"ingest\"]", &[]).is_err());
        assert!(load("roles = [\"api\"]", &[]).is_ok());
    }

    #[test]
    fn a_mailbox_for_everybody_is_asked_for_twice() {
        let open = "[auth]\ndev_mailbox = true\n[http]\nlisten = \"0.0.0.0:8080\"\n";
        let error = format!("{:#}", load(open, &[]).expect_err("open to all"));
        assert!(error.contains("auth.dev_mailbox") && error.contains("http.listen"), "{error}");
        assert!(load(open, &[("CLOUD_AUTH__DEV_MAILBOX_ANYWHERE", "true")]).is_ok());
        assert!(load("[auth]\ndev_mailbox = true", &[]).is_ok());
        assert!(load("[auth]\ndev_mailbox = true\n[http]\ntrust_forwarded_for = true", &[]).is_err());
        assert!(load("[auth]\ndev_mailbox = true\n[mail]\nserver = \"m\"", &[]).is_err());
    }

    #[test]
    fn keys_are_told_apart_and_long_enough() {
        let keys = |a: &str, b: &str, secret: &str| {
            load(
                &format!(
                    "[auth]\nsigning_keys = [{{ kid = \"{a}\", secret = \"{secret}\" }}, {{ kid = \"{b}\", secret = \"{secret}\" }}]"
                ),
                &[],
            )
        };
        let long = "0123456789abcdef0123456789abcdef";
        assert!(keys("2", "1", long).is_ok());
        assert!(keys("1", "1", long).is_err());
        assert!(keys("2", "1", "short").is_err());
        assert!(load("[auth]\naccess_token_minutes = 61", &[]).is_err());
        let error = format!("{:#}", load("[mail]\ntls = \"ssl\"\n", &[]).expect_err("no such way"));
        assert!(error.contains("line 2") && error.contains("starttls"), "{error}");
    }
}
