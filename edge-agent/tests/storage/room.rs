//! Little room, and none at all: readings become gaps, statuses the latest, and a Stop is never refused.

use std::path::Path;
use std::process::Command;

use edge_agent::store::{Budget, Level};
use shared::id::{EvseNo, StationId};
use shared::model::event::{Event, MeterGap, StatusChanged};
use shared::model::{ConnectorStatus, Lane};
use shared::units::Wh;

use crate::cloud::Cloud;
use crate::gateway::{Gateway, NOW};

const SMALL: Budget = Budget { megabytes: 2, ballast_megabytes: 0 };

/// Readings that the cloud has, and those that it knows to have been given up.
fn readings(cloud: &Cloud) -> (u64, u64, Vec<MeterGap>) {
    let (mut kept, mut gone, mut gaps) = (0, 0, Vec::new());
    for event in cloud.events() {
        if let Event::MeterGap(gap) = event {
            gone += u64::from(gap.count);
            gaps.push(gap);
        } else if let Event::SessionMetered(_) = event {
            kept += 1;
        }
    }
    (kept, gone, gaps)
}

#[tokio::test]
async fn when_room_is_short_readings_become_gaps_and_bills_stay() {
    let folder = tempfile::TempDir::new().unwrap();
    let (mut gateway, mut cloud) = (Gateway::at(folder.path(), SMALL), Cloud::default());
    let (usage, mut told, mut sessions, mut scarce) = (gateway.store.usage(), 0, 0, false);
    // Three times as much as there is room for.
    for _ in 0..150 {
        let tx_ref = gateway.start(1, 1_000).await;
        for reading in 1..=100 {
            gateway.meter(1, &tx_ref, 1_000 + reading).await;
            told += 1;
        }
        gateway.stop_session(&tx_ref, 1_100).await;
        gateway.status(status(ConnectorStatus::Charging)).await;
        sessions += 1;
        let now = *usage.borrow();
        scarce |= now.level == Level::Scarce;
        assert!(now.used < now.budget * 98 / 100, "{now:?} after {sessions} sessions");
    }
    cloud.drain(&gateway.store).await;
    let (kept, gone, gaps) = readings(&cloud);
    assert_eq!(kept + gone, told, "every reading is there or in a gap");
    assert!(kept < told / 2 && kept > 2 * 100, "{kept} of {told} kept");
    assert!(
        gaps.iter().all(|gap| gap.energy_first <= gap.energy_last && gap.from <= gap.to && gap.count > 0)
    );
    assert_eq!(cloud.bills(), vec![100; 150]);
    println!("{told} readings: {kept} kept, {gone} in {} gaps; scarce: {scarce}", gaps.len());
}

#[tokio::test]
async fn when_room_is_scarce_readings_are_counted_and_told_when_the_session_ends() {
    let folder = tempfile::TempDir::new().unwrap();
    let none = Budget { megabytes: 0, ballast_megabytes: 0 };
    let (mut gateway, mut cloud) = (Gateway::at(folder.path(), none), Cloud::default());
    for _ in 0..2_000 {
        gateway.status(status(ConnectorStatus::Charging)).await;
        gateway.status(status(ConnectorStatus::Available)).await;
    }
    let tx_ref = gateway.start(1, 1_000).await;
    for reading in 1..=50 {
        gateway.meter(1, &tx_ref, 1_000 + reading).await;
    }
    assert!(gateway.store.records(Lane::Meter, 0, 10).await.unwrap().is_empty());
    gateway.meanwhile(|_| ()).await;
    gateway.meter(1, &tx_ref, 1_051).await;
    gateway.stop_session(&tx_ref, 1_100).await;
    cloud.drain(&gateway.store).await;
    let (kept, gone, gaps) = readings(&cloud);
    assert_eq!((kept, gone), (0, 51), "a restart forgets none: {gaps:?}");
    assert_eq!((gaps[0].energy_first, gaps.last().unwrap().energy_last), (Some(Wh(1_001)), Some(Wh(1_051))));
    assert_eq!(cloud.bills(), [100]);
    let statuses = cloud.events().iter().filter(|event| matches!(event, Event::StatusChanged(_))).count();
    assert!(statuses < 1_500, "{statuses} of 4,000 statuses are left");
}

#[tokio::test]
async fn what_was_sent_is_never_put_together() {
    let folder = tempfile::TempDir::new().unwrap();
    let mut gateway = Gateway::at(folder.path(), SMALL);
    let tx_ref = gateway.start(1, 0).await;
    for reading in 1..=500 {
        gateway.meter(1, &tx_ref, reading).await;
    }
    gateway.store.reserve(Lane::Meter, 300).await.unwrap();
    let before = gateway.store.records(Lane::Meter, 0, 300).await.unwrap();
    gateway.budget = Budget { megabytes: 0, ballast_megabytes: 0 };
    gateway.meanwhile(|_| ()).await;
    for _ in 0..100 {
        gateway.status(status(ConnectorStatus::Charging)).await;
    }
    assert_eq!(gateway.store.records(Lane::Meter, 0, 300).await.unwrap(), before);
}

fn status(status: ConnectorStatus) -> Event {
    let station = StationId::new("CP1").unwrap();
    Event::StatusChanged(StatusChanged { station, evse: Some(EvseNo(1)), status, error: None, at: NOW })
}

/// A disk of its own, of a few megabytes. Needs root; without, the test says so and ends.
struct Disk(tempfile::TempDir);

impl Disk {
    fn new(megabytes: u32) -> Option<Disk> {
        let folder = tempfile::TempDir::new().unwrap();
        let size = format!("size={megabytes}m");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(folder.path()).status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Disk(folder));
        }
        println!("not run: this user may not mount a disk");
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

#[tokio::test]
async fn a_stop_is_kept_on_a_full_disk() {
    let Some(disk) = Disk::new(12) else { return };
    let budget = Budget { megabytes: 1024, ballast_megabytes: 2 };
    let (mut gateway, mut cloud) = (Gateway::at(disk.path(), budget), Cloud::default());
    let tx_ref = gateway.start(1, 1_000).await;
    while !disk.path().join("ballast").exists() {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    let filled = std::fs::write(disk.path().join("another's"), vec![7; 64 << 20]);
    assert!(filled.is_err(), "the disk is full");
    let mut sessions = 0;
    // More than what is left of the pages that are allocated already.
    while disk.path().join("ballast").exists() {
        gateway.session(500).await;
        sessions += 1;
        assert!(sessions < 2_000, "the ballast is never needed");
    }
    assert_eq!(gateway.store.usage().borrow().level, Level::Scarce);
    gateway.stop_session(&tx_ref, 9_000).await;
    cloud.drain(&gateway.store).await;
    assert_eq!(cloud.bills(), [vec![500; sessions], vec![8_000]].concat());
    // Started on the full disk, it goes on.
    gateway.meanwhile(|_| ()).await;
    gateway.session(600).await;
    cloud.drain(&gateway.store).await;
    assert_eq!(cloud.bills().len(), sessions + 2);
    gateway.meanwhile(|_| ()).await;
}
