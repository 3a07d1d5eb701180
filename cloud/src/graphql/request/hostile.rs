//! Documents that mean no good: whatever comes, `prepare` ends soon and says what is wrong.

use proptest::prelude::*;

use super::*;

fn prepared(query: &str) -> Result<Prepared, Refused> {
    let inputs = Inputs::of("input I { a: [Int!] b: I } type Query { a(i: I): Query b: [Int] }");
    let documents = Documents::load(None).unwrap();
    prepare(Incoming { query: Some(query.into()), ..Incoming::default() }, &inputs, &documents)
}

/// Pieces of documents, whole and broken.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "{",
            "}",
            "(",
            ")",
            "[",
            "]",
            "...",
            ":",
            "!",
            "$",
            "@",
            "=",
            "|",
            "&",
            "\"",
            "\"\"\"",
            "#",
            ",",
            "\\u",
            "\n",
            "query",
            "mutation",
            "subscription",
            "fragment",
            "on",
            "a",
            "b",
            "i",
            "I",
            "Query",
            "true",
            "null",
            "1e999",
            "-0",
            "99999999999999999999",
            "{ a }",
            "a(i: {a: [1]})",
            "...f0",
            "@skip(if: true)",
            "$v",
            "x: a",
            "__schema",
            "fragment f0 on Query { ...f1 ...f1 }",
            "fragment f1 on Query { ...f0 a }",
            "\u{feff}",
            "\u{0}",
            "🔌",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,8}",
    ]
}

/// Documents that parse: fragments that spread each other at random.
fn web() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::collection::vec(0..24_usize, 0..4), 24).prop_map(|spreads| {
        let fragment = |(name, spread): (usize, Vec<usize>)| {
            let body: String = spread.iter().map(|it| format!("...f{it} ")).collect();
            format!("fragment f{name} on Query {{ {body} b }} ")
        };
        format!("{{ ...f0 }} {}", spreads.into_iter().enumerate().map(fragment).collect::<String>())
    })
}

fn told(refused: &Refused) {
    assert!(matches!(refused.status, 200 | 400), "{refused:?}");
    assert!(
        refused.errors.iter().all(|it| !it.message.is_empty() && it.message.len() < 1_000),
        "{refused:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text_is_understood_or_refused(pieces in prop::collection::vec(piece(), 0..60)) {
        if let Err(refused) = prepared(&pieces.join(" ")) {
            told(&refused);
        }
    }

    #[test]
    fn any_web_of_fragments_is_measured_or_refused(document in web()) {
        match prepared(&document) {
            Ok(prepared) => prop_assert!(prepared.size.fields <= MAX_COMPLEXITY),
            Err(refused) => told(&refused),
        }
    }

    #[test]
    fn any_repetition_ends(text in "[{(\\[]|a|\\.\\.\\.f|@a|\"|#|a:a |\\{a", times in 1..40_000_usize) {
        if let Err(refused) = prepared(&text.repeat(times)) {
            told(&refused);
        }
    }
}
