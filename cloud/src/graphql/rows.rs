//! Long lists of flat objects, written out without a future per field.
//!
//! The executor resolves every field of every row as a future of its own: a thousand markers are thousands of them, and cost
//! more than the query in the database. The fields of a flat row are ready at hand, so the selection is read once for the
//! whole list and each row is then filled in.

use std::borrow::Cow;

use async_graphql::indexmap::IndexMap;
use async_graphql::parser::types::{Field, Selection, SelectionSet};
use async_graphql::registry::Registry;
use async_graphql::{ContextSelectionSet, Name, OutputType, Positioned, ServerResult, Value};

/// An object whose fields are all at hand. Its type is derived as ever; only its values are fetched here.
pub(super) trait Flat: OutputType {
    /// The value of a field of its type.
    fn value(&self, field: &str) -> Value;
}

/// A list of them.
pub(super) struct Rows<T>(pub(super) Vec<T>);

impl<T: Flat> OutputType for Rows<T> {
    fn type_name() -> Cow<'static, str> {
        Vec::<T>::type_name()
    }

    fn qualified_type_name() -> String {
        Vec::<T>::qualified_type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        Vec::<T>::create_type_info(registry)
    }

    async fn resolve(&self, ctx: &ContextSelectionSet<'_>, _: &Positioned<Field>) -> ServerResult<Value> {
        let mut columns = Vec::new();
        collect(ctx, &ctx.item.node, &mut columns);
        let row = |row: &T| {
            let mut object = IndexMap::with_capacity(columns.len());
            for (key, field) in &columns {
                let value = if *field == "__typename" { T::type_name().into() } else { row.value(field) };
                object.insert(key.clone(), value);
            }
            Value::Object(object)
        };
        Ok(Value::List(self.0.iter().map(row).collect()))
    }
}

/// The fields asked for and what they are called in the answer. All types are objects, so every fragment applies.
fn collect<'a>(ctx: &ContextSelectionSet<'a>, set: &'a SelectionSet, into: &mut Vec<(Name, &'a str)>) {
    for item in &set.items {
        match &item.node {
            Selection::Field(field) => {
                into.push((field.node.response_key().node.clone(), field.node.name.node.as_str()))
            }
            Selection::InlineFragment(inner) => collect(ctx, &inner.node.selection_set.node, into),
            Selection::FragmentSpread(spread) => {
                if let Some(fragment) = ctx.query_env.fragments.get(&spread.node.fragment_name.node) {
                    collect(ctx, &fragment.node.selection_set.node, into);
                }
            }
        }
    }
}

/// A value or null.
pub(super) fn optional(value: Option<impl Into<Value>>) -> Value {
    value.map_or(Value::Null, Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_graphql::{EmptyMutation, EmptySubscription, Object, Schema, SimpleObject};

    #[derive(SimpleObject, Clone)]
    struct Thing {
        a: i32,
        b: Option<String>,
    }

    impl Flat for Thing {
        fn value(&self, field: &str) -> Value {
            match field {
                "a" => self.a.into(),
                "b" => optional(self.b.clone()),
                _ => Value::Null,
            }
        }
    }

    struct Query;

    #[Object]
    impl Query {
        async fn fast(&self) -> Rows<Thing> {
            Rows(self.slow_rows())
        }
        async fn slow(&self) -> Vec<Thing> {
            self.slow_rows()
        }
    }

    impl Query {
        fn slow_rows(&self) -> Vec<Thing> {
            vec![Thing { a: 1, b: None }, Thing { a: 2, b: Some("x".into()) }]
        }
    }

    #[tokio::test]
    async fn the_answer_is_the_executors() {
        let schema = Schema::new(Query, EmptyMutation, EmptySubscription);
        for selection in [
            "a b",
            "b x: a y: b",
            "__typename ...F ... on Thing { a } ... @include(if: false) { b }",
            "a @skip(if: true) b ... { a }",
        ] {
            let fragment = if selection.contains("...F") { "fragment F on Thing { z: b }" } else { "" };
            let ask = async |field: &str| {
                let text = format!("{{ list: {field} {{ {selection} }} }} {fragment}");
                schema.execute(text).await.into_result().unwrap().data
            };
            assert_eq!(ask("fast").await, ask("slow").await, "{selection}");
        }
    }
}
