//! `target/demo/env`: what any other client needs to join, as shell assignments.

use std::path::PathBuf;

use anyhow::Result;
use stack::house::House;

/// Where the file is.
pub(crate) fn path(house: &House) -> PathBuf {
    house.dir.join("env")
}

/// Writes it whole, so that who waits for it never reads half of it.
pub(crate) fn write(house: &House) -> Result<()> {
    let cloud = house.cloud.http_url();
    let lines = [
        ("GRAPHQL_URL", format!("{cloud}/graphql")),
        ("GRAPHQL_WS_URL", format!("{}/graphql", cloud.replacen("http", "ws", 1))),
        ("OCPP_URL", house.edge.ocpp_url()),
        ("OCPP_TLS_URL", house.edge.tls_urls().0),
        ("MQTT_URL", format!("mqtt://{}", house.cloud.mqtt()?)),
        ("DATABASE_URL", house.database_url.clone()),
        ("EDGE_URL", house.edge.local_url()),
        ("OPERATOR_TOKEN", house.operator.token().unwrap_or_default().to_owned()),
        ("DRIVER_TOKEN", house.driver.token().unwrap_or_default().to_owned()),
        ("STATION_PASSWORD", house.site.password.clone()),
        ("ID_TAG", house.site.id_tag.clone()),
        ("SITE_ID", house.site.id.to_string()),
    ];
    let text: String = lines.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
    let draft = house.dir.join("env.new");
    std::fs::write(&draft, text)?;
    Ok(std::fs::rename(draft, path(house))?)
}
