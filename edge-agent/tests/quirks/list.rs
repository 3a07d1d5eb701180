//! What real chargers do, and our rule for it. One line each, one test each: the tests' names begin with the number.

/// Number, what arrives, what we do.
pub(crate) const QUIRKS: [(u8, &str, &str); 73] = [
    // Handshake and connection
    (1, "no subprotocol is offered", "refused by the book; a setting of the station takes 1.6 for meant"),
    (
        2,
        "the upgrade headers are odd or missing",
        "lists in any case; a setting of the station tolerates gaps",
    ),
    (3, "several versions are offered", "1.6 alone is taken"),
    (5, "pings are never answered", "any frame is a sign of life; a setting stops the pings"),
    (6, "an old connection hangs half-open", "the station itself takes over at once"),
    (7, "two boxes have one identity", "the one that is here stays, an operator hears of the other"),
    (8, "connects again and again in a burst", "what has to be asked is asked once, when it is over"),
    (9, "no TLS, or one that nobody speaks any more", "a plain door of its own, closed unless opened"),
    (10, "no usable root certificate", "the site's own authority, to be fetched from the gateway"),
    (11, "a password's digits or bytes, no user", "compared in both forms"),
    (13, "the first connection takes many minutes", "no alarm: silence before it is no failure"),
    // Boot
    (14, "talks before it boots", "answered; asked to boot once"),
    (15, "never boots unless asked", "asked after a while, and goes on without"),
    (16, "leaves when asked before its boot", "nothing is asked before, or for thirty seconds"),
    (17, "restarts when asked to boot", "at most every ten minutes; a setting stops it"),
    (18, "restarts when probed", "its settings are read at once, never one by one"),
    (19, "sends while it is pending", "answered as ever; nothing is billed"),
    (20, "an empty vendor", "read as it is"),
    (21, "a serial number that is too long", "kept whole, noted"),
    (22, "the same serial number everywhere", "who somebody is, his credential says"),
    // Framing
    (24, "a leading comma", "no frame: kept as a finding, the next one counts"),
    (25, "a value is missing in a transaction's message", "mended, noted"),
    (26, "a settings answer that is cut", "asked for ten at a time"),
    (27, "an object for a list", "one is as good as many"),
    (28, "an empty list of samples", "no reading"),
    (30, "padded numbers, a comma for the point", "read for their value"),
    (31, "an empty value", "missing, not zero"),
    (32, "unknown measurands, contexts, units", "passed over, noted"),
    (33, "texts that are too long", "kept, noted"),
    (34, "fields that nobody knows", "ignored"),
    (35, "settings' names in another case", "compared folded"),
    (37, "a status in another case, empty optional texts", "read for their meaning"),
    // Tags
    (38, "a tag comes back with garbage", "a stop is never refused"),
    (39, "a tag's case changes", "compared folded"),
    (41, "a tag with a space before it", "compared trimmed"),
    (42, "one made-up tag for everybody", "a setting says whose it is; it is suggested"),
    // Time
    (43, "times without a zone", "the site's, flagged"),
    (44, "local time that claims to be UTC", "a setting corrects it; it is suggested"),
    (45, "upset by fractions of a second", "whole seconds and Z"),
    (46, "the clock was never set", "the gateway's time, flagged"),
    (48, "a stop that is weeks old", "ends its session, not the one that runs"),
    (49, "all its history at once", "what was before our time is billed to nobody"),
    // Transactions
    (50, "readings of transaction 0", "belong to what runs at the connector"),
    (51, "a stop of transaction 0", "ends the only session that it can mean"),
    (52, "a stop of transaction -1", "the same"),
    (53, "a stop of an unknown transaction", "answered, kept, never guessed"),
    (54, "a start twice, with another message id", "one session, one answer"),
    (55, "a start sent again after the line broke", "one session, one answer"),
    (56, "the same message id at once again", "the same answer"),
    (58, "two stops of one session", "the first counts, the other is noted"),
    (59, "only the stop arrives", "the start follows from its readings, flagged"),
    (61, "a stop register of -1, a start register of 0", "the readings count"),
    (62, "the register falls on the way", "the sum of what it rose, flagged"),
    (63, "less at the end than at the start", "never below zero, flagged"),
    (64, "kilowatt-hours labelled as watt-hours", "held against the power, flagged; a setting scales"),
    (65, "registers by phase only", "summed"),
    (67, "readings without a transaction", "kept in mind"),
    (68, "leaves after a quick answer", "a setting delays answers; it is suggested"),
    (69, "leaves when the answer is slow", "answered from here, whatever the cloud does"),
    (70, "a session that lost its end", "closed when its connector is free or busy again, after a while"),
    (74, "connectors that never report", "they charge as their session shows"),
    (75, "stays finishing until unplugged", "the operator reads: unplug first"),
    // Charging profiles
    (76, "level 0 alone", "a setting caps the level"),
    (77, "no start of a schedule in the past", "a setting moves or leaves out the start"),
    (78, "no absolute schedules", "tried relative, then as the default; it is suggested"),
    (79, "watts alone", "a setting converts, rounding down"),
    (80, "steps of current", "a setting rounds down"),
    (81, "accepts a limit and ignores it", "measured, and told"),
    // Vendors and floods
    (82, "messages of a vendor", "answered that nobody knows it"),
    (83, "boots every ten seconds for ever", "answered, from memory"),
    (84, "transaction 0 is none", "never minted, and none twice"),
    // Of OCPP 2.x: no station of 1.6 can send it
    (71, "2.0.1: sequence numbers that mean nothing", LATER),
    (72, "2.0.1: no trigger reason", LATER),
];

/// Belongs to another version of OCPP.
pub(crate) const LATER: &str = "2.x";

const TESTS: [&str; 9] = [
    include_str!("handshake.rs"),
    include_str!("boot.rs"),
    include_str!("framing.rs"),
    include_str!("tags.rs"),
    include_str!("time.rs"),
    include_str!("transactions.rs"),
    include_str!("meters.rs"),
    include_str!("charging.rs"),
    include_str!("sockets.rs"),
];

#[test]
fn every_quirk_has_a_test() {
    for (number, what, rule) in QUIRKS {
        let name = format!("fn q{number:02}_");
        let tested = TESTS.iter().any(|file| file.contains(&name));
        assert!(tested != (rule == LATER), "Q{number} ({what}: {rule}) has no test, or one too many");
    }
}

#[test]
fn every_test_is_of_a_quirk() {
    for file in TESTS {
        for name in file.lines().filter_map(|line| line.trim_start().split_once("fn q").map(|it| it.1)) {
            let number: u8 = name[..2].parse().unwrap();
            assert!(QUIRKS.iter().any(|it| it.0 == number), "Q{number} is in no list");
        }
    }
}
