//! Passwords as stations show them (QUIRKS Q11). The security whitepaper made them bytes that are written in hexadecimal digits
//! into a station's settings: some stations then show the digits, some the bytes. Some leave out the user before the colon.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, HeaderMap};
use shared::id::StationId;

/// Longer ones are compared as they are.
const LONGEST_HEX: usize = 80;

/// The password of Basic credentials whose user is the station, or nobody. Passwords are bytes: not every one is UTF-8.
pub(super) fn shown(headers: &HeaderMap, station: &StationId) -> Option<Vec<u8>> {
    let header = headers.get(AUTHORIZATION)?.as_bytes();
    let (scheme, encoded) = header.split_at_checked(6)?;
    let decoded =
        STANDARD.decode(encoded.trim_ascii()).ok().filter(|_| scheme.eq_ignore_ascii_case(b"basic "))?;
    if let Some(password) = decoded.strip_prefix(b":") {
        return Some(password.to_vec());
    }
    let user_and_colon = station.as_str().len() + 1;
    let (user, password) = decoded.split_at_checked(user_and_colon)?;
    (user.strip_suffix(b":")? == station.as_str().as_bytes()).then(|| password.to_vec())
}

/// What a password that was shown may be: itself, the bytes that its digits stand for, or the digits that stand for its bytes.
/// Few, because each may cost a slow hash.
pub(super) fn forms(password: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![password.to_vec()];
    if let Some(bytes) = bytes_of(password) {
        forms.push(bytes);
    } else if password.iter().any(|byte| !byte.is_ascii_graphic()) && password.len() * 2 <= LONGEST_HEX {
        forms.push(hex(password, b"0123456789ABCDEF"));
        forms.push(hex(password, b"0123456789abcdef"));
    }
    forms
}

fn bytes_of(digits: &[u8]) -> Option<Vec<u8>> {
    let fits = !digits.is_empty() && digits.len() <= LONGEST_HEX && digits.len().is_multiple_of(2);
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pair = |pair: &[u8]| Some(digit(&pair[0])? << 4 | digit(&pair[1])?);
    fits.then(|| digits.chunks_exact(2).map(pair).collect())?
}

fn hex(bytes: &[u8], digits: &[u8; 16]) -> Vec<u8> {
    let pair = |byte: &u8| [digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]];
    bytes.iter().flat_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_basic_user_is_the_station_or_nobody_and_the_password_may_hold_anything() {
        let station = StationId::new("CP1").unwrap();
        let header = |bytes: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, format!("Basic {}", STANDARD.encode(bytes)).parse().unwrap());
            headers
        };
        assert_eq!(shown(&header(b"CP1:a:b\xff"), &station).as_deref(), Some(&b"a:b\xff"[..]));
        assert_eq!(shown(&header(b":secret"), &station).as_deref(), Some(&b"secret"[..]));
        assert_eq!(shown(&header(b"CP2:x"), &station), None);
        assert_eq!(shown(&header(b"CP1"), &station), None);
        assert_eq!(shown(&HeaderMap::new(), &station), None);
    }

    #[test]
    fn digits_and_bytes_stand_for_each_other() {
        assert_eq!(forms(b"0aFF"), [b"0aFF".to_vec(), vec![0x0a, 0xff]]);
        assert_eq!(forms(&[0x0a, 0xff]), [vec![0x0a, 0xff], b"0AFF".to_vec(), b"0aff".to_vec()]);
        assert_eq!(forms(b"correct-horse"), [b"correct-horse".to_vec()]);
    }
}
