//! What a received text brings about.

use serde_json::value::RawValue;
use shared::ocpp::ErrorCode;
use shared::ocpp::rpc::{Answer, CallKey, Received, Reply};
use shared::ocpp::v16::{Confirmation, CsmsCall, Verdict};

use super::{Link, Response};
use crate::behaviour::v16;
use crate::event::Event;
use crate::station::Outcome;
use crate::tempo::Millis;

impl Link {
    pub(super) fn receive(&mut self, now: Millis, text: &str) {
        let Some(peer) = &mut self.peer else { return };
        match peer.receive(text) {
            Received::Call { key, action, payload, .. } => self.asked(now, key, &action, &payload),
            Received::Replay(text) => self.raw.push(text),
            Received::Answered { ticket: (ticket, action), answer } => {
                let outcome = self.outcome(action, answer);
                self.station.answered(now, ticket, outcome);
            }
            Received::Late(_) | Received::Repeat | Received::Ignored => {}
            Received::Unasked => self.publish(&Event::Unasked { text: text.to_owned() }),
            Received::Bad { reply, bad } => {
                self.raw.extend(reply);
                self.publish(&Event::Violation { text: format!("{bad}: {text}") });
            }
        }
    }

    fn outcome(&mut self, action: &str, answer: Answer) -> Outcome {
        match answer {
            Answer::Result(payload) => match v16::told(action, &payload) {
                Ok(told) => Outcome::Told(told),
                Err(violation) => {
                    self.publish(&Event::Violation {
                        text: format!("{action}.conf: {violation}: {payload}"),
                    });
                    Outcome::Refused(violation.to_string())
                }
            },
            Answer::Error { code, description } => Outcome::Refused(format!("{code}: {description}")),
            Answer::Timeout => Outcome::TimedOut,
        }
    }

    fn asked(&mut self, now: Millis, key: CallKey, action: &str, payload: &RawValue) {
        let reply = match v16::asked(action, payload) {
            Ok(call) => match self.carry_out(now, &call) {
                Some(reply) => reply,
                None => return,
            },
            Err(violation) => {
                self.publish(&Event::Violation { text: format!("{action}: {violation}") });
                Reply::Error(violation.code, violation.reason)
            }
        };
        if let Some(peer) = &mut self.peer {
            self.raw.push(peer.reply(key, &reply));
        }
    }

    /// `None`: nothing is answered.
    fn carry_out(&mut self, now: Millis, call: &CsmsCall) -> Option<Reply> {
        let response = self.responses.get(call.action()).cloned().unwrap_or_default();
        if response != Response::Normal {
            self.publish(&Event::CommandReceived { action: call.action().to_owned() });
        }
        let answer = match response {
            Response::Normal if !self.station.supports(call) => {
                return Some(Reply::Error(ErrorCode::NotSupported, format!("no {} here", call.action())));
            }
            Response::Normal => self.station.asked(now, call),
            Response::Reject => Confirmation { verdict: Some(Verdict::Rejected), ..Confirmation::default() },
            Response::Silent => return None,
            Response::Error(code) => return Some(Reply::Error(code, "as told".to_owned())),
        };
        Some(match v16::confirmation(call, &answer) {
            Ok(payload) => Reply::Result(payload),
            Err(violation) => Reply::Error(ErrorCode::InternalError, violation.to_string()),
        })
    }
}
