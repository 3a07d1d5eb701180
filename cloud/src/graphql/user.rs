//! People: oneself, and adding others.

use async_graphql::{Context, ID, InputObject, Object};

use super::error::{Fault, Result};
use super::scalar::Float;
use super::{app, reach, viewer};
use crate::auth::{self, Deed, Role};
use crate::db::user::{self, NewUser};

/// Characters of a password.
const PASSWORD_LENGTH: std::ops::RangeInclusive<usize> = 10..=256;

/// A person.
pub(super) struct User(user::User);

#[Object]
impl User {
    async fn id(&self) -> ID {
        self.0.id.into()
    }
    async fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }
    async fn username(&self) -> Option<&str> {
        self.0.username.as_deref()
    }
    /// An error for those who have none.
    #[expect(clippy::unused_async, reason = "resolvers are async by contract")]
    async fn phone(&self) -> Result<&str> {
        self.0.phone.as_deref().ok_or(Fault::MissingValue("User.phone"))
    }
    async fn email(&self) -> Option<&str> {
        self.0.email.as_deref()
    }
    async fn country(&self) -> Option<&str> {
        self.0.country.as_deref()
    }
    async fn state(&self) -> Option<&str> {
        self.0.state.as_deref()
    }
    async fn address(&self) -> Option<&str> {
        self.0.address.as_deref()
    }
    async fn unit(&self) -> Option<&str> {
        self.0.unit.as_deref()
    }
    async fn city(&self) -> Option<&str> {
        self.0.city.as_deref()
    }
    async fn zip(&self) -> Option<Float> {
        self.0.zip.map(Float)
    }
    /// administrator, business-owner, driver (also called end-user) or service.
    async fn role(&self) -> &str {
        &self.0.role
    }
}

#[derive(Default)]
pub(super) struct UserQuery;

#[Object]
impl UserQuery {
    /// Who is asking.
    async fn me(&self, ctx: &Context<'_>) -> Result<User> {
        let viewer = viewer(ctx).await?;
        user::find(&app(ctx).db, viewer.id).await?.map(User).ok_or(Fault::Unauthorized)
    }
}

/// A person to be.
#[derive(InputObject)]
pub(super) struct CreateUserInput {
    name: Option<String>,
    username: Option<String>,
    phone: Option<String>,
    email: Option<String>,
    /// At least 10 characters; without one, the person cannot sign in by password.
    password: Option<String>,
    /// administrator, business-owner or driver.
    role: String,
}

#[derive(Default)]
pub(super) struct UserMutation;

#[Object]
impl UserMutation {
    /// Adds a person; for administrators.
    async fn create_user(&self, ctx: &Context<'_>, input: CreateUserInput) -> Result<User> {
        if !reach(ctx, Deed::ManageUsers).await?.1.everything {
            return Err(Fault::role());
        }
        let role: Role = input
            .role
            .parse()
            .map_err(|()| Fault::BadInput(format!("There is no role {:?}.", input.role)))?;
        let password_hash = match &input.password {
            Some(password) => Some(auth::hash_password(checked_password(password)?).await?),
            None => None,
        };
        let new = NewUser {
            name: input.name.as_deref(),
            username: given(input.username.as_deref()),
            phone: given(input.phone.as_deref()),
            email: given(input.email.as_deref()),
            role: role.name(),
            password_hash: password_hash.as_deref(),
        };
        if new.username.or(new.phone).or(new.email).is_none() {
            return Err(Fault::BadInput("Give at least one of username, phone and email.".into()));
        }
        let db = &app(ctx).db;
        let id =
            user::insert(&mut *db.acquire().await?, &new).await.map_err(taken("username, phone or email"))?;
        user::find(db, id).await?.map(User).ok_or_else(|| Fault::no_such("User", id))
    }
}

pub(super) fn given(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

fn checked_password(password: &str) -> Result<&str> {
    if PASSWORD_LENGTH.contains(&password.chars().count()) {
        return Ok(password);
    }
    let (least, most) = (PASSWORD_LENGTH.start(), PASSWORD_LENGTH.end());
    Err(Fault::BadInput(format!("A password has {least} to {most} characters.")))
}

/// A unique key that is taken is the caller's mistake, everything else is ours.
pub(super) fn taken(what: &str) -> impl FnOnce(sqlx::Error) -> Fault {
    move |error| {
        let unique = error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation);
        if unique { Fault::BadInput(format!("This {what} is taken.")) } else { error.into() }
    }
}
