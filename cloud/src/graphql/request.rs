//! What happens to a request before and after the executor: the manners that apps rely on.
//!
//! Parse and validation errors have HTTP status 400 and no `data`; wrong variables 200 and no `data`; failed resolvers 200
//! and `data`. The executor makes no such difference, and its own hooks would cost every field of every answer, so the
//! document is parsed and checked here, handed over parsed, and the answer is written out here.

use std::collections::BTreeMap;

use async_graphql::parser::types::{ExecutableDocument, OperationType, Selection, SelectionSet};
use async_graphql::parser::{self, parse_query};
use async_graphql::{ErrorExtensionValues, Pos, Request, Response, ServerError, Variables};
use serde::Deserialize;

use super::coerce::{Inputs, operation};
use super::rows;

/// Aliases in one document: more are only good for asking the same thing a hundred times.
pub(super) const MAX_ALIASES: usize = 30;
/// Fields within fields, fragments followed.
pub(super) const MAX_DEPTH: usize = 15;
/// Fields in all, lists weighted.
pub(super) const MAX_COMPLEXITY: usize = 1_000;
/// Brackets within brackets: the parser is recursive and must never see more.
const MAX_NESTING: usize = 64;

/// A request's body.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Incoming {
    /// The document.
    #[serde(default)]
    pub query: Option<String>,
    /// Values of its variables.
    #[serde(default)]
    pub variables: Option<serde_json::Map<String, serde_json::Value>>,
    /// Which operation of the document.
    #[serde(default)]
    pub operation_name: Option<String>,
}

/// An answer as it goes out.
#[derive(Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// JSON.
    pub body: String,
    /// Errors from before the execution, no `data`: a subscription never began.
    pub refused: bool,
}

/// Ready for the executor.
pub(super) struct Prepared {
    pub(super) request: Request,
    pub(super) kind: OperationType,
    /// The fields at the top, fragments left out.
    pub(super) roots: Vec<Root>,
}

/// A field at the top of an operation.
pub(super) struct Root {
    pub(super) name: String,
    /// Names of the arguments that it is given.
    pub(super) arguments: Vec<String>,
}

/// Why a request does not reach the executor.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) status: u16,
    pub(super) errors: Vec<ServerError>,
}

impl Refused {
    fn new(status: u16, code: &str, message: impl Into<String>, at: Option<Pos>) -> Self {
        let mut error = ServerError::new(message, at);
        set_code(&mut error, code);
        Self { status, errors: vec![error] }
    }

    pub(super) fn reply(self) -> Reply {
        write(self.status, None, &self.errors, &BTreeMap::new())
    }
}

/// Parses and checks.
pub(super) fn prepare(incoming: Incoming, inputs: &Inputs) -> Result<Prepared, Refused> {
    let Some(query) = incoming.query.filter(|query| !query.is_empty()) else {
        let text = "GraphQL operations must contain a non-empty `query` or a `persistedQuery` extension.";
        return Err(Refused::new(400, "BAD_REQUEST", text, None));
    };
    check_nesting(&query)?;
    let document = parse_query(&query).map_err(|error| parse_failed(&error))?;
    check_aliases(&document)?;
    let name = incoming.operation_name.as_deref();
    let chosen = operation(&document, name)
        .map_err(|text| Refused::new(400, "OPERATION_RESOLUTION_FAILURE", text, None))?;
    let variables = Variables::from_json(serde_json::Value::Object(incoming.variables.unwrap_or_default()));
    inputs
        .check(chosen, &variables)
        .map_err(|misfit| Refused::new(200, "BAD_USER_INPUT", misfit.message, Some(misfit.at)))?;

    let kind = chosen.ty;
    let roots = root_fields(&chosen.selection_set.node);
    let mut request = Request::new(query).variables(variables);
    request.operation_name =
        incoming.operation_name.filter(|name| !name.is_empty() && !is_anonymous(&document));
    request.set_parsed_query(document);
    Ok(Prepared { request, kind, roots })
}

/// Writes an answer out.
pub(super) fn finish(response: Response) -> Reply {
    let Response { data, mut errors, extensions, .. } = response;
    // Resolvers' errors have a path, the executor's own checks have none.
    let refused = !errors.is_empty() && errors.iter().all(|error| error.path.is_empty());
    let fallback = if refused { "GRAPHQL_VALIDATION_FAILED" } else { "INTERNAL_SERVER_ERROR" };
    for error in &mut errors {
        error.message = familiar(&error.message);
        if error.extensions.as_ref().is_none_or(|values| values.get("code").is_none()) {
            let bad_input = !refused && error.message.starts_with("Failed to parse");
            set_code(error, if bad_input { "BAD_USER_INPUT" } else { fallback });
        }
    }
    if refused {
        write(400, None, &errors, &extensions)
    } else {
        write(200, Some(&data), &errors, &extensions)
    }
}

fn write(
    status: u16,
    data: Option<&async_graphql::Value>,
    errors: &[ServerError],
    extensions: &BTreeMap<String, async_graphql::Value>,
) -> Reply {
    count(errors);
    let mut body = Vec::new();
    let mut part = |name: &str, write: &dyn Fn(&mut Vec<u8>)| {
        body.push(if body.is_empty() { b'{' } else { b',' });
        body.extend_from_slice(name.as_bytes());
        write(&mut body);
    };
    if !errors.is_empty() {
        part("\"errors\":", &|out| serde_json::to_writer(out, errors).expect("errors are JSON"));
    }
    if let Some(data) = data {
        part("\"data\":", &|out| rows::write(out, data));
    }
    if !extensions.is_empty() {
        part("\"extensions\":", &|out| {
            serde_json::to_writer(out, extensions).expect("GraphQL values are JSON")
        });
    }
    body.push(b'}');
    let body = String::from_utf8(body).expect("JSON is UTF-8");
    Reply { status, body, refused: data.is_none() }
}

/// Counts answers by what their first error says; the codes are few and our own.
fn count(errors: &[ServerError]) {
    let code = errors.first().and_then(|error| error.extensions.as_ref()?.get("code"));
    let code = match (errors, code) {
        ([], _) => "OK".to_owned(),
        (_, Some(async_graphql::Value::String(code))) => code.clone(),
        (_, _) => "OTHER".to_owned(),
    };
    metrics::counter!("graphql_answers_total", "code" => code).increment(1);
}

fn set_code(error: &mut ServerError, code: &str) {
    error.extensions.get_or_insert_with(ErrorExtensionValues::default).set("code", code);
}

fn parse_failed(error: &parser::Error) -> Refused {
    let text = error.to_string();
    // The parser draws a picture of the place; its last line says what it wanted.
    let wanted = text.lines().rev().find_map(|line| line.trim().strip_prefix("= ")).unwrap_or(text.trim());
    let at = error.positions().next();
    Refused::new(400, "GRAPHQL_PARSE_FAILED", format!("Syntax Error: {wanted}."), at)
}

/// The executor's wording in the one that apps have seen, and with advice where the remedy is not plain.
fn familiar(message: &str) -> String {
    if let Some(rest) = message.strip_prefix("Unknown field ") {
        return format!("Cannot query field {rest}");
    }
    match message {
        "Query is nested too deep." => {
            format!(
                "The query is nested too deep: at most {MAX_DEPTH} levels. Ask for the inner objects in a second query by their ids."
            )
        }
        "Query is too complex." => {
            format!(
                "The query is too complex: at most {MAX_COMPLEXITY} fields, lists counted by their size. Ask for fewer fields, or split it."
            )
        }
        other => other.into(),
    }
}

fn check_nesting(query: &str) -> Result<(), Refused> {
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
        let text = format!(
            "The query is nested too deep: at most {MAX_DEPTH} levels. Ask for the inner objects in a second query by their ids."
        );
        return Err(Refused::new(400, "GRAPHQL_VALIDATION_FAILED", text, None));
    }
    Ok(())
}

fn check_aliases(document: &ExecutableDocument) -> Result<(), Refused> {
    let operations = document.operations.iter().map(|(_, operation)| &operation.node.selection_set.node);
    let fragments = document.fragments.values().map(|fragment| &fragment.node.selection_set.node);
    let aliases: usize = operations.chain(fragments).map(count_aliases).sum();
    if aliases > MAX_ALIASES {
        let text = format!(
            "The query has {aliases} aliases: at most {MAX_ALIASES}. Split it, or filter a list instead."
        );
        return Err(Refused::new(400, "GRAPHQL_VALIDATION_FAILED", text, None));
    }
    Ok(())
}

fn count_aliases(set: &SelectionSet) -> usize {
    set.items
        .iter()
        .map(|item| match &item.node {
            Selection::Field(field) => {
                usize::from(field.node.alias.is_some()) + count_aliases(&field.node.selection_set.node)
            }
            Selection::InlineFragment(fragment) => count_aliases(&fragment.node.selection_set.node),
            Selection::FragmentSpread(_) => 0,
        })
        .sum()
}

fn root_fields(set: &SelectionSet) -> Vec<Root> {
    let roots = set.items.iter().filter_map(|item| match &item.node {
        Selection::Field(field) => Some(Root {
            name: field.node.name.node.to_string(),
            arguments: field.node.arguments.iter().map(|(name, _)| name.node.to_string()).collect(),
        }),
        Selection::InlineFragment(_) | Selection::FragmentSpread(_) => None,
    });
    roots.collect()
}

fn is_anonymous(document: &ExecutableDocument) -> bool {
    document.operations.iter().any(|(name, _)| name.is_none())
}

/// An answer that is one error.
pub(super) fn refuse(status: u16, code: &str, message: &str) -> Reply {
    Refused::new(status, code, message, None).reply()
}
