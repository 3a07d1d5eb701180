//! Quantities as checked integers, each with its unit in the type. Decimals exist only at the parse edge and on the
//! screen; nothing here is a float.

use std::fmt;
use std::iter::Sum;

use serde::{Deserialize, Serialize};

macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl $name {
            /// The difference, or `None` when it does not fit.
            pub fn checked_sub(self, other: Self) -> Option<Self> {
                self.0.checked_sub(other.0).map($name)
            }

            /// The sum, or `None` when it does not fit.
            pub fn checked_add(self, other: Self) -> Option<Self> {
                self.0.checked_add(other.0).map($name)
            }
        }
    };
}

quantity! {
    /// Energy in watt-hours. Also a meter register's reading.
    Wh(i64)
}
quantity! {
    /// Power in watts; negative when energy flows back.
    Watts(i64)
}
quantity! {
    /// Current in milliamperes.
    MilliAmps(i64)
}
quantity! {
    /// Voltage in millivolts.
    MilliVolts(i64)
}
quantity! {
    /// A battery's state of charge, 0 to 100.
    Percent(u8)
}
quantity! {
    /// A point in time: milliseconds since 1970-01-01T00:00:00Z.
    Timestamp(i64)
}

impl Wh {
    /// No energy.
    pub const ZERO: Wh = Wh(0);
}

impl Timestamp {
    /// This instant moved by `millis` (negative: earlier), held at the ends of the range.
    pub fn plus_millis(self, millis: i64) -> Self {
        Timestamp(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to this instant, negative when it is not earlier.
    pub fn millis_since(self, earlier: Timestamp) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The instant as chrono's type, for formatting. `None` outside of chrono's range.
    pub fn to_utc(self) -> Option<chrono::DateTime<chrono::Utc>> {
        chrono::DateTime::from_timestamp_millis(self.0)
    }

    /// The instant of chrono's type, cut to milliseconds.
    pub fn from_utc(time: chrono::DateTime<chrono::Utc>) -> Self {
        Timestamp(time.timestamp_millis())
    }
}

impl fmt::Display for Timestamp {
    /// `2026-11-22T17:28:19.174Z`: always UTC, always `Z`, three fraction digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_utc() {
            Some(time) => write!(f, "{}", time.format("%Y-%m-%dT%H:%M:%S%.3fZ")),
            None => write!(f, "{}ms", self.0),
        }
    }
}

impl Sum for Wh {
    fn sum<I: Iterator<Item = Wh>>(iter: I) -> Wh {
        Wh(iter.map(|wh| wh.0).sum())
    }
}

/// An ISO 4217 currency code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

/// A text that is no ISO 4217 code.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a currency is three capital letters such as EUR, got {0:?}")]
pub struct BadCurrency(String);

impl Currency {
    /// US dollar: what the seed API's prices are in unless said otherwise.
    pub const USD: Currency = Currency(*b"USD");
    /// Euro.
    pub const EUR: Currency = Currency(*b"EUR");

    /// Takes three capital letters.
    pub fn new(code: &str) -> Result<Self, BadCurrency> {
        match code.as_bytes() {
            &[a, b, c] if [a, b, c].iter().all(u8::is_ascii_uppercase) => Ok(Currency([a, b, c])),
            _ => Err(BadCurrency(code.into())),
        }
    }

    /// The three letters.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).expect("made of ASCII letters")
    }

    /// Digits after the point on a bill (ISO 4217 minor unit); 2 for all but the few listed.
    pub fn minor_digits(&self) -> u32 {
        match &self.0 {
            b"BIF" | b"CLP" | b"DJF" | b"GNF" | b"ISK" | b"JPY" | b"KMF" | b"KRW" | b"PYG" | b"RWF"
            | b"UGX" | b"VND" | b"VUV" | b"XAF" | b"XOF" | b"XPF" => 0,
            b"BHD" | b"IQD" | b"JOD" | b"KWD" | b"LYD" | b"OMR" | b"TND" => 3,
            _ => 2,
        }
    }
}

impl TryFrom<String> for Currency {
    type Error = BadCurrency;
    fn try_from(code: String) -> Result<Self, BadCurrency> {
        Currency::new(&code)
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> String {
        currency.code().into()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// An amount of money in millionths of the currency's unit: 0.25 USD is `Money { USD, 250_000 }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    /// The currency of the amount.
    pub currency: Currency,
    /// Millionths of the currency's unit.
    pub micros: i64,
}

/// Millionths in one unit of a currency.
pub const MICROS: i64 = 1_000_000;

impl Money {
    /// No money, in a currency.
    pub fn zero(currency: Currency) -> Self {
        Money { currency, micros: 0 }
    }

    /// Millionths in the smallest amount that a bill in this currency can show.
    pub fn minor_unit(currency: Currency) -> i64 {
        MICROS / 10_i64.pow(currency.minor_digits())
    }
}

impl fmt::Display for Money {
    /// `1.25 USD`, with the currency's digits, and more only where the amount has them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.micros < 0 { "-" } else { "" };
        let (whole, part) = (self.micros.unsigned_abs() / 1_000_000, self.micros.unsigned_abs() % 1_000_000);
        let digits = format!("{part:06}");
        let kept = digits.trim_end_matches('0').len().max(self.currency.minor_digits() as usize);
        let point = if kept == 0 { "" } else { "." };
        write!(f, "{sign}{whole}{point}{} {}", &digits[..kept], self.currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_prints_as_on_a_bill() {
        let usd = |micros| Money { currency: Currency::USD, micros }.to_string();
        assert_eq!(usd(250_000), "0.25 USD");
        assert_eq!(usd(-1_500_000), "-1.50 USD");
        assert_eq!(usd(1_234_567), "1.234567 USD");
        let yen = Money { currency: Currency::new("JPY").unwrap(), micros: 120_000_000 };
        assert_eq!(yen.to_string(), "120 JPY");
    }

    #[test]
    fn currencies_are_checked() {
        assert!(Currency::new("usd").is_err());
        assert!(Currency::new("EURO").is_err());
        assert_eq!(Currency::new("EUR"), Ok(Currency::EUR));
    }

    #[test]
    fn timestamps_print_as_utc_with_z() {
        assert_eq!(Timestamp(0).to_string(), "1970-01-01T00:00:00.000Z");
    }
}
