//! The schema as it is served, and a request for each of its fields that asks for everything below it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use async_graphql::Name;
use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{
    BaseType, FieldDefinition, InputValueDefinition, Type, TypeDefinition, TypeKind, TypeSystemDefinition,
};
use serde_json::Value;

/// Objects within objects.
const DEPTH: usize = 3;
/// Objects of which there may be many, and which have many themselves: one of them below the top is enough.
const LARGE: [&str; 5] = ["Site", "ChargePoint", "Connector", "Organization", "User"];

pub(crate) struct Model(BTreeMap<String, TypeDefinition>);

/// A field at the top.
pub(crate) struct Root<'a> {
    /// `query`, `mutation` or `subscription`.
    pub(crate) kind: &'static str,
    pub(crate) field: &'a FieldDefinition,
}

impl Root<'_> {
    /// As the rules call it.
    pub(crate) fn name(&self) -> String {
        let kind = self.kind[..1].to_uppercase() + &self.kind[1..];
        format!("{kind}.{}", self.field.name.node)
    }

    pub(crate) fn arguments(&self) -> Vec<&InputValueDefinition> {
        self.field.arguments.iter().map(|it| &it.node).collect()
    }
}

impl Model {
    pub(crate) fn served() -> Self {
        let definitions = parse_schema(cloud::graphql::sdl()).unwrap().definitions.into_iter();
        let types = definitions.filter_map(|definition| match definition {
            TypeSystemDefinition::Type(ty) => Some((ty.node.name.node.to_string(), ty.node)),
            TypeSystemDefinition::Schema(_) | TypeSystemDefinition::Directive(_) => None,
        });
        Self(types.collect())
    }

    pub(crate) fn roots(&self) -> Vec<Root<'_>> {
        let of = |(kind, ty): (&'static str, &str)| {
            self.fields(ty).iter().map(move |field| Root { kind, field: &field.node }).collect::<Vec<_>>()
        };
        [("query", "Query"), ("mutation", "Mutation"), ("subscription", "Subscription")]
            .into_iter()
            .flat_map(of)
            .collect()
    }

    /// Every field of every object, those at the top included.
    pub(crate) fn every_field(&self) -> BTreeSet<String> {
        let objects = self.0.keys().filter(|name| !self.fields(name).is_empty());
        let fields = objects
            .flat_map(|name| self.fields(name).iter().map(move |it| format!("{name}.{}", it.node.name.node)));
        fields.collect()
    }

    fn fields(&self, ty: &str) -> &[async_graphql::Positioned<FieldDefinition>] {
        match self.0.get(ty).map(|it| &it.kind) {
            Some(TypeKind::Object(object)) => &object.fields,
            _ => &[],
        }
    }

    /// The fields of an input object; nothing for anything else.
    pub(crate) fn input(&self, ty: &str) -> Option<Vec<&InputValueDefinition>> {
        match &self.0.get(ty)?.kind {
            TypeKind::InputObject(input) => Some(input.fields.iter().map(|it| &it.node).collect()),
            _ => None,
        }
    }

    /// The members of an enumeration.
    pub(crate) fn members(&self, ty: &str) -> Option<Vec<String>> {
        match &self.0.get(ty)?.kind {
            TypeKind::Enum(it) => Some(it.values.iter().map(|it| it.node.value.node.to_string()).collect()),
            _ => None,
        }
    }

    /// Documents that ask a field at the top for everything below it, and the fields that they visit.
    /// `given`: the arguments that have a value.
    pub(crate) fn documents(&self, root: &Root<'_>, given: &Value) -> (Vec<String>, BTreeSet<String>) {
        let mut seen = BTreeSet::from([root.name()]);
        let ty = named(&root.field.ty.node);
        let whole: Vec<&Name> = self.objects_of(ty).collect();
        // One object below at a time keeps each document simple enough.
        let parts: Vec<Option<&Name>> =
            if whole.is_empty() || root.kind != "query" || ty.contains("Aggregate") {
                vec![None]
            } else {
                whole.into_iter().map(Some).collect()
            };
        let documents = parts.into_iter().map(|part| {
            let below = match part {
                Some(only) => self.selection(ty, DEPTH, &mut vec![], &mut seen, Some(only)),
                None => self.selection(ty, DEPTH, &mut vec![], &mut seen, None),
            };
            document(root, given, &below)
        });
        (documents.collect(), seen)
    }

    fn objects_of(&self, ty: &str) -> impl Iterator<Item = &Name> {
        let objects = self.fields(ty).iter().filter(|it| !self.fields(named(&it.node.ty.node)).is_empty());
        objects.map(|it| &it.node.name.node)
    }

    fn selection(
        &self,
        ty: &str,
        depth: usize,
        path: &mut Vec<String>,
        seen: &mut BTreeSet<String>,
        only: Option<&Name>,
    ) -> String {
        if self.fields(ty).is_empty() {
            return String::new();
        }
        path.push(ty.to_owned());
        let mut text = String::from("{ __typename ");
        for field in self.fields(ty) {
            let below = named(&field.node.ty.node);
            let object = !self.fields(below).is_empty();
            let large = |ty: &str| LARGE.contains(&ty) || ty.ends_with("AggregateResponse");
            let depth = if large(below) && path[1..].iter().any(|it| large(it)) { 0 } else { depth };
            let skipped = only.is_some_and(|only| *only != field.node.name.node);
            if object && (depth == 0 || skipped || path.iter().any(|it| it == below)) {
                continue;
            }
            assert!(
                field
                    .node
                    .arguments
                    .iter()
                    .all(|it| it.node.ty.node.nullable || it.node.default_value.is_some()),
                "{ty}.{} has an argument that must be given: teach matrix/model.rs to give it",
                field.node.name.node
            );
            seen.insert(format!("{ty}.{}", field.node.name.node));
            let inner = self.selection(below, depth.saturating_sub(1), path, seen, None);
            write!(text, "{} {inner} ", field.node.name.node).unwrap();
        }
        path.pop();
        text + "}"
    }
}

fn document(root: &Root<'_>, values: &Value, below: &str) -> String {
    let name = &root.field.name.node;
    let (mut declared, mut given) = (vec![], vec![]);
    for argument in root.field.arguments.iter().filter(|it| values.get(it.node.name.node.as_str()).is_some())
    {
        declared.push(format!("${}: {}", argument.node.name.node, argument.node.ty.node));
        given.push(format!("{0}: ${0}", argument.node.name.node));
    }
    let (declared, given) = match declared.is_empty() {
        true => (String::new(), String::new()),
        false => (format!("({})", declared.join(", ")), format!("({})", given.join(", "))),
    };
    format!("{} {declared} {{ {name}{given} {below} }}", root.kind)
}

/// A type without its lists and exclamation marks.
pub(crate) fn named(ty: &Type) -> &str {
    match &ty.base {
        BaseType::Named(name) => name,
        BaseType::List(inner) => named(inner),
    }
}
