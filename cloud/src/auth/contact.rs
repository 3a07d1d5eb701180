//! Where a one-time code can be sent: an e-mail address or a phone number, in the one spelling by which it is compared.

/// An address or a number of somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contact {
    /// `+` and 8 to 15 digits, as `phone_key` in the database has it.
    Phone(String),
    /// In small letters.
    Email(String),
}

/// The first apps send both, and the phone number is meant when it is longer than this.
const LONGER_THAN: usize = 8;
/// The longest address that SMTP takes.
const LONGEST_EMAIL: usize = 254;

impl Contact {
    /// The phone number if it is one, else the e-mail address.
    ///
    /// # Errors
    /// A sentence for the one who typed it.
    pub fn choose(phone: Option<&str>, email: Option<&str>) -> Result<Self, String> {
        match (phone.map(str::trim), email.map(str::trim).filter(|email| !email.is_empty())) {
            (Some(phone), _) if phone.chars().count() > LONGER_THAN => Self::phone(phone),
            (_, Some(email)) => Self::email(email),
            (Some(phone), None) if !phone.is_empty() => Self::phone(phone),
            (_, None) => Err("Give a phone number or an email address.".into()),
        }
    }

    /// A phone number with its country code, however it is spaced.
    ///
    /// # Errors
    /// A sentence for the one who typed it.
    pub fn phone(text: &str) -> Result<Self, String> {
        let bare: String = text
            .chars()
            .filter(|it| !it.is_whitespace() && !matches!(it, '(' | ')' | '.' | '-' | '/'))
            .collect();
        let digits = bare.strip_prefix('+').or_else(|| bare.strip_prefix("00")).unwrap_or_default();
        let is_number = digits.bytes().all(|it| it.is_ascii_digit()) && !digits.starts_with('0');
        if is_number && (8..=15).contains(&digits.len()) {
            return Ok(Contact::Phone(format!("+{digits}")));
        }
        Err("This is no phone number: write it with its country code, as +1 415 555 2671.".into())
    }

    /// An e-mail address.
    ///
    /// # Errors
    /// A sentence for the one who typed it.
    pub fn email(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let parsed = text.parse::<lettre::Address>().ok();
        match parsed.filter(|it| it.domain().contains('.') && text.len() <= LONGEST_EMAIL) {
            Some(_) => Ok(Contact::Email(text.to_lowercase())),
            None => Err("This is no email address: write it as name@example.com.".into()),
        }
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        match self {
            Contact::Phone(text) | Contact::Email(text) => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_however_it_is_typed() {
        for typed in [
            "+14155552671",
            "+1 (415) 555-2671",
            "001.415.555.2671",
            " +1/415/5552671 ",
            "+1\u{a0}4155552671",
        ] {
            assert_eq!(Contact::phone(typed), Ok(Contact::Phone("+14155552671".into())), "{typed}");
        }
        for wrong in [
            "",
            "+",
            "4155552671",
            "(415) 555-2671",
            "+0155552671",
            "+1415555",
            "+1234567890123456",
            "+1415555267x",
            "+١٤١٥٥٥٥٢٦٧١",
        ] {
            assert!(Contact::phone(wrong).unwrap_err().contains("country code"), "{wrong}");
        }
    }

    #[test]
    fn addresses_are_in_small_letters() {
        assert_eq!(Contact::email(" Ann@Example.COM "), Ok(Contact::Email("ann@example.com".into())));
        for wrong in [
            "",
            "ann",
            "ann@",
            "@example.com",
            "ann@example",
            "a b@example.com",
            "ann@example.com\r\nBcc: x@y.z",
            "ann@exa mple.com",
        ] {
            assert!(Contact::email(wrong).unwrap_err().contains("name@example.com"), "{wrong}");
        }
        assert!(Contact::email(&format!("{}@example.com", "a".repeat(250))).is_err());
    }

    #[test]
    fn a_long_phone_number_goes_before_the_address() {
        let email = Ok(Contact::Email("a@b.cd".into()));
        assert_eq!(Contact::choose(Some("+14155552671"), Some("a@b.cd")), Contact::phone("+14155552671"));
        assert_eq!(Contact::choose(Some("12345678"), Some("a@b.cd")), email);
        assert_eq!(Contact::choose(None, Some("a@b.cd")), email);
        assert!(Contact::choose(Some("12345678"), None).unwrap_err().contains("country code"));
        assert!(Contact::choose(Some(" "), Some(" ")).unwrap_err().contains("Give"));
        assert!(Contact::choose(None, None).is_err());
    }
}
