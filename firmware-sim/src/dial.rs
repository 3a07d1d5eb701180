//! Opening the socket: WebSocket over TCP or TLS, HTTP Basic, subprotocol `ocpp1.6`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::ServerName;
use shared::ocpp::v16::SUBPROTOCOL;
use tokio::net::TcpStream;
use tokio::time::{Duration, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, http};

use crate::config::StationConfig;
use tokio_util::either::Either;

pub(crate) type Socket = WebSocketStream<Line>;
type Line = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The URL cannot be used.
    #[error("{0:?} is no ws:// or wss:// URL, or wss:// without a trusted authority")]
    Url(String),
    /// The network said no.
    #[error("cannot reach {0}: {1}")]
    Network(String, std::io::Error),
    /// The server's certificate is not to be trusted.
    #[error("the certificate of {0} is not to be trusted: {1}")]
    Untrusted(String, rustls::Error),
    /// It took too long.
    #[error("{0} did not answer in time")]
    Timeout(String),
    /// The server said no.
    #[error("the server refused with HTTP {0}")]
    Refused(u16),
    /// The server speaks another protocol.
    #[error("the server chose subprotocol {0:?} instead of {SUBPROTOCOL}")]
    Subprotocol(Option<String>),
    /// The handshake failed.
    #[error("the handshake failed: {0}")]
    Handshake(#[source] Box<Error>),
}

const PATIENCE: Duration = Duration::from_secs(15);

pub(crate) async fn dial(config: &StationConfig) -> Result<Socket, DialError> {
    let request = request(config)?;
    let address = address(&request, config)?;
    let late = || DialError::Timeout(address.clone());
    let tcp = timeout(PATIENCE, TcpStream::connect(&address)).await.map_err(|_| late())?;
    let tcp = tcp.map_err(|error| DialError::Network(address.clone(), error))?;
    tcp.set_nodelay(true).map_err(|error| DialError::Network(address.clone(), error))?;
    let line = timeout(PATIENCE, line(config, &request, tcp)).await.map_err(|_| late())??;
    let handshake = tokio_tungstenite::client_async_with_config(request, line, Some(buffers()));
    let handshake = Box::pin(timeout(PATIENCE, handshake));
    let (socket, response) = handshake.await.map_err(|_| late())?.map_err(refusal)?;
    let chosen = response.headers().get(SEC_WEBSOCKET_PROTOCOL).and_then(|value| value.to_str().ok());
    if chosen != Some(SUBPROTOCOL) {
        return Err(DialError::Subprotocol(chosen.map(str::to_owned)));
    }
    Ok(socket)
}

/// The connection, with TLS around it where the URL wants it.
async fn line(config: &StationConfig, request: &Request, tcp: TcpStream) -> Result<Line, DialError> {
    let Some(tls) = config.tls.as_ref().filter(|_| request.uri().scheme_str() == Some("wss")) else {
        return Ok(Either::Left(tcp));
    };
    let bad = || DialError::Url(config.url.clone());
    let host = request.uri().host().ok_or_else(bad)?.trim_matches(['[', ']']);
    let name = ServerName::try_from(host.to_owned()).map_err(|_| bad())?;
    let stream = TlsConnector::from(tls.config.clone()).connect(name, tcp).await;
    stream.map(|stream| Either::Right(Box::new(stream))).map_err(|error| {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(bad @ rustls::Error::InvalidCertificate(_)) => {
                DialError::Untrusted(host.to_owned(), bad.clone())
            }
            _ => DialError::Network(host.to_owned(), error),
        }
    })
}

/// The certificates that the server showed, its own first, in DER; none without TLS.
pub(crate) fn shown(socket: &Socket) -> Vec<Vec<u8>> {
    match socket.get_ref() {
        Either::Left(_) => Vec::new(),
        Either::Right(stream) => {
            let shown = stream.get_ref().1.peer_certificates().unwrap_or_default();
            shown.iter().map(|certificate| certificate.to_vec()).collect()
        }
    }
}

/// Small buffers: the defaults cost 130 KB per socket, and there are thousands.
fn buffers() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(4096)
        .write_buffer_size(0)
        .max_message_size(Some(1 << 20))
        .max_frame_size(Some(1 << 20))
}

fn request(config: &StationConfig) -> Result<Request, DialError> {
    let url = format!("{}/{}", config.url.trim_end_matches('/'), percent_encoded(&config.identity));
    let mut request = url.as_str().into_client_request().map_err(|_| DialError::Url(url.clone()))?;
    let headers = request.headers_mut();
    headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    if let Some(password) = &config.password {
        let credentials = STANDARD.encode(format!("{}:{password}", config.identity));
        let value = HeaderValue::from_str(&format!("Basic {credentials}"));
        headers.insert(AUTHORIZATION, value.map_err(|_| DialError::Url(url))?);
    }
    Ok(request)
}

fn address(request: &Request, config: &StationConfig) -> Result<String, DialError> {
    let bad = || DialError::Url(config.url.clone());
    let uri: &http::Uri = request.uri();
    let port = match uri.scheme_str() {
        Some("ws") => 80,
        Some("wss") if config.tls.is_some() => 443,
        _ => return Err(bad()),
    };
    Ok(format!("{}:{}", uri.host().ok_or_else(bad)?, uri.port_u16().unwrap_or(port)))
}

fn refusal(error: Error) -> DialError {
    if let Error::Http(response) = &error {
        return DialError::Refused(response.status().as_u16());
    }
    DialError::Handshake(Box::new(error))
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~*".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_identity_is_the_last_part_and_the_user() {
        let config = StationConfig::new("ws://box:9000/ocpp/", "DE*1 é").with_password("s:ecret");
        let request = request(&config).unwrap();
        assert_eq!(request.uri().path(), "/ocpp/DE*1%20%C3%A9");
        assert_eq!(address(&request, &config).unwrap(), "box:9000");
        let expected = format!("Basic {}", STANDARD.encode("DE*1 é:s:ecret"));
        assert_eq!(request.headers()[AUTHORIZATION], expected);
    }

    #[test]
    fn other_schemes_are_told() {
        let config = StationConfig::new("https://box", "A");
        assert!(address(&request(&config).unwrap(), &config).is_err());
    }
}
