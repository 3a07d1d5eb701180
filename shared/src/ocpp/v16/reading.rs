//! What a meter said at an instant: the many sampled values of a MeterValue drawn together into one reading.
//!
//! A value without a phase is the whole; where only phases are sent, energy and power are their sum, current and voltage
//! the highest of them (Q65). Values taken at the outlet win over those taken elsewhere; the state of charge comes from
//! the vehicle.

use serde_json::value::RawValue;

use super::names::Context;
use crate::ocpp::lenient::{Oddity, Reader, Time, decimal, json};
use crate::units::{MilliAmps, MilliVolts, Percent, Watts, Wh};

/// One reading. Each value is there only if the station sent it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// When it was taken.
    pub at: Option<Time>,
    /// Why it was taken.
    pub context: Option<Context>,
    /// The import register (`Energy.Active.Import.Register`).
    pub register: Option<Wh>,
    /// Power into the vehicle.
    pub power: Option<Watts>,
    /// Current into the vehicle.
    pub current: Option<MilliAmps>,
    /// Voltage.
    pub voltage: Option<MilliVolts>,
    /// The vehicle's state of charge.
    pub soc: Option<Percent>,
}

impl Reading {
    /// Reads a list of MeterValue, or a single one that stands without a list (Q27).
    pub fn read_all(reader: &mut Reader, field: &str, raw: Option<&RawValue>) -> Vec<Reading> {
        let mut readings = Vec::new();
        one_or_many(reader, field, raw, |reader, value| readings.push(Reading::read(reader, value)));
        readings
    }

    fn read(reader: &mut Reader, raw: &RawValue) -> Reading {
        let [at, samples] = reader.members(raw, ["timestamp", "sampledValue"]);
        let at = reader.time("meterValue.timestamp", at);
        let mut samples_taken = Samples::default();
        one_or_many(reader, "sampledValue", samples, |reader, raw| samples_taken.add(reader, raw));
        samples_taken.reading(at)
    }
}

fn one_or_many<'a>(
    reader: &mut Reader,
    field: &str,
    raw: Option<&'a RawValue>,
    mut each: impl FnMut(&mut Reader, &'a RawValue),
) {
    let Some(raw) = raw else { return };
    if raw.get().starts_with('{') {
        reader.findings.soft(field, Oddity::WrongType, "stands without its list");
        each(reader, raw);
    } else if !json::items(raw, |item| each(reader, item)) {
        reader.findings.soft(field, Oddity::WrongType, "is no list");
    }
}

#[derive(Default)]
struct Samples {
    context: Option<Context>,
    register: Quantity,
    power: Quantity,
    current: Quantity,
    voltage: Quantity,
    soc: Quantity,
}

/// One quantity's values as far as they were read.
#[derive(Default)]
struct Quantity {
    whole: Option<i64>,
    phases: [Option<i64>; 3],
    elsewhere: Option<i64>,
}

impl Samples {
    fn add(&mut self, reader: &mut Reader, raw: &RawValue) {
        let names = ["value", "context", "format", "measurand", "phase", "location", "unit"];
        let [value, context, format, measurand, phase, location, unit] = reader.members(raw, names);
        self.context = self.context.or(reader.name("context", context, Context::from_name));
        let signed = format.and_then(json::text).is_some_and(|f| f.trim().eq_ignore_ascii_case("SignedData"));
        let Some(value) = value.and_then(json::text).filter(|_| !signed) else { return };
        let measurand = measurand.and_then(json::text);
        let name = measurand.as_deref().map_or("Energy.Active.Import.Register", str::trim);
        let Some((quantity, base)) = self.quantity(name) else { return };
        let scale = if matches!(base, Base::Wh) { reader.energy_shift() } else { 0 };
        let unit = unit.and_then(json::text);
        let shift = shift_of(base, unit.as_deref().map(str::trim)).unwrap_or_else(|| {
            let unit = unit.as_deref().unwrap_or_default();
            let what = format_args!("{unit:?} does not fit {name}");
            reader.findings.soft("unit", Oddity::WrongUnit, what);
            base.shift()
        });
        match decimal::scaled(&value, shift + scale) {
            Some(number) => {
                let phase = phase.and_then(json::text);
                let location = location.and_then(json::text);
                quantity.put(number, phase.as_deref().map(str::trim), location.as_deref().map(str::trim));
            }
            None => reader.findings.soft("value", Oddity::NotANumber, format_args!("{value:?} is no number")),
        }
    }

    /// Where values of a measurand belong; `None` for those that we do not keep.
    fn quantity(&mut self, measurand: &str) -> Option<(&mut Quantity, Base)> {
        let is = |name: &str| measurand.eq_ignore_ascii_case(name);
        if is("Energy.Active.Import.Register") {
            Some((&mut self.register, Base::Wh))
        } else if is("Power.Active.Import") {
            Some((&mut self.power, Base::W))
        } else if is("Current.Import") {
            Some((&mut self.current, Base::A))
        } else if is("Voltage") {
            Some((&mut self.voltage, Base::V))
        } else if is("SoC") {
            Some((&mut self.soc, Base::Percent))
        } else {
            None
        }
    }

    fn reading(&self, at: Option<Time>) -> Reading {
        let percent = |value: i64| u8::try_from(value).ok().filter(|p| *p <= 100).map(Percent);
        Reading {
            at,
            context: self.context,
            register: self.register.sum().map(Wh),
            power: self.power.sum().map(Watts),
            current: self.current.highest().map(MilliAmps),
            voltage: self.voltage.highest().map(MilliVolts),
            soc: self.soc.whole.or(self.soc.elsewhere).and_then(percent),
        }
    }
}

impl Quantity {
    fn put(&mut self, value: i64, phase: Option<&str>, location: Option<&str>) {
        if location.is_some_and(|place| !place.eq_ignore_ascii_case("Outlet")) {
            if phase.is_none() {
                self.elsewhere = Some(value);
            }
            return;
        }
        match phase {
            None => self.whole = Some(value),
            Some(phase) => {
                let number = match phase.get(..2) {
                    Some("L1") => 0,
                    Some("L2") => 1,
                    Some("L3") => 2,
                    _ => return,
                };
                self.phases[number] = Some(value);
            }
        }
    }

    fn sum(&self) -> Option<i64> {
        let phases = self.phases.into_iter().flatten().reduce(i64::saturating_add);
        self.whole.or(phases).or(self.elsewhere)
    }

    fn highest(&self) -> Option<i64> {
        self.whole.or(self.phases.into_iter().flatten().max()).or(self.elsewhere)
    }
}

/// The unit that a measurand has when none is given.
#[derive(Clone, Copy)]
enum Base {
    Wh,
    W,
    A,
    V,
    Percent,
}

impl Base {
    /// The power of ten from the unit to what we keep: Wh, W, mA, mV, percent.
    fn shift(self) -> i32 {
        match self {
            Base::Wh | Base::W | Base::Percent => 0,
            Base::A | Base::V => 3,
        }
    }
}

fn shift_of(base: Base, unit: Option<&str>) -> Option<i32> {
    let Some(unit) = unit else { return Some(base.shift()) };
    let is = |name: &str| unit.eq_ignore_ascii_case(name);
    match base {
        Base::Wh if is("Wh") => Some(0),
        Base::Wh if is("kWh") => Some(3),
        Base::W if is("W") => Some(0),
        Base::W if is("kW") => Some(3),
        Base::A if is("A") => Some(3),
        Base::A if is("mA") => Some(0),
        Base::V if is("V") => Some(3),
        Base::Percent if is("Percent") || is("%") => Some(0),
        Base::Wh | Base::W | Base::A | Base::V | Base::Percent => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ocpp::lenient::Zone;
    use crate::units::Timestamp;

    fn read(json: &str) -> (Vec<Reading>, usize) {
        let raw = RawValue::from_string(json.to_owned()).unwrap();
        let mut reader = Reader::default();
        let readings = Reading::read_all(&mut reader, "meterValue", Some(&raw));
        (readings, reader.done(()).findings.len())
    }

    fn one(samples: &str) -> Reading {
        let json = format!(r#"[{{"timestamp":"1970-01-01T00:00:01Z","sampledValue":{samples}}}]"#);
        read(&json).0[0]
    }

    #[test]
    fn samples_are_drawn_together() {
        let reading = one(r#"[{"value":"12.3456","unit":"kWh","context":"Sample.Periodic"},
                {"value":"7360.4","measurand":"Power.Active.Import","unit":"W"},
                {"value":"16.05","measurand":"Current.Import","phase":"L1","unit":"A"},
                {"value":"15.9","measurand":"Current.Import","phase":"L2","unit":"A"},
                {"value":"230.1","measurand":"Voltage","phase":"L1-N"},
                {"value":"0","measurand":"Current.Offered","unit":"A"},
                {"value":"55","measurand":"SoC","location":"EV","unit":"Percent"}]"#);
        let expected = Reading {
            at: Some(Time { at: Timestamp(1000), zone: Zone::Given }),
            context: Some(Context::Periodic),
            register: Some(Wh(12_346)),
            power: Some(Watts(7360)),
            current: Some(MilliAmps(16_050)),
            voltage: Some(MilliVolts(230_100)),
            soc: Some(Percent(55)),
        };
        assert_eq!(reading, expected);
    }

    #[test]
    fn q65_phases_are_summed_unless_the_whole_is_there() {
        let phases =
            r#"{"value":"100","phase":"L1"},{"value":"200","phase":"L2"},{"value":"300","phase":"L3"}"#;
        assert_eq!(one(&format!("[{phases}]")).register, Some(Wh(600)));
        assert_eq!(one(&format!(r#"[{phases},{{"value":"601"}}]"#)).register, Some(Wh(601)));
    }

    #[test]
    fn q27_q28_q30_q31_q32_odd_values() {
        let (readings, findings) =
            read(r#"{"timestamp":"1970-01-01T00:00:01Z","sampledValue":{"value":" 0.0"}}"#);
        assert_eq!((readings[0].register, findings), (Some(Wh(0)), 2));
        assert_eq!(one("[]").register, None);
        assert_eq!(one(r#"[{"value":""}]"#).register, None);
        assert_eq!(one(r#"[{"value":"1,5","unit":"kWh"}]"#).register, Some(Wh(1500)));
        assert_eq!(one(r#"[{"value":15.5,"unit":"kwh"}]"#).register, Some(Wh(15_500)));
        assert_eq!(one(r#"[{"value":"9","context":"Sample.Strange","unit":"Wh "}]"#).register, Some(Wh(9)));
        assert_eq!(one(r#"[{"value":"9","measurand":"Power"}]"#), one("[]"));
        assert_eq!(one(r#"[{"value":"120","measurand":"SoC"}]"#).soc, None);
        assert_eq!(one(r#"[{"value":"00FF==","format":"SignedData"}]"#).register, None);
    }

    #[test]
    fn the_outlet_wins() {
        let reading = one(r#"[{"value":"5","location":"Inlet"},{"value":"4","location":"Outlet"}]"#);
        assert_eq!(reading.register, Some(Wh(4)));
        assert_eq!(one(r#"[{"value":"5","location":"Inlet"}]"#).register, Some(Wh(5)));
    }
}
