//! Changes, as any replica commits them.

/// Fans changes out to subscribers.
#[derive(Clone)]
pub struct Hub;
