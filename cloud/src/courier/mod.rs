//! Messages to people: e-mail, text messages, or a page that shows them to a developer.
//!
//! Their texts hold one-time codes, so nothing here is `Debug` with a text in it, and errors speak of the way and never of the
//! message.

mod mail;
mod mailbox;
mod sms;

use anyhow::Context as _;

pub use mailbox::{Kept, Mailbox};

use crate::auth::Contact;
use crate::config::Config;

/// What is to be said.
pub struct Message {
    /// Of an e-mail; text messages have none.
    pub subject: String,
    /// The words.
    pub text: String,
}

/// Why a message did not go out.
#[derive(Debug, thiserror::Error)]
pub enum Undelivered {
    /// Nothing is configured that could carry it; this is missing.
    #[error("nothing is configured to send it: {0}")]
    NoWay(&'static str),
    /// The receiving side says that there is no such address.
    #[error("the address was refused")]
    NoSuchAddress,
    /// The server or provider does not answer, or not as it should.
    #[error("not sent: {0:#}")]
    Outage(anyhow::Error),
}

/// Carries messages.
pub struct Courier(Way);

enum Way {
    ToServers { mail: Option<Box<mail::Smtp>>, sms: Option<Box<sms::Provider>> },
    ToPage(Mailbox),
}

impl Courier {
    /// Reads what is configured; connects to nothing yet.
    ///
    /// # Errors
    /// When the certificate authority of the mail server cannot be read.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        if config.auth.dev_mailbox {
            return Ok(Self(Way::ToPage(Mailbox::default())));
        }
        let mail = mail::Smtp::new(&config.mail).context("[mail]")?.map(Box::new);
        let sms = sms::Provider::new(&config.sms).context("[sms]")?.map(Box::new);
        Ok(Self(Way::ToServers { mail, sms }))
    }

    /// Can it carry a message there at all?
    ///
    /// # Errors
    /// [`Undelivered::NoWay`].
    pub fn carries(&self, to: &Contact) -> Result<(), Undelivered> {
        match (&self.0, to) {
            (Way::ToServers { mail: None, .. }, Contact::Email(_)) => Err(Undelivered::NoWay("mail.server")),
            (Way::ToServers { sms: None, .. }, Contact::Phone(_)) => Err(Undelivered::NoWay("sms.url")),
            (Way::ToServers { .. } | Way::ToPage(_), _) => Ok(()),
        }
    }

    /// Hands a message over, to whoever is responsible from there on.
    ///
    /// # Errors
    /// See [`Undelivered`].
    pub async fn send(&self, to: &Contact, message: Message) -> Result<(), Undelivered> {
        match (&self.0, to) {
            (Way::ToPage(mailbox), to) => {
                mailbox.keep(to.as_str(), message);
                Ok(())
            }
            (Way::ToServers { mail, .. }, Contact::Email(address)) => {
                mail.as_ref().ok_or(Undelivered::NoWay("mail.server"))?.send(address, message).await
            }
            (Way::ToServers { sms, .. }, Contact::Phone(number)) => {
                sms.as_ref().ok_or(Undelivered::NoWay("sms.url"))?.send(number, &message.text).await
            }
        }
    }

    /// The developer's page, if messages go there.
    pub fn mailbox(&self) -> Option<&Mailbox> {
        match &self.0 {
            Way::ToPage(mailbox) => Some(mailbox),
            Way::ToServers { .. } => None,
        }
    }
}
