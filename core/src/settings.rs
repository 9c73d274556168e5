//! What a host settles at start, beside the policy that admins write.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::domain::{SealingKeys, Secret, ShardId};

/// Settings of one gateway process.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Opens the admin API.
    pub admin_key: AdminKey,
    /// Where keys are made unless the call says otherwise.
    pub shard: ShardId,
    /// The longest body of a request, in bytes.
    pub body_limit: usize,
    /// The longest whole answer of an upstream, in bytes; streams have no such limit.
    pub answer_limit: usize,
    /// The longest that one request may take, its stream included: the hold dies a little later.
    pub deadline: Duration,
    /// Whether work goes on in this process when its request is answered: answers can be made in the background.
    pub background: bool,
    /// What seals credentials that admins give over the API; none: they cannot.
    pub sealing: SealingKeys,
}

impl Settings {
    pub const BODY_LIMIT: usize = 32 << 20;
    pub const ANSWER_LIMIT: usize = 64 << 20;
    pub const DEADLINE: Duration = Duration::from_mins(10);

    pub fn new(admin_key: impl Into<AdminKey>) -> Self {
        Self {
            admin_key: admin_key.into(),
            shard: ShardId::main(),
            body_limit: Self::BODY_LIMIT,
            answer_limit: Self::ANSWER_LIMIT,
            deadline: Self::DEADLINE,
            background: false,
            sealing: SealingKeys::default(),
        }
    }
}

/// What opens the admin API, known by its SHA-256 alone: a host that made the key need not keep it.
#[derive(Clone, PartialEq, Eq)]
pub struct AdminKey([u8; 32]);

impl AdminKey {
    pub fn from_hash(hash: [u8; 32]) -> Self {
        Self(hash)
    }

    pub fn hash(&self) -> [u8; 32] {
        self.0
    }

    /// Digests are compared, so that the time it takes tells nothing of the key.
    pub fn opens(&self, shown: &str) -> bool {
        Sha256::digest(shown.as_bytes())[..] == self.0
    }
}

impl From<Secret> for AdminKey {
    fn from(key: Secret) -> Self {
        Self(Sha256::digest(key.expose().as_bytes()).into())
    }
}

impl std::fmt::Debug for AdminKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AdminKey(***)")
    }
}
