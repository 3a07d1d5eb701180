//! Variables that were declared and not sent: what they stand for is left out, as if it had never been written (GraphQL
//! §6.4.1), so that an argument's own default counts. The executor would take them for null.

use std::collections::HashSet;

use async_graphql::parser::types::{
    DocumentOperations, ExecutableDocument, OperationDefinition, Selection, SelectionSet,
};
use async_graphql::{Name, Variables};
use async_graphql_value::Value;

/// Leaves out what undefined variables stand for. `operation` is the one that will run.
pub(super) fn leave_out(document: &mut ExecutableDocument, operation: Option<&str>, variables: &Variables) {
    let missing = {
        let Some(chosen) = chosen(&mut document.operations, operation) else { return };
        let declared = chosen.variable_definitions.iter().map(|it| &it.node);
        let missing: HashSet<Name> = declared
            .filter(|it| it.default_value.is_none() && !variables.contains_key(&it.name.node))
            .map(|it| it.name.node.clone())
            .collect();
        if missing.is_empty() {
            return;
        }
        // Nothing uses them any more.
        chosen.variable_definitions.retain(|it| !missing.contains(&it.node.name.node));
        from_set(&mut chosen.selection_set.node, &missing);
        missing
    };
    for fragment in document.fragments.values_mut() {
        from_set(&mut fragment.node.selection_set.node, &missing);
    }
}

fn chosen<'a>(
    operations: &'a mut DocumentOperations,
    name: Option<&str>,
) -> Option<&'a mut OperationDefinition> {
    match operations {
        DocumentOperations::Single(only) => Some(&mut only.node),
        DocumentOperations::Multiple(all) => all.get_mut(name?).map(|it| &mut it.node),
    }
}

fn from_set(set: &mut SelectionSet, missing: &HashSet<Name>) {
    for item in &mut set.items {
        match &mut item.node {
            Selection::Field(field) => {
                field.node.arguments.retain(|(_, value)| !is_missing(&value.node, missing));
                for (_, value) in &mut field.node.arguments {
                    from_value(&mut value.node, missing);
                }
                from_set(&mut field.node.selection_set.node, missing);
            }
            Selection::InlineFragment(fragment) => from_set(&mut fragment.node.selection_set.node, missing),
            Selection::FragmentSpread(_) => {}
        }
    }
}

/// Fields of objects are left out, items of lists become null.
fn from_value(value: &mut Value, missing: &HashSet<Name>) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !is_missing(value, missing));
            fields.values_mut().for_each(|value| from_value(value, missing));
        }
        Value::List(items) => items.iter_mut().for_each(|item| from_value(item, missing)),
        Value::Variable(name) if missing.contains(name) => *value = Value::Null,
        Value::Variable(_)
        | Value::Null
        | Value::Number(_)
        | Value::String(_)
        | Value::Boolean(_)
        | Value::Binary(_)
        | Value::Enum(_) => {}
    }
}

fn is_missing(value: &Value, missing: &HashSet<Name>) -> bool {
    matches!(value, Value::Variable(name) if missing.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_graphql::parser::parse_query;
    use serde_json::json;

    fn left(query: &str, variables: serde_json::Value) -> String {
        let mut document = parse_query(query).unwrap();
        leave_out(&mut document, None, &Variables::from_json(variables));
        let DocumentOperations::Single(only) = &document.operations else { panic!("one operation") };
        let Selection::Field(field) = &only.node.selection_set.node.items[0].node else { panic!("a field") };
        field.node.arguments.iter().map(|(name, value)| format!("{}={} ", name.node, value.node)).collect()
    }

    #[test]
    fn what_a_variable_that_was_not_sent_stands_for_was_never_written() {
        let query =
            "query($a: Int, $b: Int = 2, $c: [Int]) { x(a: $a, b: $b, o: {a: $a, l: [$a, 1], c: $c}) }";
        assert_eq!(left(query, json!({})), "b=$b o={l: [null, 1]} ");
        assert_eq!(left(query, json!({"a": null, "c": []})), "a=$a b=$b o={a: $a, l: [$a, 1], c: $c} ");
    }
}
