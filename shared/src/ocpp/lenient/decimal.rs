//! Decimal text to a scaled integer, exactly: no float ever holds a meter reading.

/// The value of a decimal text times ten to the power of `shift`, rounded half away from zero.
///
/// Takes surrounding space, a sign, an exponent, and a comma as the point where it is the only separator.
/// `None` for anything else and for what does not fit.
pub fn scaled(text: &str, shift: i32) -> Option<i64> {
    let number = Digits::parse(text.trim())?;
    let shift = number.exponent.checked_add(shift)?;
    let magnitude = if shift >= 0 {
        number.value.checked_mul(power_of_ten(shift)?)?
    } else {
        match power_of_ten(shift.checked_neg()?) {
            Some(divisor) => (number.value + divisor / 2) / divisor,
            None => 0,
        }
    };
    i64::try_from(if number.negative { -magnitude } else { magnitude }).ok()
}

/// `value × 10^exponent`.
struct Digits {
    negative: bool,
    value: i128,
    exponent: i32,
}

/// More significant digits than this are dropped: they lie far below any unit we keep.
const LARGEST: i128 = 10_i128.pow(30);

impl Digits {
    fn parse(text: &str) -> Option<Digits> {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse().ok()?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = split_at_point(mantissa)?;
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let mut digits = Digits { negative, value: 0, exponent };
        for byte in whole.bytes() {
            digits.push(byte, 0)?;
        }
        for byte in fraction.bytes() {
            digits.push(byte, -1)?;
        }
        Some(digits)
    }

    /// Appends a digit whose place moves the exponent by `step`.
    fn push(&mut self, byte: u8, step: i32) -> Option<()> {
        let digit = byte.is_ascii_digit().then(|| i128::from(byte - b'0'))?;
        if self.value < LARGEST {
            self.value = self.value * 10 + digit;
            self.exponent = self.exponent.checked_add(step)?;
        } else {
            self.exponent = self.exponent.checked_add(step + 1)?;
        }
        Some(())
    }
}

fn split_at_point(mantissa: &str) -> Option<(&str, &str)> {
    let mut parts = mantissa.split(['.', ',']);
    let (whole, fraction) = (parts.next()?, parts.next().unwrap_or(""));
    parts.next().is_none().then_some((whole, fraction))
}

fn power_of_ten(exponent: i32) -> Option<i128> {
    10_i128.checked_pow(u32::try_from(exponent).ok()?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decimals_are_read_exactly() {
        for (text, shift, value) in [
            ("1234", 0, Some(1234)),
            ("3.0", 0, Some(3)),
            (" 0.0", 0, Some(0)),
            ("1.2345", 3, Some(1235)),
            ("-1.2345", 3, Some(-1235)),
            ("0,5", 3, Some(500)),
            ("1.234,5", 0, None),
            ("1,234.5", 0, None),
            ("1e3", 0, Some(1000)),
            ("1.5E-3", 3, Some(2)),
            ("+7", 0, Some(7)),
            ("-1", 0, Some(-1)),
            ("2935.600", 3, Some(2_935_600)),
            (".5", 1, Some(5)),
            ("0.1000000000000000055511151231257827", 3, Some(100)),
            ("", 0, None),
            (".", 0, None),
            ("abc", 0, None),
            ("0x10", 0, None),
            ("NaN", 0, None),
            ("9223372036854775807", 0, Some(i64::MAX)),
            ("9223372036854775808", 0, None),
            ("1e400", 0, None),
            ("1e-400", 0, Some(0)),
        ] {
            assert_eq!(scaled(text, shift), value, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,60}", shift in -6..6) {
            let _ = scaled(&text, shift);
        }

        #[test]
        fn integers_survive(value: i64) {
            prop_assert_eq!(scaled(&value.to_string(), 0), Some(value));
        }
    }
}
