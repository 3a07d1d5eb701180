//! Signing in.

use async_graphql::{Context, InputObject, Object, SimpleObject};

use super::error::{Fault, Result};
use super::user::given;
use crate::auth::{Caller, Credentials, Refusal};

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

#[derive(Default)]
pub(super) struct SignInMutation;

#[Object]
impl SignInMutation {
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
}

impl LoginInput {
    fn account(&self) -> Option<&str> {
        [&self.username, &self.email, &self.phone].into_iter().find_map(|it| given(it.as_deref()))
    }
}
