//! Who may change something here: whoever has the installer's token, and not too often.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use serde_json::json;
use subtle::ConstantTimeEq as _;

use super::token;

/// Wrong tokens from one address in a minute, after which it is not heard for the rest of it.
const WRONG: u32 = 10;
/// Orders in a minute, from everybody.
const ORDERS: u32 = 120;
const MINUTE: Duration = Duration::from_secs(60);
/// Addresses that are counted at a time.
const ADDRESSES: usize = 1000;

/// The token's keeper.
pub struct Guard {
    data_dir: PathBuf,
    wrong: Mutex<HashMap<IpAddr, Count>>,
    orders: Mutex<Count>,
}

#[derive(Clone, Copy)]
struct Count {
    since: Instant,
    count: u32,
}

impl Count {
    fn new(now: Instant) -> Self {
        Count { since: now, count: 0 }
    }

    fn one_more(&mut self, now: Instant) -> u32 {
        if now.duration_since(self.since) >= MINUTE {
            *self = Count::new(now);
        }
        self.count += 1;
        self.count
    }

    fn is_over(&self, now: Instant, most: u32) -> bool {
        now.duration_since(self.since) < MINUTE && self.count >= most
    }
}

/// Why somebody is turned away.
enum Refusal {
    Wrong,
    TooOften,
    NotJson,
}

impl Guard {
    /// Makes the token if there is none yet.
    ///
    /// # Errors
    /// When its file can neither be read nor written.
    pub fn new(data_dir: PathBuf) -> anyhow::Result<Self> {
        token::load_or_make(&data_dir)?;
        let orders = Mutex::new(Count::new(Instant::now()));
        Ok(Guard { data_dir, wrong: Mutex::default(), orders })
    }

    /// The file is read each time: a token that was renewed counts at once.
    fn admit(&self, headers: &HeaderMap, method: &Method, from: IpAddr, now: Instant) -> Result<(), Refusal> {
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        wrong.retain(|_, count| now.duration_since(count.since) < MINUTE);
        if wrong.get(&from).is_some_and(|count| count.is_over(now, WRONG)) || wrong.len() >= ADDRESSES {
            return Err(Refusal::TooOften);
        }
        let shown = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let shown = shown.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        let right = token::load_or_make(&self.data_dir).unwrap_or_default();
        if right.is_empty() || !bool::from(shown.trim().as_bytes().ct_eq(right.as_bytes())) {
            wrong.entry(from).or_insert_with(|| Count::new(now)).one_more(now);
            return Err(Refusal::Wrong);
        }
        if *method == Method::GET || *method == Method::DELETE {
            return Ok(());
        }
        let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kind = kind.to_ascii_lowercase();
        // No form of another origin's page can send either.
        if !["application/json", "application/octet-stream"].iter().any(|wanted| kind.starts_with(wanted)) {
            return Err(Refusal::NotJson);
        }
        let orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner).one_more(now);
        if orders > ORDERS { Err(Refusal::TooOften) } else { Ok(()) }
    }
}

/// Lets through who has the token.
pub(super) async fn check(
    State(guard): State<Arc<Guard>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    match guard.admit(request.headers(), request.method(), from.ip(), Instant::now()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

impl Refusal {
    fn into_response(self) -> Response {
        let (status, error) = match self {
            Refusal::Wrong => (
                StatusCode::UNAUTHORIZED,
                "The installer's token is needed: Authorization: Bearer …; `edge-agent local-token` prints it.",
            ),
            Refusal::TooOften => (StatusCode::TOO_MANY_REQUESTS, "Too often. Wait a minute."),
            Refusal::NotJson => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "Send JSON, with Content-Type: application/json.")
            }
        };
        (status, Json(json!({ "error": error }))).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(token: &str, kind: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
        headers.insert(CONTENT_TYPE, kind.parse().unwrap());
        headers
    }

    #[test]
    fn only_the_token_opens_and_guessing_closes_for_a_while() {
        let dir = tempfile::tempdir().unwrap();
        let guard = Guard::new(dir.path().to_owned()).unwrap();
        let right = token::load_or_make(dir.path()).unwrap();
        let (now, here, there) = (Instant::now(), IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let admit =
            |token: &str, kind, from, now| guard.admit(&headers(token, kind), &Method::POST, from, now);
        assert!(admit(&right, "application/json", here, now).is_ok());
        assert!(
            matches!(admit(&right, "text/plain", here, now), Err(Refusal::NotJson)),
            "as a form can send it"
        );
        assert!(matches!(guard.admit(&HeaderMap::new(), &Method::POST, here, now), Err(Refusal::Wrong)));
        for _ in 1..WRONG {
            assert!(matches!(admit("wrong", "application/json", here, now), Err(Refusal::Wrong)));
        }
        assert!(matches!(admit(&right, "application/json", here, now), Err(Refusal::TooOften)));
        assert!(admit(&right, "application/json", there, now).is_ok());
        assert!(admit(&right, "application/json", here, now + MINUTE).is_ok());
        let renewed = token::make(dir.path()).unwrap();
        assert!(admit(&right, "application/json", there, now + MINUTE).is_err());
        assert!(admit(&renewed, "application/json", there, now + MINUTE).is_ok());
    }

    #[test]
    fn orders_have_a_rate() {
        let dir = tempfile::tempdir().unwrap();
        let guard = Guard::new(dir.path().to_owned()).unwrap();
        let token = token::load_or_make(dir.path()).unwrap();
        let (now, here) = (Instant::now(), IpAddr::from([127, 0, 0, 1]));
        let admit = |now| guard.admit(&headers(&token, "application/json"), &Method::POST, here, now).is_ok();
        assert!((0..ORDERS).all(|_| admit(now)) && !admit(now) && admit(now + MINUTE));
    }
}
