//! Signing in, staying signed in, and signing out.

use async_graphql::{Context, InputObject, Object, SimpleObject};

use super::error::{Fault, Result};
use super::scalar::Time;
use super::user::{checked_password, given};
use super::viewer;
use crate::auth::{Caller, Contact, Credentials, Refusal, Role, Tokens, Viewer};
use crate::courier::Undelivered;

/// Where the code goes: the phone number if it has more than 8 characters, else the address.
#[derive(InputObject)]
#[graphql(name = "SendCodeLoginInputDTO")]
pub(super) struct SendCodeInput {
    /// With its country code, as +1 415 555 2671.
    phone: Option<String>,
    email: Option<String>,
}

#[derive(SimpleObject)]
#[graphql(name = "SendCodeResponseDTO")]
pub(super) struct SendCodeResponse {
    status: &'static str,
}

/// How to sign in: with `phone` or `email` and the `code` that was sent there, or with `username` (or `email`, or `phone`) and
/// `password`.
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

/// An address or number, and the code that was sent there.
#[derive(InputObject)]
pub(super) struct ConfirmContactInput {
    phone: Option<String>,
    email: Option<String>,
    code: String,
}

/// A password to be, and the code that shows who sets it.
#[derive(InputObject)]
pub(super) struct ResetPasswordInput {
    phone: Option<String>,
    email: Option<String>,
    code: String,
    /// 10 to 256 characters.
    new_password: String,
}

#[derive(SimpleObject)]
#[graphql(name = "LoginResponseDTO")]
pub(super) struct LoginResponse {
    /// Goes into the header `Authorization: Bearer …`.
    access_token: String,
    /// For `refreshLogin`, once.
    refresh_token: Option<String>,
    /// When the access token ends.
    expires_at: Option<Time>,
}

#[derive(Default)]
pub(super) struct SignInMutation;

#[Object]
impl SignInMutation {
    /// Sends a one-time code: six digits, good for ten minutes. Status is always Accepted; what hinders it is an error.
    async fn send_code_login(&self, ctx: &Context<'_>, input: SendCodeInput) -> Result<SendCodeResponse> {
        let to = contact(input.phone.as_deref(), input.email.as_deref())?;
        let caller = ctx.data_unchecked::<Caller>();
        caller.auth().send_code(&to, caller.address()).await.map_err(told)?;
        Ok(SendCodeResponse { status: "Accepted" })
    }

    /// Signs in. Who signs in with a code and has no account gets one: of a driver by phone, of a business owner by e-mail.
    async fn login(&self, ctx: &Context<'_>, input: LoginInput) -> Result<LoginResponse> {
        let caller = ctx.data_unchecked::<Caller>();
        let (auth, from) = (caller.auth(), caller.address());
        let tokens = match (input.account(), input.password.as_deref(), input.code.as_deref()) {
            (Some(account), Some(password), _) => auth.login(&Credentials { account, password }, from).await,
            (_, _, Some(code)) => {
                // What is no address at all was sent no code.
                let contact = contact(input.phone.as_deref(), input.email.as_deref());
                auth.login_with_code(&contact.map_err(|_| told(Refusal::WrongCode))?, code, from).await
            }
            (_, _, None) => {
                let advice = "Give username, email or phone, and password; or email or phone, and code.";
                return Err(Fault::BadInput(advice.into()));
            }
        };
        tokens.map(LoginResponse::from).map_err(told)
    }

    /// A new access token, and the refresh token for the next time; the one given is spent.
    async fn refresh_login(&self, ctx: &Context<'_>, refresh_token: String) -> Result<LoginResponse> {
        let auth = ctx.data_unchecked::<Caller>().auth();
        auth.refresh(refresh_token.trim()).await.map(LoginResponse::from).map_err(told)
    }

    /// Ends the sign-in of a refresh token: its access token is void at once. True also when it was ended before.
    async fn sign_out(&self, ctx: &Context<'_>, refresh_token: String) -> Result<bool> {
        ctx.data_unchecked::<Caller>().auth().sign_out(refresh_token.trim()).await.map_err(told)?;
        Ok(true)
    }

    /// Ends all that one is signed in with, on every device, this one included.
    async fn sign_out_everywhere(&self, ctx: &Context<'_>) -> Result<bool> {
        let viewer = person(ctx).await?;
        ctx.data_unchecked::<Caller>().auth().sign_out_everywhere(viewer.id).await.map_err(told)?;
        Ok(true)
    }

    /// Changes one's password, and signs out everywhere else. Who has none yet sets one with `resetPassword`.
    async fn change_password(
        &self,
        ctx: &Context<'_>,
        current: String,
        #[graphql(name = "new")] new: String,
    ) -> Result<LoginResponse> {
        let viewer = person(ctx).await?;
        let new = checked_password(&new)?;
        let caller = ctx.data_unchecked::<Caller>();
        let changed = caller.auth().change_password(viewer.id, &current, new, caller.address()).await;
        changed.map(LoginResponse::from).map_err(|refusal| {
            if matches!(refusal, Refusal::Wrong) {
                return Fault::Denied("This is not your current password.".into());
            }
            told(refusal)
        })
    }

    /// Enters a phone number or email address into one's own record, with the code that `sendCodeLogin` sent there: from then
    /// on one signs in with it. One that was only written there (`updateOneUser`) goes to whoever shows that it is his.
    async fn confirm_contact(&self, ctx: &Context<'_>, input: ConfirmContactInput) -> Result<bool> {
        let viewer = person(ctx).await?;
        let contact = contact(input.phone.as_deref(), input.email.as_deref())?;
        let caller = ctx.data_unchecked::<Caller>();
        let confirmed =
            caller.auth().confirm_contact(viewer.id, &contact, &input.code, caller.address()).await;
        confirmed.map(|()| true).map_err(told)
    }

    /// Sets a password with a one-time code from `sendCodeLogin`, and signs out everywhere else.
    async fn reset_password(&self, ctx: &Context<'_>, input: ResetPasswordInput) -> Result<LoginResponse> {
        let new = checked_password(&input.new_password)?;
        let contact = contact(input.phone.as_deref(), input.email.as_deref())?;
        let caller = ctx.data_unchecked::<Caller>();
        let reset = caller.auth().reset_password(&contact, &input.code, new, caller.address()).await;
        reset.map(LoginResponse::from).map_err(told)
    }
}

impl LoginInput {
    fn account(&self) -> Option<&str> {
        [&self.username, &self.email, &self.phone].into_iter().find_map(|it| given(it.as_deref()))
    }
}

impl From<Tokens> for LoginResponse {
    fn from(tokens: Tokens) -> Self {
        Self {
            access_token: tokens.access,
            refresh_token: Some(tokens.refresh),
            expires_at: Some(Time(tokens.expires_at)),
        }
    }
}

/// Who asks, if it is a person: a program with a key has no password and no sign-ins.
pub(super) async fn person(ctx: &Context<'_>) -> Result<Viewer> {
    let viewer = viewer(ctx).await?;
    if viewer.role == Role::Service {
        return Err(Fault::Forbidden("This is for people, not for programs with an API key.".into()));
    }
    Ok(viewer)
}

pub(super) fn contact(phone: Option<&str>, email: Option<&str>) -> Result<Contact> {
    Contact::choose(phone, email).map_err(Fault::BadInput)
}

pub(super) fn told(refusal: Refusal) -> Fault {
    match refusal {
        Refusal::Wrong => Fault::Denied("Incorrect username or password!".into()),
        Refusal::WrongCode => Fault::Denied("Incorrect verification code!".into()),
        Refusal::Deactivated => {
            Fault::Denied("This account is deactivated: ask whoever runs this service.".into())
        }
        Refusal::SignedOut => Fault::Denied("This refresh token is no longer good: sign in again.".into()),
        Refusal::Taken => Fault::BadInput(
            "Another account signs in with it: sign in there and put something else in its place first."
                .into(),
        ),
        Refusal::Wait(time) => Fault::TooMany(time),
        Refusal::Undelivered(undelivered) => undelivered_code(&undelivered),
        Refusal::Broken(error) => error.into(),
    }
}

fn undelivered_code(undelivered: &Undelivered) -> Fault {
    match undelivered {
        Undelivered::NoWay(key) => Fault::Unavailable(format!(
            "No code can be sent there, because {key} is not configured on this server: sign in another way."
        )),
        Undelivered::NoSuchAddress => {
            Fault::BadInput("The mail server knows no such address: look for a typing error.".into())
        }
        Undelivered::Outage(error) => {
            tracing::warn!(error = format!("{error:#}"), "a one-time code was not sent");
            Fault::Unavailable(
                "The code could not be sent: try again in a minute, or sign in with your password.".into(),
            )
        }
    }
}
