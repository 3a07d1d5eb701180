//! Who may ask what, and how often: looked at when a request is understood and before anything of it is done.

use std::time::Duration;

use super::Inner;
use super::request::{self, Incoming, Prepared, Refused};
use crate::auth::{Caller, Deed, Viewer};
use crate::config::Introspection;
use crate::rate::TooFast;

/// Fields that cost no look at the token: everybody may ask for them.
const PUBLIC: [&str; 5] = ["getFilteredMarkers", "getFilteredSite", "__typename", "__schema", "__type"];

impl Inner {
    /// Understands a request and lets it in, or says why not.
    pub(super) async fn admit(&self, incoming: Incoming, caller: &Caller) -> Result<Prepared, Refused> {
        // Whoever has no point left is not even listened to.
        self.rates.charge_address(caller.address(), 1).map_err(|it| too_fast(&it))?;
        let prepared = request::prepare(incoming, &self.inputs, &self.documents)?;
        let points = u32::try_from(prepared.size.fields).unwrap_or(u32::MAX);
        self.rates.charge_address(caller.address(), points).map_err(|it| too_fast(&it))?;

        let api = &self.config.api;
        if prepared.size.introspects && !self.may_introspect(caller).await? {
            return Err(introspection_disabled());
        }
        if api.only_registered && !prepared.registered && !is_operator(viewer(caller).await?.as_ref()) {
            return Err(Refused::new(400, "QUERY_NOT_IN_SAFELIST", NOT_LISTED, None));
        }
        let public = prepared.roots.iter().all(|root| PUBLIC.contains(&root.name.as_str()));
        if self.rates.limits_users() && !public
            // When the database does not answer, the resolvers will say so.
            && let Ok(Some(viewer)) = caller.viewer().await
        {
            self.rates.charge_user(viewer.id, points.saturating_add(1)).map_err(|it| too_fast(&it))?;
        }
        Ok(prepared)
    }

    async fn may_introspect(&self, caller: &Caller) -> Result<bool, Refused> {
        Ok(match self.config.api.introspection {
            Introspection::Everyone => true,
            Introspection::Nobody => false,
            Introspection::SignedIn => viewer(caller).await?.is_some(),
            Introspection::Operators => is_operator(viewer(caller).await?.as_ref()),
        })
    }
}

const NOT_LISTED: &str = "The operation body was not found in the persisted query safelist. Send one of the registered \
documents, or have this one added to the manifest that the server reads (api.documents).";

/// Somebody who runs stations, his own or an organization's.
fn is_operator(viewer: Option<&Viewer>) -> bool {
    viewer.is_some_and(|viewer| !viewer.reach(Deed::Operate).is_nothing())
}

async fn viewer(caller: &Caller) -> Result<Option<Viewer>, Refused> {
    caller.viewer().await.map_err(|error| {
        tracing::error!(error = format!("{error:#}"), "who asks could not be found out");
        let text = "It cannot be found out now who you are. Try again.";
        Refused::new(503, "SERVICE_UNAVAILABLE", text, None)
    })
}

fn introspection_disabled() -> Refused {
    let text = "GraphQL introspection is not allowed by Apollo Server, but the query contained __schema or __type. \
        To enable introspection, pass introspection: true to ApolloServer in production";
    let mut refused = Refused::new(400, "GRAPHQL_VALIDATION_FAILED", text, None);
    refused.extend("validationErrorCode", "INTROSPECTION_DISABLED");
    refused
}

fn too_fast(it: &TooFast) -> Refused {
    let TooFast { whose, per_second, wait } = it;
    let seconds = whole_seconds(*wait);
    let text = format!(
        "Too many requests: your {whose} has {per_second} points a second, and each request and each field costs one. \
         Try again in {seconds} s. Ask for fewer fields, or subscribe instead of asking again and again."
    );
    let mut refused = Refused::new(429, "TOO_MANY_REQUESTS", text, None);
    refused.extend("retryAfter", seconds);
    refused.retry_after = Some(seconds);
    refused
}

fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}
