//! What a sandbox stands on.

use std::sync::Arc;

use gatelet_core::port::{Ports, Upstream};
use gatelet_tokio::{Gzip, HttpUpstream, RingSigner, Settings, SystemChance, SystemClock, Tasks};

use crate::answers::KeptAnswers;
use crate::aws::Aws;
use crate::bucket::Bucket;
use crate::ledger::TableLedger;
use crate::log::ToStderr;
use crate::table::Table;

/// What the environment lacks.
#[derive(Debug)]
pub enum Missing {
    /// A variable of this name.
    Variable(&'static str),
    /// Certificates that TLS can use.
    Certificates(String),
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "the environment has no {name}"),
            Self::Certificates(error) => write!(f, "TLS: {error}"),
        }
    }
}

impl std::error::Error for Missing {}

/// All ports, over the table `GATELET_TABLE` and the bucket `GATELET_BUCKET`. Opens no connection yet.
pub fn ports(environment: impl Fn(&str) -> Option<String>, tasks: &Tasks) -> Result<Ports, Missing> {
    let need = |name: &'static str| environment(name).ok_or(Missing::Variable(name));
    let upstream =
        HttpUpstream::new(&Settings::default()).map_err(|error| Missing::Certificates(error.to_string()))?;
    let upstream: Arc<dyn Upstream> = Arc::new(upstream);
    let aws = Aws::from_environment(&environment, Arc::clone(&upstream)).map_err(Missing::Variable)?;
    let table = Arc::new(Table::new(&aws, need("GATELET_TABLE")?, &SystemChance));
    let bucket = need("GATELET_BUCKET")?;
    let answers = Arc::new(KeptAnswers::new(table.clone(), Bucket::new(&aws, &bucket)));
    Ok(Ports {
        store: table.clone(),
        ledger: Arc::new(TableLedger::new(table, Arc::new(tasks.clone()))),
        upstream,
        archive: Arc::new(Bucket::new(&aws, &bucket)),
        clock: Arc::new(SystemClock),
        chance: Arc::new(SystemChance),
        defer: Arc::new(tasks.clone()),
        log: Arc::new(ToStderr),
        signer: Arc::new(RingSigner),
        packer: Arc::new(Gzip),
        answers,
    })
}
