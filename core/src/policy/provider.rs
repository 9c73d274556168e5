//! Providers with their credentials: whom the gateway may call.

use gatelet_wire::dialect::Reading;
use gatelet_wire::{DialectId, Edit, Operation};
use http::{HeaderMap, Uri};

use crate::domain::{Secret, Timestamp};
use crate::port::{Ports, Reach, Signer};
use crate::registry::token::Unproven;
use crate::registry::{
    Catalogue, Credential, Kind, NotAHeader, Price, Quirks, Reasoning, Scheme, Shown, When,
};

/// A provider that can be called. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Its name in the configuration.
    pub id: Box<str>,
    /// The registry's row that it follows; none for one that the configuration describes by itself.
    pub follows: Option<Box<str>>,
    pub kind: Kind,
    pub dialect: DialectId,
    /// Where it listens, by the convention of its dialect, without a slash at its end.
    pub base: Box<str>,
    /// Where conversations are sent after the base, whole ones and streams, where that is not the dialect's own path:
    /// `{model}` stands for the model, and `{path}`, if it is there, for the dialect's own path, of whatever operation.
    pub(super) paths: [Option<Box<str>>; 2],
    /// The same for the counting of tokens.
    pub(super) count_path: Option<Box<str>>,
    /// The region that the base is in, where it has one: prices may be a region's own.
    pub region: Option<Box<str>>,
    /// How its secret is sent, as its row says.
    pub(super) scheme: Option<Scheme>,
    pub(super) credential: Option<Credential>,
    /// Whose credential it has that came over the admin API; none: the configuration's.
    pub(super) stored: Option<Box<str>>,
    pub(super) headers: HeaderMap,
    pub edits: Vec<Edit>,
    /// Changes to requests of operations that are no conversations, in order.
    pub edits_on: Vec<(Operation, Vec<Edit>)>,
    pub when: Vec<When>,
    pub quirks: Quirks,
    /// A model without a price of its own costs nothing here.
    pub free: bool,
    pub catalogue: Catalogue,
    /// What its own interface, under `/<id>/…`, is to callers.
    pub passthrough: Passthrough,
    /// Texts are continued at `/completions`, as before conversations, as far as anybody knows.
    pub completes: bool,
    /// Its base may be a private address: the admin has named that very base, which is the consent.
    pub allow_private: bool,
}

/// What a provider's own interface is to callers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Passthrough {
    /// Closed.
    Off,
    /// Nothing is said of it. Where the document writes no `models`, all of them are served and this is `Unpriced`; where
    /// it does, only what these reach by the provider's own name is open, since whatever else could be asked here, with
    /// the provider's credential, would go around them.
    #[default]
    Unsaid,
    /// Open. What the gateway can bill by its tokens it bills so; of the rest nobody knows the cost, so that keys with a
    /// budget are refused it.
    Unpriced,
    /// Open, and what cannot be billed by its tokens costs this.
    Priced(Box<Price>),
}

impl Provider {
    /// Signs a request that is complete but for that, where its credential is a pair that signs.
    pub async fn sign(
        &self,
        signer: &dyn Signer,
        method: &http::Method,
        uri: &Uri,
        headers: &mut HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) {
        if let Some(credential) = &self.credential {
            let region = self.region.as_deref().or_else(|| region_of(uri)).unwrap_or("us-east-1");
            credential.sign(signer, method, uri, headers, body, region, now).await;
        }
    }

    /// The same provider, proven to by another secret, `whose` it says, which is read as the configuration's own is.
    ///
    /// # Errors
    /// It cannot be sent the way that this provider wants secrets.
    pub fn with(&self, secret: &Secret, whose: &str) -> Result<Self, NotAHeader> {
        let scheme =
            self.scheme.as_ref().ok_or(NotAHeader::NoGrant("no secret: this provider takes none"))?;
        Ok(Self {
            credential: Some(Credential::new(scheme, secret)?),
            stored: Some(whose.into()),
            ..self.clone()
        })
    }

    /// Where what proves who calls comes from.
    pub fn credential_source(&self) -> &'static str {
        match (&self.credential, &self.stored) {
            (None, _) => "none",
            (Some(_), None) => "configuration",
            (Some(_), Some(_)) => "stored",
        }
    }

    /// Whether requests to it are signed, so that their bodies must be there whole.
    pub fn signs(&self) -> bool {
        self.credential.as_ref().is_some_and(Credential::signs)
    }

    /// What it was shown and may say again, which is nobody's but the gateway's.
    pub(crate) fn shown(&self) -> Shown {
        Shown::of(self.credential.as_ref(), &self.headers)
    }

    /// What a reader of its answers must know.
    pub fn reading(&self) -> Reading {
        Reading {
            reasoning_outside: self.quirks.reasoning == Reasoning::Excluded,
            think_tags: self.quirks.think_tags,
        }
    }

    /// A path below the base: `rest` without the base's own path (`/v1` of `https://api.example.com/v1`), if it begins
    /// with that, for SDKs are given both.
    pub fn below<'r>(&self, rest: &'r str) -> &'r str {
        let own =
            self.base.split_once("://").and_then(|(_, rest)| rest.find('/').and_then(|at| rest.get(at..)));
        let below = |rest: &&str| rest.is_empty() || rest.starts_with('/');
        own.and_then(|own| rest.strip_prefix(own)).filter(below).unwrap_or(rest)
    }

    /// Sees to it that the credential is ready: some are tokens that must be bought first.
    ///
    /// # Errors
    /// The credential is refused, or nobody answers where its tokens are.
    pub async fn prove(&self, ports: &Ports) -> Result<(), Unproven> {
        let reach = if self.allow_private { Reach::Private } else { Reach::Public };
        match &self.credential {
            Some(credential) => credential.prove(ports, reach).await,
            None => Ok(()),
        }
    }

    /// What is said otherwise in requests of `operation`, which is no conversation.
    pub fn edits_on(&self, operation: Operation) -> impl Iterator<Item = &Edit> {
        self.edits_on.iter().filter(move |(on, _)| *on == operation).flat_map(|(_, edits)| edits)
    }

    /// Where a conversation with `model` is sent.
    pub(super) fn chat(&self, model: &str, stream: bool) -> String {
        let [whole, streamed] = &self.paths;
        let by_name = || self.quirks.idiom.and_then(|idiom| idiom.path(model)).map(Into::into);
        let own = || by_name().unwrap_or_else(|| self.dialect.dialect().path(model, stream));
        match if stream { streamed } else { whole } {
            Some(path) if path.contains(OWN_PATH) => self.filled(path, model, &own()),
            Some(path) => self.filled(path, model, ""),
            None => format!("{}{}", self.base, own()),
        }
    }

    /// Where another operation is asked of `model` for which the dialect has `path`.
    pub fn address(&self, model: &str, path: &str) -> String {
        match self.paths.iter().flatten().find(|own| own.contains(OWN_PATH)) {
            Some(own) => self.filled(own, model, path),
            None => format!("{}{path}", self.base),
        }
    }

    /// Where another method of a model than to hold conversations is after the base, where addresses end with the method, as
    /// Google's do; none where they do not.
    pub fn method(&self, model: &str, method: &str) -> Option<String> {
        let chat = self.chat(model, false);
        Some(format!("{}{method}", chat.strip_prefix(&*self.base)?.strip_suffix(":generateContent")?))
    }

    /// Where tokens are counted after the base, if that is not where the dialect's owner does it.
    pub fn count_path(&self, model: &str) -> Option<String> {
        self.count_path.as_ref().map(|path| path.replace("{model}", &in_path(model)))
    }

    fn filled(&self, path: &str, model: &str, own: &str) -> String {
        format!("{}{}", self.base, path.replace("{model}", &in_path(model)).replace(OWN_PATH, own))
    }

    /// Writes what every request to it carries: its declared headers and the credential, which may stand in the address.
    pub fn apply(&self, uri: &mut Uri, headers: &mut HeaderMap) {
        if let Some(address) = self.credential.as_ref().and_then(|credential| credential.address(uri)) {
            *uri = address;
        }
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
        if let Some(credential) = &self.credential {
            credential.apply(headers);
        }
    }
}

/// What stands for the dialect's own path.
const OWN_PATH: &str = "{path}";

/// A model's name as one segment of a path.
fn in_path(model: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~@".contains(&byte);
    let segment = model
        .bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") });
    segment.collect()
}

/// The region that AWS's own addresses name: `bedrock-runtime.eu-west-1.amazonaws.com`.
fn region_of(uri: &Uri) -> Option<&str> {
    let (rest, _) = uri.host()?.rsplit_once(".amazonaws.com")?;
    rest.rsplit('.').next()
}
