//! Pages of lists.

use async_graphql::InputObject;

use crate::graphql::error::{Fault, Result};
use crate::graphql::{MAX_ROWS, row_id};

/// A page of a list.
#[derive(Debug, Clone, InputObject)]
pub(in crate::graphql) struct Paging {
    /// At most 200.
    limit: Option<f64>,
    offset: Option<f64>,
}

impl Paging {
    /// Limit and offset; without paging, the first page of the largest size.
    pub(in crate::graphql) fn rows(paging: Option<&Self>) -> Result<(i64, i64)> {
        let Some(paging) = paging else { return Ok((MAX_ROWS, 0)) };
        let whole = |number: Option<f64>, name| number.map(|it| row_id(it, name)).transpose();
        let (limit, offset) = (whole(paging.limit, "limit")?, whole(paging.offset, "offset")?);
        if limit.is_some_and(|it| it < 0) || offset.is_some_and(|it| it < 0) {
            return Err(Fault::BadInput("limit and offset must not be negative.".into()));
        }
        Ok((limit.unwrap_or(MAX_ROWS).min(MAX_ROWS), offset.unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_capped_and_never_negative() {
        let rows = |limit, offset| Paging::rows(Some(&Paging { limit, offset }));
        assert_eq!(Paging::rows(None).unwrap(), (MAX_ROWS, 0));
        assert_eq!(rows(None, None).unwrap(), (MAX_ROWS, 0));
        assert_eq!(rows(Some(10.0), Some(20.0)).unwrap(), (10, 20));
        assert_eq!(rows(Some(1e6), None).unwrap(), (MAX_ROWS, 0));
        assert!(rows(Some(-1.0), None).is_err() && rows(None, Some(0.5)).is_err());
    }
}
