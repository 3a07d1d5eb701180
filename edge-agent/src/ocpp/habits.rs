//! How to understand a station: what is known to be peculiar about it, and where it stands.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use shared::model::quirks::StationQuirks;
use shared::units::Timestamp;

/// What goes for one station.
#[derive(Clone, Debug)]
pub struct Habits {
    /// What is peculiar about it.
    pub quirks: StationQuirks,
    /// Its site's time zone.
    pub zone: TimeZone,
}

impl Default for Habits {
    fn default() -> Self {
        Habits { quirks: StationQuirks::default(), zone: TimeZone::UTC }
    }
}

impl Habits {
    /// The habits of a station at a site in a zone (IANA name); UTC when there is no such zone.
    pub fn at(timezone: &str, quirks: StationQuirks) -> Self {
        Habits { quirks, zone: TimeZone::get(timezone).unwrap_or(TimeZone::UTC) }
    }

    /// The instant that a clock at the site means when it shows what would be `wall` in UTC (QUIRKS Q43).
    pub fn local(&self, wall: Timestamp) -> Timestamp {
        let shown = jiff::Timestamp::from_millisecond(wall.0).map(|at| TimeZone::UTC.to_datetime(at));
        let meant = |shown: DateTime| self.zone.to_timestamp(shown);
        shown.and_then(meant).map_or(wall, |at| Timestamp(at.as_millisecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_at_the_site_shows_its_zone() {
        let noon = Timestamp(1_763_812_800_000);
        let at = |zone: &str| Habits::at(zone, StationQuirks::default()).local(noon);
        assert_eq!(at("Europe/Berlin"), noon.plus_millis(-3_600_000));
        assert_eq!(at("America/New_York"), noon.plus_millis(5 * 3_600_000));
        assert_eq!((at("UTC"), at("Nowhere/At_All")), (noon, noon));
    }
}
