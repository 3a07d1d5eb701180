//! Walking JSON without building a tree: members and items are handed over as the text they are, so that a number is
//! read exactly and a wrong type costs one field, not the message.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The longest text that is kept of a field. Frames are bounded already; this bounds what is carried further.
const LONGEST_TEXT: usize = 4096;

/// Hands over each member of an object, in order, repeated ones again. `false` when it is no object.
pub fn members<'a>(raw: &'a RawValue, each: impl FnMut(&str, &'a RawValue)) -> bool {
    struct Members<F>(F);
    impl<'a, F: FnMut(&str, &'a RawValue)> Visitor<'a> for Members<F> {
        type Value = ();
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'a>>(mut self, mut map: A) -> Result<(), A::Error> {
            while let Some(key) = map.next_key_seed(Text)? {
                (self.0)(&key, map.next_value()?);
            }
            Ok(())
        }
    }
    serde_json::Deserializer::from_str(raw.get()).deserialize_map(Members(each)).is_ok()
}

/// The most items of an array that are handed over (SECURITY S6). No bill needs more, and frames that bill are kept whole.
const MOST_ITEMS: usize = 1_000;

/// Hands over each item of an array, the first 1,000. `false` when it is no array.
pub fn items<'a>(raw: &'a RawValue, each: impl FnMut(&'a RawValue)) -> bool {
    struct Items<F>(F);
    impl<'a, F: FnMut(&'a RawValue)> Visitor<'a> for Items<F> {
        type Value = ();
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array")
        }
        fn visit_seq<A: SeqAccess<'a>>(mut self, mut seq: A) -> Result<(), A::Error> {
            let mut count = 0;
            while let Some(item) = seq.next_element()? {
                count += 1;
                if count <= MOST_ITEMS {
                    (self.0)(item);
                }
            }
            Ok(())
        }
    }
    serde_json::Deserializer::from_str(raw.get()).deserialize_seq(Items(each)).is_ok()
}

/// The text of a string, or of a number or a truth value without quotes. `None` for null, empty text and structures.
/// Broken surrogates become `U+FFFD`; texts over 4096 bytes are cut.
pub fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    let source = raw.get();
    let text = match source.as_bytes().first()? {
        b'"' => Text.deserialize(&mut serde_json::Deserializer::from_str(source)).ok()?,
        b'{' | b'[' | b'n' => return None,
        _ => Cow::Borrowed(source),
    };
    let text = cut(text);
    (!text.trim().is_empty()).then_some(text)
}

/// Does a string stand there, in quotes?
pub fn is_string(raw: &RawValue) -> bool {
    raw.get().starts_with('"')
}

fn cut(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.len() <= LONGEST_TEXT {
        return text;
    }
    let mut end = LONGEST_TEXT;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    Cow::Owned(text[..end].to_owned())
}

/// A string, borrowed where it has no escapes; asked for as bytes because that is how `serde_json` hands over strings
/// with broken surrogates instead of refusing them.
struct Text;

impl<'a> DeserializeSeed<'a> for Text {
    type Value = Cow<'a, str>;
    fn deserialize<D: Deserializer<'a>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_bytes(self)
    }
}

impl<'a> Visitor<'a> for Text {
    type Value = Cow<'a, str>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }
    fn visit_borrowed_str<E>(self, text: &'a str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }
    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
    fn visit_borrowed_bytes<E>(self, bytes: &'a [u8]) -> Result<Self::Value, E> {
        Ok(String::from_utf8_lossy(bytes))
    }
    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        Ok(Cow::Owned(String::from_utf8_lossy(bytes).into_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    #[test]
    fn text_is_read_from_whatever_stands_there() {
        for (json, read) in [
            (r#""tag""#, Some("tag")),
            (r#""a\"b""#, Some("a\"b")),
            (r#""bad \ud800 end""#, Some("bad \u{fffd}\u{fffd}\u{fffd} end")),
            ("12.50", Some("12.50")),
            ("true", Some("true")),
            (r#""""#, None),
            (r#""  ""#, None),
            ("null", None),
            ("{}", None),
        ] {
            assert_eq!(text(&raw(json)).as_deref(), read, "{json}");
        }
    }

    #[test]
    fn members_and_items_are_walked_in_order() {
        let object = raw(r#"{"a":1,"b":[2,3],"a":"4"}"#);
        let mut seen = Vec::new();
        assert!(members(&object, |key, value| seen.push((key.to_owned(), value.get().to_owned()))));
        assert_eq!(seen.len(), 3);
        assert_eq!(seen[2], ("a".into(), "\"4\"".into()));
        assert!(!members(&raw("[1]"), |_, _| ()));
        assert!(!items(&raw("{}"), |_| ()));
        let mut count = 0;
        assert!(items(&raw(&format!("[{}0]", "0,".repeat(5_000))), |_| count += 1));
        assert_eq!(count, MOST_ITEMS);
    }
}
