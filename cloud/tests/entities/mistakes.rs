//! What people get wrong, one line each: the answer says what is wrong, and the process answers the next one.

#![allow(
    clippy::print_stdout,
    reason = "with --nocapture one reads the answers and how fast the slowest was"
)]

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Cast;

/// (what is wrong, the request, its variables, the code of the answer, words of the answer)
type Mistake = (&'static str, String, Value, &'static str, &'static str);

fn mistakes() -> Vec<Mistake> {
    let one = |id: &str| format!("{{ site(id: \"{id}\") {{ id }} }}");
    let sites = |arguments: &str| format!("{{ sites({arguments}) {{ id }} }}");
    let filtered = "query($filter: SiteFilter!) { sites(filter: $filter) { id } }".to_owned();
    let delete = |id: &str| format!("mutation {{ deleteOneSite(input: {{id: \"{id}\"}}) {{ id }} }}");
    let aliases: String = (0..200).map(|n| format!(" a{n}: __typename")).collect();
    let deep = format!("{{ sites {} id {} }}", "{ connectors { site".repeat(12), "} }".repeat(12));
    vec![
        (
            "an id of nothing",
            delete("999999"),
            json!({}),
            "INTERNAL_SERVER_ERROR",
            "Unable to find SiteEntity",
        ),
        ("an id that is no number", one("1'"), json!({}), "BAD_USER_INPUT", "id"),
        ("an id too large", one(&"9".repeat(30)), json!({}), "BAD_USER_INPUT", "id"),
        ("a page too large is the largest", sites("paging: {limit: 100000}"), json!({}), "", ""),
        ("a page before the first", sites("paging: {offset: -1}"), json!({}), "BAD_USER_INPUT", "offset"),
        (
            "a field that is not",
            sites("filter: {nmae: {eq: \"x\"}}"),
            json!({}),
            "GRAPHQL_VALIDATION_FAILED",
            "nmae",
        ),
        (
            "text for a number",
            sites("filter: {default_price: {gt: \"x\"}}"),
            json!({}),
            "GRAPHQL_VALIDATION_FAILED",
            "x",
        ),
        (
            "an end that is null",
            filtered.clone(),
            json!({"filter": {"default_price": {"between": {"lower": null, "upper": 1}}}}),
            "BAD_USER_INPUT",
            "lower",
        ),
        (
            "a number that no column holds",
            filtered.clone(),
            json!({"filter": {"default_price": {"between": {"lower": -1e308, "upper": 1.797_693_134_862_315_7e308}}}}),
            "",
            "",
        ),
        (
            "a pattern that escapes nothing",
            filtered.clone(),
            json!({"filter": {"name": {"like": "%\\"}}}),
            "BAD_USER_INPUT",
            "backslash",
        ),
        ("ids of two kinds", filtered.clone(), json!({"filter": {"id": {"notIn": ["1'", 2]}}}), "", ""),
        (
            "a time that is none",
            "{ connectors(filter: {created_at: {gt: \"yesterday\"}}) { id } }".to_owned(),
            json!({}),
            "BAD_USER_INPUT",
            "yesterday",
        ),
        (
            "a name that no text can hold",
            "mutation { login(input: {username: \"a\\u0000\", password: \"correct horse battery\"}) { accessToken } }".to_owned(),
            json!({}),
            "BAD_USER_INPUT",
            "U+0000",
        ),
        ("too many aliases", format!("{{ {aliases} }}"), json!({}), "", "alias"),
        ("too deep", deep, json!({}), "", ""),
    ]
}

pub(crate) async fn all(cast: &Cast) {
    let mut slowest = (Duration::ZERO, "");
    for (what, query, variables, code, words) in mistakes() {
        let began = Instant::now();
        let answer = cast.owner.ask(&query, variables).await;
        slowest = slowest.max((began.elapsed(), what));
        let error = &answer["errors"][0];
        println!("{what}: {} {}", error["extensions"]["code"], error["message"]);
        assert_ne!(error["message"], "Internal server error", "{what}: {answer}");
        if !code.is_empty() {
            assert_eq!(error["extensions"]["code"], code, "{what}: {answer}");
        }
        let message = error["message"].as_str().unwrap_or_default();
        assert!(message.contains(words), "{what}: {answer}");
    }
    println!("slowest answer to a mistake: {:?}, {}", slowest.0, slowest.1);
}
