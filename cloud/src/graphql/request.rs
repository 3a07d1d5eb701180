//! What happens to a request before and after the executor: the manners that apps rely on.
//!
//! Parse and validation errors have HTTP status 400 and no `data`; wrong variables 200 and no `data`; failed resolvers 200
//! and `data`. The executor makes no such difference, and its own hooks would cost every field of every answer, so the
//! document is parsed and checked here, handed over parsed, and the answer is written out here.

#[cfg(test)]
mod hostile;
mod persisted;
mod size;
mod undefined;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_graphql::parser::types::{ExecutableDocument, OperationType, Selection, SelectionSet};
use async_graphql::parser::{self, parse_query};
use async_graphql::{ErrorExtensionValues, Pos, Request, Response, ServerError, Variables};
use serde::Deserialize;

use super::coerce::{Inputs, operation};
use super::rows;
pub(super) use persisted::Documents;
use size::Size;

/// Aliases in one document: more are only good for asking the same thing a hundred times.
pub(super) const MAX_ALIASES: usize = 30;
/// Fields within fields, fragments followed.
pub(super) const MAX_DEPTH: usize = 15;
/// Fields in all, lists weighted.
pub(super) const MAX_COMPLEXITY: usize = 1_000;
/// Items of a list, in a document or in its variables.
const MAX_LIST: usize = 1_000;

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
    /// What protocols add: `persistedQuery`.
    #[serde(default)]
    pub extensions: Option<serde_json::Map<String, serde_json::Value>>,
    /// A registered document instead of a text.
    #[serde(default)]
    pub document_id: Option<String>,
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
    /// Seconds to wait before the next try.
    pub retry_after: Option<u64>,
}

/// Ready for the executor.
pub(super) struct Prepared {
    pub(super) request: Request,
    pub(super) kind: OperationType,
    /// The fields at the top, fragments left out.
    pub(super) roots: Vec<Root>,
    pub(super) size: Size,
    /// Is the document on the operators' list?
    pub(super) registered: bool,
    /// What it has in common with requests whose answers are the same bytes.
    pub(super) key: String,
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
    pub(super) retry_after: Option<u64>,
}

impl Refused {
    pub(super) fn new(status: u16, code: &str, message: impl Into<String>, at: Option<Pos>) -> Self {
        let mut error = ServerError::new(message, at);
        set_code(&mut error, code);
        Self { status, errors: vec![error], retry_after: None }
    }

    /// Says more in the extensions.
    pub(super) fn extend(&mut self, name: &str, value: impl Into<async_graphql::Value>) {
        let value = value.into();
        for error in &mut self.errors {
            error.extensions.get_or_insert_with(ErrorExtensionValues::default).set(name, value.clone());
        }
    }

    pub(super) fn reply(self) -> Reply {
        Reply { retry_after: self.retry_after, ..write(self.status, None, &self.errors, &BTreeMap::new()) }
    }
}

/// Parses and checks.
pub(super) fn prepare(
    mut incoming: Incoming,
    inputs: &Inputs,
    documents: &Documents,
) -> Result<Prepared, Refused> {
    let found = documents.find(&mut incoming)?;
    size::check_text(&found.text)?;
    let mut document = parse_query(&*found.text).map_err(|error| parse_failed(&error))?;
    let size = size::check(&document)?;
    documents.keep(&found);
    let key = format!("{:?}\n{:?}\n{:?}", found.text, incoming.operation_name, incoming.variables);
    let name = incoming.operation_name.as_deref();
    let chosen = operation(&document, name)
        .map_err(|text| Refused::new(400, "OPERATION_RESOLUTION_FAILURE", text, None))?;
    let variables = Variables::from_json(serde_json::Value::Object(incoming.variables.unwrap_or_default()));
    for (name, value) in &*variables {
        size::check_lists(name, value).map_err(|text| Refused::new(200, "BAD_USER_INPUT", text, None))?;
    }
    inputs
        .check(chosen, &variables)
        .map_err(|misfit| Refused::new(200, "BAD_USER_INPUT", misfit.message, Some(misfit.at)))?;

    let kind = chosen.ty;
    let roots = root_fields(&chosen.selection_set.node);
    undefined::leave_out(&mut document, incoming.operation_name.as_deref(), &variables);
    let mut request = Request::new("").variables(variables);
    request.operation_name =
        incoming.operation_name.filter(|name| !name.is_empty() && !is_anonymous(&document));
    request.set_parsed_query(document);
    Ok(Prepared { request, kind, roots, size, registered: found.registered, key })
}

/// Writes an answer out. Failures of ours carry the request's id, so that the log can be asked about them.
pub(super) fn finish(response: Response, request_id: Option<&Arc<str>>) -> Reply {
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
        if let Some(id) = request_id.filter(|_| is_ours(error)) {
            error.extensions.get_or_insert_with(ErrorExtensionValues::default).set("requestId", &**id);
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
    Reply { status, body, refused: data.is_none(), retry_after: None }
}

/// Counts answers by what their first error says; the codes are few and our own. What is not there has the code of our own
/// failures, because apps know it so, and a status that tells them apart.
fn count(errors: &[ServerError]) {
    let told = |name: &str| errors.first().and_then(|error| error.extensions.as_ref()?.get(name));
    let code = match (errors, told("code"), told("status")) {
        ([], ..) => "OK".to_owned(),
        (_, _, Some(async_graphql::Value::Number(status))) if status.as_u64() == Some(404) => {
            "NOT_FOUND".to_owned()
        }
        (_, Some(async_graphql::Value::String(code)), _) => code.clone(),
        (..) => "OTHER".to_owned(),
    };
    metrics::counter!("graphql_answers_total", "code" => code).increment(1);
}

/// Neither the caller's mistake nor "not there", which has a status beside the same code.
fn is_ours(error: &ServerError) -> bool {
    error.extensions.as_ref().is_some_and(|values| {
        values.get("code") == Some(&"INTERNAL_SERVER_ERROR".into()) && values.get("status").is_none()
    })
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
