//! Settings: read once, compared with what the site wants, only the differences written.

use shared::model::command::{ConfigurationEntry, Told};
use shared::model::settings::{SettingState, SettingsDoc, WantedSetting};

use super::*;

fn site_wants(core: &mut Core, version: u64, key: &str, value: &str) -> Effects {
    let site = vec![WantedSetting { key: key.into(), value: value.into() }];
    let body = DocumentBody::Settings(SettingsDoc { site, stations: vec![] });
    core.handle(NOW, Input::Document(Document { version, body }))
}

/// The question that is asked, and its number.
fn question(effects: &Effects) -> Option<(CommandId, CommandBody)> {
    effects.sends.iter().rev().find_map(|send| {
        let Send::Ask { command, ask: Ask::Command(body), .. } = send else { return None };
        Some((*command, body.clone()))
    })
}

fn answer(core: &mut Core, command: CommandId, entries: &[(&str, &str)]) -> Effects {
    let entry = |(key, value): &(&str, &str)| ConfigurationEntry {
        key: (*key).into(),
        value: Some((*value).into()),
        readonly: false,
    };
    let entries = entries.iter().map(entry).collect();
    let told = Told::Configuration { entries, unknown_keys: vec![] };
    core.handle(NOW, Input::Asked { command, end: AskEnd { told, ..AskEnd::plain(Outcome::Accepted, "") } })
}

fn settled(core: &mut Core) -> Effects {
    arrive(core, NOW);
    core.handle(NOW.plus_millis(5_000), Input::Tick)
}

#[test]
fn a_station_is_read_once_and_told_what_differs() {
    let mut core = core();
    site_wants(&mut core, 1, "meterValueSampleInterval", "30");
    let (all, body) = question(&settled(&mut core)).unwrap();
    assert_eq!(body, CommandBody::GetConfiguration { keys: vec![] });
    let read = answer(&mut core, all, &[("MeterValueSampleInterval ", "60"), ("AuthorizationKey", "secret")]);
    let told =
        read.events().find_map(|event| if let Event::SettingsRead(it) = event { Some(it) } else { None });
    let told = told.unwrap();
    assert!(told.whole && told.entries[1].value.is_none(), "secrets are not passed on: {told:?}");
    let (write, body) = question(&read).unwrap();
    assert_eq!(
        body,
        CommandBody::ChangeConfiguration { key: "meterValueSampleInterval".into(), value: "30".into() }
    );
    let end = AskEnd::plain(Outcome::Accepted, "Accepted");
    let done = core.handle(NOW, Input::Asked { command: write, end });
    let Some(Event::SettingsApplied(applied)) = done.events().last() else { panic!("{done:?}") };
    assert_eq!(applied.outcomes[0].state, SettingState::Changed);

    assert_eq!(
        question(&settled(&mut core)).map(|(_, body)| matches!(body, CommandBody::Trigger { .. })),
        Some(true)
    );
    let changed = site_wants(&mut core, 2, "MeterValueSampleInterval", "10");
    let (_, body) = question(&changed).unwrap();
    let keys = vec!["MeterValueSampleInterval".to_owned()];
    assert_eq!(body, CommandBody::GetConfiguration { keys }, "only what is wanted is read again");
}

#[test]
fn what_is_wanted_of_the_heartbeat_is_said_at_boot_too() {
    let mut core = core();
    site_wants(&mut core, 1, "HeartbeatInterval", "42");
    let boot = arrive(&mut core, NOW);
    assert!(
        matches!(boot.sends[0], Send::Reply { reply: Reply::Booted { interval_s: Some(42), .. }, .. }),
        "{boot:?}"
    );
}
