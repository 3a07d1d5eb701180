//! The HTTP side: one endpoint for GraphQL over POST, GET and WebSocket, and three for whoever operates the replica.
//!
//! `/graphql` keeps the manners of the first API (see `post`); everything that comes in is bounded in size and time.

mod mailbox;
mod page;
mod post;
mod socket;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use axum::routing::get;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::trace::TraceLayer;

use crate::auth::{Auth, Caller};
use crate::graphql::Api;
use crate::{App, files, gateways};

const PATH: &str = "/graphql";
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// A UUID has 36, a trace of a cloud provider up to 100.
const MAX_REQUEST_ID: usize = 128;
const PROBE_TIME: Duration = Duration::from_secs(2);

/// What handlers share.
#[derive(Clone)]
struct Server {
    api: Api,
    auth: Arc<Auth>,
    sockets: socket::Slots,
    trust_forwarded_for: bool,
}

/// The whole router of a replica.
///
/// # Errors
/// When the keys that sign access tokens or the registered documents cannot be read, or a configured origin is none.
pub async fn router(app: App) -> anyhow::Result<Router> {
    let auth = Arc::new(Auth::load(&app.config, app.db.clone()).await?);
    let server = Server {
        auth: Arc::clone(&auth),
        api: Api::new(app.clone())?,
        sockets: socket::Slots::new(&app.config.live),
        trust_forwarded_for: app.config.http.trust_forwarded_for,
    };
    let graphql = Router::new()
        .route(PATH, get(socket_or_page).post(post::answer).fallback(post::other_method))
        .route(page::ASSETS, get(page::asset));
    Ok(graphql
        .with_state(server)
        .merge(files::for_people(app.clone(), Arc::clone(&auth)))
        .layer(cors(&app.config.http.allowed_origins)?)
        .merge(mailbox::router(auth, app.config.auth.dev_mailbox_anywhere))
        .merge(probes(app.clone()))
        .merge(files::for_gateways(app.clone()))
        .merge(gateways::router(app))
        .layer(CatchPanicLayer::custom(post::panicked))
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .layer(TraceLayer::new_for_http().make_span_with(span))
        .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid))
        .layer(axum::middleware::map_request(forget_odd_id)))
}

/// GET: a WebSocket, the page to try queries on, or a query in the address.
async fn socket_or_page(
    State(server): State<Server>,
    address: Address,
    upgrade: Result<axum::extract::WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
    request: Request,
) -> Response {
    if let Ok(upgrade) = upgrade {
        return socket::open(
            &server,
            upgrade,
            address.of(&server, request.headers()),
            request_id(request.headers()),
        );
    }
    if wants_page(&request) {
        return page::page();
    }
    post::answer_get(&server, address, request).await
}

fn wants_page(request: &Request) -> bool {
    let accepts_html = request
        .headers()
        .get(header::ACCEPT)
        .and_then(|it| it.to_str().ok())
        .is_some_and(|it| it.contains("text/html"));
    accepts_html && request.uri().query().is_none_or(|query| !query.contains("query="))
}

/// What every replica answers, whatever its roles: is it alive, is it ready, how much did it do.
pub fn probes(app: App) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(async |State(app): State<App>| app.metrics.render()))
        .with_state(app)
}

async fn ready(State(app): State<App>) -> (StatusCode, &'static str) {
    match tokio::time::timeout(PROBE_TIME, sqlx::query("select 1").execute(&app.db)).await {
        Ok(Ok(_)) => (StatusCode::OK, "ready\n"),
        Ok(Err(_)) | Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n"),
    }
}

/// Any origin may ask: the token is in a header, never in a cookie, so that no foreign page can borrow it.
fn cors(origins: &[String]) -> anyhow::Result<CorsLayer> {
    let allowed = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        let parsed: Result<Vec<HeaderValue>, _> = origins.iter().map(|origin| origin.parse()).collect();
        AllowOrigin::list(parsed.context("http.allowed_origins")?)
    };
    Ok(CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET, Method::POST, Method::PUT])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([REQUEST_ID, header::RETRY_AFTER])
        .max_age(Duration::from_secs(600)))
}

/// A client's own name for its request, where it is one: it goes into logs and comes back in answers.
async fn forget_odd_id(mut request: Request) -> Request {
    let sane = |id: &HeaderValue| {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:=/+".contains(byte);
        (1..=MAX_REQUEST_ID).contains(&id.len()) && id.as_bytes().iter().all(plain)
    };
    let mut all = request.headers().get_all(REQUEST_ID).iter();
    if !(all.next().is_none_or(sane) && all.next().is_none()) {
        request.headers_mut().remove(REQUEST_ID);
    }
    request
}

fn request_id(headers: &HeaderMap) -> Option<Arc<str>> {
    headers.get(REQUEST_ID)?.to_str().ok().map(Arc::from)
}

fn span(request: &Request) -> tracing::Span {
    let id = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default();
    // Of the highest level, so that it is there whatever the log leaves out.
    tracing::error_span!("http", method = %request.method(), path = request.uri().path(), id)
}

impl Server {
    /// The sender of a request: what stands behind `Bearer`, and from where.
    fn caller(&self, headers: &HeaderMap, address: IpAddr) -> Caller {
        Caller::new(Arc::clone(&self.auth), token(headers), address).with_request_id(request_id(headers))
    }
}

/// The token that a request shows.
pub(crate) fn token(headers: &HeaderMap) -> Option<String> {
    headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(bearer)
}

/// The token of an `Authorization` value.
fn bearer(value: &str) -> Option<String> {
    let (scheme, token) = value.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}

/// The peer of the connection, when the listener tells it.
struct Address(Option<SocketAddr>);

impl<S: Sync> FromRequestParts<S> for Address {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Address(parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0)))
    }
}

impl Address {
    /// Behind a proxy that is trusted, the last address that it wrote down: earlier ones are the client's own claim.
    fn of(&self, server: &Server, headers: &HeaderMap) -> IpAddr {
        let forwarded = || {
            let all = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
            all.rsplit(',').next()?.trim().parse().ok()
        };
        let peer = self.0.map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.ip());
        if server.trust_forwarded_for { forwarded().unwrap_or(peer) } else { peer }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_stand_behind_bearer() {
        assert_eq!(bearer("Bearer a.b.c"), Some("a.b.c".into()));
        assert_eq!(bearer("bearer  a.b.c "), Some("a.b.c".into()));
        assert_eq!(bearer("Basic a"), None);
        assert_eq!(bearer("a.b.c"), None);
    }
}
