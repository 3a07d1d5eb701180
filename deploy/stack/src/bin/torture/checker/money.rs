//! What energy costs, by arithmetic of our own: energy times price, rounded half up to whole cents.

/// In millionths of the currency, at so many millionths for a kWh.
pub(super) fn owed(energy_wh: i64, price_micros_per_kwh: i64) -> i64 {
    let exact_thousandths = i128::from(energy_wh) * i128::from(price_micros_per_kwh);
    let cents = (exact_thousandths + 5_000_000).div_euclid(10_000_000);
    i64::try_from(cents * 10_000).expect("nobody owes that much")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cents_are_rounded_half_up() {
        assert_eq!(owed(0, 450_000), 0);
        assert_eq!(owed(7_761, 450_000), 3_490_000);
        assert_eq!(owed(100, 450_000), 50_000, "4.5 cents");
        assert_eq!(owed(99, 450_000), 40_000, "4.455 cents");
    }
}
