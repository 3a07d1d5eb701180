//! The API's text: `schema.graphql` is what is served, and everything that apps know (`contract.graphql`) is in it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{
    FieldDefinition, InputValueDefinition, TypeDefinition, TypeKind, TypeSystemDefinition,
};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// `UPDATE=1 cargo test -p cloud --test schema` writes it anew; look at the difference before you commit it.
#[test]
fn the_schema_is_the_one_on_file() {
    let served = cloud::graphql::sdl();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(file("schema.graphql"), &served).unwrap();
    }
    let kept = fs::read_to_string(file("schema.graphql")).unwrap();
    assert!(kept == served, "the schema changed: run with UPDATE=1 and look at the difference");
}

type Types = HashMap<String, TypeDefinition>;

fn types(sdl: &str) -> Types {
    let definitions = parse_schema(sdl).unwrap().definitions.into_iter();
    let types = definitions.filter_map(|definition| match definition {
        TypeSystemDefinition::Type(ty) => Some((ty.node.name.node.to_string(), ty.node)),
        TypeSystemDefinition::Schema(_) | TypeSystemDefinition::Directive(_) => None,
    });
    types.collect()
}

/// Everything about `wanted` that would break an app.
fn breaks(wanted: &Types, served: &Types) -> Vec<String> {
    let mut all = Vec::new();
    for (name, ty) in wanted {
        match served.get(name).map(|it| &it.kind) {
            None => all.push(format!("{name} is missing")),
            Some(kind) => compare(name, &ty.kind, kind, &mut all),
        }
    }
    all
}

fn compare(name: &str, wanted: &TypeKind, served: &TypeKind, all: &mut Vec<String>) {
    match (wanted, served) {
        (TypeKind::Scalar, TypeKind::Scalar) => {}
        (TypeKind::Object(wanted), TypeKind::Object(served)) => {
            let served: Vec<_> = served.fields.iter().map(|it| &it.node).collect();
            wanted.fields.iter().for_each(|it| compare_field(name, &it.node, &served, all));
        }
        (TypeKind::InputObject(wanted), TypeKind::InputObject(served)) => {
            let wanted: Vec<_> = wanted.fields.iter().map(|it| &it.node).collect();
            let served: Vec<_> = served.fields.iter().map(|it| &it.node).collect();
            compare_inputs(name, &wanted, &served, all);
        }
        (TypeKind::Enum(wanted), TypeKind::Enum(served)) => {
            let members: Vec<_> = served.values.iter().map(|it| it.node.value.node.as_str()).collect();
            let gone = wanted.values.iter().filter(|it| !members.contains(&it.node.value.node.as_str()));
            all.extend(gone.map(|it| format!("{name}.{} is missing", it.node.value.node)));
        }
        _ => all.push(format!("{name} is of another kind")),
    }
}

fn compare_field(of: &str, wanted: &FieldDefinition, served: &[&FieldDefinition], all: &mut Vec<String>) {
    let name = format!("{of}.{}", wanted.name.node);
    let Some(found) = served.iter().find(|it| it.name.node == wanted.name.node) else {
        return all.push(format!("{name} is missing"));
    };
    let (is, should) = (found.ty.node.to_string(), wanted.ty.node.to_string());
    if is != should {
        all.push(format!("{name} is {is}, not {should}"));
    }
    let wanted: Vec<_> = wanted.arguments.iter().map(|it| &it.node).collect();
    let served: Vec<_> = found.arguments.iter().map(|it| &it.node).collect();
    compare_inputs(&name, &wanted, &served, all);
}

/// What is taken may be less strict than it was, and new things must be optional.
fn compare_inputs(
    of: &str,
    wanted: &[&InputValueDefinition],
    served: &[&InputValueDefinition],
    all: &mut Vec<String>,
) {
    for it in wanted {
        let name = format!("{of}.{}", it.name.node);
        let Some(found) = served.iter().find(|other| other.name.node == it.name.node) else {
            all.push(format!("{name} is missing"));
            continue;
        };
        let (is, should) = (found.ty.node.to_string(), it.ty.node.to_string());
        if is != should && is != should.trim_end_matches('!') {
            all.push(format!("{name} is {is}, not {should}"));
        }
        let default =
            |it: &InputValueDefinition| it.default_value.as_ref().map(|value| value.node.to_string());
        if default(it).is_some() && default(it) != default(found) {
            all.push(format!("{name} has another default"));
        }
    }
    for it in served {
        let known = wanted.iter().any(|other| other.name.node == it.name.node);
        if !known && !it.ty.node.nullable && it.default_value.is_none() {
            all.push(format!("{of}.{} is new and required", it.name.node));
        }
    }
}

#[test]
fn what_apps_rely_on_is_served() {
    let wanted = types(&fs::read_to_string(file("tests/contract.graphql")).unwrap());
    let broken = breaks(&wanted, &types(&cloud::graphql::sdl()));
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn the_comparison_finds_what_breaks() {
    let wanted = types("type Query { a(x: Int! = 1): Int b: String } input I { a: Int! } enum E { A B }");
    let served = types("type Query { a(x: Int!, y: Int!): Int! } input I { a: Int b: Int } enum E { A }");
    let mut broken = breaks(&wanted, &served);
    broken.sort();
    assert_eq!(
        broken,
        [
            "E.B is missing",
            "Query.a is Int!, not Int",
            "Query.a.x has another default",
            "Query.a.y is new and required",
            "Query.b is missing"
        ]
    );
}
