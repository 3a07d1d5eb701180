//! A gateway's database as an agent of an earlier version would have left it: the tables that it knew, with what is in them now.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rusqlite::Connection;
use stack::programs;

/// `EVB1`, from the first version on.
const APPLICATION_ID: i32 = 0x4556_4231;
/// The first version that kept a journal.
const JOURNAL: usize = 8;

/// The steps from one version to the next.
pub(crate) fn migrations() -> Result<Vec<String>> {
    let mut files: Vec<PathBuf> = programs::repository()
        .join("edge-agent/migrations")
        .read_dir()?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    files.sort();
    files
        .iter()
        .map(|file| std::fs::read_to_string(file).with_context(|| file.display().to_string()))
        .collect()
}

/// Makes `image` the folder of an agent that knew only these steps. The agent of `data` must not run.
pub(crate) fn copy(data: &Path, image: &Path, steps: &[String]) -> Result<()> {
    std::fs::create_dir_all(image.join("pki"))?;
    for file in ["identity.toml", "local-token", "pki/site-ca.pem", "pki/site-ca.key"] {
        std::fs::copy(data.join(file), image.join(file)).with_context(|| file.to_owned())?;
    }
    let mut old = Connection::open(image.join("edge.sqlite3"))?;
    old.pragma_update(None, "foreign_keys", "off")?;
    old.execute("attach ?1 as today", [data.join("edge.sqlite3").to_string_lossy()])?;
    let all = old.transaction()?;
    steps.iter().try_for_each(|step| all.execute_batch(step))?;
    all.pragma_update(Some("main"), "user_version", i64::try_from(steps.len())?)?;
    all.pragma_update(Some("main"), "application_id", APPLICATION_ID)?;
    for table in
        names(&all, "select name from main.sqlite_schema where type = 'table' and name not like 'sqlite%'")?
    {
        let columns =
            names(&all, &format!("select name from pragma_table_info('{table}', 'main')"))?.join(", ");
        all.execute_batch(&format!(
            "delete from main.{table}; insert into main.{table} ({columns}) select {columns} from today.{table}"
        ))?;
    }
    if steps.len() < JOURNAL {
        all.execute("delete from main.meta where key = 'journal'", [])?;
    }
    all.commit()?;
    Ok(())
}

fn names(db: &Connection, query: &str) -> Result<Vec<String>> {
    let mut query = db.prepare(query)?;
    let names = query.query_map([], |row| row.get(0))?;
    Ok(names.collect::<rusqlite::Result<_>>()?)
}
