//! Who may do what to which rows. One table, [`Viewer::reach`], and nothing beside it.
//!
//! A person has a role of his own and a role in each organization he is a member of; what he may do is the sum. Rows are
//! reached through their site: it is one's own, or its organization's. What is out of reach does not exist: readers get
//! nothing, writers a "not found". Row-level security in Postgres repeats the rule (`db::viewer`), so that a forgotten check
//! here shows nothing.

use std::str::FromStr;

/// What a person is by himself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Runs the installation.
    Administrator,
    /// Owns sites and organizations.
    BusinessOwner,
    /// Charges.
    Driver,
    /// A program with an API key; all it may do comes from its organization.
    Service,
}

/// What a person is in an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MemberRole {
    /// Everything, members included.
    Owner,
    /// Keeps the stations running.
    Operator,
    /// Puts gateways and stations into service.
    Installer,
    /// Looks, touches nothing.
    Viewer,
}

impl Role {
    /// The name in the database and in tokens; a driver has two, the second from the first apps.
    pub fn name(self) -> &'static str {
        match self {
            Role::Administrator => "administrator",
            Role::BusinessOwner => "business-owner",
            Role::Driver => "driver",
            Role::Service => "service",
        }
    }
}

impl FromStr for Role {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        match name {
            "administrator" => Ok(Role::Administrator),
            "business-owner" => Ok(Role::BusinessOwner),
            "driver" | "end-user" => Ok(Role::Driver),
            "service" => Ok(Role::Service),
            _ => Err(()),
        }
    }
}

impl MemberRole {
    /// All of them, the mightiest first.
    pub const ALL: [MemberRole; 4] =
        [MemberRole::Owner, MemberRole::Operator, MemberRole::Installer, MemberRole::Viewer];

    /// The name in the database and in the API.
    pub fn name(self) -> &'static str {
        match self {
            MemberRole::Owner => "owner",
            MemberRole::Operator => "operator",
            MemberRole::Installer => "installer",
            MemberRole::Viewer => "viewer",
        }
    }

    fn may(self, deed: Deed) -> bool {
        use Deed::{
            Charge, ManageCards, Onboard, Operate, SeeAudit, SeeOrganizations, SeeSessions, SeeSites,
        };
        match self {
            MemberRole::Owner => deed != Deed::ManageUsers,
            MemberRole::Operator => {
                matches!(
                    deed,
                    SeeSites
                        | SeeOrganizations
                        | Onboard
                        | Operate
                        | SeeSessions
                        | Charge
                        | ManageCards
                        | SeeAudit
                )
            }
            MemberRole::Installer => matches!(deed, SeeSites | SeeOrganizations | Onboard | Operate),
            MemberRole::Viewer => matches!(deed, SeeSites | SeeOrganizations | SeeSessions),
        }
    }
}

impl FromStr for MemberRole {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        MemberRole::ALL.into_iter().find(|role| role.name() == name).ok_or(())
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
    /// Start, stop and book a charge: "own" is at public stations or one's own, and one's own sessions or those at one's own sites.
    Charge,
    /// Read organizations and who is in them.
    SeeOrganizations,
    /// Create or change them, their members and keys.
    ChangeOrganizations,
    /// Read and change people: "own" is oneself.
    ManageUsers,
    /// Read who changed what.
    SeeAudit,
    /// Read and change cards and groups of them: "own" is one's own cards, an organization's are those in its groups.
    ManageCards,
}

/// How far a deed reaches: what is one's own, and what belongs to these organizations. In SQL over sites:
/// `($1 or s.owner_id = $2 or s.organization_id = any($3))`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// Every row.
    pub everything: bool,
    /// The rows of this user.
    pub user: Option<i64>,
    /// The rows of these organizations.
    pub organizations: Vec<i64>,
}

impl Reach {
    /// Not one row: the deed is not for this viewer.
    pub fn is_nothing(&self) -> bool {
        !self.everything && self.user.is_none() && self.organizations.is_empty()
    }

    /// Does it reach a row of this owner and this organization?
    pub fn includes(&self, owner: Option<i64>, organization: Option<i64>) -> bool {
        self.everything
            || (owner.is_some() && owner == self.user)
            || organization.is_some_and(|id| self.organizations.contains(&id))
    }
}

/// Somebody whose token was good when he asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Viewer {
    /// `users.id`.
    pub id: i64,
    /// As of now, not as of the token's issue.
    pub role: Role,
    /// The organizations he is in.
    pub memberships: Vec<(i64, MemberRole)>,
    /// When the token ends, in seconds since 1970.
    pub expires_at: i64,
}

impl Viewer {
    /// How far a deed of his reaches.
    pub fn reach(&self, deed: Deed) -> Reach {
        let organizations = self.memberships.iter().filter(|(_, role)| role.may(deed)).map(|(id, _)| *id);
        Reach {
            everything: self.role == Role::Administrator,
            user: self.reaches_own(deed).then_some(self.id),
            organizations: organizations.collect(),
        }
    }

    fn reaches_own(&self, deed: Deed) -> bool {
        use Deed::{Charge, ManageCards, ManageUsers, SeeOrganizations, SeeSessions, SeeSites};
        match self.role {
            Role::Administrator | Role::BusinessOwner => true,
            Role::Driver => {
                matches!(deed, SeeSites | SeeOrganizations | SeeSessions | Charge | ManageUsers | ManageCards)
            }
            Role::Service => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEEDS: [Deed; 11] = [
        Deed::SeeSites,
        Deed::ChangeSites,
        Deed::Onboard,
        Deed::Operate,
        Deed::SeeSessions,
        Deed::Charge,
        Deed::SeeOrganizations,
        Deed::ChangeOrganizations,
        Deed::ManageUsers,
        Deed::SeeAudit,
        Deed::ManageCards,
    ];

    fn viewer(role: Role, memberships: Vec<(i64, MemberRole)>) -> Viewer {
        Viewer { id: 7, role, memberships, expires_at: 0 }
    }

    fn row(of: impl Fn(Deed) -> char) -> String {
        DEEDS.map(of).iter().collect()
    }

    #[test]
    fn the_table_of_what_is_ones_own() {
        for (role, expected) in [
            (Role::Administrator, "AAAAAAAAAAA"),
            (Role::BusinessOwner, "OOOOOOOOOOO"),
            (Role::Driver, "O---OOO-O-O"),
            (Role::Service, "-----------"),
        ] {
            let viewer = viewer(role, vec![]);
            let reaches = row(|deed| match viewer.reach(deed) {
                Reach { everything: true, .. } => 'A',
                Reach { user: Some(7), .. } => 'O',
                reach => {
                    assert!(reach.is_nothing());
                    '-'
                }
            });
            assert_eq!(reaches, expected, "{role:?}");
        }
    }

    #[test]
    fn the_table_of_what_is_an_organizations() {
        for (role, expected) in [
            (MemberRole::Owner, "++++++++-++"),
            (MemberRole::Operator, "+-+++++--++"),
            (MemberRole::Installer, "+-++--+----"),
            (MemberRole::Viewer, "+---+-+----"),
        ] {
            let viewer = viewer(Role::Service, vec![(3, role)]);
            let reaches = row(|deed| if viewer.reach(deed).organizations == [3] { '+' } else { '-' });
            assert_eq!(reaches, expected, "{role:?}");
        }
    }

    #[test]
    fn memberships_add_to_what_is_ones_own() {
        let reach = viewer(Role::Driver, vec![(3, MemberRole::Viewer), (4, MemberRole::Owner)])
            .reach(Deed::ChangeSites);
        assert_eq!(reach, Reach { everything: false, user: None, organizations: vec![4] });
        assert!(reach.includes(Some(7), Some(4)) && !reach.includes(Some(7), Some(3)));
        assert!(!reach.includes(None, None));
    }

    #[test]
    fn roles_keep_their_names() {
        for role in [Role::Administrator, Role::BusinessOwner, Role::Driver, Role::Service] {
            assert_eq!(role.name().parse(), Ok(role));
        }
        for role in MemberRole::ALL {
            assert_eq!(role.name().parse(), Ok(role));
        }
        assert_eq!("end-user".parse(), Ok(Role::Driver));
        assert_eq!("root".parse::<Role>(), Err(()));
        assert_eq!("root".parse::<MemberRole>(), Err(()));
    }
}
