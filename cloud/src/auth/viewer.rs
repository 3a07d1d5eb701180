//! Who may do what to which rows. One table, [`Viewer::reach`], and nothing beside it.
//!
//! "Own" is by the site's owner. What is out of reach does not exist: readers get nothing, writers a "not found".

use std::str::FromStr;

/// What a person is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Runs the installation.
    Administrator,
    /// Keeps the stations of all sites running.
    Operator,
    /// Puts gateways and stations into service.
    Installer,
    /// Looks, touches nothing.
    Viewer,
    /// Owns sites.
    BusinessOwner,
    /// Charges.
    Driver,
}

impl Role {
    /// The name in the database and in tokens; a driver has two, the second from the first apps.
    pub fn name(self) -> &'static str {
        match self {
            Role::Administrator => "administrator",
            Role::Operator => "operator",
            Role::Installer => "installer",
            Role::Viewer => "viewer",
            Role::BusinessOwner => "business-owner",
            Role::Driver => "driver",
        }
    }
}

impl FromStr for Role {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        match name {
            "administrator" => Ok(Role::Administrator),
            "operator" => Ok(Role::Operator),
            "installer" => Ok(Role::Installer),
            "viewer" => Ok(Role::Viewer),
            "business-owner" => Ok(Role::BusinessOwner),
            "driver" | "end-user" => Ok(Role::Driver),
            _ => Err(()),
        }
    }
}

/// What somebody wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Read sites, stations, connectors.
    SeeSites,
    /// Create or change them.
    ChangeSites,
    /// Claim a gateway, set a station's password.
    Onboard,
    /// Send commands to stations and read their answers.
    Operate,
    /// Read sessions and bills: "own" is one's own charging and what happened at one's own sites.
    SeeSessions,
    /// Start and stop a charge: "own" is at public stations or one's own, and one's own sessions or those at one's own sites.
    Charge,
    /// Create users, give tokens: "own" is oneself.
    ManageUsers,
}

/// How far a deed reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Every row.
    All,
    /// The rows of this user.
    Own(i64),
    /// No row; the deed is not this role's.
    Nothing,
}

impl Reach {
    /// For `($1::bigint is null or owner_id = $1)`: no value reaches all. `None` when the deed is not this role's at all.
    pub fn owner(self) -> Option<Option<i64>> {
        match self {
            Reach::All => Some(None),
            Reach::Own(id) => Some(Some(id)),
            Reach::Nothing => None,
        }
    }
}

/// Somebody whose token was good when he asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Viewer {
    /// `users.id`.
    pub id: i64,
    /// As of now, not as of the token's issue.
    pub role: Role,
    /// When the token ends, in seconds since 1970.
    pub expires_at: i64,
}

impl Viewer {
    /// How far a deed of his reaches.
    pub fn reach(&self, deed: Deed) -> Reach {
        use Deed::{ChangeSites, Charge, ManageUsers, Onboard, Operate, SeeSessions, SeeSites};
        let own = Reach::Own(self.id);
        match (self.role, deed) {
            (Role::Administrator, _) => Reach::All,

            (Role::Operator, SeeSites | Onboard | Operate | SeeSessions | Charge) => Reach::All,
            (Role::Installer, SeeSites | Onboard | Operate) => Reach::All,
            (Role::Viewer, SeeSites | SeeSessions) => Reach::All,

            (Role::Operator | Role::Installer | Role::BusinessOwner, _) => own,
            (Role::Viewer | Role::Driver, ChangeSites | Onboard | Operate) => Reach::Nothing,
            (Role::Viewer | Role::Driver, SeeSites | SeeSessions | Charge | ManageUsers) => own,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_reaches() {
        use Deed::{ChangeSites, Charge, ManageUsers, Onboard, Operate, SeeSessions, SeeSites};
        let deeds = [SeeSites, ChangeSites, Onboard, Operate, SeeSessions, Charge, ManageUsers];
        let table = [
            (Role::Administrator, "AAAAAAA"),
            (Role::Operator, "AOAAAAO"),
            (Role::Installer, "AOAAOOO"),
            (Role::Viewer, "A---AOO"),
            (Role::BusinessOwner, "OOOOOOO"),
            (Role::Driver, "O---OOO"),
        ];
        for (role, expected) in table {
            let viewer = Viewer { id: 7, role, expires_at: 0 };
            let reaches: String = deeds
                .map(|deed| match viewer.reach(deed) {
                    Reach::All => 'A',
                    Reach::Own(7) => 'O',
                    Reach::Own(_) => '?',
                    Reach::Nothing => '-',
                })
                .iter()
                .collect();
            assert_eq!(reaches, expected, "{role:?}");
        }
    }

    #[test]
    fn roles_keep_their_names() {
        for role in [
            Role::Administrator,
            Role::Operator,
            Role::Installer,
            Role::Viewer,
            Role::BusinessOwner,
            Role::Driver,
        ] {
            assert_eq!(role.name().parse(), Ok(role));
        }
        assert_eq!("end-user".parse(), Ok(Role::Driver));
        assert_eq!("root".parse::<Role>(), Err(()));
    }
}
