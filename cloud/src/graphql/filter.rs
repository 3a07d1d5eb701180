//! Filters and orders of lists, in the operators that every list of the API shares, turned into SQL with bound values.
//!
//! Several operators on one field mean "or", several fields "and": that is how apps know it.

mod comparison;
mod paging;

use std::borrow::Cow;

use async_graphql::{Enum, Value};
use sqlx::{Postgres, QueryBuilder};

use super::error::{Fault, Result};
use super::scalar::Time;
pub(super) use comparison::{
    BooleanComparison, IdComparison, JsonComparison, NumberComparison, TextComparison, TimeComparison,
};
pub(super) use paging::Paging;

/// Values in one filter, so that no request makes an endless statement.
const MAX_VALUES: usize = 500;
/// Terms of an order.
const MAX_TERMS: usize = 8;

/// A value to compare with.
#[derive(Debug, Clone)]
enum Operand {
    Number(f64),
    /// An id, or any number that an index on ids can be asked for.
    Whole(i64),
    Text(String),
    Time(Time),
    Json(Value),
}

/// One operator with its value or values.
#[derive(Debug, Clone)]
enum Condition {
    Null(bool),
    True(bool),
    False(bool),
    One(&'static str, Operand),
    In(bool, Vec<Operand>),
    Between(bool, Operand, Operand),
}

/// What one field is compared with: any of these.
#[derive(Debug, Clone, Default)]
pub(super) struct Conditions(Vec<Condition>);

/// A filter, whatever the entity: SQL expressions and what they are compared with.
#[derive(Debug, Clone, Default)]
pub(super) struct Where {
    pub(super) fields: Vec<(Cow<'static, str>, Conditions)>,
    /// Rows elsewhere, one of which must be as the inner filter says: `select from … where` and the link.
    pub(super) through: Vec<(String, Where)>,
    pub(super) and: Vec<Where>,
    pub(super) or: Vec<Where>,
}

impl Where {
    /// Adds a field's conditions, when there are any.
    pub(super) fn field(
        &mut self,
        expression: impl Into<Cow<'static, str>>,
        conditions: Option<impl Into<Conditions>>,
    ) {
        self.fields.extend(conditions.map(|it| (expression.into(), it.into())));
    }

    /// Does it say nothing?
    pub(super) fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.through.is_empty() && self.and.is_empty() && self.or.is_empty()
    }

    /// Writes it as a boolean expression.
    pub(super) fn push(&self, sql: &mut QueryBuilder<Postgres>) -> Result<()> {
        if self.values() > MAX_VALUES {
            return Err(Fault::BadInput(format!("A filter may hold at most {MAX_VALUES} values.")));
        }
        self.write(sql);
        Ok(())
    }

    fn values(&self) -> usize {
        let own: usize =
            self.fields.iter().flat_map(|(_, conditions)| &conditions.0).map(Condition::values).sum();
        let through = self.through.iter().map(|(_, inner)| inner);
        own + self.and.iter().chain(&self.or).chain(through).map(|it| 1 + it.values()).sum::<usize>()
    }

    fn write(&self, sql: &mut QueryBuilder<Postgres>) {
        sql.push("(true");
        for (expression, conditions) in &self.fields {
            conditions.write(expression, sql);
        }
        for (rows, inner) in &self.through {
            sql.push(format_args!(" and exists ({rows} and "));
            inner.write(sql);
            sql.push(")");
        }
        for inner in &self.and {
            sql.push(" and ");
            inner.write(sql);
        }
        if !self.or.is_empty() {
            sql.push(" and (false");
            for inner in &self.or {
                sql.push(" or ");
                inner.write(sql);
            }
            sql.push(")");
        }
        sql.push(")");
    }
}

impl Conditions {
    fn write(&self, expression: &str, sql: &mut QueryBuilder<Postgres>) {
        if self.0.is_empty() {
            return;
        }
        sql.push(" and (false");
        for condition in &self.0 {
            sql.push(" or ");
            condition.write(expression, sql);
        }
        sql.push(")");
    }
}

impl Condition {
    fn values(&self) -> usize {
        match self {
            Condition::Null(_) | Condition::True(_) | Condition::False(_) | Condition::One(..) => 1,
            Condition::In(_, values) => values.len(),
            Condition::Between(..) => 2,
        }
    }

    fn write(&self, expression: &str, sql: &mut QueryBuilder<Postgres>) {
        match self {
            Condition::Null(true) => {
                sql.push(format_args!("{expression} is null"));
            }
            Condition::Null(false) => {
                sql.push(format_args!("{expression} is not null"));
            }
            Condition::True(wanted) => {
                sql.push(format_args!("{expression} is {}true", if *wanted { "" } else { "not " }));
            }
            Condition::False(wanted) => {
                sql.push(format_args!("{expression} is {}false", if *wanted { "" } else { "not " }));
            }
            Condition::One(operator, operand) => {
                sql.push(format_args!("{} {operator} ", operand.left(expression)));
                operand.bind(sql);
            }
            Condition::In(wanted, values) if values.is_empty() => {
                sql.push(!wanted);
            }
            Condition::In(wanted, values) => {
                // One id that is no number makes text of them all.
                let text = values.iter().find(|value| matches!(value, Operand::Text(_)));
                let left = text.or(values.first()).map_or_else(String::new, |value| value.left(expression));
                sql.push(format_args!("{left} {}in (", if *wanted { "" } else { "not " }));
                for (place, value) in values.iter().enumerate() {
                    sql.push(if place == 0 { "" } else { ", " });
                    if let (Operand::Whole(id), Some(_)) = (value, text) {
                        Operand::Text(id.to_string()).bind(sql);
                    } else {
                        value.bind(sql);
                    }
                }
                sql.push(")");
            }
            Condition::Between(wanted, lower, upper) => {
                sql.push(format_args!(
                    "{} {}between ",
                    lower.left(expression),
                    if *wanted { "" } else { "not " }
                ));
                lower.bind(sql);
                sql.push(" and ");
                upper.bind(sql);
            }
        }
    }
}

impl Operand {
    /// Text compares with text: an expression that is a number or an id is cast.
    fn left(&self, expression: &str) -> String {
        match self {
            Operand::Text(_) => format!("({expression})::text"),
            Operand::Number(_) | Operand::Whole(_) | Operand::Time(_) | Operand::Json(_) => {
                format!("({expression})")
            }
        }
    }

    fn bind(&self, sql: &mut QueryBuilder<Postgres>) {
        match self {
            Operand::Number(number) => sql.push_bind(*number).push("::float8::numeric"),
            Operand::Whole(number) => sql.push_bind(*number),
            Operand::Text(text) => sql.push_bind(crate::db::text(text)),
            // Postgres' JSON holds no NUL, as its text does not.
            Operand::Json(value) => sql.push_bind(json(value).replace("\\u0000", "\\ufffd")).push("::jsonb"),
            Operand::Time(time) => sql.push_bind(time.0),
        };
    }
}

/// A value as JSON's text.
fn json(value: &Value) -> String {
    serde_json::to_string(value).expect("GraphQL values are JSON")
}

impl From<f64> for Operand {
    /// Whole numbers as such: then an index on ids helps.
    fn from(number: f64) -> Self {
        super::row_id(number, "").map_or(Operand::Number(number), Operand::Whole)
    }
}

/// Refuses endless orders.
pub(super) fn check_terms(terms: usize) -> Result<()> {
    if terms > MAX_TERMS {
        return Err(Fault::BadInput(format!("At most {MAX_TERMS} sort terms.")));
    }
    Ok(())
}

/// Sort Directions
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "SortDirection", rename_items = "SCREAMING_SNAKE_CASE")]
pub(super) enum Direction {
    /// Smallest first.
    Asc,
    /// Largest first.
    Desc,
}

/// Sort Nulls Options
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "SortNulls", rename_items = "SCREAMING_SNAKE_CASE")]
pub(super) enum Nulls {
    /// Missing values before all others.
    NullsFirst,
    /// Missing values after all others.
    NullsLast,
}

/// Writes one term of an order.
pub(super) fn push_order(
    expression: &str,
    direction: Direction,
    nulls: Option<Nulls>,
    sql: &mut QueryBuilder<Postgres>,
) {
    let direction = match direction {
        Direction::Asc => "asc",
        Direction::Desc => "desc",
    };
    let nulls = match nulls {
        Some(Nulls::NullsFirst) => " nulls first",
        Some(Nulls::NullsLast) => " nulls last",
        None => "",
    };
    sql.push(format_args!("{expression} {direction}{nulls}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sql(filter: &Where) -> String {
        let mut builder = QueryBuilder::new("");
        filter.push(&mut builder).unwrap();
        builder.sql().as_str().to_owned()
    }

    fn number(condition: Condition) -> Conditions {
        Conditions(vec![condition])
    }

    #[test]
    fn fields_are_anded_operators_ored() {
        let mut filter = Where::default();
        filter.field(
            "a",
            Some(Conditions(vec![
                Condition::One("=", Operand::Number(1.5)),
                Condition::One("like", Operand::Text("x%".into())),
            ])),
        );
        filter.field("b", Some(number(Condition::Null(true))));
        filter.field("c", None::<Conditions>);
        assert_eq!(
            sql(&filter),
            "(true and (false or (a) = $1::float8::numeric or (a)::text like $2) and (false or b is null))"
        );
    }

    #[test]
    fn groups_nest() {
        let leaf = |name| Where {
            fields: vec![(Cow::Borrowed(name), number(Condition::Null(false)))],
            ..Where::default()
        };
        let filter = Where { or: vec![leaf("a"), leaf("b")], and: vec![leaf("c")], ..Where::default() };
        let text = |name| format!("(true and (false or {name} is not null))");
        assert_eq!(
            sql(&filter),
            format!("(true and {} and (false or {} or {}))", text("c"), text("a"), text("b"))
        );
    }

    #[test]
    fn an_empty_list_matches_nothing_and_its_opposite_all() {
        let one = |wanted| Where {
            fields: vec![("a".into(), number(Condition::In(wanted, vec![])))],
            ..Where::default()
        };
        assert_eq!(sql(&one(true)), "(true and (false or false))");
        assert_eq!(sql(&one(false)), "(true and (false or true))");
    }

    #[test]
    fn ids_of_which_one_is_no_number_compare_as_text() {
        let mixed = vec![Operand::Whole(2), Operand::Text("1'".into())];
        let filter =
            Where { fields: vec![("a".into(), number(Condition::In(false, mixed)))], ..Where::default() };
        assert_eq!(sql(&filter), "(true and (false or (a)::text not in ($1, $2)))");
    }

    #[test]
    fn values_are_limited() {
        let many = vec![Operand::Number(0.0); MAX_VALUES + 1];
        let filter =
            Where { fields: vec![("a".into(), number(Condition::In(true, many)))], ..Where::default() };
        assert!(filter.push(&mut QueryBuilder::new("")).is_err());
    }
}
