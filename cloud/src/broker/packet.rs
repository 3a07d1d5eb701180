//! As much of MQTT 3.1.1 as the gate has to understand: packet boundaries, CONNECT, PUBLISH, SUBSCRIBE, UNSUBSCRIBE.
//!
//! Everything here reads bytes from strangers: it returns, whatever they are.

/// What a packet may be longer than its frame: topic, packet id, fixed header.
pub(super) const HEADROOM: usize = 1024;

/// Bytes that are no MQTT 3.1.1.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
#[error("malformed: {0}")]
pub(super) struct Malformed(pub(super) &'static str);

type Parsed<T> = Result<T, Malformed>;

/// The packet types that the gate meets; the upper half of the first byte.
pub(super) mod kind {
    pub(in crate::broker) const CONNECT: u8 = 1;
    pub(in crate::broker) const CONNACK: u8 = 2;
    pub(in crate::broker) const PUBLISH: u8 = 3;
    pub(in crate::broker) const PUBACK: u8 = 4;
    pub(in crate::broker) const SUBSCRIBE: u8 = 8;
    pub(in crate::broker) const SUBACK: u8 = 9;
    pub(in crate::broker) const UNSUBSCRIBE: u8 = 10;
    pub(in crate::broker) const PINGREQ: u8 = 12;
    pub(in crate::broker) const DISCONNECT: u8 = 14;
}

/// Where a packet in a buffer begins and ends.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(super) struct Bounds {
    /// The first byte of the body.
    pub(super) body: usize,
    /// The first byte after the packet.
    pub(super) end: usize,
}

/// Finds the packet at the front of `buffer`; `None` while its header is not complete. `limit` is for the whole packet.
pub(super) fn bounds(buffer: &[u8], limit: usize) -> Parsed<Option<Bounds>> {
    let mut length = 0_usize;
    for place in 0..4 {
        let Some(&byte) = buffer.get(1 + place) else { return Ok(None) };
        length |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            let body = 2 + place;
            let end = body + length;
            return if end <= limit {
                Ok(Some(Bounds { body, end }))
            } else {
                Err(Malformed("packet too large"))
            };
        }
    }
    Err(Malformed("remaining length"))
}

/// CONNECT, without what the gate does not pass on.
#[derive(Debug, PartialEq, Eq, Clone)]
pub(super) struct Connect {
    pub(super) client_id: String,
    pub(super) keep_alive: u16,
    pub(super) will: Option<Will>,
    pub(super) username: Option<String>,
    pub(super) password: Option<Vec<u8>>,
}

/// What the broker says for a client that vanished.
#[derive(Debug, PartialEq, Eq, Clone)]
pub(super) struct Will {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
    pub(super) qos: u8,
    pub(super) retain: bool,
}

/// Reads a CONNECT. `Ok(None)` is another protocol or version than MQTT 3.1.1.
pub(super) fn connect(body: &[u8]) -> Parsed<Option<Connect>> {
    let mut rest = Reader(body);
    let protocol = rest.text()?;
    let level = rest.byte()?;
    if protocol != "MQTT" || level != 4 {
        return Ok(None);
    }
    let flags = rest.byte()?;
    let keep_alive = rest.number()?;
    let client_id = rest.text()?.to_owned();
    if flags & 1 != 0 || (flags & 0x04 == 0 && flags & 0x38 != 0) || (flags & 0x80 == 0 && flags & 0x40 != 0)
    {
        return Err(Malformed("connect flags"));
    }
    let will = (flags & 0x04 != 0).then(|| rest.will(flags)).transpose()?;
    let username = (flags & 0x80 != 0).then(|| rest.text().map(str::to_owned)).transpose()?;
    let password = (flags & 0x40 != 0).then(|| rest.bytes().map(<[u8]>::to_vec)).transpose()?;
    if rest.0.is_empty() {
        Ok(Some(Connect { client_id, keep_alive, will, username, password }))
    } else {
        Err(Malformed("connect is too long"))
    }
}

/// Writes a CONNECT with a clean session: nothing is ever kept for absent clients.
pub(super) fn write_connect(connect: &Connect) -> Vec<u8> {
    let mut flags = 0x02;
    let mut tail = Vec::new();
    put_bytes(&mut tail, connect.client_id.as_bytes());
    if let Some(will) = &connect.will {
        flags |= 0x04 | (will.qos & 3) << 3 | u8::from(will.retain) << 5;
        put_bytes(&mut tail, will.topic.as_bytes());
        put_bytes(&mut tail, &will.payload);
    }
    if let Some(username) = &connect.username {
        flags |= 0x80;
        put_bytes(&mut tail, username.as_bytes());
    }
    if let Some(password) = &connect.password {
        flags |= 0x40;
        put_bytes(&mut tail, password);
    }
    let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', 4, flags];
    body.extend(connect.keep_alive.to_be_bytes());
    body.extend(tail);
    let mut packet = vec![kind::CONNECT << 4];
    put_length(&mut packet, body.len());
    packet.extend(body);
    packet
}

/// The front of a PUBLISH.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Publish<'a> {
    pub(super) topic: &'a str,
    pub(super) qos: u8,
    pub(super) retain: bool,
}

/// Reads the front of a PUBLISH.
pub(super) fn publish(first: u8, body: &[u8]) -> Parsed<Publish<'_>> {
    let mut rest = Reader(body);
    let topic = rest.text()?;
    let qos = first >> 1 & 3;
    if qos > 0 && rest.number()? == 0 {
        return Err(Malformed("packet id 0"));
    }
    Ok(Publish { topic, qos, retain: first & 1 != 0 })
}

/// Reads a SUBSCRIBE: its packet id and filters.
pub(super) fn subscribe(first: u8, body: &[u8]) -> Parsed<(u16, Vec<&str>)> {
    filters(first, body, true)
}

/// Reads an UNSUBSCRIBE: its packet id and filters.
pub(super) fn unsubscribe(first: u8, body: &[u8]) -> Parsed<(u16, Vec<&str>)> {
    filters(first, body, false)
}

fn filters(first: u8, body: &[u8], with_qos: bool) -> Parsed<(u16, Vec<&str>)> {
    let mut rest = Reader(body);
    let id = rest.number()?;
    let mut filters = Vec::new();
    while !rest.0.is_empty() {
        filters.push(rest.text()?);
        if with_qos && rest.byte()? > 2 {
            return Err(Malformed("requested QoS"));
        }
    }
    if first & 0x0f != 2 || id == 0 || filters.is_empty() {
        return Err(Malformed("subscribe"));
    }
    Ok((id, filters))
}

/// CONNACK without a session.
pub(super) fn connack(code: u8) -> Vec<u8> {
    vec![kind::CONNACK << 4, 2, 0, code]
}

/// SUBACK that refuses every filter.
pub(super) fn suback_refused(id: u16, filters: usize) -> Vec<u8> {
    let mut packet = vec![kind::SUBACK << 4];
    put_length(&mut packet, 2 + filters);
    packet.extend(id.to_be_bytes());
    packet.resize(packet.len() + filters, 0x80);
    packet
}

fn put_bytes(into: &mut Vec<u8>, bytes: &[u8]) {
    // What was read from a two-byte length, or is ours and short.
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    into.extend(length.to_be_bytes());
    into.extend(&bytes[..usize::from(length)]);
}

fn put_length(into: &mut Vec<u8>, mut length: usize) {
    loop {
        let low = u8::try_from(length & 0x7f).expect("seven bits");
        length >>= 7;
        into.push(if length > 0 { low | 0x80 } else { low });
        if length == 0 {
            break;
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Parsed<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed("packet is too short"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Parsed<u8> {
        Ok(self.take(1)?[0])
    }

    fn number(&mut self) -> Parsed<u16> {
        let bytes = self.take(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn bytes(&mut self) -> Parsed<&'a [u8]> {
        let length = self.number()?;
        self.take(usize::from(length))
    }

    fn text(&mut self) -> Parsed<&'a str> {
        let text = std::str::from_utf8(self.bytes()?).map_err(|_| Malformed("text is not UTF-8"))?;
        if text.contains('\0') { Err(Malformed("text contains NUL")) } else { Ok(text) }
    }

    fn will(&mut self, flags: u8) -> Parsed<Will> {
        let topic = self.text()?.to_owned();
        let payload = self.bytes()?.to_vec();
        Ok(Will { topic, payload, qos: flags >> 3 & 3, retain: flags & 0x20 != 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(text: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_bytes(&mut bytes, text.as_bytes());
        bytes
    }

    #[test]
    fn packets_are_found_in_a_stream() {
        assert_eq!(bounds(&[], 100), Ok(None));
        assert_eq!(bounds(&[0x30], 100), Ok(None));
        assert_eq!(bounds(&[0xc0, 0], 100), Ok(Some(Bounds { body: 2, end: 2 })));
        assert_eq!(bounds(&[0x30, 0x80], 1000), Ok(None));
        assert_eq!(bounds(&[0x30, 0x80, 0x01], 1000), Ok(Some(Bounds { body: 3, end: 131 })));
        assert!(bounds(&[0x30, 0x80, 0x01], 130).is_err());
        assert!(bounds(&[0x30, 0xff, 0xff, 0xff, 0xff, 0x01], usize::MAX).is_err());
    }

    #[test]
    fn a_publish_tells_its_topic() {
        let mut body = text("a/b");
        body.extend([0, 7, b'x']);
        assert_eq!(publish(0x32, &body), Ok(Publish { topic: "a/b", qos: 1, retain: false }));
        assert_eq!(publish(0x31, &body), Ok(Publish { topic: "a/b", qos: 0, retain: true }));
        assert!(publish(0x32, &text("a/b")).is_err());
    }

    #[test]
    fn a_subscribe_tells_its_filters() {
        let mut body = vec![0, 9];
        body.extend(text("a/+"));
        body.push(1);
        body.extend(text("b"));
        body.push(0);
        assert_eq!(subscribe(0x82, &body), Ok((9, vec!["a/+", "b"])));
        assert!(subscribe(0x80, &body).is_err());
        assert!(subscribe(0x82, &[0, 9]).is_err());
        assert_eq!(suback_refused(9, 2), [0x90, 4, 0, 9, 0x80, 0x80]);
    }

    #[test]
    fn other_versions_are_known_as_such() {
        let mut body = text("MQTT");
        body.extend([5, 2, 0, 60, 0]);
        body.extend(text("x"));
        assert_eq!(connect(&body), Ok(None));
        assert_eq!(connect(&text("MQIsdp")), Err(Malformed("packet is too short")));
    }

    prop_compose! {
        fn any_connect()(
            client_id in "[a-z0-9-]{0,40}",
            keep_alive: u16,
            will in prop::option::of(("[a-z/]{1,20}", prop::collection::vec(any::<u8>(), 0..300), 0u8..3, any::<bool>())),
            username in "[a-z]{0,9}",
            password in prop::option::of(prop::collection::vec(any::<u8>(), 0..90)),
        ) -> Connect {
            let will = will.map(|(topic, payload, qos, retain)| Will { topic, payload, qos, retain });
            Connect { client_id, keep_alive, will, username: Some(username), password }
        }
    }

    proptest! {
        #[test]
        fn a_connect_survives_being_written_anew(given in any_connect()) {
            let packet = write_connect(&given);
            let found = bounds(&packet, packet.len()).unwrap().unwrap();
            prop_assert_eq!(found.end, packet.len());
            prop_assert_eq!(connect(&packet[found.body..]), Ok(Some(given)));
        }

        #[test]
        fn garbage_is_an_answer_and_never_a_panic(first: u8, bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = bounds(&bytes, 200);
            let _ = connect(&bytes);
            let _ = publish(first, &bytes);
            let _ = subscribe(first, &bytes);
            let _ = unsubscribe(first, &bytes);
        }

        #[test]
        fn a_connect_with_flipped_bits_never_panics(given in any_connect(), place: prop::sample::Index, bit in 0u8..8) {
            let mut packet = write_connect(&given);
            let place = place.index(packet.len());
            packet[place] ^= 1 << bit;
            if let Ok(Some(found)) = bounds(&packet, packet.len()) {
                let _ = connect(&packet[found.body..]);
            }
        }
    }
}
