//! What is not done although it was ordered: it would lock a station out, give its password away, or let somebody on the
//! line put in an authority of his own (libocpp 857).

use shared::id::StationId;
use shared::model::command::{Command, CommandBody};
use shared::model::security::{HIGHEST_PROFILE, ProfileRaise};
use shared::model::settings::folded;

use crate::core::Core;

/// What is said about lines that are not encrypted.
const READABLE: &str = "the line is not encrypted, so that others could read or change what is sent: raise the security profile first, or say overPlainLine";

impl Core {
    /// Why an order about security, or one that meddles with it, is not carried out. What depends on how the station comes
    /// is judged when it is here.
    pub(in crate::core) fn objection_by_security(&self, command: &Command) -> Option<&'static str> {
        let station = &command.station;
        if let CommandBody::ChangeConfiguration { key, .. } = &command.body {
            return objection_to_writing(key);
        }
        let no_root = matches!(command.body, CommandBody::InstallCertificate { certificate: None, .. });
        if no_root && self.security.authority.is_empty() {
            return Some(
                "this gateway shows a certificate that its own authority did not sign: give that authority's",
            );
        }
        let profile = self.security.profile(station)?;
        if let CommandBody::RaiseProfile(raise) = &command.body {
            return self.objection_to_raising(station, profile, raise);
        }
        let needs_encryption = matches!(
            command.body,
            CommandBody::InstallCertificate { over_plain: false, .. }
                | CommandBody::RotatePassword { over_plain: false }
                | CommandBody::RenewCertificate
        );
        if needs_encryption && self.security.is_plain(station) {
            return Some(READABLE);
        }
        let rotates = matches!(command.body, CommandBody::RotatePassword { .. });
        (rotates && profile == HIGHEST_PROFILE).then_some("the station shows a certificate, not a password")
    }

    fn objection_to_raising(
        &self,
        station: &StationId,
        profile: u8,
        raise: &ProfileRaise,
    ) -> Option<&'static str> {
        if !(1..=HIGHEST_PROFILE).contains(&raise.to) {
            return Some("security profiles are 1, 2 and 3");
        }
        if profile >= raise.to {
            return Some("the station comes by this security profile already, or by a higher one");
        }
        if !self.security.doors.contains_key(&raise.to) {
            return Some(
                "the gateway has no door of this security profile: set tls.listen or tls.mutual_listen in its configuration",
            );
        }
        (self.security.is_plain(station) && !raise.over_plain).then_some(READABLE)
    }
}

/// Why a setting is not written like others.
pub(in crate::core) fn objection_to_writing(key: &str) -> Option<&'static str> {
    if folded(key) == "authorizationkey" {
        return Some(
            "passwords are changed by RotatePassword, so that the old one is good until the new one works",
        );
    }
    (folded(key) == "securityprofile")
        .then_some("the security profile is changed by RaiseProfile, which sees to what it needs")
}
