//! From the document to the policy.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::model::{Timeouts, Wildcard, WildcardTarget};
use super::{Host, Policy, Provider};
use crate::domain::Secret;
use crate::domain::account::Limits;
use crate::registry::{self, Credential, Kind, Registry};

/// Attempts after the first, where the document says nothing.
pub(super) const RETRIES: u32 = 2;

impl Policy {
    /// The policy of a gateway without a document: every provider whose usual variable is set, as `<provider>/<model>`;
    /// the built-in ones; and Ollama where one has answered.
    pub fn without_document(host: &Host<'_>) -> Self {
        let registry = Registry::embedded();
        let rows = registry.providers().filter_map(|id| registry.provider(id));
        let providers: BTreeMap<Box<str>, Arc<Provider>> = rows
            .filter_map(|row| usual(row, host))
            .map(|provider| (provider.id.clone(), Arc::new(provider)))
            .collect();
        let wildcards = providers.values().map(|provider| whole(provider.clone())).collect();
        Self { providers, models: BTreeMap::new(), wildcards, key_limits: Limits::default() }
    }
}

/// A provider as the host's variables configure it. None where they do not.
fn usual(row: registry::Provider, host: &Host<'_>) -> Option<Provider> {
    let secret = row.auth.iter().flat_map(|auth| &auth.env).find_map(|name| {
        let secret = (host.variable)(name).filter(|secret| !secret.trim().is_empty())?;
        Some(Secret::new(secret.trim()))
    });
    let served = match row.kind {
        Kind::Hosted | Kind::Gateway => secret.is_some() && !row.base.contains('{'),
        Kind::Local => row.id == "ollama" && host.ollama,
        Kind::BuiltIn => true,
    };
    if !served {
        return None;
    }
    let scheme = row.auth.as_ref().map(|auth| auth.scheme.clone());
    let credential = match scheme.zip(secret) {
        Some((scheme, secret)) => Some(Credential::new(scheme, secret).ok()?),
        None => None,
    };
    Some(follow(row, credential))
}

/// A provider that follows its row in everything.
pub(super) fn follow(row: registry::Provider, credential: Option<Credential>) -> Provider {
    let mut headers = HeaderMap::new();
    for (name, value) in &row.headers {
        // The build has checked the table's headers.
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    }
    Provider {
        id: row.id.as_str().into(),
        follows: Some(row.id.into()),
        kind: row.kind,
        dialect: row.dialect,
        base: row.base.into(),
        credential,
        headers,
        edits: row.edits,
        when: row.when,
        quirks: row.quirks,
        free: row.free,
        catalogue: row.catalogue,
        // Only a machine of the admin's own has such an address, and he has named it or it is the table's.
        allow_private: row.kind == Kind::Local,
    }
}

/// All models of a provider, as `<provider>/<model>`.
fn whole(provider: Arc<Provider>) -> Wildcard {
    Wildcard {
        prefix: format!("{}/", provider.id).into(),
        targets: vec![WildcardTarget {
            provider,
            model: "*".into(),
            price: None,
            max_output: None,
            context: None,
        }],
        fallbacks: Vec::new(),
        retries: RETRIES,
        timeouts: Timeouts::default(),
    }
}
