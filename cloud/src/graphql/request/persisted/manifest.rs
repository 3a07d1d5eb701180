//! Lists of registered documents, as clients' build tools write them: Apollo's manifest, or Relay's map from id to text.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use serde::Deserialize;

const APOLLO: &str = "apollo-persisted-query-manifest";

#[derive(Deserialize)]
#[serde(untagged)]
enum Manifest {
    Apollo { format: String, operations: Vec<Operation> },
    Relay(HashMap<String, Arc<str>>),
}

#[derive(Deserialize)]
struct Operation {
    id: String,
    body: Arc<str>,
}

/// The documents of a manifest, or of all `.json` files of a folder.
pub(super) fn read(path: &Path) -> anyhow::Result<HashMap<String, Arc<str>>> {
    let name = || format!("api.documents {}", path.display());
    if !path.is_dir() {
        return one(path).with_context(name);
    }
    let mut all = HashMap::new();
    for entry in std::fs::read_dir(path).with_context(name)? {
        let file = entry.with_context(name)?.path();
        if file.extension().is_some_and(|it| it == "json") {
            all.extend(one(&file).with_context(|| format!("api.documents {}", file.display()))?);
        }
    }
    Ok(all)
}

fn one(file: &Path) -> anyhow::Result<HashMap<String, Arc<str>>> {
    let text = std::fs::read_to_string(file)?;
    let manifest = serde_json::from_str(&text)
        .context("neither Apollo's manifest of persisted queries nor Relay's map from id to text")?;
    match manifest {
        Manifest::Relay(documents) => Ok(documents),
        Manifest::Apollo { format, operations } if format == APOLLO => {
            Ok(operations.into_iter().map(|it| (it.id, it.body)).collect())
        }
        Manifest::Apollo { format, .. } => bail!("unknown format {format:?}, expected {APOLLO:?}"),
    }
}
