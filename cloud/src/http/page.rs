//! The page to try queries on, whole: it works on a network without a way out, and no foreign host runs code in it.

use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY};
use axum::http::header::{X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

/// Where [`asset`] is served.
pub(super) const ASSETS: &str = "/graphql/assets/{name}";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Scripts from here only, requests to here only. GraphiQL's editor makes `<style>` elements; its fonts and icons are data.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src data:; \
    img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// An address with a version in it never changes its content.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
const ASK_AGAIN: &str = "no-cache";

macro_rules! vendored {
    ($file:literal) => {
        include_bytes!(concat!("../../assets/graphiql/", $file))
    };
}

/// The page.
pub(super) fn page() -> Response {
    answer(HTML, ASK_AGAIN, vendored!("index.html"))
}

/// What the page consists of.
pub(super) async fn asset(Path(name): Path<String>) -> Response {
    match name.as_str() {
        "page.js" => answer(SCRIPT, ASK_AGAIN, vendored!("page.js")),
        "page.css" => answer(CSS, ASK_AGAIN, vendored!("page.css")),
        "graphiql-3.9.0.css" => answer(CSS, FOR_EVER, vendored!("graphiql.min.css")),
        "graphiql-3.9.0.js" => answer(SCRIPT, FOR_EVER, vendored!("graphiql.min.js")),
        "react-18.3.1.js" => answer(SCRIPT, FOR_EVER, vendored!("react.production.min.js")),
        "react-dom-18.3.1.js" => answer(SCRIPT, FOR_EVER, vendored!("react-dom.production.min.js")),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

fn answer(kind: &'static str, keep: &'static str, body: &'static [u8]) -> Response {
    let headers: [(HeaderName, HeaderValue); 6] = [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, keep),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
    ]
    .map(|(name, value)| (name, HeaderValue::from_static(value)));
    (headers, body).into_response()
}
