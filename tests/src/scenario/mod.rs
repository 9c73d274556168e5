//! What every host has to do, told once. Each scenario brings its own key and its own scripts, so that all run at a time.

use std::sync::Arc;

use anyhow::Result;
use futures_util::future::BoxFuture;

use crate::world::World;

/// Lists a file's scenarios under the names of their functions.
macro_rules! scenarios {
    ($($name:ident),* $(,)?) => {
        pub(super) fn scenarios() -> Vec<$crate::scenario::Scenario> {
            vec![$($crate::scenario::Scenario::new(stringify!($name), |world| Box::pin($name(world)))),*]
        }
    };
}

mod at_limit;
mod bad_input;
mod bedrock;
mod cache;
pub(crate) mod chaos;
mod chat;
mod clients;
mod faults;
mod fetch;
mod google;
pub(crate) mod guards;
mod headers;
mod keys;
mod leaving;
mod limits;
mod litellm;
mod money;
mod nouns;
mod operations;
mod prompts;
mod records;
mod responses;
mod routing;
mod scopes;
mod semantic;
mod spend;
mod vendors;
mod verbatim;
mod vertex;

pub use operations::form;

/// A sentence, and what makes it true.
#[derive(Clone)]
pub struct Scenario {
    pub name: String,
    pub run: Arc<dyn Fn(Arc<World>) -> BoxFuture<'static, Result<()>> + Send + Sync>,
}

impl Scenario {
    fn new(
        name: impl Into<String>,
        run: impl Fn(Arc<World>) -> BoxFuture<'static, Result<()>> + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), run: Arc::new(run) }
    }
}

impl std::fmt::Debug for Scenario {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.name)
    }
}

/// The one list.
pub fn all() -> Vec<Scenario> {
    [
        // First, as some of these wait for more than a minute.
        at_limit::scenarios(),
        headers::scenarios(),
        chat::scenarios(),
        cache::scenarios(),
        semantic::scenarios(),
        prompts::scenarios(),
        verbatim::scenarios(),
        clients::scenarios(),
        bedrock::scenarios(),
        responses::scenarios(),
        vendors::scenarios(),
        google::scenarios(),
        guards::scenarios(),
        vertex::scenarios(),
        keys::scenarios(),
        limits::scenarios(),
        money::scenarios(),
        scopes::scenarios(),
        nouns::scenarios(),
        litellm::scenarios(),
        operations::scenarios(),
        fetch::scenarios(),
        leaving::scenarios(),
        bad_input::scenarios(),
        faults::scenarios(),
        chaos::scenarios(),
        routing::scenarios(),
        records::scenarios(),
        spend::scenarios(),
    ]
    .concat()
}
