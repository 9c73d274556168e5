//! Credentials that admins give over the admin API: sealed at rest, and used before those of the policy.
//!
//! A shard keeps them in one document, `books/credentials/<shard>`, which every host reads as it was last written. Each
//! secret is sealed with AES-256-GCM under the newest of the host's sealing keys, bound to what it is for, so that it opens
//! nowhere else. Requests look at an opened copy that is a few seconds old at the most.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::domain::{AccountId, SealingKeys, Secret, ShardId, Timestamp};
use crate::policy::{Provider, Target};
use crate::port::{Cipher, EXACT, Expect, Fault, FaultKind, Ports};

/// One credential, as it is kept and shown: its secret sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sealed {
    pub id: String,
    /// A provider's name in the configuration.
    pub provider: String,
    /// Whose requests it is for: an account such as `team/search`; none: everybody's who has none of their own.
    pub of: Option<String>,
    /// The last four characters of a secret that has many.
    pub hint: String,
    /// Which of the sealing keys it is sealed with.
    pub sealing_key: String,
    nonce: String,
    ciphertext: String,
    pub created: Timestamp,
    pub updated: Timestamp,
    pub version: u64,
}

/// All of a shard's, and the version of their document.
#[derive(Clone, Debug, Default)]
pub struct Drawer {
    pub credentials: Vec<Sealed>,
    version: Option<u64>,
}

const OPERATION: &str = "credential";

impl Drawer {
    pub async fn read(ports: &Ports, shard: &ShardId) -> Result<Self, Fault> {
        let Some(document) = ports.store.get(&name(shard)).await? else { return Ok(Self::default()) };
        let credentials = gatelet_wire::json::read(&document.bytes)
            .map_err(|error| Fault::new(FaultKind::Corrupt, OPERATION, name(shard)).with_source(error))?;
        Ok(Self { credentials, version: Some(document.version) })
    }

    /// Writes them all. [`FaultKind::Conflict`]: somebody else was faster.
    pub async fn keep(&self, ports: &Ports, shard: &ShardId) -> Result<(), Fault> {
        let bytes = serde_json::to_vec(&self.credentials)
            .map_err(|error| Fault::new(FaultKind::Corrupt, OPERATION, name(shard)).with_source(error))?;
        let expect = self.version.map_or(Expect::Absent, Expect::Version);
        ports.store.put(&name(shard), bytes.into(), expect).await.map(drop)
    }
}

impl Sealed {
    /// Not sealed yet.
    pub fn new(id: String, provider: String, of: Option<String>, now: Timestamp) -> Self {
        let empty = String::new;
        Self {
            id,
            provider,
            of,
            hint: empty(),
            sealing_key: empty(),
            nonce: empty(),
            ciphertext: empty(),
            created: now,
            updated: now,
            version: 0,
        }
    }

    /// Seals a secret, in place of the one that it has.
    pub async fn seal(
        &mut self,
        ports: &Ports,
        keys: &SealingKeys,
        shard: &ShardId,
        secret: &Secret,
    ) -> Result<(), Fault> {
        let (key_name, key) = keys.newest().ok_or_else(none)?;
        let mut nonce = [0; 12];
        ports.chance.fill(&mut nonce);
        let context = self.context(shard);
        let text = secret.expose().as_bytes();
        let sealed = ports.signer.aes256_gcm(Cipher::Seal, key, &nonce, context.as_bytes(), text).await?;
        let characters: Vec<char> = secret.expose().chars().collect();
        // Four of few would be much of it.
        let shown = if characters.len() >= 20 { 4 } else { 0 };
        self.hint = characters.iter().skip(characters.len() - shown).collect();
        self.sealing_key = key_name;
        self.nonce = STANDARD.encode(nonce);
        self.ciphertext = STANDARD.encode(sealed);
        Ok(())
    }

    pub async fn open(&self, ports: &Ports, keys: &SealingKeys, shard: &ShardId) -> Result<Secret, Fault> {
        let broken = || Fault::new(FaultKind::Corrupt, OPERATION, format!("`{}` does not open", self.id));
        let key = keys.named(&self.sealing_key).ok_or_else(|| {
            let why =
                format!("`{}` is sealed with the key {}, which this host has not", self.id, self.sealing_key);
            Fault::new(FaultKind::Denied, OPERATION, why)
        })?;
        let nonce =
            STANDARD.decode(&self.nonce).ok().and_then(|nonce| nonce.try_into().ok()).ok_or_else(broken)?;
        let sealed = STANDARD.decode(&self.ciphertext).map_err(|_| broken())?;
        let context = self.context(shard);
        let opened = ports.signer.aes256_gcm(Cipher::Open, key, &nonce, context.as_bytes(), &sealed).await;
        let text = String::from_utf8(opened.map_err(|_| broken())?).map_err(|_| broken())?;
        Ok(Secret::new(text))
    }

    /// What a sealed secret is bound to.
    fn context(&self, shard: &ShardId) -> String {
        let of = self.of.as_deref().unwrap_or_default();
        format!("gatelet credential\n{shard}\n{}\n{}\n{of}", self.id, self.provider)
    }
}

fn name(shard: &ShardId) -> String {
    format!("{EXACT}credentials/{shard}")
}

fn none() -> Fault {
    Fault::new(FaultKind::Denied, OPERATION, "this host has no sealing key")
}

/// The opened credentials of each shard, as they were some seconds ago.
#[derive(Debug, Default)]
pub struct Credentials(Mutex<Vec<Opened>>);

#[derive(Clone, Debug)]
struct Opened {
    shard: ShardId,
    read: Timestamp,
    /// Of their document.
    version: Option<u64>,
    own: Arc<Vec<Own>>,
}

#[derive(Debug)]
struct Own {
    provider: String,
    of: Option<String>,
    /// Why it does not open concerns only whom it is for.
    secret: Result<Secret, FaultKind>,
    /// Providers with this credential in place of the policy's: what tokens it buys are kept there.
    made: Mutex<Vec<(Arc<Provider>, Arc<Provider>)>>,
}

/// How old the copy may be: a credential that was changed or taken away is used for so long.
const AGE: Duration = Duration::from_secs(10);
/// Shards whose credentials are kept open.
const SHARDS: usize = 64;

impl Credentials {
    /// A plan in which each target has the credential of the last of `accounts` that has one for its provider, or
    /// everybody's; none: that is this very plan. A host without a sealing key has no credentials.
    pub async fn own(
        &self,
        ports: &Ports,
        keys: &SealingKeys,
        shard: &ShardId,
        accounts: &[AccountId],
        plan: &[Arc<Target>],
    ) -> Result<Option<Vec<Arc<Target>>>, Fault> {
        if keys.is_empty() {
            return Ok(None);
        }
        let own = self.opened(ports, keys, shard).await?;
        if own.is_empty() {
            return Ok(None);
        }
        let with = |target: &Arc<Target>| -> Result<Arc<Target>, Fault> {
            let fits = |own: &&Own, of: Option<&str>| {
                *own.provider == *target.provider.id && own.of.as_deref() == of
            };
            // From the smallest to the largest: a team comes after its organisation.
            let mut accounts = accounts.iter().rev();
            let mine = accounts.find_map(|account| own.iter().find(|own| fits(own, Some(account.as_str()))));
            match mine.or_else(|| own.iter().find(|own| fits(own, None))) {
                None => Ok(target.clone()),
                Some(own) => Ok(Arc::new(target.at(own.provider(shard, &target.provider)?))),
            }
        };
        plan.iter().map(with).collect::<Result<_, _>>().map(Some)
    }

    /// What is known is old at once: something was changed here.
    pub fn forget(&self) {
        self.lock().clear();
    }

    async fn opened(
        &self,
        ports: &Ports,
        keys: &SealingKeys,
        shard: &ShardId,
    ) -> Result<Arc<Vec<Own>>, Fault> {
        let now = ports.clock.now();
        let known = self.lock().iter().find(|opened| opened.shard == *shard).cloned();
        if let Some(known) = known.as_ref().filter(|known| now.since(known.read) < AGE) {
            return Ok(known.own.clone());
        }
        let drawer = match (Drawer::read(ports, shard).await, known) {
            // What tokens they have bought goes on to be used.
            (Ok(drawer), Some(known)) if drawer.version == known.version => {
                let mut all = self.lock();
                for known in all.iter_mut().filter(|opened| opened.shard == *shard) {
                    known.read = now;
                }
                return Ok(known.own);
            }
            (Ok(drawer), _) => drawer,
            // The store is down: what was true some time ago is better than another's credential, or none.
            (Err(fault), Some(known)) if fault.kind.is_temporary() => return Ok(known.own),
            (Err(fault), _) => return Err(fault),
        };
        let Drawer { credentials, version } = drawer;
        let mut own = Vec::with_capacity(credentials.len());
        for sealed in credentials {
            let secret = sealed.open(ports, keys, shard).await.map_err(|fault| {
                ports.log.failed("a credential does not open", &fault);
                fault.kind
            });
            own.push(Own { provider: sealed.provider, of: sealed.of, secret, made: Mutex::default() });
        }
        let own = Arc::new(own);
        let mut all = self.lock();
        all.retain(|opened| opened.shard != *shard);
        if all.len() >= SHARDS {
            all.remove(0);
        }
        all.push(Opened { shard: shard.clone(), read: now, version, own: own.clone() });
        Ok(own)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Opened>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Own {
    fn provider(&self, shard: &ShardId, provider: &Arc<Provider>) -> Result<Arc<Provider>, Fault> {
        const MOST: usize = 4;
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, mine)) = made.iter().find(|(of, _)| Arc::ptr_eq(of, provider)) {
            return Ok(mine.clone());
        }
        let secret = self.secret.as_ref();
        let secret = secret.map_err(|kind| Fault::new(*kind, OPERATION, "a credential does not open"))?;
        let whose = format!("{shard}/{}", self.of.as_deref().unwrap_or("all"));
        let mine = provider.with(secret, &whose);
        let mine =
            Arc::new(mine.map_err(|error| Fault::new(FaultKind::Corrupt, OPERATION, error.to_string()))?);
        // Of a policy that is no longer in force.
        if made.len() >= MOST {
            made.remove(0);
        }
        made.push((provider.clone(), mine.clone()));
        Ok(mine)
    }
}
