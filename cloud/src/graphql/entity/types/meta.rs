//! The registry's own structures with everything that these types never use left empty.

use async_graphql::indexmap::IndexMap;
use async_graphql::registry::{Deprecation, MetaEnumValue, MetaField, MetaInputValue, MetaType, Registry};

/// How much a field counts for in a query's complexity.
pub(super) type Weight = fn(
    &async_graphql::VisitorContext<'_>,
    &[async_graphql::Positioned<async_graphql::parser::types::VariableDefinition>],
    &async_graphql::parser::types::Field,
    usize,
) -> async_graphql::ServerResult<usize>;

pub(super) fn object(registry: &mut Registry, name: &str, about: &str, fields: Vec<MetaField>) {
    let fields = fields.into_iter().map(|field| (field.name.clone(), field)).collect();
    let object = root(name, about, fields, false);
    registry.types.insert(name.to_owned(), object);
}

/// A part of the roots, or any other object, unregistered.
pub(super) fn root(
    name: &str,
    about: &str,
    fields: IndexMap<String, MetaField>,
    is_subscription: bool,
) -> MetaType {
    MetaType::Object {
        name: name.to_owned(),
        description: described(about),
        fields,
        cache_control: Default::default(),
        extends: false,
        shareable: false,
        resolvable: true,
        keys: None,
        visible: None,
        inaccessible: false,
        interface_object: false,
        tags: Vec::new(),
        is_subscription,
        rust_typename: None,
        directive_invocations: Vec::new(),
        requires_scopes: Vec::new(),
    }
}

pub(super) fn input(registry: &mut Registry, name: &str, about: &str, fields: Vec<MetaInputValue>) {
    let input = MetaType::InputObject {
        name: name.to_owned(),
        description: described(about),
        input_fields: fields.into_iter().map(|field| (field.name.clone(), field)).collect(),
        visible: None,
        inaccessible: false,
        tags: Vec::new(),
        rust_typename: None,
        oneof: false,
        directive_invocations: Vec::new(),
    };
    registry.types.insert(name.to_owned(), input);
}

pub(super) fn members<'a>(registry: &mut Registry, name: &str, members: impl Iterator<Item = &'a str>) {
    let value = |name: &str| MetaEnumValue {
        name: name.to_owned(),
        description: None,
        deprecation: Deprecation::NoDeprecated,
        visible: None,
        inaccessible: false,
        tags: Vec::new(),
        directive_invocations: Vec::new(),
    };
    let members = MetaType::Enum {
        name: name.to_owned(),
        description: None,
        enum_values: members.map(|name| (name.to_owned(), value(name))).collect(),
        visible: None,
        inaccessible: false,
        tags: Vec::new(),
        rust_typename: None,
        directive_invocations: Vec::new(),
        requires_scopes: Vec::new(),
    };
    registry.types.insert(name.to_owned(), members);
}

pub(super) fn field(name: impl Into<String>, ty: impl Into<String>) -> MetaField {
    MetaField {
        name: name.into(),
        description: None,
        args: IndexMap::new(),
        ty: ty.into(),
        deprecation: Deprecation::NoDeprecated,
        cache_control: Default::default(),
        external: false,
        requires: None,
        provides: None,
        visible: None,
        shareable: false,
        inaccessible: false,
        tags: Vec::new(),
        override_from: None,
        compute_complexity: None,
        directive_invocations: Vec::new(),
        requires_scopes: Vec::new(),
    }
}

/// A field with arguments.
pub(super) fn with(field: MetaField, about: &str, weight: Weight, args: Vec<MetaInputValue>) -> MetaField {
    MetaField {
        description: described(about),
        args: args.into_iter().map(|arg| (arg.name.clone(), arg)).collect(),
        compute_complexity: Some(weight),
        ..field
    }
}

/// An argument, or a field of an input.
pub(super) fn value(name: impl Into<String>, ty: impl Into<String>, about: &str) -> MetaInputValue {
    MetaInputValue {
        name: name.into(),
        description: described(about),
        ty: ty.into(),
        deprecation: Deprecation::NoDeprecated,
        default_value: None,
        visible: None,
        inaccessible: false,
        tags: Vec::new(),
        is_secret: false,
        directive_invocations: Vec::new(),
    }
}

pub(super) fn or(value: MetaInputValue, default: &str) -> MetaInputValue {
    MetaInputValue { default_value: Some(default.to_owned()), ..value }
}

fn described(about: &str) -> Option<String> {
    (!about.is_empty()).then(|| about.to_owned())
}
