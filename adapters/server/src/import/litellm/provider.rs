//! Whom a deployment calls, and with what: `litellm_params` as one of our providers and a model of it.

use gatelet_core::registry::{Provider, Registry};
use serde_json::{Map, Value, json};

use super::{Fields, taken_text};

/// What has a name of ours, another by their names: `prefix` of the model, our row, the names of our places.
const PLACES: [(&str, &str); 9] = [
    ("aws_region_name", "region"),
    ("vertex_location", "region"),
    ("vertex_ai_location", "region"),
    ("region_name", "region"),
    ("vertex_project", "project"),
    ("vertex_ai_project", "project"),
    ("project_id", "project"),
    ("api_version", "version"),
    ("space_id", "space"),
];

/// The providers that deployments need. Those that say the same are one; a second one of the same row gets another name.
pub(super) struct Providers<'a> {
    registry: &'a Registry,
    /// As they stand in the document.
    pub(super) entries: Fields,
    /// Names of variables that they read, each with a value of the form that is expected of it.
    pub(super) variables: Vec<(String, String)>,
}

impl<'a> Providers<'a> {
    pub(super) fn new(registry: &'a Registry) -> Self {
        Self { registry, entries: Map::new(), variables: Vec::new() }
    }

    /// Takes what says whom to call out of `params`, and answers the target as `provider/model`.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn target(&mut self, params: &mut Fields) -> Result<String, String> {
        let name = taken_text(params, "model").ok_or("it has no `model`")?;
        let said = taken_text(params, "custom_llm_provider");
        let (row, model) = self.row(said.as_deref(), &name)?;
        let settings = self.settings(&row, params)?;
        let id = self.named(&row.id, settings);
        Ok(format!("{id}/{model}"))
    }

    /// A provider of no dialect, for a path of its own.
    pub(super) fn bare(
        &mut self,
        id: &str,
        base: &str,
        passthrough: &Value,
        headers: Fields,
    ) -> Result<(), String> {
        if self.entries.contains_key(id) || self.registry.provider(id).is_some() {
            return Err(format!("`{id}` is the name of a provider: choose another path"));
        }
        let base = self.address(base);
        let mut entry = json!({ "base": base, "auth": "none", "passthrough": passthrough });
        self.add_headers(&mut entry, headers);
        self.entries.insert(id.to_owned(), entry);
        Ok(())
    }

    /// Our row, and the model's name there.
    fn row(&self, said: Option<&str>, name: &str) -> Result<(Provider, String), String> {
        let (prefix, model) = match (said, name.split_once('/')) {
            (Some(said), Some((prefix, model))) if prefix == said => (said, model),
            (Some(said), _) => (said, name),
            (None, Some((prefix, model))) => (prefix, model),
            (None, None) => (self.owner(name)?, name),
        };
        let (id, model) = match prefix {
            "azure" | "azure_text" => {
                ("azure-deployments", last(model, &["o_series/", "responses/", "gpt5_series/"]))
            }
            "openai" | "text-completion-openai" => ("openai", last(model, &["responses/"])),
            "custom_openai" | "openai_like" => ("openai", model),
            "azure_ai" if model.contains("claude") => ("azure-anthropic", model),
            "vertex_ai" | "vertex_ai_beta" if model.contains("claude") => ("vertex-anthropic", model),
            "vertex_ai" | "vertex_ai_beta" => ("vertex", last(model, &["gemini/"])),
            "bedrock" if model.starts_with("invoke/") && model.contains("anthropic") => {
                ("bedrock-anthropic", last(model, &["invoke/"]))
            }
            "bedrock" | "bedrock_converse" => {
                ("bedrock", last(model, &["converse/", "converse_like/", "invoke/"]))
            }
            other => (other, model),
        };
        let row = self.registry.provider(id).or_else(|| self.registry.provider(&id.replace('_', "-")));
        let row = row
            .ok_or_else(|| format!("no provider `{prefix}` is known: write one with `dialect` and `base`"))?;
        Ok((row, model.to_owned()))
    }

    /// Whose a model is that is named without a provider.
    fn owner(&self, model: &str) -> Result<&'static str, String> {
        let known = ["openai", "anthropic", "gemini", "mistral", "cohere", "deepseek", "xai"];
        let owner = known.into_iter().find(|id| self.registry.model(id, model).is_some());
        let alike = || model.starts_with("gpt-").then_some("openai");
        owner.or_else(alike).ok_or_else(|| format!("say whose `{model}` is: `provider/{model}`"))
    }

    /// The provider's entry: what the deployment says of its own.
    fn settings(&mut self, row: &Provider, params: &mut Fields) -> Result<Fields, String> {
        // What the entry does not say is read from the provider's usual variables.
        let secrets = row.auth.iter().flat_map(|auth| auth.env.iter().chain(&auth.with));
        self.variables.extend(secrets.map(|name| (name.clone(), "secret".to_owned())));
        let places = row.fill.iter().flat_map(|(_, names)| names);
        self.variables.extend(places.map(|name| (name.clone(), "place".to_owned())));
        let mut entry = Map::new();
        if let Some(key) = self.secret(params)? {
            entry.insert("key".to_owned(), Value::String(key));
        }
        let base = ["api_base", "base_url"].into_iter().find_map(|key| taken_text(params, key));
        if let Some(base) = base {
            self.base(row, &base, &mut entry);
        }
        // The variable that is read anyway need not be named, unless the address is not the vendor's.
        let usual = row.auth.first().and_then(|auth| auth.env.first()).map(|name| format!("${{{name}}}"));
        if !entry.contains_key("base") && entry.get("key").and_then(Value::as_str) == usual.as_deref() {
            entry.remove("key");
        }
        for (there, here) in PLACES {
            if row.has_place(here)
                && let Some(value) = taken_text(params, there)
            {
                let value = self.variable(&value, "place");
                entry.entry(here).or_insert(Value::String(value));
            }
        }
        // Of no use where the address is made another way.
        params.remove("api_version");
        let mut headers = Map::new();
        if let Some(organization) = taken_text(params, "organization") {
            headers.insert("OpenAI-Organization".to_owned(), Value::String(organization));
        }
        for name in ["extra_headers", "headers"] {
            if let Some(Value::Object(more)) = params.remove(name) {
                headers.extend(more);
            }
        }
        let mut entry = Value::Object(entry);
        self.add_headers(&mut entry, headers);
        if row.confirm {
            entry["confirm"] = Value::Bool(true);
        }
        match entry {
            Value::Object(entry) => Ok(entry),
            _ => Ok(Map::new()),
        }
    }

    /// The one secret, or several in the form in which ours is one.
    fn secret(&mut self, params: &mut Fields) -> Result<Option<String>, String> {
        let mut taken = |name: &str| taken_text(params, name).map(|text| self.variable(&text, "secret"));
        let key = taken("api_key");
        let pair = (taken("aws_access_key_id"), taken("aws_secret_access_key"), taken("aws_session_token"));
        let bearer = taken("aws_bearer_token");
        let entra = (taken("tenant_id"), taken("client_id"), taken("client_secret"));
        let entra_token = taken("azure_ad_token");
        let account = taken("vertex_credentials").or_else(|| taken("vertex_ai_credentials"));
        if let (Some(id), Some(secret), session) = pair {
            let session = session.map(|session| format!(":{session}")).unwrap_or_default();
            return Ok(Some(format!("{id}:{secret}{session}")));
        }
        if let (Some(tenant), Some(client), Some(secret)) = entra {
            return Ok(Some(
                json!({ "tenant_id": tenant, "client_id": client, "client_secret": secret }).to_string(),
            ));
        }
        if let Some(account) = account.as_ref().filter(|account| !account.contains(['{', '$'])) {
            return Err(format!(
                "write the content of {account} as `key`, or set GOOGLE_APPLICATION_CREDENTIALS"
            ));
        }
        Ok(key.or(bearer).or(entra_token).or(account).filter(|key| !key.is_empty()))
    }

    /// An address of one's own: Azure's is a resource's name, others' a base by the convention of the row's dialect.
    fn base(&mut self, row: &Provider, base: &str, entry: &mut Fields) {
        let base = base.trim_end_matches('/');
        // Where the row's own address has one name to fill in, that name says all.
        let domain = row.base.strip_prefix("https://{resource}").and_then(|rest| rest.split('/').next());
        let host = base.strip_prefix("https://").and_then(|rest| rest.split('/').next());
        if let Some(resource) = domain.zip(host).and_then(|(domain, host)| host.strip_suffix(domain)) {
            entry.insert("resource".to_owned(), Value::String(resource.to_owned()));
            return;
        }
        let base = self.address(base);
        let base = match &*row.id {
            "azure-deployments" => format!("{}/openai", base.trim_end_matches("/openai")),
            "anthropic" => last_off(&base, &["/messages", "/v1"]).to_owned(),
            // Theirs is the host alone.
            "ollama" => format!("{}/v1", base.trim_end_matches("/v1")),
            _ => last_off(&base, &["/chat/completions"]).to_owned(),
        };
        entry.insert("base".to_owned(), Value::String(base));
    }

    fn address(&mut self, text: &str) -> String {
        self.variable(text.trim_end_matches('/'), "address")
    }

    fn add_headers(&mut self, entry: &mut Value, headers: Fields) {
        let headers: Fields = headers
            .into_iter()
            .filter_map(|(name, value)| Some((name, Value::String(self.variable(value.as_str()?, "secret")))))
            .collect();
        if !headers.is_empty() {
            entry["headers"] = Value::Object(headers);
        }
    }

    /// `os.environ/NAME` as ours is written.
    fn variable(&mut self, text: &str, form: &str) -> String {
        let Some(name) = text.trim().strip_prefix("os.environ/") else { return text.to_owned() };
        let sample = if form == "address" { "https://host.example" } else { form };
        self.variables.push((name.to_owned(), sample.to_owned()));
        format!("${{{name}}}")
    }

    /// The name of the provider that says this: one that is there, or a new one.
    fn named(&mut self, row: &str, mut entry: Fields) -> String {
        for count in 1.. {
            let id = if count == 1 { row.to_owned() } else { format!("{row}-{count}") };
            if count == 2 {
                entry.insert("like".to_owned(), Value::String(row.to_owned()));
            }
            match self.entries.get(&id) {
                Some(standing) if *standing == Value::Object(entry.clone()) => return id,
                Some(_) => {}
                None => {
                    self.entries.insert(id.clone(), Value::Object(entry));
                    return id;
                }
            }
        }
        row.to_owned()
    }
}

/// Without the first of these that it begins with.
fn last<'a>(text: &'a str, prefixes: &[&str]) -> &'a str {
    prefixes.iter().find_map(|prefix| text.strip_prefix(prefix)).unwrap_or(text)
}

/// Without those of these that it ends in, in this order.
fn last_off<'a>(text: &'a str, suffixes: &[&str]) -> &'a str {
    suffixes.iter().fold(text, |text, suffix| text.strip_suffix(suffix).unwrap_or(text).trim_end_matches('/'))
}
