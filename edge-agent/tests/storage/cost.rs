//! What the journal costs. `cargo test -p edge-agent --test storage cost -- --ignored --nocapture`; `WHERE` names a folder on
//! the disk to measure.

use std::time::{Duration, Instant};

use edge_agent::core::Write;
use edge_agent::store::{Budget, Stamp, Store};
use shared::id::{BootId, StationId};
use shared::model::event::{AuthorisationDecided, Event};
use shared::model::token::{AuthStatus, AuthorisedBy, IdToken};
use shared::sync::ClockQuality;
use uuid::Uuid;

use crate::gateway::NOW;

/// Stations that wait for their answers.
const STATIONS: u64 = 100;
const FOR: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a figure, not a rule"]
async fn commits_with_a_hundred_stations_waiting() {
    let place = std::env::var_os("WHERE").map_or_else(std::env::temp_dir, Into::into);
    let folder = tempfile::TempDir::new_in(place).unwrap();
    let budget = Budget { ballast_megabytes: 0, ..Budget::default() };
    let store = Store::open_within(folder.path(), budget).unwrap().store;
    let end = Instant::now() + FOR;
    let work = (0..STATIONS).map(|station| tokio::spawn(answers(store.clone(), station, end)));
    let mut answered = 0;
    for work in work.collect::<Vec<_>>() {
        answered += work.await.unwrap();
    }
    println!("{} answers per second", answered / FOR.as_secs());
}

async fn answers(store: Store, station: u64, end: Instant) -> u64 {
    let mut answered = 0;
    while Instant::now() < end {
        let decided = AuthorisationDecided {
            station: StationId::new(format!("CP{station}")).unwrap(),
            token: IdToken::new("card"),
            status: AuthStatus::Accepted,
            decided_by: AuthorisedBy::SiteList,
            at: NOW,
        };
        let stamp = Stamp { at: NOW, clock: ClockQuality::Synced, boot: BootId(Uuid::nil()), mono_ms: 0 };
        let writes = vec![Write::Event(Event::AuthorisationDecided(decided))];
        store.commit(stamp, writes, vec![]).await.unwrap();
        answered += 1;
    }
    answered
}
