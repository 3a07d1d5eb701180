//! Every way of getting a request wrong has the status and the shape that apps and their tools know. No database is needed:
//! nothing here gets that far, except where its absence is the point.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use cloud::config::Introspection;
use serde_json::{Value, json};
use support::{NOWHERE, api, api_with, post, send};

async fn query(text: &str, variables: Value) -> (StatusCode, Value) {
    let (router, _) = api(NOWHERE).await;
    post(&router, json!({"query": text, "variables": variables}).to_string()).await
}

fn code(answer: &Value) -> &str {
    answer["errors"][0]["extensions"]["code"].as_str().unwrap_or_default()
}

fn message(answer: &Value) -> &str {
    answer["errors"][0]["message"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_syntax_error_is_400_without_data() {
    let (status, answer) = query("{ sites", json!({})).await;
    assert_eq!((status, code(&answer)), (StatusCode::BAD_REQUEST, "GRAPHQL_PARSE_FAILED"));
    assert!(message(&answer).starts_with("Syntax Error: "), "{answer}");
    assert!(answer.get("data").is_none() && answer["errors"][0]["locations"][0]["line"] == 1);
}

#[tokio::test]
async fn an_unknown_field_is_400_without_data() {
    let (status, answer) = query("{ nope }", json!({})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(
        answer,
        json!({"errors": [{
            "message": "Cannot query field \"nope\" on type \"Query\".",
            "locations": [{"line": 1, "column": 3}],
            "extensions": {"code": "GRAPHQL_VALIDATION_FAILED"},
        }]})
    );
}

#[tokio::test]
async fn wrong_variables_are_200_without_data() {
    let text = "query getFilteredMarkers($input:InputFilterMarkersDto!){ getFilteredMarkers(input:$input){ siteid location available total } }";
    let (status, answer) = query(text, json!({"input": {"minPrice": 0}})).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        answer,
        json!({"errors": [{
            "message": "Variable \"$input\" got invalid value { minPrice: 0 }; Field \"connectorTypesSelected\" of required type \"JSON!\" was not provided.",
            "locations": [{"line": 1, "column": 26}],
            "extensions": {"code": "BAD_USER_INPUT"},
        }]})
    );
}

#[tokio::test]
async fn without_a_token_is_200_with_null_data() {
    let (status, answer) = query("{ me { id } }", json!({})).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        answer,
        json!({
            "errors": [{
                "message": "Unauthorized",
                "locations": [{"line": 1, "column": 3}],
                "path": ["me"],
                "extensions": {
                    "code": "UNAUTHENTICATED",
                    "originalError": {"message": "Unauthorized", "statusCode": 401},
                },
            }],
            "data": null,
        })
    );
}

#[tokio::test]
async fn a_forged_token_is_no_token() {
    let (router, _) = api(NOWHERE).await;
    for token in ["Bearer x", "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOjF9.", "Basic abc"] {
        let request = Request::post("/graphql")
            .header("content-type", "application/json")
            .header("authorization", token);
        let (_, answer) =
            send(&router, request.body(json!({"query": "{ me { id } }"}).to_string().into()).unwrap()).await;
        assert_eq!((message(&answer), code(&answer)), ("Unauthorized", "UNAUTHENTICATED"));
    }
}

#[tokio::test]
async fn a_failure_of_ours_is_not_explained() {
    let text = "{ getFilteredMarkers(input: {connectorTypesSelected: []}) { siteid } }";
    let (status, answer) = query(text, json!({})).await;
    assert_eq!((status, message(&answer)), (StatusCode::OK, "Internal server error"));
    assert_eq!((code(&answer), &answer["data"]), ("INTERNAL_SERVER_ERROR", &Value::Null));
}

#[tokio::test]
async fn batches_are_refused() {
    let (router, _) = api(NOWHERE).await;
    let (status, answer) = post(&router, r#"[{"query":"{ me { id } }"}]"#).await;
    assert_eq!((status, message(&answer)), (StatusCode::BAD_REQUEST, "Operation batching disabled."));
}

#[tokio::test]
async fn bodies_that_are_none_are_refused() {
    let (router, _) = api(NOWHERE).await;
    for body in ["", "{}", "5"] {
        let (status, answer) = post(&router, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(message(&answer), "POST body missing, invalid Content-Type, or JSON object has no keys.");
    }
    let (status, answer) = post(&router, "{\"query\":").await;
    assert_eq!(
        (status, &answer["error"], &answer["statusCode"]),
        (StatusCode::BAD_REQUEST, &json!("Bad Request"), &json!(400))
    );
    let (status, answer) = post(&router, r#"{"variables":{}}"#).await;
    assert_eq!((status, code(&answer)), (StatusCode::BAD_REQUEST, "BAD_REQUEST"));
    let (status, _) = post(&router, format!(r#"{{"query":"{}"}}"#, "x".repeat(300_000))).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn simple_cross_site_requests_are_refused() {
    let (router, _) = api(NOWHERE).await;
    let body = || Body::from(r#"{"query":"{ __typename }"}"#);
    let requests = [
        Request::get("/graphql?query={__typename}").body(Body::empty()).unwrap(),
        Request::post("/graphql").header("content-type", "text/plain").body(body()).unwrap(),
        Request::post("/graphql").body(body()).unwrap(),
    ];
    for request in requests {
        let (status, answer) = send(&router, request).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        let start = "This operation has been blocked as a potential Cross-Site Request Forgery (CSRF).";
        assert!(message(&answer).starts_with(start), "{answer}");
    }
    let request = Request::get("/graphql?query=%7B__typename%7D").header("apollo-require-preflight", "1");
    let (status, answer) = send(&router, request.body(Body::empty()).unwrap()).await;
    assert_eq!((status, answer), (StatusCode::OK, json!({"data": {"__typename": "Query"}})));
    let request =
        Request::get("/graphql?query=mutation%7B__typename%7D").header("apollo-require-preflight", "1");
    let (status, _) = send(&router, request.body(Body::empty()).unwrap()).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn the_operation_is_named_when_there_are_several() {
    let (router, _) = api(NOWHERE).await;
    let text = "query a { __typename } query b { x: __typename }";
    let ask = async |name: Option<&str>| {
        post(&router, json!({"query": text, "operationName": name}).to_string()).await
    };
    assert_eq!(ask(Some("b")).await.1, json!({"data": {"x": "Query"}}));
    for name in [None, Some("c")] {
        let (status, answer) = ask(name).await;
        assert_eq!((status, code(&answer)), (StatusCode::BAD_REQUEST, "OPERATION_RESOLUTION_FAILURE"));
    }
}

#[tokio::test]
async fn deep_wide_and_aliased_queries_are_refused_with_advice() {
    let deep = format!(
        "{{ {} name {} }}",
        "__schema { types { ".to_owned() + &"fields { type { ".repeat(8),
        "} ".repeat(18)
    );
    let aliases: String = (0..31).map(|n| format!("a{n}: __typename ")).collect();
    let nested = "{a".repeat(30_000);
    for (text, advice) in [
        (deep, "nested too deep"),
        (format!("{{ {aliases} }}"), "31 aliases: at most 30"),
        (nested, "nested too deep"),
    ] {
        let (status, answer) = query(&text, json!({})).await;
        assert_eq!(
            (status, code(&answer)),
            (StatusCode::BAD_REQUEST, "GRAPHQL_VALIDATION_FAILED"),
            "{answer}"
        );
        assert!(message(&answer).contains(advice), "{answer}");
    }
}

#[tokio::test]
async fn tools_can_read_the_schema() {
    let text = "query IntrospectionQuery { __schema { queryType { name } types { ...FullType } } }
        fragment FullType on __Type { kind name fields(includeDeprecated: true) { name args { ...InputValue } type { ...TypeRef } } }
        fragment InputValue on __InputValue { name type { ...TypeRef } defaultValue }
        fragment TypeRef on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name
            ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } } } } } } }";
    let (status, answer) = query(text, json!({})).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(answer["data"]["__schema"]["queryType"]["name"], "Query");
}

#[tokio::test]
async fn browsers_get_a_page_that_needs_no_other_host() {
    let (router, _) = api(NOWHERE).await;
    let get = async |path: &str, accept: &str| {
        let request = Request::get(path).header("accept", accept).body(Body::empty()).unwrap();
        tower::ServiceExt::oneshot(router.clone(), request).await.unwrap()
    };
    let response = get("/graphql", "text/html").await;
    let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self';") && !policy.contains("://"),
        "{policy}"
    );
    let page = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
    let page = std::str::from_utf8(&page).unwrap();
    let addresses: Vec<&str> = ["src=\"", "href=\""]
        .iter()
        .flat_map(|attribute| page.split(attribute).skip(1))
        .filter_map(|rest| rest.split('"').next())
        .filter(|address| *address != "data:,")
        .collect();
    assert_eq!(addresses.len(), 6, "{page}");
    for address in addresses {
        assert!(address.starts_with("/graphql/assets/"), "{address}");
        let response = get(address, "*/*").await;
        assert_eq!(response.status(), StatusCode::OK, "{address}");
        let header = |name: &str| response.headers()[name].to_str().unwrap();
        let kind = if address.ends_with(".css") { "text/css" } else { "text/javascript" };
        assert!(header("content-type").starts_with(kind), "{address}");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("cache-control").contains("immutable"), !address.contains("/page."), "{address}");
    }
    assert_eq!(get("/graphql/assets/README.md", "*/*").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn any_origin_may_ask() {
    let (router, _) = api(NOWHERE).await;
    let preflight = Request::options("/graphql")
        .header("origin", "https://app.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type")
        .body(Body::empty())
        .unwrap();
    let response = tower::ServiceExt::oneshot(router, preflight).await.unwrap();
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    assert_eq!(response.headers()["access-control-allow-headers"], "authorization,content-type");
    assert!(response.headers().get("access-control-allow-credentials").is_none());
}

/// What is too big, in each way that somebody may think of; all of it answered without a database.
#[tokio::test]
async fn big_documents_and_values_are_refused_with_the_limit() {
    let fragments = |last: &str| {
        let spread = |n: usize| format!("fragment f{n} on Query {{ ...f{} ...f{} }} ", n + 1, n + 1);
        format!("{{ ...f0 }} {} fragment f29 on Query {{ {last} }}", (0..29).map(spread).collect::<String>())
    };
    let list = |n: usize| format!("[{}]", "1,".repeat(n));
    let ones = vec![1; 1_001];
    let ask = "query($i: InputFilterMarkersDto!) { getFilteredMarkers(input: $i) { siteid } }";
    for (text, variables, expected) in [
        (format!("{{ __typename {} }}", "#".repeat(70_000)), json!({}), "bytes: at most 65536"),
        (fragments("__typename"), json!({}), "too complex: at most 1000 fields"),
        (fragments("...f3"), json!({}), "Cannot spread fragment \"f3\" within itself."),
        (
            "{ ...a } fragment a on Query { ...a }".into(),
            json!({}),
            "Cannot spread fragment \"a\" within itself.",
        ),
        ("{ __typename } fragment a on Query { ...a }".into(), json!({}), "Cannot spread fragment \"a\""),
        (format!("{{ {} }}", "__typename ".repeat(1_001)), json!({}), "too complex: at most 1000 fields"),
        (
            format!("{{ __typename {} }}", "@skip(if: false) ".repeat(101)),
            json!({}),
            "101 directives: at most 100",
        ),
        (
            format!(
                "query({}) {{ __typename }}",
                (0..201).map(|n| format!("$v{n}: Int ")).collect::<String>()
            ),
            json!({}),
            "201 variables: at most 200",
        ),
        (
            format!(
                "{{ getFilteredMarkers(input: {{connectorTypesSelected: {}}}) {{ siteid }} }}",
                list(1_001)
            ),
            json!({}),
            "1001 items: at most 1000. Send it in parts.",
        ),
        (
            format!("query($a: [Int!] = {}) {{ __typename }}", list(1_001)),
            json!({}),
            "1001 items: at most 1000",
        ),
        (ask.into(), json!({"i": {"connectorTypesSelected": ones}}), "1001 items: at most 1000"),
    ] {
        let (status, answer) = query(&text, variables).await;
        assert!(message(&answer).contains(expected), "{expected}: {answer}");
        let expected = if text == ask { (200, "BAD_USER_INPUT") } else { (400, "GRAPHQL_VALIDATION_FAILED") };
        assert_eq!((status.as_u16(), code(&answer)), expected);
    }
}

#[tokio::test]
async fn documents_are_sent_by_their_hash() {
    let (router, _) = api(NOWHERE).await;
    let hash = "ecf4edb46db40b5132295c0291d62fb65d6759a9eedfa4d5d612dd5ec54a6b38";
    let ask = async |version: u32, hash: &str, query: Option<&str>| {
        let mut body = json!({"extensions": {"persistedQuery": {"version": version, "sha256Hash": hash}}});
        if let Some(query) = query {
            body["query"] = query.into();
        }
        post(&router, body.to_string()).await
    };
    let refused =
        |message: &str, code: &str| json!({"errors": [{"message": message, "extensions": {"code": code}}]});
    assert_eq!(
        ask(1, hash, None).await,
        (StatusCode::OK, refused("PersistedQueryNotFound", "PERSISTED_QUERY_NOT_FOUND"))
    );
    assert_eq!(
        ask(2, hash, None).await,
        (StatusCode::BAD_REQUEST, refused("Unsupported persisted query version", "INTERNAL_SERVER_ERROR"))
    );
    assert_eq!(
        ask(1, hash, Some("{ me { id } }")).await,
        (StatusCode::BAD_REQUEST, refused("provided sha does not match query", "INTERNAL_SERVER_ERROR"))
    );
    let known = (StatusCode::OK, json!({"data": {"__typename": "Query"}}));
    assert_eq!(ask(1, hash, Some("{__typename}")).await, known);
    assert_eq!(ask(1, hash, None).await, known);
    let extensions =
        format!("%7B%22persistedQuery%22%3A%7B%22version%22%3A1%2C%22sha256Hash%22%3A%22{hash}%22%7D%7D");
    let get =
        Request::get(format!("/graphql?extensions={extensions}")).header("apollo-require-preflight", "1");
    assert_eq!(send(&router, get.body(Body::empty()).unwrap()).await, known);
    let (status, answer) = post(&router, json!({"extensions": "{}"}).to_string()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(message(&answer).contains("not a recursively JSON-encoded string"), "{answer}");
}

#[tokio::test]
async fn only_registered_documents_when_so_configured() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = dir.path().join("relay.json");
    std::fs::write(&manifest, json!({"one": "query One { __typename }"}).to_string()).unwrap();
    let (router, _) = api_with(NOWHERE, |config| {
        config.api.documents = Some(manifest);
        config.api.only_registered = true;
    })
    .await;
    let ask = async |body: Value| post(&router, body.to_string()).await;
    let good = (StatusCode::OK, json!({"data": {"__typename": "Query"}}));
    assert_eq!(ask(json!({"documentId": "one"})).await, good);
    assert_eq!(ask(json!({"query": "query One { __typename }"})).await, good);
    let (status, answer) = ask(json!({"query": "query Two { __typename }"})).await;
    assert_eq!((status, code(&answer)), (StatusCode::BAD_REQUEST, "QUERY_NOT_IN_SAFELIST"));
    let (status, answer) = ask(json!({"documentId": "two"})).await;
    assert_eq!((status, code(&answer)), (StatusCode::NOT_FOUND, "PERSISTED_QUERY_NOT_IN_LIST"));
}

#[tokio::test]
async fn the_schema_is_shown_to_whom_it_may() {
    for (who, shown) in [
        (Introspection::Everyone, true),
        (Introspection::SignedIn, false),
        (Introspection::Operators, false),
        (Introspection::Nobody, false),
    ] {
        let (router, _) = api_with(NOWHERE, |config| config.api.introspection = who).await;
        for text in [
            "{ __schema { queryType { name } } }",
            "{ ...a } fragment a on Query { x: __type(name: \"Site\") { name } }",
        ] {
            let (status, answer) = post(&router, json!({"query": text}).to_string()).await;
            if shown {
                assert_eq!(status, StatusCode::OK, "{answer}");
                continue;
            }
            assert_eq!((status, code(&answer)), (StatusCode::BAD_REQUEST, "GRAPHQL_VALIDATION_FAILED"));
            let why = &answer["errors"][0]["extensions"]["validationErrorCode"];
            assert_eq!(why, "INTROSPECTION_DISABLED");
            assert!(message(&answer).starts_with("GraphQL introspection is not allowed"), "{answer}");
        }
        let (_, answer) = post(&router, r#"{"query":"{ __typename }"}"#).await;
        assert_eq!(answer["data"]["__typename"], "Query");
    }
}

#[tokio::test]
async fn who_asks_too_much_is_told_when_to_come_back() {
    let (router, _) = api_with(NOWHERE, |config| {
        config.http.trust_forwarded_for = true;
        config.api.points_per_second_and_address = 1;
    })
    .await;
    let ask = async |from: &str, fields: usize| {
        let body = json!({"query": format!("{{ {} }}", "__typename ".repeat(fields))}).to_string();
        let request = Request::post("/graphql")
            .header("content-type", "application/json")
            .header("x-forwarded-for", from)
            .header("origin", "https://app.example");
        tower::ServiceExt::oneshot(router.clone(), request.body(Body::from(body)).unwrap()).await.unwrap()
    };
    assert_eq!(ask("192.0.2.1", 25).await.status(), StatusCode::OK);
    let response = ask("192.0.2.1", 12).await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    let seconds: u64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=12).contains(&seconds), "{seconds}");
    let exposed = response.headers()["access-control-expose-headers"].to_str().unwrap().to_owned();
    assert!(exposed.contains("retry-after") && exposed.contains("x-request-id"), "{exposed}");
    let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(code(&answer), "TOO_MANY_REQUESTS");
    assert_eq!(answer["errors"][0]["extensions"]["retryAfter"], seconds);
    assert!(message(&answer).contains("your address has 1 points a second"), "{answer}");
    assert_eq!(ask("192.0.2.2", 25).await.status(), StatusCode::OK, "somebody else");
}

#[tokio::test]
async fn a_fault_of_ours_is_found_by_the_requests_id() {
    let (router, _) = api(NOWHERE).await;
    let ask = async |id: Option<&str>| {
        let mut request = Request::post("/graphql").header("content-type", "application/json");
        if let Some(id) = id {
            request = request.header("x-request-id", id);
        }
        let body = r#"{"query":"{ getFilteredMarkers(input: {connectorTypesSelected: []}) { siteid } }"}"#;
        let response = tower::ServiceExt::oneshot(router.clone(), request.body(Body::from(body)).unwrap())
            .await
            .unwrap();
        let header = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        let answer: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(answer["errors"][0]["extensions"]["requestId"], header, "{answer}");
        header
    };
    assert_eq!(ask(Some("Root=1-67891233-abcdef012345678912345678")).await.len(), 40);
    assert_eq!(ask(Some("a.b_C-1")).await, "a.b_C-1");
    assert_eq!(ask(None).await.len(), 36);
    for odd in ["", "a b", "a\tb", "\"x\"", "\u{e9}", "<img onerror=x>", &"x".repeat(129)] {
        assert_eq!(ask(Some(odd)).await.len(), 36, "{odd:?}");
    }
}

#[tokio::test]
async fn answers_are_in_the_type_that_is_accepted() {
    let (router, _) = api(NOWHERE).await;
    let ask = async |accept: Option<&str>| {
        let mut request = Request::post("/graphql").header("content-type", "application/json");
        if let Some(accept) = accept {
            request = request.header("accept", accept);
        }
        let body = Body::from(r#"{"query":"{ __typename }"}"#);
        let response = tower::ServiceExt::oneshot(router.clone(), request.body(body).unwrap()).await.unwrap();
        (response.status().as_u16(), response.headers()["content-type"].to_str().unwrap().to_owned())
    };
    let (json, newer) =
        ("application/json; charset=utf-8", "application/graphql-response+json; charset=utf-8");
    for (accept, expected) in [
        (None, json),
        (Some("*/*"), json),
        (Some("application/json"), json),
        (Some("text/html, application/*;q=0.5"), json),
        (Some("application/graphql-response+json"), newer),
        (Some("application/graphql-response+json; charset=utf-8, application/json;q=0.9"), newer),
        (Some("application/graphql-response+json;q=0, application/json"), json),
    ] {
        assert_eq!(ask(accept).await, (200, expected.into()), "{accept:?}");
    }
    assert_eq!(ask(Some("text/plain")).await.0, 406);
}

#[tokio::test]
async fn origins_are_the_configured_ones() {
    let (router, _) =
        api_with(NOWHERE, |config| config.http.allowed_origins = vec!["https://app.example".into()]).await;
    let allowed = async |origin: &str| {
        let preflight = Request::options("/graphql")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .body(Body::empty())
            .unwrap();
        let response = tower::ServiceExt::oneshot(router.clone(), preflight).await.unwrap();
        assert!(response.headers().get("access-control-allow-credentials").is_none());
        response.headers().get("access-control-allow-origin").map(|it| it.to_str().unwrap().to_owned())
    };
    assert_eq!(allowed("https://app.example").await, Some("https://app.example".into()));
    for other in ["https://app.example.evil", "http://app.example", "null"] {
        assert_eq!(allowed(other).await, None, "{other}");
    }
}

#[tokio::test]
async fn probes_tell_alive_from_ready() {
    let (router, _) = api(NOWHERE).await;
    let get = async |path: &str| send(&router, Request::get(path).body(Body::empty()).unwrap()).await.0;
    assert_eq!(get("/healthz").await, StatusCode::OK);
    assert_eq!(get("/readyz").await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(get("/metrics").await, StatusCode::OK);
}

#[tokio::test]
async fn an_argument_whose_variable_was_not_sent_has_its_own_default() {
    let text =
        "mutation($seconds: Int) { learnCard(chargePointId: 1, name: \"x\", seconds: $seconds) { id } }";
    let (_, answer) = query(text, json!({})).await;
    assert_eq!(code(&answer), "UNAUTHENTICATED", "the argument is fine: {answer}");
}
