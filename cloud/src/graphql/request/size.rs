//! How big a document may be, looked at before anybody else walks through it.
//!
//! The executor's own checks follow each fragment wherever it is spread: thirty fragments that spread each other twice are a
//! thousand million steps. Here each fragment is measured once.

use std::collections::HashMap;

use async_graphql::parser::Positioned;
use async_graphql::parser::types::{
    Directive, ExecutableDocument, Field, OperationDefinition, Selection, SelectionSet,
};
use async_graphql::{Pos, Value};
use async_graphql_value::Value as Literal;

use super::{MAX_ALIASES, MAX_COMPLEXITY, MAX_DEPTH, MAX_LIST, Refused};

/// Characters of a document: the schema's own introspection has two thousand.
const MAX_LENGTH: usize = 64 * 1024;
/// Brackets within brackets: the parser is recursive and must never see more.
const MAX_NESTING: usize = 64;
/// Directives in one document.
const MAX_DIRECTIVES: usize = 100;
/// Variables of one operation.
const MAX_VARIABLES: usize = 200;

const TOO_DEEP: &str = "Ask for the inner objects in a second query by their ids.";

/// What an operation asks for, its fragments written out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::graphql) struct Size {
    /// Fields and spreads.
    pub(in crate::graphql) fields: usize,
    /// Does it read the schema?
    pub(in crate::graphql) introspects: bool,
}

/// Before it is parsed.
pub(super) fn check_text(query: &str) -> Result<(), Refused> {
    if query.len() > MAX_LENGTH {
        let text = format!(
            "The query has {} bytes: at most {MAX_LENGTH}. Send values as variables, or split it.",
            query.len()
        );
        return Err(invalid(text, None));
    }
    let (mut depth, mut deepest) = (0_usize, 0_usize);
    // Brackets in strings and comments count too: a document with so many of them is no loss.
    for byte in query.bytes() {
        match byte {
            b'{' | b'[' | b'(' => depth += 1,
            b'}' | b']' | b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    if deepest > MAX_NESTING {
        return Err(invalid(
            format!("The query is nested too deep: at most {MAX_DEPTH} levels. {TOO_DEEP}"),
            None,
        ));
    }
    Ok(())
}

/// Refuses what is too big, and tells the size of all operations together.
pub(super) fn check(document: &ExecutableDocument) -> Result<Size, Refused> {
    let mut walk = Walk { document, known: HashMap::new(), aliases: 0, directives: 0 };
    let mut size = Size::default();
    for (_, operation) in document.operations.iter() {
        walk.operation(&operation.node)?;
        size.add(walk.set(&operation.node.selection_set.node)?);
    }
    // Also those that nothing spreads.
    for name in document.fragments.keys() {
        walk.fragment(name.as_str(), Pos::default())?;
    }
    let (aliases, directives) = (walk.aliases, walk.directives);
    if aliases > MAX_ALIASES {
        let text = format!(
            "The query has {aliases} aliases: at most {MAX_ALIASES}. Split it, or filter a list instead."
        );
        return Err(invalid(text, None));
    }
    if directives > MAX_DIRECTIVES {
        let text = format!(
            "The query has {directives} directives: at most {MAX_DIRECTIVES}. Leave out what you do not want."
        );
        return Err(invalid(text, None));
    }
    if size.fields > MAX_COMPLEXITY {
        let text = format!(
            "The query is too complex: at most {MAX_COMPLEXITY} fields, fragments written out. Ask for fewer fields, or split it."
        );
        return Err(invalid(text, None));
    }
    Ok(size)
}

/// Lists in variables.
pub(super) fn check_lists(name: &str, value: &Value) -> Result<(), String> {
    match value {
        Value::List(items) if items.len() > MAX_LIST => Err(format!(
            "A list in variable \"${name}\" has {} items: at most {MAX_LIST}. Send it in parts.",
            items.len()
        )),
        Value::List(items) => items.iter().try_for_each(|item| check_lists(name, item)),
        Value::Object(fields) => fields.values().try_for_each(|field| check_lists(name, field)),
        Value::Null
        | Value::Number(_)
        | Value::String(_)
        | Value::Boolean(_)
        | Value::Binary(_)
        | Value::Enum(_) => Ok(()),
    }
}

impl Size {
    fn add(&mut self, other: Size) {
        self.fields = self.fields.saturating_add(other.fields);
        self.introspects |= other.introspects;
    }
}

struct Walk<'a> {
    document: &'a ExecutableDocument,
    /// Sizes of fragments; none while one is being measured.
    known: HashMap<&'a str, Option<Size>>,
    aliases: usize,
    directives: usize,
}

impl<'a> Walk<'a> {
    fn operation(&mut self, operation: &'a OperationDefinition) -> Result<(), Refused> {
        self.directives(&operation.directives)?;
        let variables = operation.variable_definitions.len();
        if variables > MAX_VARIABLES {
            let text = format!(
                "The operation has {variables} variables: at most {MAX_VARIABLES}. Put them into one input object."
            );
            return Err(invalid(text, None));
        }
        for Positioned { node, pos } in &operation.variable_definitions {
            let default = node.default_value.as_ref().map(|it| &it.node);
            default
                .map_or(Ok(()), |it| check_lists(&node.name.node, it))
                .map_err(|text| invalid(text, Some(*pos)))?;
        }
        Ok(())
    }

    fn set(&mut self, set: &'a SelectionSet) -> Result<Size, Refused> {
        let mut size = Size::default();
        for item in &set.items {
            size.fields = size.fields.saturating_add(1);
            size.add(match &item.node {
                Selection::Field(field) => self.field(&field.node)?,
                Selection::InlineFragment(inline) => {
                    self.directives(&inline.node.directives)?;
                    self.set(&inline.node.selection_set.node)?
                }
                Selection::FragmentSpread(spread) => {
                    self.directives(&spread.node.directives)?;
                    self.fragment(spread.node.fragment_name.node.as_str(), spread.pos)?
                }
            });
        }
        Ok(size)
    }

    fn field(&mut self, field: &'a Field) -> Result<Size, Refused> {
        self.aliases += usize::from(field.alias.is_some());
        self.directives(&field.directives)?;
        field.arguments.iter().try_for_each(|(_, value)| check_literal(value))?;
        let introspects = matches!(field.name.node.as_str(), "__schema" | "__type");
        let mut size = self.set(&field.selection_set.node)?;
        size.introspects |= introspects;
        Ok(size)
    }

    fn directives(&mut self, directives: &'a [Positioned<Directive>]) -> Result<(), Refused> {
        self.directives += directives.len();
        directives.iter().flat_map(|it| &it.node.arguments).try_for_each(|(_, value)| check_literal(value))
    }

    fn fragment(&mut self, name: &str, at: Pos) -> Result<Size, Refused> {
        // An unknown one is told by the executor's validation.
        let Some((name, fragment)) = self.document.fragments.get_key_value(name) else {
            return Ok(Size::default());
        };
        match self.known.get(name.as_str()) {
            Some(Some(size)) => return Ok(*size),
            Some(None) => {
                return Err(invalid(format!("Cannot spread fragment \"{name}\" within itself."), Some(at)));
            }
            None => {}
        }
        self.known.insert(name.as_str(), None);
        self.directives(&fragment.node.directives)?;
        let size = self.set(&fragment.node.selection_set.node)?;
        self.known.insert(name.as_str(), Some(size));
        Ok(size)
    }
}

fn check_literal(value: &Positioned<Literal>) -> Result<(), Refused> {
    fn longest(value: &Literal) -> usize {
        match value {
            Literal::List(items) => items.iter().map(longest).max().unwrap_or(0).max(items.len()),
            Literal::Object(fields) => fields.values().map(longest).max().unwrap_or(0),
            Literal::Variable(_)
            | Literal::Null
            | Literal::Number(_)
            | Literal::String(_)
            | Literal::Boolean(_)
            | Literal::Binary(_)
            | Literal::Enum(_) => 0,
        }
    }
    let longest = longest(&value.node);
    if longest > MAX_LIST {
        let text = format!("A list in the query has {longest} items: at most {MAX_LIST}. Send it in parts.");
        return Err(invalid(text, Some(value.pos)));
    }
    Ok(())
}

fn invalid(text: String, at: Option<Pos>) -> Refused {
    Refused::new(400, "GRAPHQL_VALIDATION_FAILED", text, at)
}
