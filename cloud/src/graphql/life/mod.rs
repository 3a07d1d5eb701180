//! Stations' life: how they come to a site and wait, what they are set to, what was said to them.

mod admission;
mod frames;
mod settings;

pub(super) use admission::{AdmissionMutation, AdmissionQuery};
pub(super) use frames::FramesMutation;
pub(super) use settings::{SettingsMutation, SettingsQuery};
