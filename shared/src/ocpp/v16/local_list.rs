//! The list of tokens that a station keeps (1.6 §5.10, §5.15).

use serde_json::value::RawValue;

use super::reply::{TagInfo, TagStatus};
use super::schema::{
    AuthorizationData, GetLocalListVersionRequest, SendLocalListRequest, UpdateType, Violation, write,
};

/// A request of ours about a station's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListCall {
    /// `GetLocalListVersion`
    GetVersion,
    /// `SendLocalList`
    Send {
        /// The list's version from now on: never 0 or -1, which mean an empty list and none at all.
        version: i32,
        /// Instead of what the station holds, or on top of it.
        full: bool,
        /// What changes.
        entries: Vec<ListEntry>,
    },
}

/// A token and what to say of it; without, it leaves the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListEntry {
    /// The token.
    pub id_tag: String,
    /// The answer to it.
    pub info: Option<TagInfo>,
}

impl ListCall {
    /// The action's name.
    pub fn action(&self) -> &'static str {
        match self {
            ListCall::GetVersion => "GetLocalListVersion",
            ListCall::Send { .. } => "SendLocalList",
        }
    }

    /// The request's payload, if the schema allows what it says.
    pub fn payload(&self) -> Result<Box<RawValue>, Violation> {
        match self {
            ListCall::GetVersion => write(&GetLocalListVersionRequest::new()),
            ListCall::Send { version, full, entries } => {
                let kind = if *full { UpdateType::Full } else { UpdateType::Differential };
                let mut request = SendLocalListRequest::new(*version, kind);
                let entries: Vec<_> = entries.iter().map(ListEntry::write).collect();
                request.local_authorization_list = (!entries.is_empty()).then_some(entries);
                write(&request)
            }
        }
    }
}

impl ListEntry {
    fn write(&self) -> AuthorizationData {
        let mut data = AuthorizationData::new(&self.id_tag);
        data.id_tag_info = self.info.as_ref().map(TagInfo::to_schema);
        data
    }

    /// Reads one as a careful station does.
    pub fn read(data: AuthorizationData) -> Self {
        let info = data.id_tag_info.map(|info| TagInfo {
            status: TagStatus::from_schema(&info.status),
            expires_at: info.expiry_date.map(super::schema::timestamp),
            parent: info.parent_id_tag,
        });
        ListEntry { id_tag: data.id_tag, info }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ocpp::v16::schema::read_csms_request;
    use crate::units::Timestamp;

    #[test]
    fn every_request_is_what_the_schema_asks() {
        let info = TagInfo {
            status: TagStatus::Blocked,
            expires_at: Some(Timestamp(1_763_812_800_174)),
            parent: Some("user-1".into()),
        };
        let add = ListEntry { id_tag: "A".into(), info: Some(info) };
        let gone = ListEntry { id_tag: "B".into(), info: None };
        for (call, payload) in [
            (ListCall::GetVersion, "{}"),
            (
                ListCall::Send { version: 3, full: true, entries: vec![] },
                r#"{"listVersion":3,"updateType":"Full"}"#,
            ),
            (
                ListCall::Send { version: 4, full: false, entries: vec![add, gone] },
                r#"{"listVersion":4,"updateType":"Differential","localAuthorizationList":[{"idTag":"A","idTagInfo":{"status":"Blocked","expiryDate":"2025-11-22T12:00:00Z","parentIdTag":"user-1"}},{"idTag":"B"}]}"#,
            ),
        ] {
            let written = call.payload().unwrap();
            assert_eq!(written.get(), payload);
            assert!(read_csms_request(call.action(), &written).is_ok(), "{payload}");
        }
    }
}
