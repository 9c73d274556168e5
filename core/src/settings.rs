//! What a host settles at start, beside the policy that admins write.

use std::time::Duration;

use crate::domain::{Secret, ShardId};

/// Settings of one gateway process.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Opens the admin API.
    pub admin_key: Secret,
    /// Where keys are made unless the call says otherwise.
    pub shard: ShardId,
    /// The longest body of a request, in bytes.
    pub body_limit: usize,
    /// The longest that one request may take, its stream included: the hold dies a little later.
    pub deadline: Duration,
}

impl Settings {
    pub const BODY_LIMIT: usize = 32 << 20;
    pub const DEADLINE: Duration = Duration::from_mins(10);

    pub fn new(admin_key: Secret) -> Self {
        Self { admin_key, shard: ShardId::main(), body_limit: Self::BODY_LIMIT, deadline: Self::DEADLINE }
    }
}
