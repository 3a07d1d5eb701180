//! Sites that changed: found by their marks, read once for the whole replica, told to every map that watches.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::PgPool;
use tokio::sync::broadcast::Sender;

use crate::db::site_change::{Cursor, Stamp};

/// Sites told of at once; a bulk change comes in several pieces.
pub const AT_ONCE: usize = 500;

/// Sites as they are now.
#[derive(Debug, Clone, PartialEq)]
pub struct SitesChanged {
    /// More may have changed than is told here: read again whatever you watch.
    pub start_over: bool,
    /// Those that are there, by id.
    pub sites: Vec<Site>,
    /// Those that are not, by id.
    pub gone: Vec<i64>,
    /// How far a state has seen that takes all this in.
    pub cursor: Cursor,
}

/// A site with all that a map may ask of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Site {
    /// Its id.
    pub id: i64,
    /// Degrees east.
    pub lon: f64,
    /// Degrees north.
    pub lat: f64,
    /// Its name.
    pub name: Option<String>,
    /// Its address.
    pub address: Option<String>,
    /// Both, folded for searching.
    pub search: String,
    /// Its connectors, by id.
    pub connectors: Vec<Connector>,
}

/// A connector of a site.
#[derive(Debug, Clone, PartialEq)]
pub struct Connector {
    /// Its id.
    pub id: i64,
    /// The name of its type.
    pub kind: Option<String>,
    /// kW.
    pub power: Option<f64>,
    /// Per kWh.
    pub price: Option<f64>,
    /// Its status, as apps spell it.
    pub status: Option<String>,
    /// Is its charge point for everybody?
    pub public: bool,
}

impl SitesChanged {
    fn start_over(cursor: Cursor) -> Self {
        Self { start_over: true, sites: Vec::new(), gone: Vec::new(), cursor }
    }

    /// Sites as they are now. Many at once are many rows: take them in pieces of [`AT_ONCE`].
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn read(db: &PgPool, ids: &[i64], cursor: Cursor) -> sqlx::Result<Self> {
        let rows: Vec<Row> = sqlx::query_as(
        "select s.id, coalesce(s.lon, 0) as lon, coalesce(s.lat, 0) as lat, s.name, s.address, s.search,
                c.id as connector, c.connector_type_name as kind, c.power, c.price::float8 as price,
                c.status_name as status, coalesce(p.public, false) as public
         from sites s left join connectors c on c.site_id = s.id left join charge_points p on p.id = c.charge_point_id
         where s.id = any($1) order by s.id, c.id",
    )
    .bind(ids)
    .fetch_all(db)
    .await?;
        let sites = rows.into_iter().fold(Vec::new(), add);
        let there = |id: &i64| sites.binary_search_by_key(id, |it: &Site| it.id).is_ok();
        let mut gone: Vec<i64> = ids.iter().copied().filter(|id| !there(id)).collect();
        gone.sort_unstable();
        Ok(Self { start_over: false, sites, gone, cursor })
    }

    /// May this one have changed?
    pub fn concerns(&self, site: i64) -> bool {
        self.start_over
            || self.gone.binary_search(&site).is_ok()
            || self.sites.binary_search_by_key(&site, |it| it.id).is_ok()
    }

    /// A connector of one of the sites.
    pub fn connector(&self, id: i64) -> Option<&Connector> {
        self.sites.iter().find_map(|site| {
            let place = site.connectors.binary_search_by_key(&id, |it| it.id).ok()?;
            site.connectors.get(place)
        })
    }
}

/// What a replica has seen of the sites' marks.
#[derive(Default)]
pub(super) struct Sites {
    cursor: Option<Cursor>,
    /// Marks not below the cursor that were told of already.
    told: HashMap<i64, i64>,
}

impl Sites {
    /// Tells of all that changed since the last look.
    pub(super) async fn look(&mut self, db: &PgPool, tell: &Sender<Arc<SitesChanged>>) -> sqlx::Result<()> {
        let Some((cursor, (next, stamps))) = self.since(db).await? else {
            // Just begun, or another database answers than before.
            let cursor = Cursor::now(db).await?;
            *self = Self { cursor: Some(cursor), told: HashMap::new() };
            tell.send(Arc::new(SitesChanged::start_over(cursor))).ok();
            return Ok(());
        };
        let new: Vec<i64> = stamps.iter().filter(|it| self.is_new(it)).map(|it| it.site_id).collect();
        // Who comes later reads for himself.
        if tell.receiver_count() > 0 {
            let mut left = new.len();
            for ids in new.chunks(AT_ONCE) {
                left -= ids.len();
                // Only with the last piece has one seen all of it.
                let seen = if left == 0 { next } else { cursor };
                tell.send(Arc::new(SitesChanged::read(db, ids, seen).await?)).ok();
            }
        }
        self.told = stamps
            .into_iter()
            .filter(|it| next.may_lack(it.changed_in))
            .map(|it| (it.site_id, it.changed_in))
            .collect();
        self.cursor = Some(next);
        Ok(())
    }

    async fn since(&self, db: &PgPool) -> sqlx::Result<Option<(Cursor, (Cursor, Vec<Stamp>))>> {
        let Some(cursor) = self.cursor else { return Ok(None) };
        Ok(cursor.since(db).await?.map(|found| (cursor, found)))
    }

    fn is_new(&self, stamp: &Stamp) -> bool {
        self.told.get(&stamp.site_id) != Some(&stamp.changed_in)
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    lon: f64,
    lat: f64,
    name: Option<String>,
    address: Option<String>,
    search: String,
    connector: Option<i64>,
    kind: Option<String>,
    power: Option<f64>,
    price: Option<f64>,
    status: Option<String>,
    public: bool,
}

fn add(mut sites: Vec<Site>, row: Row) -> Vec<Site> {
    if sites.last().is_none_or(|last| last.id != row.id) {
        let Row { id, lon, lat, name, address, search, .. } = row;
        sites.push(Site { id, lon, lat, name, address, search, connectors: Vec::new() });
    }
    if let (Some(id), Some(site)) = (row.connector, sites.last_mut()) {
        let Row { kind, power, price, status, public, .. } = row;
        site.connectors.push(Connector { id, kind, power, price, status, public });
    }
    sites
}
