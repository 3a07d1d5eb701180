//! Long lists of flat objects, written out without a future per field.
//!
//! The executor resolves every field of every row as a future of its own: a thousand markers are thousands of them, and cost
//! more than the query in the database. The fields of a flat row are ready at hand, so the selection is read once for the
//! whole list and each row is written straight into the answer's JSON. The list travels as `Value::Binary`, which nothing
//! else in the API is, and `write` puts it where it belongs.

use std::borrow::Cow;
use std::collections::HashSet;

use async_graphql::parser::types::{Field, Selection, SelectionSet};
use async_graphql::registry::Registry;
use async_graphql::{ContextSelectionSet, Name, OutputType, Positioned, ServerResult, Value};

/// An object whose fields are all at hand. Its type is derived as ever; only its values are fetched here.
pub(super) trait Flat: OutputType {
    /// The value of a field of its type.
    fn value(&self, field: &str) -> Value;

    /// The same as JSON, where that is cheaper.
    fn write(&self, field: &str, out: &mut Vec<u8>) {
        leaf(out, &self.value(field));
    }
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
        // A response key is written once, even when it is asked for twice.
        let mut known = HashSet::new();
        columns.retain(|(key, _)| known.insert(key.clone()));
        let columns: Vec<(Vec<u8>, &str)> =
            columns.iter().map(|(key, field)| (quoted(key), *field)).collect();
        let mut json = Vec::with_capacity(self.0.len() * columns.len() * 24 + 2);
        list(&mut json, &self.0, |json, row| {
            object(json, &columns, |json, (key, field)| {
                json.extend_from_slice(key);
                match *field {
                    "__typename" => leaf(json, &T::type_name().into()),
                    field => row.write(field, json),
                }
            });
        });
        Ok(Value::Binary(json.into()))
    }
}

/// Writes an answer's data as JSON.
pub(super) fn write(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Binary(json) => out.extend_from_slice(json),
        Value::List(values) => list(out, values, write),
        Value::Object(fields) => object(out, fields, |out, (key, value)| {
            out.extend_from_slice(&quoted(key));
            write(out, value);
        }),
        Value::Null | Value::Number(_) | Value::String(_) | Value::Boolean(_) | Value::Enum(_) => {
            leaf(out, value)
        }
    }
}

fn list<T>(out: &mut Vec<u8>, items: impl IntoIterator<Item = T>, one: impl Fn(&mut Vec<u8>, T)) {
    between(out, b"[]", items, one);
}

fn object<T>(out: &mut Vec<u8>, fields: impl IntoIterator<Item = T>, one: impl Fn(&mut Vec<u8>, T)) {
    between(out, b"{}", fields, one);
}

fn between<T>(
    out: &mut Vec<u8>,
    [open, close]: &[u8; 2],
    items: impl IntoIterator<Item = T>,
    one: impl Fn(&mut Vec<u8>, T),
) {
    out.push(*open);
    for (place, item) in items.into_iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        one(out, item);
    }
    out.push(*close);
}

/// Writes a value that holds no others.
pub(super) fn leaf(out: &mut Vec<u8>, value: &Value) {
    serde_json::to_writer(out, value).expect("GraphQL values are JSON");
}

/// `"key":`
fn quoted(key: &Name) -> Vec<u8> {
    format!("\"{key}\":").into_bytes()
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
            vec![Thing { a: 1, b: None }, Thing { a: 2, b: Some("x \" y\n".into()) }]
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
            "b a b",
        ] {
            let fragment = if selection.contains("...F") { "fragment F on Thing { z: b }" } else { "" };
            let ask = async |field: &str| {
                let text = format!("{{ list: {field} {{ {selection} }} }} {fragment}");
                let mut json = Vec::new();
                write(&mut json, &schema.execute(text).await.into_result().unwrap().data);
                String::from_utf8(json).unwrap()
            };
            assert_eq!(ask("fast").await, ask("slow").await, "{selection}");
        }
    }
}
