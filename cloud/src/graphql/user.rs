//! People: adding others.

use async_graphql::{Context, InputObject, Object};

use super::entity::{Person, Snapshot};
use super::error::{Fault, Result};
use super::{app, reach};
use crate::auth::{self, Deed, Role};
use crate::db::user::{self, NewUser};

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
    async fn create_user(&self, ctx: &Context<'_>, input: CreateUserInput) -> Result<Person> {
        let (viewer, reach) = reach(ctx, Deed::ManageUsers).await?;
        if !reach.everything {
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
        let mut tx = app(ctx).db.begin().await?;
        let id = user::insert(&mut tx, &new).await.map_err(taken("username, phone or email"))?;
        Snapshot::of_nobody(id).log(&mut tx, viewer.id).await?;
        tx.commit().await?;
        Ok(Person(id))
    }
}

pub(super) fn given(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

/// A password that somebody chose.
pub(super) fn checked_password(password: &str) -> Result<&str> {
    auth::weakness(password).map_or(Ok(password), |weakness| Err(Fault::BadInput(weakness)))
}

/// A unique key that is taken is the caller's mistake, everything else is ours.
pub(super) fn taken(what: &str) -> impl FnOnce(sqlx::Error) -> Fault {
    move |error| {
        let unique = error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation);
        if unique { Fault::BadInput(format!("This {what} is taken.")) } else { error.into() }
    }
}
