//! People: signing in, oneself, and adding others.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use super::error::{Fault, Result};
use super::scalar::Float;
use super::{app, parse_id, reach, viewer};
use crate::auth::{self, Caller, Credentials, Deed, Refusal, Role};
use crate::db::user::{self, NewUser};
use crate::documents;

/// Characters of a password.
const PASSWORD_LENGTH: std::ops::RangeInclusive<usize> = 10..=256;
/// OCPP 1.6 idTag: CiString20.
const TOKEN_LENGTH: std::ops::RangeInclusive<usize> = 1..=20;

/// How to sign in: with `username` (or `email`, or `phone`) and `password`.
#[derive(InputObject)]
#[graphql(name = "LoginInputDTO")]
pub(super) struct LoginInput {
    phone: Option<String>,
    email: Option<String>,
    username: Option<String>,
    password: Option<String>,
    /// A one-time code instead of the password.
    code: Option<String>,
}

#[derive(SimpleObject)]
#[graphql(name = "LoginResponseDTO")]
pub(super) struct LoginResponse {
    access_token: String,
}

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
    /// administrator, operator, installer, viewer, business-owner or driver (also called end-user).
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
    /// administrator, operator, installer, viewer, business-owner or driver.
    role: String,
}

/// A card, fob or tag that a person charges with.
#[derive(SimpleObject)]
pub(super) struct IdTokenView {
    id: ID,
    token: String,
    user_id: Option<Float>,
    status: String,
}

#[derive(Default)]
pub(super) struct UserMutation;

#[Object]
impl UserMutation {
    /// Signs in.
    async fn login(&self, ctx: &Context<'_>, input: LoginInput) -> Result<LoginResponse> {
        let (Some(account), Some(password)) = (input.account(), input.password.as_deref()) else {
            return Err(match input.code {
                Some(_) => Fault::Denied("Incorrect verification code!".into()),
                None => Fault::BadInput("Give username, email or phone, and password.".into()),
            });
        };
        let caller = ctx.data_unchecked::<Caller>();
        match caller.auth().login(&Credentials { account, password }, caller.address()).await {
            Ok(access_token) => Ok(LoginResponse { access_token }),
            Err(Refusal::Wrong) => Err(Fault::Denied("Incorrect username or password!".into())),
            Err(Refusal::Wait(time)) => Err(Fault::TooMany(time)),
            Err(Refusal::Broken(error)) => Err(error.into()),
        }
    }

    /// Adds a person; for administrators.
    async fn create_user(&self, ctx: &Context<'_>, input: CreateUserInput) -> Result<User> {
        let (_, None) = reach(ctx, Deed::ManageUsers).await? else { return Err(Fault::role()) };
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

    /// Lets a person charge with a token: oneself, or anybody for administrators. Giving the same again changes nothing.
    async fn add_id_token(
        &self,
        ctx: &Context<'_>,
        user_id: Option<ID>,
        token: String,
    ) -> Result<IdTokenView> {
        let (viewer, own) = reach(ctx, Deed::ManageUsers).await?;
        let for_whom = user_id.map(|id| parse_id(&id, "userId")).transpose()?.unwrap_or(viewer.id);
        if own.is_some_and(|own| own != for_whom) {
            return Err(Fault::no_such("User", for_whom));
        }
        let token = token.trim();
        if !TOKEN_LENGTH.contains(&token.chars().count()) || token.chars().any(char::is_control) {
            return Err(Fault::BadInput("A token has 1 to 20 printable characters.".into()));
        }
        let mut tx = app(ctx).db.begin().await?;
        if user::find(&mut *tx, for_whom).await?.is_none() {
            return Err(Fault::no_such("User", for_whom));
        }
        let Some(row) = user::add_token(&mut tx, for_whom, token, "rfid").await? else {
            return Err(Fault::BadInput("This token belongs to somebody else.".into()));
        };
        documents::refresh_all(&mut tx).await?;
        tx.commit().await?;
        Ok(IdTokenView {
            id: row.id.into(),
            token: row.token,
            user_id: Some(for_whom.into()),
            status: row.status,
        })
    }
}

impl LoginInput {
    fn account(&self) -> Option<&str> {
        [&self.username, &self.email, &self.phone].into_iter().find_map(|it| given(it.as_deref()))
    }
}

fn given(text: Option<&str>) -> Option<&str> {
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
