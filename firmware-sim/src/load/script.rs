//! What a station under load says: sessions, one after the other, ten calls each, made without a station.

use crate::clock::wall;

/// A station's place in its session.
pub(super) struct Script {
    tag: String,
    number: u64,
    step: usize,
    transaction: i64,
    register: i64,
    /// `"17"`, the message id of the call that waits for its answer.
    awaited: String,
    ended: bool,
}

/// The calls of a session, in order.
#[derive(Clone, Copy)]
enum Step {
    Status(&'static str),
    Authorise,
    Start,
    Meter,
    Stop,
}

const SESSION: [Step; 10] = [
    Step::Status("Preparing"),
    Step::Authorise,
    Step::Start,
    Step::Status("Charging"),
    Step::Meter,
    Step::Meter,
    Step::Meter,
    Step::Meter,
    Step::Stop,
    Step::Status("Available"),
];

/// What flows between two readings.
const STEP_WH: i64 = 250;

impl Script {
    pub(super) fn new(tag: &str) -> Self {
        Script {
            tag: tag.to_owned(),
            number: 0,
            step: 0,
            transaction: -1,
            register: 1_000,
            awaited: String::new(),
            ended: false,
        }
    }

    pub(super) fn boot(&mut self) -> String {
        self.step = 0;
        let payload = r#"{"chargePointVendor":"FirmwareSim","chargePointModel":"Load"}"#;
        self.frame("BootNotification", payload)
    }

    /// The next call.
    pub(super) fn next(&mut self) -> String {
        let step = SESSION[self.step];
        self.step = (self.step + 1) % SESSION.len();
        self.ended = matches!(step, Step::Stop);
        let now = wall();
        let (tag, register, transaction) = (&self.tag, self.register, self.transaction);
        match step {
            Step::Status(status) => self.frame(
                "StatusNotification",
                &format!(r#"{{"connectorId":1,"errorCode":"NoError","status":"{status}","timestamp":"{now}"}}"#),
            ),
            Step::Authorise => self.frame("Authorize", &format!(r#"{{"idTag":"{tag}"}}"#)),
            Step::Start => self.frame(
                "StartTransaction",
                &format!(r#"{{"connectorId":1,"idTag":"{tag}","meterStart":{register},"timestamp":"{now}"}}"#),
            ),
            Step::Meter => {
                self.register += STEP_WH;
                let payload = format!(
                    r#"{{"connectorId":1,"transactionId":{transaction},"meterValue":[{{"timestamp":"{now}","sampledValue":[{{"value":"{}","context":"Sample.Periodic","measurand":"Energy.Active.Import.Register","unit":"Wh"}},{{"value":"11000","measurand":"Power.Active.Import","unit":"W"}},{{"value":"48","measurand":"SoC","unit":"Percent","location":"EV"}}]}}]}}"#,
                    self.register
                );
                self.frame("MeterValues", &payload)
            }
            Step::Stop => self.frame(
                "StopTransaction",
                &format!(
                    r#"{{"transactionId":{transaction},"idTag":"{tag}","meterStop":{register},"timestamp":"{now}","reason":"Local"}}"#
                ),
            ),
        }
    }

    /// Was the last call the end of a session?
    pub(super) fn session_ended(&self) -> bool {
        self.ended
    }

    /// Takes a received frame: `None` when it is not the answer that is waited for, else whether it was a result.
    pub(super) fn answered(&mut self, text: &str) -> Option<bool> {
        let (kind, rest) = text.split_at_checked(3)?;
        if !rest.starts_with(&self.awaited) {
            return None;
        }
        if let Some((_, id)) = rest.split_once("\"transactionId\":") {
            let digits = id.find(|c: char| !c.is_ascii_digit()).unwrap_or(id.len());
            self.transaction = id[..digits].parse().unwrap_or(-1);
        }
        Some(kind == "[3,")
    }

    fn frame(&mut self, action: &str, payload: &str) -> String {
        self.number += 1;
        self.awaited = format!("\"{}\"", self.number);
        format!("[2,{},\"{action}\",{payload}]", self.awaited)
    }
}

#[cfg(test)]
mod tests {
    use shared::ocpp::frame::Frame;
    use shared::ocpp::v16::StationCall;

    use super::*;

    #[test]
    fn every_call_is_flawless() {
        let mut script = Script::new("TAG");
        let mut texts = vec![script.boot()];
        for _ in 0..SESSION.len() {
            texts.push(script.next());
            let number = script.number;
            script.answered(&format!("[3,\"{number}\",{{\"transactionId\":77,\"idTagInfo\":{{}}}}]"));
        }
        for text in texts {
            let Ok(Frame::Call { action, payload, .. }) = Frame::parse(&text) else { panic!("{text}") };
            let read = StationCall::read(&action, &payload).unwrap();
            assert!(read.findings.is_empty(), "{text} {:?}", read.findings);
        }
        assert_eq!(script.transaction, 77);
        assert_eq!(script.register, 2_000);
    }

    #[test]
    fn foreign_frames_are_not_the_answer() {
        let mut script = Script::new("TAG");
        script.boot();
        assert_eq!(script.answered("[3,\"2\",{}]"), None);
        assert_eq!(script.answered("[4,\"1\",\"InternalError\",\"\",{}]"), Some(false));
        assert_eq!(script.answered("[3,\"1\",{}]"), Some(true));
        assert_eq!(script.answered(""), None);
    }
}
