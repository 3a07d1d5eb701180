//! Damage to the database, and what is billed after it.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::cloud::Cloud;
use crate::gateway::Gateway;
use shared::model::Event;

const DATABASE: &str = "edge.sqlite3";

fn garbage(path: &Path) {
    fs::write(path, vec![0x5a; 60_000]).unwrap();
}

fn truncate(path: &Path, length: u64) {
    File::options().write(true).open(path).unwrap().set_len(length).unwrap();
}

fn overwrite(path: &Path, at: u64, bytes: &[u8]) {
    File::options().write(true).open(path).unwrap().write_all_at(bytes, at).unwrap();
}

/// One session was sent, one snapshot made; then one ends and one runs that neither the cloud nor the snapshot knows.
async fn lived(gateway: &mut Gateway, cloud: &mut Cloud) -> String {
    gateway.session(5_000).await;
    cloud.drain(&gateway.store).await;
    let running = gateway.start(2, 70_000).await;
    gateway.store.snapshot().await.unwrap();
    gateway.meter(2, &running, 72_000).await;
    gateway.session(7_000).await;
    running
}

/// The gateway goes on, and everything is billed once.
async fn goes_on(gateway: &mut Gateway, cloud: &mut Cloud, running: &str) {
    gateway.tell_damage().await;
    gateway.meter(2, running, 80_000).await;
    gateway.stop_session(running, 81_000).await;
    gateway.session(9_000).await;
    cloud.drain(&gateway.store).await;
    assert_eq!(cloud.bills(), [5_000, 7_000, 9_000, 11_000]);
    assert_eq!(cloud.begun(), 4);
}

fn alarms(cloud: &Cloud) -> Vec<String> {
    let what = |event| if let Event::SecurityNoticed(it) = event { Some(it.what) } else { None };
    cloud.events().into_iter().filter_map(what).collect()
}

type Harm = (&'static str, fn(&Path));

#[tokio::test]
async fn whatever_happens_to_the_file_every_session_is_billed_once() {
    let harms: [Harm; 8] = [
        ("garbage", |folder| garbage(&folder.join(DATABASE))),
        ("cut off", |folder| truncate(&folder.join(DATABASE), 10_000)),
        ("empty", |folder| truncate(&folder.join(DATABASE), 0)),
        ("gone", |folder| fs::remove_file(folder.join(DATABASE)).unwrap()),
        ("its first page is zeros", |folder| overwrite(&folder.join(DATABASE), 0, &[0; 4096])),
        ("its tree is", |folder| overwrite(&folder.join(DATABASE), 4096, &[0xff; 8192])),
        ("another's", |folder| overwrite(&folder.join(DATABASE), 68, &[1, 2, 3, 4])),
        ("a snapshot, too", |folder| {
            garbage(&folder.join(DATABASE));
            for file in fs::read_dir(folder.join("snapshots")).unwrap() {
                garbage(&file.unwrap().path());
            }
        }),
    ];
    for (name, harm) in harms {
        println!("{name}");
        let (mut gateway, mut cloud) = (Gateway::new(), Cloud::default());
        let running = lived(&mut gateway, &mut cloud).await;
        let epoch = gateway.store.position().borrow().epoch;
        gateway.meanwhile(harm).await;
        assert_ne!(gateway.store.position().borrow().epoch, epoch, "{name}: a new epoch");
        assert_eq!(gateway.damages.len(), 1, "{name}: {:?}", gateway.damages);
        goes_on(&mut gateway, &mut cloud, &running).await;
        assert_eq!(alarms(&cloud), ["database_restored"], "{name}");
        if !["gone"].contains(&name) {
            assert!(gateway.folder.join("quarantine/0001-edge.sqlite3").exists(), "{name}: kept");
        }
        gateway.meanwhile(|_| ()).await;
        assert!(gateway.damages.is_empty(), "{name}: told once");
    }
}

#[tokio::test]
async fn a_database_that_lost_its_wal_is_brought_up_to_date() {
    let (mut gateway, mut cloud) = (Gateway::new(), Cloud::default());
    let running = lived(&mut gateway, &mut cloud).await;
    let old = tempfile::TempDir::new().unwrap();
    // As it is while it runs; a stopped one has no WAL.
    fs::copy(gateway.folder.join(DATABASE), old.path().join(DATABASE)).unwrap();
    gateway.meanwhile(|folder| copy(old.path().join(DATABASE), folder.join(DATABASE))).await;
    assert!(gateway.damages.iter().all(|it| it.what.starts_with("database_")));
    assert_eq!(gateway.damages.len(), 1);
    goes_on(&mut gateway, &mut cloud, &running).await;
}

#[tokio::test]
async fn an_old_backup_is_brought_up_to_date() {
    let (mut gateway, mut cloud) = (Gateway::new(), Cloud::default());
    let backup = tempfile::TempDir::new().unwrap();
    gateway.meanwhile(|folder| copy(folder.join(DATABASE), backup.path().join(DATABASE))).await;
    let running = lived(&mut gateway, &mut cloud).await;
    gateway.meanwhile(|folder| copy(backup.path().join(DATABASE), folder.join(DATABASE))).await;
    assert_eq!(gateway.damages[0].what, "database_went_back");
    goes_on(&mut gateway, &mut cloud, &running).await;
    assert_eq!(alarms(&cloud), ["database_went_back"]);
}

#[tokio::test]
async fn a_start_whose_commit_was_cut_short_is_the_same_when_it_comes_again() {
    let (mut gateway, mut cloud) = (Gateway::new(), Cloud::default());
    gateway.session(5_000).await;
    let kept = tempfile::TempDir::new().unwrap();
    gateway.meanwhile(|folder| copy(folder.join(DATABASE), kept.path().join(DATABASE))).await;
    let epoch = gateway.store.position().borrow().epoch;
    let start = gateway.start_fact(1, 6_000);
    let first = gateway.begin(start.clone()).await;
    // The journal had it, the database had not.
    gateway.meanwhile(|folder| copy(kept.path().join(DATABASE), folder.join(DATABASE))).await;
    assert!(gateway.damages.is_empty());
    assert_eq!(gateway.store.position().borrow().epoch, epoch, "nothing was lost");
    assert_eq!(gateway.begin(start).await, first);
    gateway.stop_session(&first, 8_000).await;
    cloud.drain(&gateway.store).await;
    assert_eq!((cloud.bills(), cloud.begun()), (vec![2_000, 5_000], 2));
}

/// As if the power had gone before the journal was synced: its last commit is not there.
fn lose_last_frame(folder: &Path) {
    let mut segments: Vec<PathBuf> =
        fs::read_dir(folder.join("journal")).unwrap().map(|file| file.unwrap().path()).collect();
    segments.sort();
    let frames = |path: &PathBuf| (path.clone(), fs::read(path).unwrap());
    let is_last = |(_, bytes): &(PathBuf, Vec<u8>)| bytes.windows(4).any(|four| four == b"EVJ1");
    let (path, bytes) = segments.iter().rev().map(frames).find(is_last).unwrap();
    let at = bytes.windows(4).rposition(|four| four == b"EVJ1").unwrap();
    overwrite(&path, at.try_into().unwrap(), &vec![0; bytes.len() - at]);
}

#[tokio::test]
async fn a_commit_that_the_journal_missed_is_in_a_snapshot_before_anything_is_answered() {
    let (mut gateway, mut cloud) = (Gateway::new(), Cloud::default());
    gateway.session(5_000).await;
    let start = gateway.start_fact(1, 6_000);
    let first = gateway.begin(start.clone()).await;
    gateway.meanwhile(lose_last_frame).await;
    assert!(gateway.damages.is_empty());
    assert_eq!(gateway.begin(start.clone()).await, first, "the database knows it");
    gateway.meanwhile(|folder| garbage(&folder.join(DATABASE))).await;
    assert_eq!(gateway.begin(start).await, first, "so does what took its place");
    gateway.stop_session(&first, 8_000).await;
    cloud.drain(&gateway.store).await;
    assert_eq!((cloud.bills(), cloud.begun()), (vec![2_000, 5_000], 2));
}

#[tokio::test]
async fn the_journal_is_let_go_of_when_two_others_have_it() {
    let (mut gateway, mut cloud) = (Gateway::new(), Cloud::default());
    let segments = |gateway: &Gateway| fs::read_dir(gateway.folder.join("journal")).unwrap().count();
    for _ in 0..4 {
        gateway.session(5_000).await;
        gateway.store.snapshot().await.unwrap();
    }
    gateway.session(1_000).await;
    assert_eq!(segments(&gateway), 5, "the cloud has nothing");
    cloud.drain(&gateway.store).await;
    gateway.store.snapshot().await.unwrap();
    gateway.session(1_000).await;
    assert_eq!(segments(&gateway), 2, "that of the older snapshot's time, and the new one");
    assert_eq!(fs::read_dir(gateway.folder.join("snapshots")).unwrap().count(), 2);
}

#[tokio::test]
async fn a_newer_agents_database_is_left_alone() {
    let mut gateway = Gateway::new();
    gateway.session(5_000).await;
    let folder = gateway.folder.clone();
    let newer = |user_version: u32| overwrite(&folder.join(DATABASE), 60, &user_version.to_be_bytes());
    let before = tempfile::TempDir::new().unwrap();
    gateway
        .meanwhile(|folder| {
            fs::copy(folder.join(DATABASE), before.path().join(DATABASE)).unwrap();
            newer(9_999);
            let error = edge_agent::store::Store::open(folder).err().unwrap();
            assert!(format!("{error:#}").contains("newer agent"), "{error:#}");
            fs::copy(before.path().join(DATABASE), folder.join(DATABASE)).unwrap();
        })
        .await;
    assert!(!folder.join("quarantine").exists());
}

/// Every flip is found, or changes no bill. `FLIPS` sets how many.
#[tokio::test]
async fn flipped_bits_are_found_or_harmless() {
    let flips: u64 = std::env::var("FLIPS").map_or(100, |flips| flips.parse().unwrap());
    let mut gateway = Gateway::new();
    let running = lived(&mut gateway, &mut Cloud::default()).await;
    let whole = tempfile::TempDir::new().unwrap();
    gateway.meanwhile(|folder| copy_all(folder, whole.path())).await;
    drop(gateway);
    let length = fs::metadata(whole.path().join(DATABASE)).unwrap().len();
    let (mut found, mut dice) = (0, 0x9e37_79b9_7f4a_7c15_u64);
    for flip in 0..flips {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (at, bit) = ((dice >> 16) % length, 1_u8 << (dice & 7));
        let folder = tempfile::TempDir::new_in("/dev/shm").or_else(|_| tempfile::TempDir::new()).unwrap();
        copy_all(whole.path(), folder.path());
        let mut bytes = fs::read(folder.path().join(DATABASE)).unwrap();
        bytes[usize::try_from(at).unwrap()] ^= bit;
        fs::write(folder.path().join(DATABASE), bytes).unwrap();
        let mut gateway = Gateway::at(folder.path(), Default::default());
        found += u32::from(!gateway.damages.is_empty());
        let mut cloud = Cloud::default();
        gateway.stop_session(&running, 81_000).await;
        // One in a record that was acknowledged long ago is found when all are sent again: the agent ends, and mends itself.
        if cloud.try_drain(&gateway.store).await.is_err() {
            gateway.meanwhile(|_| ()).await;
            found += u32::from(!gateway.damages.is_empty());
            cloud.drain(&gateway.store).await;
        }
        assert_eq!(cloud.bills(), [5_000, 7_000, 11_000], "flip {flip}: bit {bit} of byte {at}");
    }
    println!("{flips} flips, {found} found, the others changed nothing that matters");
}

fn copy(from: PathBuf, to: PathBuf) {
    fs::copy(from, to).unwrap();
}

fn copy_all(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir_all(&target).unwrap();
            copy_all(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
