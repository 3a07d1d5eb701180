//! Documents that are sent by their hash: those that operators registered, and those that clients showed once.
//!
//! The protocol is Apollo's automatic persisted queries: a hash alone is looked up, a hash with its text is remembered. A
//! registered document has the id that its manifest gives it, and is known by its text too.

mod manifest;

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use sha2::{Digest as _, Sha256};

use super::{Incoming, Refused};

/// Bytes of remembered documents in one replica.
const MEMORY: u64 = 8 * 1024 * 1024;
/// How many they are about: only a hint for the cache.
const DOCUMENTS: usize = 8 * 1024;

/// The documents that one replica knows.
pub(crate) struct Documents {
    registered: HashMap<String, Arc<str>>,
    /// Their texts' hashes.
    texts: HashSet<[u8; 32]>,
    shown: Cache<[u8; 32], Arc<str>, Bytes>,
}

/// A request's document.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) text: Arc<str>,
    /// Is it on the operators' list?
    pub(super) registered: bool,
    /// To be remembered under its hash when it turns out to be one.
    pub(super) is_new: bool,
}

#[derive(Clone)]
struct Bytes;

impl Weighter<[u8; 32], Arc<str>> for Bytes {
    fn weight(&self, _: &[u8; 32], text: &Arc<str>) -> u64 {
        // What keeping it costs beside the text.
        text.len() as u64 + 128
    }
}

impl Documents {
    /// Reads the manifests, if there are any.
    ///
    /// # Errors
    /// Names the file that is none.
    pub(crate) fn load(manifests: Option<&Path>) -> anyhow::Result<Self> {
        let registered = manifests.map(manifest::read).transpose()?.unwrap_or_default();
        let texts = registered.values().map(|text| digest(text)).collect();
        Ok(Self { registered, texts, shown: Cache::with_weighter(DOCUMENTS, MEMORY, Bytes) })
    }

    /// The document that a request means.
    pub(super) fn find(&self, incoming: &mut Incoming) -> Result<Found, Refused> {
        let query = incoming.query.take().filter(|query| !query.is_empty());
        if let (Some(id), None) = (&incoming.document_id, &query) {
            let text = self.registered.get(id).ok_or_else(|| not_listed(id))?;
            return Ok(Found { text: Arc::clone(text), registered: true, is_new: false });
        }
        let asked =
            incoming.extensions.as_ref().and_then(|all| all.get("persistedQuery")).filter(|it| !it.is_null());
        match (asked, query) {
            (Some(asked), query) => self.persisted(asked, query),
            (None, Some(query)) => Ok(self.written_out(query)),
            (None, None) => {
                let text =
                    "GraphQL operations must contain a non-empty `query` or a `persistedQuery` extension.";
                Err(Refused::new(400, "BAD_REQUEST", text, None))
            }
        }
    }

    fn persisted(&self, asked: &serde_json::Value, query: Option<String>) -> Result<Found, Refused> {
        if asked["version"].as_f64() != Some(1.0) {
            return Err(Refused::new(
                400,
                "INTERNAL_SERVER_ERROR",
                "Unsupported persisted query version",
                None,
            ));
        }
        let hash = asked["sha256Hash"].as_str().unwrap_or_default();
        if let Some(text) = self.registered.get(hash)
            && query.as_ref().is_none_or(|query| **query == **text)
        {
            return Ok(Found { text: Arc::clone(text), registered: true, is_new: false });
        }
        let hash = parsed(hash);
        match query {
            Some(query) if hash == Some(digest(&query)) => {
                let is_new = hash.is_some_and(|hash| self.shown.peek(&hash).is_none());
                Ok(Found { is_new, ..self.written_out(query) })
            }
            Some(_) => {
                Err(Refused::new(400, "INTERNAL_SERVER_ERROR", "provided sha does not match query", None))
            }
            None => {
                let text = hash.and_then(|hash| self.shown.get(&hash)).ok_or_else(|| {
                    Refused::new(200, "PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound", None)
                })?;
                Ok(self.written_out(text))
            }
        }
    }

    fn written_out(&self, text: impl Into<Arc<str>>) -> Found {
        let text = text.into();
        // Without a list, nobody asks.
        let registered = !self.texts.is_empty() && self.texts.contains(&digest(&text));
        Found { text, registered, is_new: false }
    }

    /// Remembers a document that parses.
    pub(super) fn keep(&self, found: &Found) {
        if found.is_new && !found.registered {
            self.shown.insert(digest(&found.text), Arc::clone(&found.text));
        }
    }
}

fn not_listed(id: &str) -> Refused {
    let id: String = id.chars().filter(|c| !c.is_control()).take(100).collect();
    let text = format!("Persisted query '{id}' not found in the persisted query list");
    Refused::new(404, "PERSISTED_QUERY_NOT_IN_LIST", text, None)
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// The bytes of a hash in hex.
fn parsed(hash: &str) -> Option<[u8; 32]> {
    let digits = hash.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn hex(text: &str) -> String {
        digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn ask(documents: &Documents, query: Option<&str>, hash: &str) -> Result<Found, String> {
        let body =
            json!({"query": query, "extensions": {"persistedQuery": {"version": 1, "sha256Hash": hash}}});
        let mut incoming: Incoming = serde_json::from_value(body).unwrap();
        documents.find(&mut incoming).map_err(|refused| refused.errors[0].message.clone())
    }

    #[test]
    fn a_document_is_shown_once_and_then_known_by_its_hash() {
        let documents = Documents::load(None).unwrap();
        let text = "{ __typename }";
        assert_eq!(ask(&documents, None, &hex(text)), Err("PersistedQueryNotFound".into()));
        assert_eq!(
            ask(&documents, Some(text), &hex("other")),
            Err("provided sha does not match query".into())
        );
        let found = ask(&documents, Some(text), &hex(text)).unwrap();
        assert!(found.is_new && ask(&documents, None, &hex(text)).is_err(), "not before it is kept");
        documents.keep(&found);
        let again = ask(&documents, None, &hex(text)).unwrap();
        assert_eq!((&*again.text, again.is_new, again.registered), (text, false, false));
        assert!(!ask(&documents, Some(text), &hex(text)).unwrap().is_new);
        for wrong in ["", "x", &"é".repeat(32), &"+f".repeat(32)] {
            assert_eq!(ask(&documents, None, wrong), Err("PersistedQueryNotFound".into()), "{wrong}");
        }
    }

    #[test]
    fn memory_is_bounded_by_bytes() {
        let documents = Documents::load(None).unwrap();
        for number in 0..1_000 {
            let text: Arc<str> = format!("{{ a{number}{} }}", "a".repeat(60_000)).into();
            documents.keep(&Found { text, registered: false, is_new: true });
        }
        assert!(documents.shown.weight() <= MEMORY && documents.shown.len() > 10);
    }

    #[test]
    fn registered_documents_are_known_by_id_and_by_text() {
        let dir = tempfile::tempdir().unwrap();
        let text = "query A { __typename }";
        let apollo = json!({"format": "apollo-persisted-query-manifest", "version": 1, "operations": [
            {"id": hex(text), "name": "A", "type": "query", "body": text}]});
        std::fs::write(dir.path().join("apollo.json"), apollo.to_string()).unwrap();
        std::fs::write(dir.path().join("relay.json"), json!({"md5": "query B { __typename }"}).to_string())
            .unwrap();
        std::fs::write(dir.path().join("README"), "not one").unwrap();
        let documents = Documents::load(Some(dir.path())).unwrap();
        assert!(ask(&documents, None, &hex(text)).unwrap().registered);
        assert!(ask(&documents, None, "md5").unwrap().registered);
        assert!(ask(&documents, Some(text), &hex(text)).unwrap().registered);
        assert!(!ask(&documents, Some("{ a }"), &hex("{ a }")).unwrap().registered);
        let plain = |body| documents.find(&mut serde_json::from_value(body).unwrap()).map(|it| it.registered);
        assert!(plain(json!({"query": text})).unwrap() && plain(json!({"documentId": "md5"})).unwrap());
        assert!(!plain(json!({"query": "query A{ __typename }"})).unwrap(), "another text");
        assert_eq!(plain(json!({"documentId": "no"})).unwrap_err().status, 404);
    }

    #[test]
    fn a_file_that_is_no_manifest_is_named() {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in
            [("a.json", "[1]"), ("b.json", "{"), ("c.json", r#"{"format":"x","operations":[]}"#)]
        {
            let file = dir.path().join(name);
            std::fs::write(&file, content).unwrap();
            let error = format!("{:#}", Documents::load(Some(&file)).err().unwrap());
            assert!(error.contains(name), "{error}");
        }
        assert!(Documents::load(Some(&dir.path().join("none.json"))).is_err());
    }
}
