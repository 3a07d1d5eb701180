//! E-mail over SMTP, through `lettre`. A connection per message: codes are few, and one that rested too long is a lost code.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message as Letter, Tokio1Executor};

use super::{Message, Undelivered};
use crate::config::{Mail, MailTls};

/// For each step of the conversation.
const STEP_TIME: Duration = Duration::from_secs(5);
/// For all of it: somebody waits for the answer.
const WHOLE_TIME: Duration = Duration::from_secs(15);

/// A mail server.
pub(super) struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl Smtp {
    /// `None` without a configured server.
    pub(super) fn new(config: &Mail) -> anyhow::Result<Option<Self>> {
        let Some(server) = &config.server else { return Ok(None) };
        let (tls, usual_port) = match config.tls {
            MailTls::Starttls => (Tls::Required(parameters(server, config)?), 587),
            MailTls::Implicit => (Tls::Wrapper(parameters(server, config)?), 465),
            MailTls::None => (Tls::None, 25),
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(server)
            .port(config.port.unwrap_or(usual_port))
            .tls(tls)
            .timeout(Some(STEP_TIME));
        if let (Some(username), Some(password)) = (&config.username, &config.password) {
            builder = builder.credentials(Credentials::new(username.clone(), password.expose().into()));
        }
        Ok(Some(Self { transport: builder.build(), from: config.from.parse().context("from")? }))
    }

    pub(super) async fn send(&self, to: &str, message: Message) -> Result<(), Undelivered> {
        let letter = Letter::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to.parse().map_err(|_| Undelivered::NoSuchAddress)?))
            .subject(message.subject)
            .header(ContentType::TEXT_PLAIN)
            .body(message.text)
            .map_err(|error| Undelivered::Outage(error.into()))?;
        match tokio::time::timeout(WHOLE_TIME, self.transport.send(letter)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(told(error)),
            Err(_) => Err(Undelivered::Outage(anyhow!("the mail server took too long"))),
        }
    }
}

fn parameters(server: &str, config: &Mail) -> anyhow::Result<TlsParameters> {
    let mut builder = TlsParameters::builder(server.to_owned());
    if let Some(file) = &config.ca_file {
        let pem = std::fs::read(file).with_context(|| format!("ca_file {}", file.display()))?;
        let certificate =
            Certificate::from_pem(&pem).with_context(|| format!("ca_file {}", file.display()))?;
        builder = builder.add_root_certificate(certificate);
    }
    builder.build_rustls().context("tls")
}

/// 550 to 553 speak of the mailbox; everything else is our trouble or the server's.
fn told(error: Error) -> Undelivered {
    match error.status().map(u16::from) {
        Some(550..=553) => Undelivered::NoSuchAddress,
        Some(_) | None => Undelivered::Outage(anyhow::Error::new(error).context("mail server")),
    }
}
