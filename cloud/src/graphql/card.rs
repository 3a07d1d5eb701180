//! What people charge with.

use async_graphql::{Context, ID, Object, SimpleObject};

use super::error::{Fault, Result};
use super::scalar::Float;
use super::{app, parse_id, reach};
use crate::auth::Deed;
use crate::db::user;
use crate::documents;

/// OCPP 1.6 idTag: CiString20.
const TOKEN_LENGTH: std::ops::RangeInclusive<usize> = 1..=20;

/// A card, fob or tag that a person charges with.
#[derive(SimpleObject)]
pub(super) struct IdTokenView {
    id: ID,
    token: String,
    user_id: Option<Float>,
    status: String,
}

#[derive(Default)]
pub(super) struct CardMutation;

#[Object]
impl CardMutation {
    /// Lets a person charge with a token: oneself, or anybody for administrators. Giving the same again changes nothing.
    async fn add_id_token(
        &self,
        ctx: &Context<'_>,
        user_id: Option<ID>,
        token: String,
    ) -> Result<IdTokenView> {
        let (viewer, reach) = reach(ctx, Deed::ManageUsers).await?;
        let for_whom = user_id.map(|id| parse_id(&id, "userId")).transpose()?.unwrap_or(viewer.id);
        if !reach.includes(Some(for_whom), None) {
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
