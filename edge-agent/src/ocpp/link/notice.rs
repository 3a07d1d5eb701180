//! What a connection finds odd, told to the site. Never at the cost of the messages: a full inbox has better things to do.

use shared::model::finding::example;
use shared::ocpp::lenient::{Finding, Oddity, Severity};
use tokio::io::{AsyncRead, AsyncWrite};

use super::Running;
use crate::core::{Input, Odd, Suspicion};
use crate::site::Message;

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Running<S> {
    pub(super) fn odd(&self, action: &'static str, findings: Vec<Finding>, raw: &str) {
        tracing::debug!(station = %self.link.station, action, ?findings, "odd message");
        let odd = Odd { action, findings, example: example(raw) };
        let _ =
            self.link.site.try_send(Message::Input(Input::Odd { station: self.link.station.clone(), odd }));
    }

    pub(super) fn suspect(&self, suspicion: Suspicion) {
        let station = self.link.station.clone();
        let _ = self.link.site.try_send(Message::Input(Input::Suspected { station, suspicion }));
    }
}

pub(super) fn mended() -> Finding {
    let text = "a value was missing".to_owned();
    Finding { severity: Severity::Hard, field: "frame".into(), oddity: Oddity::Mended, text }
}

pub(super) fn no_frame(reason: &str) -> Finding {
    let text = reason.chars().take(200).collect();
    Finding { severity: Severity::Hard, field: "frame".into(), oddity: Oddity::NotAFrame, text }
}

pub(super) fn unknown_action(action: &str) -> Finding {
    let text = format!("{action:.50?} is not known here");
    Finding { severity: Severity::Soft, field: "action".into(), oddity: Oddity::UnknownAction, text }
}
