//! What many stations can be ordered to do, in the words of the orders to one.

use async_graphql::{InputObject, OneofObject};
use shared::model::charging::ProfileFilter;
use shared::model::command::CommandBody;

use crate::graphql::charging::{ChargingProfileInput, Purpose};
use crate::graphql::command::{self, MessageName};
use crate::graphql::error::{Fault, Result};

/// What shall be done: exactly one of these.
#[derive(OneofObject)]
pub(in crate::graphql) enum BulkOperation {
    ResetStation(BulkReset),
    ChangeAvailability(BulkAvailability),
    GetConfiguration(BulkKeys),
    ChangeConfiguration(BulkSetting),
    /// true.
    ClearCache(bool),
    TriggerMessage(BulkTrigger),
    DataTransfer(BulkDataTransfer),
    SetChargingProfile(ChargingProfileInput),
    ClearChargingProfiles(BulkProfileFilter),
    /// true.
    GetLocalListVersion(bool),
    /// true.
    SendLocalList(bool),
}

/// See `Mutation.resetStation`.
#[derive(InputObject)]
pub(in crate::graphql) struct BulkReset {
    #[graphql(default)]
    hard: bool,
}

/// See `Mutation.changeAvailability`; of whole stations.
#[derive(InputObject)]
pub(in crate::graphql) struct BulkAvailability {
    operative: bool,
}

/// See `Mutation.getConfiguration`.
#[derive(InputObject)]
pub(in crate::graphql) struct BulkKeys {
    #[graphql(default)]
    keys: Vec<String>,
}

/// See `Mutation.changeConfiguration`.
#[derive(InputObject)]
pub(in crate::graphql) struct BulkSetting {
    key: String,
    value: String,
}

/// See `Mutation.triggerMessage`.
#[derive(InputObject)]
pub(in crate::graphql) struct BulkTrigger {
    message: MessageName,
}

/// See `Mutation.dataTransfer`.
#[derive(InputObject)]
pub(in crate::graphql) struct BulkDataTransfer {
    vendor_id: String,
    message_id: Option<String>,
    data: Option<String>,
}

/// See `Mutation.clearChargingProfiles`.
#[derive(InputObject)]
pub(in crate::graphql) struct BulkProfileFilter {
    profile_id: Option<i32>,
    purpose: Option<Purpose>,
    stack_level: Option<u16>,
}

impl BulkOperation {
    /// The order to each station.
    pub(super) fn body(self) -> Result<CommandBody> {
        Ok(match self {
            BulkOperation::ResetStation(it) => CommandBody::Reset { hard: it.hard },
            BulkOperation::ChangeAvailability(it) => {
                CommandBody::SetAvailability { evse: None, operative: it.operative }
            }
            BulkOperation::GetConfiguration(it) => command::get_configuration_body(it.keys)?,
            BulkOperation::ChangeConfiguration(it) => command::change_configuration_body(it.key, it.value)?,
            BulkOperation::ClearCache(yes) => only_true(yes, CommandBody::ClearCache)?,
            BulkOperation::TriggerMessage(it) => {
                CommandBody::Trigger { message: it.message.into(), evse: None }
            }
            BulkOperation::DataTransfer(it) => {
                command::data_transfer_body(it.vendor_id, it.message_id, it.data)?
            }
            BulkOperation::SetChargingProfile(it) => it.for_whole_stations()?,
            BulkOperation::ClearChargingProfiles(it) => CommandBody::ClearChargingProfiles(ProfileFilter {
                id: it.profile_id,
                evse: None,
                purpose: it.purpose.map(Into::into),
                stack_level: it.stack_level,
            }),
            BulkOperation::GetLocalListVersion(yes) => only_true(yes, CommandBody::GetLocalListVersion)?,
            BulkOperation::SendLocalList(yes) => only_true(yes, CommandBody::SendLocalList)?,
        })
    }
}

fn only_true(yes: bool, body: CommandBody) -> Result<CommandBody> {
    if yes { Ok(body) } else { Err(Fault::BadInput("The operation's value must be true.".into())) }
}
