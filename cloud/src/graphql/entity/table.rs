//! What the API generates from: an entity is a table of fields and relations, and nothing else is known of it elsewhere.

use crate::auth::Deed;

/// One of the five things that people manage.
pub(super) struct Entity {
    /// As a type: `ChargePoint`.
    pub(super) name: &'static str,
    /// Many of them in names of operations: `ChargePoints`.
    pub(super) plural: &'static str,
    /// One of them as a field: `chargePoint`.
    pub(super) one: &'static str,
    /// Many of them as a field: `chargePoints`.
    pub(super) many: &'static str,
    /// The input that makes one.
    pub(super) input: &'static str,
    pub(super) table: &'static str,
    /// What the table is called in statements; each entity has its own, so that conditions on several never mix.
    pub(super) alias: &'static str,
    pub(super) fields: &'static [Field],
    pub(super) relations: &'static [Relation],
    /// Relations that a filter reaches through, under the names that apps know.
    pub(super) filters: &'static [Through],
    pub(super) tenancy: Tenancy,
    pub(super) see: Deed,
    pub(super) change: Deed,
    /// What is unique about a row, for the message when it is taken.
    pub(super) unique: &'static str,
}

/// What makes a row somebody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tenancy {
    /// Its own owner and organization.
    Site,
    /// Those of the site it stands at.
    AtSite,
    /// Its owner, and itself.
    Organization,
    /// Itself alone.
    User,
}

/// A field of an entity.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) column: &'static str,
    pub(super) kind: Kind,
    /// Never null in answers.
    pub(super) required: bool,
    /// Nor in the table.
    pub(super) never_null: bool,
    /// What a new row has when nothing is said, in SQL; none: the column's own default.
    pub(super) default: Option<&'static str>,
    pub(super) create: Create,
    /// Can be filtered, sorted and aggregated by.
    pub(super) filterable: bool,
    pub(super) writing: Writing,
}

/// What a value is, in the API and in Postgres.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Id,
    Text(Text),
    Boolean,
    Time,
    /// A GeoJSON point.
    Place,
    Number(Number),
}

/// What a text must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Text {
    Any,
    /// The name a station presents on its own protocol.
    Identity,
    /// Such as `$/kWh`.
    PriceUnit,
    /// What one signs in with: never empty.
    Account,
}

/// A `Float` of the API in Postgres.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    Double,
    /// Exact money.
    Price,
    /// A connector's number on its station.
    Evse,
    /// Another row's id.
    Reference,
}

/// A field in the input that makes a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Create {
    Absent,
    Optional,
    Required,
}

/// What becomes of a field in an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writing {
    Written,
    /// Taken, so that an app may send back what it read, and not written: the server keeps it.
    Kept,
    /// Not in the input at all.
    Absent,
}

/// Rows of another entity that belong to a row, or that it belongs to; always shown as a list under the target's plural.
pub(super) struct Relation {
    pub(super) target: &'static Entity,
    /// This entity's column, and the target's column that equals it.
    pub(super) own: &'static str,
    pub(super) theirs: &'static str,
    /// The target cannot be without: taking it away is refused.
    pub(super) needed: bool,
}

/// A relation in a filter.
pub(super) struct Through {
    pub(super) key: &'static str,
    pub(super) target: &'static Entity,
    pub(super) own: &'static str,
    pub(super) theirs: &'static str,
}

impl Entity {
    pub(super) fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    pub(super) fn relation(&self, name: &str) -> Option<&Relation> {
        self.relations.iter().find(|relation| relation.target.many == name)
    }

    pub(super) fn filterable(&self) -> impl Iterator<Item = &'static Field> + use<> {
        self.fields.iter().filter(|field| field.filterable)
    }

    /// A column in a statement.
    pub(super) fn sql(&self, column: &str) -> String {
        format!("{}.{column}", self.alias)
    }
}

impl Relation {
    /// Does the row point at the other (and not the other at it)?
    pub(super) fn points(&self) -> bool {
        self.theirs == "id"
    }
}

impl Kind {
    pub(super) const TEXT: Kind = Kind::Text(Text::Any);
    pub(super) const DOUBLE: Kind = Kind::Number(Number::Double);
    pub(super) const PRICE: Kind = Kind::Number(Number::Price);
    pub(super) const REFERENCE: Kind = Kind::Number(Number::Reference);

    /// The scalar in the API.
    pub(super) fn scalar(self) -> &'static str {
        match self {
            Kind::Id => "ID",
            Kind::Text(_) => "String",
            Kind::Boolean => "Boolean",
            Kind::Time => "DateTime",
            Kind::Place => "JSON",
            Kind::Number(_) => "Float",
        }
    }

    /// The input that compares it.
    pub(super) fn comparison(self) -> &'static str {
        match self {
            Kind::Id => "IDFilterComparison",
            Kind::Text(_) => "StringFieldComparison",
            Kind::Boolean => "BooleanFieldComparison",
            Kind::Time => "DateFieldComparison",
            Kind::Place => "JSONFilterComparison",
            Kind::Number(_) => "NumberFieldComparison",
        }
    }

    /// The column's type.
    pub(super) fn postgres(self) -> &'static str {
        match self {
            Kind::Id | Kind::Number(Number::Reference) => "bigint",
            Kind::Text(_) => "text",
            Kind::Boolean => "boolean",
            Kind::Time => "timestamptz",
            Kind::Place => "jsonb",
            Kind::Number(Number::Double) => "double precision",
            Kind::Number(Number::Price) => "numeric",
            Kind::Number(Number::Evse) => "integer",
        }
    }

    pub(super) fn is_summed(self) -> bool {
        matches!(self, Kind::Id | Kind::Number(_))
    }
}

impl Field {
    pub(super) const ID: Field = Field {
        required: true,
        never_null: true,
        writing: Writing::Kept,
        ..Field::new("id", "id", Kind::Id)
    };

    pub(super) const fn new(name: &'static str, column: &'static str, kind: Kind) -> Self {
        Self {
            name,
            column,
            kind,
            required: false,
            never_null: false,
            default: None,
            create: Create::Absent,
            filterable: true,
            writing: Writing::Written,
        }
    }

    pub(super) const fn text(name: &'static str, column: &'static str) -> Self {
        Self::new(name, column, Kind::TEXT)
    }

    /// Never null.
    pub(super) const fn required(self) -> Self {
        Self { required: true, never_null: true, ..self }
    }

    /// Promised to be there by the first API, which it need not be: asking for it then fails.
    pub(super) const fn promised(self) -> Self {
        Self { required: true, ..self }
    }

    /// What a new row has, in SQL.
    pub(super) const fn or(self, default: &'static str) -> Self {
        Self { default: Some(default), ..self }
    }

    /// In the input that makes a row.
    pub(super) const fn made(self, create: Create) -> Self {
        Self { create, ..self }
    }

    pub(super) const fn unfiltered(self) -> Self {
        Self { filterable: false, ..self }
    }

    /// Kept by the server.
    pub(super) const fn kept(self) -> Self {
        Self { writing: Writing::Kept, ..self }
    }

    /// In answers only.
    pub(super) const fn shown(self) -> Self {
        Self { writing: Writing::Absent, filterable: false, ..self }
    }

    /// The type in answers.
    pub(super) fn output(&self) -> String {
        format!("{}{}", self.kind.scalar(), if self.required { "!" } else { "" })
    }
}
