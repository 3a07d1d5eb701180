//! Every way of getting a request wrong has the status and the shape that apps and their tools know. No database is needed:
//! nothing here gets that far, except where its absence is the point.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use support::{NOWHERE, api, post, send};

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
    let nested = "{a".repeat(100_000);
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

#[tokio::test]
async fn probes_tell_alive_from_ready() {
    let (router, _) = api(NOWHERE).await;
    let get = async |path: &str| send(&router, Request::get(path).body(Body::empty()).unwrap()).await.0;
    assert_eq!(get("/healthz").await, StatusCode::OK);
    assert_eq!(get("/readyz").await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(get("/metrics").await, StatusCode::OK);
}
