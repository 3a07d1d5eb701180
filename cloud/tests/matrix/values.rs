//! What is sent: for every argument and input field a value, so that a new one without a rule fails.
//!
//! Ids are the target's: one's own row, a neighbour's within the same tenant, another tenant's, or one's own that is to be tied to
//! another tenant's.

use async_graphql::parser::types::{BaseType, InputValueDefinition, Type};
use serde_json::{Map, Value, json};

use crate::model::{Model, named};
use crate::world::Tenant;

/// Whose rows the ids name: `id` itself, and every other one.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    pub(crate) row: Whose,
    pub(crate) related: Whose,
}

#[derive(Clone, Copy)]
pub(crate) struct Whose {
    pub(crate) tenant: Tenant,
    /// The number of the person within the tenant.
    pub(crate) person: i64,
    /// The owner's own site, or the organization's.
    pub(crate) private: bool,
}

/// What an id may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    User,
    Organization,
    Site,
    ChargePoint,
    Connector,
    Session,
    Command,
    Station,
    Card,
    CardGroup,
    UnknownCard,
    PendingStation,
    QuirkSuggestion,
    Member,
    ApiKey,
    Firmware,
    Bulk,
    Alarm,
    Gateway,
}

impl Whose {
    fn id(self, row: Row) -> Value {
        let of = |private: i64, shared: i64| self.tenant.base + if self.private { private } else { shared };
        let number = match row {
            Row::User => self.tenant.base + self.person,
            Row::Organization => of(12, 11),
            Row::Site => of(21, 22),
            Row::ChargePoint => of(31, 32),
            Row::Connector => of(41, 42),
            Row::Session => of(51, 52),
            Row::Card => self.tenant.base + 60 + self.person,
            Row::CardGroup => of(72, 71),
            Row::UnknownCard => of(81, 82),
            Row::PendingStation => return json!(format!("{}-pending", self.tenant.text)),
            Row::QuirkSuggestion => of(91, 92),
            Row::Member => of(8, 5),
            Row::ApiKey => of(92, 91),
            Row::Bulk => of(101, 102),
            Row::Alarm => of(111, 112),
            Row::Gateway => {
                let number = of(21, 22) % 100;
                return json!(format!("{}-0000-4000-8000-0000000000{number}", self.tenant.hex));
            }
            Row::Command => {
                return json!(format!("{}-0000-4000-8000-00000000012{}", self.tenant.hex, of(1, 2) % 10));
            }
            Row::Firmware => {
                return json!(format!("{}-0000-4000-8000-00000000013{}", self.tenant.hex, of(1, 2) % 10));
            }
            Row::Station => return json!(format!("{}-cp-{}", self.tenant.text, of(31, 32) % 100)),
        };
        json!(number)
    }
}

impl Target {
    fn of(self, name: &str) -> Whose {
        if name == "id" { self.row } else { self.related }
    }
}

enum Rule {
    /// Names a row.
    Id(Row),
    /// Is always this.
    Is(&'static str),
    /// A whole site for `createOrUpdateSiteWithChargePoints`.
    Save,
    /// Left out.
    Skip,
}

use Rule::{Id, Is, Save, Skip};

/// By `Type.field`, else by `*.field`; JSON where it is a value.
const RULES: &[(&str, Rule)] = include!("values.in");

/// The variables of a field at the top.
pub(crate) fn variables(
    model: &Model,
    owner: &str,
    arguments: &[&InputValueDefinition],
    target: Target,
) -> Value {
    let values = arguments.iter().filter_map(|it| {
        let value = value(model, owner, it, &it.ty.node, target)?;
        Some((it.name.node.to_string(), value))
    });
    Value::Object(values.collect::<Map<_, _>>())
}

fn value(model: &Model, owner: &str, it: &InputValueDefinition, ty: &Type, target: Target) -> Option<Value> {
    if let BaseType::List(inner) = &ty.base {
        return value(model, owner, it, inner, target).map(|one| json!([one]));
    }
    let (name, ty) = (it.name.node.as_str(), named(ty));
    if let Some(rule) = find(owner, name) {
        return match rule {
            Id(row) => Some(target.of(name).id(*row)),
            Is(text) => Some(
                serde_json::from_str(text).unwrap_or_else(|error| panic!("{owner}.{name}: {text}: {error}")),
            ),
            Save => Some(saved(target)),
            Skip => None,
        };
    }
    if let Some(row) = row_of(owner, name) {
        return Some(target.of(name).id(row));
    }
    if ty.ends_with("Filter") {
        return Some(filter(ty, target));
    }
    if let Some(fields) = model.input(ty) {
        return Some(variables(model, ty, &fields, target));
    }
    if let Some(members) = model.members(ty) {
        return Some(json!(members[0]));
    }
    Some(json!(format!("no rule for {owner}.{name}: {ty}")))
}

/// What has no rule, in variables that were made of what has one.
pub(crate) fn without_rule(variables: &Value) -> Vec<String> {
    match variables {
        Value::Object(fields) => fields.values().flat_map(without_rule).collect(),
        Value::Array(items) => items.iter().flat_map(without_rule).collect(),
        Value::String(text) => text.strip_prefix("no rule for ").map(str::to_owned).into_iter().collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => vec![],
    }
}

fn find(owner: &str, name: &str) -> Option<&'static Rule> {
    let exact = format!("{owner}.{name}");
    let general = format!("*.{name}");
    let by = |wanted: &str| RULES.iter().find(|(path, _)| *path == wanted).map(|(_, rule)| rule);
    by(&exact).or_else(|| by(&general))
}

/// Generated operations name their rows by the entity in their own name.
fn row_of(owner: &str, name: &str) -> Option<Row> {
    let owner = owner.strip_prefix("Query.").unwrap_or(owner).trim_end_matches("Input");
    let tie = || {
        let both = owner.strip_prefix("Add").or_else(|| owner.strip_prefix("Set"))?;
        both.split_once("To").or_else(|| both.split_once("On"))
    };
    match name {
        "id" => {
            let one = owner.strip_prefix("UpdateOne").or_else(|| owner.strip_prefix("DeleteOne"));
            entity(one.or_else(|| Some(tie()?.1)).unwrap_or(owner))
        }
        "relationIds" => entity(tie()?.0.trim_end_matches('s')),
        _ => None,
    }
}

fn entity(name: &str) -> Option<Row> {
    let rows = [
        ("ChargePoint", Row::ChargePoint),
        ("Connector", Row::Connector),
        ("Organization", Row::Organization),
        ("Site", Row::Site),
        ("User", Row::User),
    ];
    rows.iter().find(|(entity, _)| entity.eq_ignore_ascii_case(name)).map(|(_, row)| *row)
}

/// A filter names the target's row by its id; one that knows no rows lets everything through.
fn filter(ty: &str, target: Target) -> Value {
    let entity = (1..=ty.len()).rev().find_map(|end| entity(ty.get(..end)?));
    match entity {
        Some(row) => json!({"id": {"eq": target.row.id(row)}}),
        None => json!({}),
    }
}

fn saved(target: Target) -> Value {
    json!({
        "id": target.row.id(Row::Site), "name": "changed", "organizationId": target.related.id(Row::Organization),
        "chargepoints": [{
            "id": target.related.id(Row::ChargePoint), "chargePointName": "changed",
            "connectors": [{"id": target.related.id(Row::Connector), "label": "changed"}],
        }],
    })
}
