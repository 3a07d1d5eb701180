//! Variables against their declared types, before anything runs.
//!
//! Apps tell "your variables are wrong" (HTTP 200, `BAD_USER_INPUT`) from "your query is wrong" (HTTP 400); the executor
//! does not, so this is done in front of it, with the messages that apps have always seen.

use std::collections::HashMap;

use async_graphql::parser::types::{
    BaseType, ExecutableDocument, OperationDefinition, Type, TypeKind, TypeSystemDefinition,
};
use async_graphql::parser::{Positioned, parse_schema};
use async_graphql::{Pos, Value, Variables};

/// The input types of the schema.
pub(super) struct Inputs(HashMap<String, Shape>);

enum Shape {
    Object(Vec<Property>),
    Enum(Vec<String>),
    Scalar,
}

struct Property {
    name: String,
    ty: Type,
    has_default: bool,
}

/// A variable that does not fit.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Misfit {
    pub(super) message: String,
    pub(super) at: Pos,
}

impl Inputs {
    /// Reads the types from the schema's own text.
    pub(super) fn of(sdl: &str) -> Self {
        let document = parse_schema(sdl).expect("a schema prints what can be parsed");
        let types = document.definitions.into_iter().filter_map(|definition| match definition {
            TypeSystemDefinition::Type(ty) => Some((ty.node.name.node.to_string(), shape(ty.node.kind)?)),
            TypeSystemDefinition::Schema(_) | TypeSystemDefinition::Directive(_) => None,
        });
        Inputs(types.collect())
    }

    /// The first misfit of an operation's variables.
    pub(super) fn check(&self, operation: &OperationDefinition, variables: &Variables) -> Result<(), Misfit> {
        for Positioned { node: definition, pos } in &operation.variable_definitions {
            let name = definition.name.node.as_str();
            let ty = &definition.var_type.node;
            let message = match variables.get(name) {
                None if ty.nullable || definition.default_value.is_some() => continue,
                None => format!("Variable \"${name}\" of required type \"{ty}\" was not provided."),
                Some(Value::Null) if !ty.nullable => {
                    format!("Variable \"${name}\" of non-null type \"{ty}\" must not be null.")
                }
                Some(value) => match self.fit(ty, value, &mut vec![name.to_owned()]) {
                    Ok(()) => continue,
                    Err(problem) => problem.told(name),
                },
            };
            return Err(Misfit { message, at: *pos });
        }
        Ok(())
    }

    fn fit(&self, ty: &Type, value: &Value, path: &mut Vec<String>) -> Result<(), Problem> {
        match (&ty.base, value) {
            (_, Value::Null) if ty.nullable => Ok(()),
            (_, Value::Null) => {
                Problem::at(path, value, format!("Expected non-nullable type \"{ty}\" not to be null."))
            }
            (BaseType::List(item), Value::List(values)) => {
                values.iter().enumerate().try_for_each(|(place, value)| {
                    path.push(place.to_string());
                    let fits = self.fit(item, value, path);
                    path.pop();
                    fits
                })
            }
            (BaseType::List(item), single) => self.fit(item, single, path),
            (BaseType::Named(name), value) => self.fit_named(name, value, path),
        }
    }

    fn fit_named(&self, name: &str, value: &Value, path: &mut Vec<String>) -> Result<(), Problem> {
        match self.0.get(name) {
            Some(Shape::Object(properties)) => self.fit_object(name, properties, value, path),
            Some(Shape::Enum(members)) => {
                let Value::String(text) = value else {
                    let text =
                        format!("Enum \"{name}\" cannot represent non-string value: {}.", shown(value));
                    return Problem::at(path, value, text);
                };
                if members.contains(text) {
                    return Ok(());
                }
                Problem::at(path, value, format!("Value \"{text}\" does not exist in \"{name}\" enum."))
            }
            // An unknown type is the query's fault; its validation says so.
            Some(Shape::Scalar) | None => match scalar_problem(name, value) {
                Some(text) => Problem::at(path, value, text),
                None => Ok(()),
            },
        }
    }

    fn fit_object(
        &self,
        name: &str,
        known: &[Property],
        value: &Value,
        path: &mut Vec<String>,
    ) -> Result<(), Problem> {
        let Value::Object(fields) = value else {
            return Problem::at(path, value, format!("Expected type \"{name}\" to be an object."));
        };
        for property in known {
            match fields.get(property.name.as_str()) {
                None if property.ty.nullable || property.has_default => {}
                None => {
                    let text = format!(
                        "Field \"{}\" of required type \"{}\" was not provided.",
                        property.name, property.ty
                    );
                    return Problem::at(path, value, text);
                }
                Some(field) => {
                    path.push(property.name.clone());
                    self.fit(&property.ty, field, path)?;
                    path.pop();
                }
            }
        }
        match fields.keys().find(|key| known.iter().all(|property| property.name != key.as_str())) {
            Some(key) => {
                Problem::at(path, value, format!("Field \"{key}\" is not defined by type \"{name}\"."))
            }
            None => Ok(()),
        }
    }
}

/// The operation that a request runs: the named one, or the only one.
pub(super) fn operation<'a>(
    document: &'a ExecutableDocument,
    name: Option<&str>,
) -> Result<&'a OperationDefinition, String> {
    let mut all = document.operations.iter();
    match name.filter(|name| !name.is_empty()) {
        Some(wanted) => all
            .find(|(name, _)| name.is_some_and(|name| name.as_str() == wanted))
            .map(|(_, operation)| &operation.node)
            .ok_or_else(|| format!("Unknown operation named \"{wanted}\".")),
        None => match (all.next(), all.next()) {
            (Some((_, only)), None) => Ok(&only.node),
            _ => Err("Must provide operation name if query contains multiple operations.".into()),
        },
    }
}

fn shape(kind: TypeKind) -> Option<Shape> {
    match kind {
        TypeKind::InputObject(object) => Some(Shape::Object(
            object
                .fields
                .into_iter()
                .map(|field| Property {
                    name: field.node.name.node.to_string(),
                    ty: field.node.ty.node,
                    has_default: field.node.default_value.is_some(),
                })
                .collect(),
        )),
        TypeKind::Enum(members) => Some(Shape::Enum(
            members.values.into_iter().map(|member| member.node.value.node.to_string()).collect(),
        )),
        TypeKind::Scalar => Some(Shape::Scalar),
        TypeKind::Object(_) | TypeKind::Interface(_) | TypeKind::Union(_) => None,
    }
}

fn scalar_problem(name: &str, value: &Value) -> Option<String> {
    let shown = shown(value);
    let fits = match name {
        "Float" => matches!(value, Value::Number(_)),
        "Int" => {
            matches!(value, Value::Number(number) if number.as_i64().is_some_and(|it| i32::try_from(it).is_ok()))
        }
        "String" | "DateTime" => matches!(value, Value::String(_)),
        "Boolean" => matches!(value, Value::Boolean(_)),
        "ID" => {
            matches!(value, Value::String(_))
                || matches!(value, Value::Number(number) if number.is_i64() || number.is_u64())
        }
        _ => true,
    };
    (!fits).then(|| match name {
        "Float" => format!("Float cannot represent non numeric value: {shown}"),
        "Int" => format!("Int cannot represent non-integer value: {shown}"),
        "Boolean" => format!("Boolean cannot represent a non boolean value: {shown}"),
        "ID" => format!("ID cannot represent value: {shown}"),
        other => format!("{other} cannot represent a non string value: {shown}"),
    })
}

struct Problem {
    path: Vec<String>,
    value: String,
    text: String,
}

impl Problem {
    fn at(path: &[String], value: &Value, text: String) -> Result<(), Problem> {
        Err(Problem { path: path.to_vec(), value: shown(value), text })
    }

    fn told(self, variable: &str) -> String {
        let place =
            if self.path.len() > 1 { format!(" at \"{}\"", self.path.join(".")) } else { String::new() };
        format!("Variable \"${variable}\" got invalid value {}{place}; {}", self.value, self.text)
    }
}

/// As a JavaScript console shows it, and never more than a line.
fn shown(value: &Value) -> String {
    const MAX: usize = 200;
    let text = if let Value::Object(fields) = value {
        let fields: Vec<String> =
            fields.iter().map(|(name, value)| format!("{name}: {}", shown(value))).collect();
        if fields.is_empty() { "{}".into() } else { format!("{{ {} }}", fields.join(", ")) }
    } else if let Value::List(items) = value {
        format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", "))
    } else {
        value.to_string()
    };
    if text.chars().count() > MAX { text.chars().take(MAX).chain("…".chars()).collect() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_graphql::parser::parse_query;
    use serde_json::json;

    const SDL: &str = "
        input Filter { types: JSON! min: Float id: ID sub: [Sub!] way: Way = UP }
        input Sub { n: Int! }
        enum Way { UP DOWN }
        scalar JSON
        type Query { a(input: Filter!): Int }";

    fn check(declared: &str, variables: serde_json::Value) -> Result<(), String> {
        let document = parse_query(format!("query q({declared}) {{ a(input: $input) }}")).unwrap();
        let operation = operation(&document, None).unwrap();
        Inputs::of(SDL).check(operation, &Variables::from_json(variables)).map_err(|misfit| misfit.message)
    }

    #[test]
    fn misfits_are_told_as_recorded() {
        let told = check("$input: Filter!", json!({"input": {"min": 0}})).unwrap_err();
        assert_eq!(
            told,
            "Variable \"$input\" got invalid value { min: 0 }; Field \"types\" of required type \"JSON!\" was not provided."
        );
    }

    #[test]
    fn each_kind_of_misfit_names_its_place() {
        let cases = [
            (json!({}), "Variable \"$input\" of required type \"Filter!\" was not provided."),
            (json!({"input": null}), "Variable \"$input\" of non-null type \"Filter!\" must not be null."),
            (
                json!({"input": 5}),
                "Variable \"$input\" got invalid value 5; Expected type \"Filter\" to be an object.",
            ),
            (
                json!({"input": {"types": [], "min": "x"}}),
                "Variable \"$input\" got invalid value \"x\" at \"input.min\"; Float cannot represent non numeric value: \"x\"",
            ),
            (
                json!({"input": {"types": null}}),
                "Variable \"$input\" got invalid value null at \"input.types\"; Expected non-nullable type \"JSON!\" not to be null.",
            ),
            (
                json!({"input": {"types": [], "sub": [{"n": 1.5}]}}),
                "Variable \"$input\" got invalid value 1.5 at \"input.sub.0.n\"; Int cannot represent non-integer value: 1.5",
            ),
            (
                json!({"input": {"types": [], "way": "LEFT"}}),
                "Variable \"$input\" got invalid value \"LEFT\" at \"input.way\"; Value \"LEFT\" does not exist in \"Way\" enum.",
            ),
            (
                json!({"input": {"types": [], "x": 1}}),
                "Variable \"$input\" got invalid value { types: [], x: 1 }; Field \"x\" is not defined by type \"Filter\".",
            ),
        ];
        for (variables, message) in cases {
            assert_eq!(check("$input: Filter!", variables), Err(message.into()));
        }
    }

    #[test]
    fn what_fits_passes() {
        for variables in [
            json!({"input": {"types": {"any": [1]}}}),
            json!({"input": {"types": [], "min": null, "id": 4, "sub": {"n": 1}, "way": "DOWN"}}),
            json!({"input": {"types": "a", "id": "4", "sub": [{"n": 1}]}, "other": 1}),
        ] {
            assert_eq!(check("$input: Filter!", variables), Ok(()));
        }
        assert_eq!(check("$input: Filter", json!({})), Ok(()));
        assert_eq!(check("$input: Unknown!", json!({"input": 1})), Ok(()));
    }
}
