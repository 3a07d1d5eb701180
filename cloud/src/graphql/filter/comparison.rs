//! The operators that apps know, per kind of field.
//!
//! `is: null` asks for rows without a value. So does `is: true` on anything but a boolean, where it could mean nothing else.

use async_graphql::{ID, InputObject, Json, MaybeUndefined, Value};

use super::{Condition, Conditions, Operand};
use crate::graphql::scalar::Time;

macro_rules! conditions {
    ($self:ident, $operand:expr; $($field:ident => $sql:literal),* $(,)?) => {{
        let operand = $operand;
        let mut all = Vec::new();
        all.extend(null($self.is));
        all.extend(null($self.is_not).map(Condition::opposite));
        $(all.extend($self.$field.map(|value| Condition::One($sql, operand(value))));)*
        all.extend($self.in_.map(|values| Condition::In(true, values.into_iter().map(operand).collect())));
        all.extend($self.not_in.map(|values| Condition::In(false, values.into_iter().map(operand).collect())));
        all
    }};
}

macro_rules! text_comparison {
    ($(#[$doc:meta])* $api:literal $name:ident, $value:ty) => {
        $(#[$doc])*
        #[derive(Debug, Clone, InputObject)]
        #[graphql(name = $api)]
        pub(in crate::graphql) struct $name {
            is: MaybeUndefined<bool>,
            is_not: MaybeUndefined<bool>,
            eq: Option<$value>,
            neq: Option<$value>,
            gt: Option<$value>,
            gte: Option<$value>,
            lt: Option<$value>,
            lte: Option<$value>,
            like: Option<$value>,
            not_like: Option<$value>,
            i_like: Option<$value>,
            #[graphql(name = "notILike")]
            not_i_like: Option<$value>,
            #[graphql(name = "in")]
            in_: Option<Vec<$value>>,
            not_in: Option<Vec<$value>>,
        }
    };
}

macro_rules! range_comparison {
    ($(#[$doc:meta])* $api:literal $name:ident, $between:ident, $value:ty) => {
        $(#[$doc])*
        #[derive(Debug, Clone, InputObject)]
        #[graphql(name = $api)]
        pub(in crate::graphql) struct $name {
            is: MaybeUndefined<bool>,
            is_not: MaybeUndefined<bool>,
            eq: Option<$value>,
            neq: Option<$value>,
            gt: Option<$value>,
            gte: Option<$value>,
            lt: Option<$value>,
            lte: Option<$value>,
            #[graphql(name = "in")]
            in_: Option<Vec<$value>>,
            not_in: Option<Vec<$value>>,
            between: Option<$between>,
            not_between: Option<$between>,
        }

        /// Both ends included.
        #[derive(Debug, Clone, InputObject)]
        pub(in crate::graphql) struct $between {
            lower: $value,
            upper: $value,
        }
    };
}

/// Operators on booleans.
#[derive(Debug, Clone, InputObject)]
#[graphql(name = "BooleanFieldComparison")]
pub(in crate::graphql) struct BooleanComparison {
    is: MaybeUndefined<bool>,
    is_not: MaybeUndefined<bool>,
}

text_comparison!(
    /// Operators on ids.
    "IDFilterComparison" IdComparison, ID
);
text_comparison!(
    /// Operators on text.
    "StringFieldComparison" TextComparison, String
);
text_comparison!(
    /// Operators on JSON: equality is of content, patterns are matched against the text.
    "JSONFilterComparison" JsonComparison, Json<Value>
);
range_comparison!(
    /// Operators on numbers.
    "NumberFieldComparison" NumberComparison, NumberFieldComparisonBetween, f64
);
range_comparison!(
    /// Operators on times.
    "DateFieldComparison" TimeComparison, DateFieldComparisonBetween, Time
);

impl From<TextComparison> for Conditions {
    fn from(it: TextComparison) -> Self {
        Conditions(
            conditions!(it, Operand::Text; eq => "=", neq => "<>", gt => ">", gte => ">=", lt => "<", lte => "<=",
            like => "like", not_like => "not like", i_like => "ilike", not_i_like => "not ilike"),
        )
    }
}

impl From<IdComparison> for Conditions {
    /// Ids compare as numbers where they are numbers, and as text in patterns.
    fn from(it: IdComparison) -> Self {
        let id = |id: ID| id.parse().map_or_else(|_| Operand::Text(id.to_string()), Operand::Whole);
        let text = |id: ID| Operand::Text(id.to_string());
        let mut patterns = Vec::new();
        patterns.extend(it.like.map(|it| Condition::One("like", text(it))));
        patterns.extend(it.not_like.map(|it| Condition::One("not like", text(it))));
        patterns.extend(it.i_like.map(|it| Condition::One("ilike", text(it))));
        patterns.extend(it.not_i_like.map(|it| Condition::One("not ilike", text(it))));
        let mut all =
            conditions!(it, id; eq => "=", neq => "<>", gt => ">", gte => ">=", lt => "<", lte => "<=");
        all.append(&mut patterns);
        Conditions(all)
    }
}

impl From<JsonComparison> for Conditions {
    fn from(it: JsonComparison) -> Self {
        let text = |Json(value): Json<Value>| {
            Operand::Text(if let Value::String(text) = value { text } else { super::json(&value) })
        };
        let mut patterns = Vec::new();
        patterns.extend(it.like.map(|it| Condition::One("like", text(it))));
        patterns.extend(it.not_like.map(|it| Condition::One("not like", text(it))));
        patterns.extend(it.i_like.map(|it| Condition::One("ilike", text(it))));
        patterns.extend(it.not_i_like.map(|it| Condition::One("not ilike", text(it))));
        let json = |Json(value): Json<Value>| Operand::Json(value);
        let mut all =
            conditions!(it, json; eq => "=", neq => "<>", gt => ">", gte => ">=", lt => "<", lte => "<=");
        all.append(&mut patterns);
        Conditions(all)
    }
}

impl From<BooleanComparison> for Conditions {
    fn from(it: BooleanComparison) -> Self {
        let is = |value| match value {
            MaybeUndefined::Undefined => None,
            MaybeUndefined::Null => Some(Condition::Null(true)),
            MaybeUndefined::Value(true) => Some(Condition::True(true)),
            MaybeUndefined::Value(false) => Some(Condition::False(true)),
        };
        Conditions(is(it.is).into_iter().chain(is(it.is_not).map(Condition::opposite)).collect())
    }
}

fn null(is: MaybeUndefined<bool>) -> Option<Condition> {
    match is {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(Condition::Null(true)),
        MaybeUndefined::Value(null) => Some(Condition::Null(null)),
    }
}

impl Condition {
    /// What `isNot` makes of an `is`.
    fn opposite(self) -> Self {
        match self {
            Condition::Null(wanted) => Condition::Null(!wanted),
            Condition::True(wanted) => Condition::True(!wanted),
            Condition::False(wanted) => Condition::False(!wanted),
            other @ (Condition::One(..) | Condition::In(..) | Condition::Between(..)) => other,
        }
    }
}

impl From<NumberComparison> for Conditions {
    fn from(it: NumberComparison) -> Self {
        let between = it.between.map(|it| Condition::Between(true, it.lower.into(), it.upper.into()));
        let outside = it.not_between.map(|it| Condition::Between(false, it.lower.into(), it.upper.into()));
        let mut all = conditions!(it, Operand::from; eq => "=", neq => "<>", gt => ">", gte => ">=", lt => "<", lte => "<=");
        all.extend(between.into_iter().chain(outside));
        Conditions(all)
    }
}

impl From<TimeComparison> for Conditions {
    fn from(it: TimeComparison) -> Self {
        let between =
            it.between.map(|it| Condition::Between(true, Operand::Time(it.lower), Operand::Time(it.upper)));
        let outside = it
            .not_between
            .map(|it| Condition::Between(false, Operand::Time(it.lower), Operand::Time(it.upper)));
        let mut all = conditions!(it, Operand::Time; eq => "=", neq => "<>", gt => ">", gte => ">=", lt => "<", lte => "<=");
        all.extend(between.into_iter().chain(outside));
        Conditions(all)
    }
}
