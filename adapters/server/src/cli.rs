//! The command line.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Gatelet, the AI gateway: one address in front of every model, with keys, budgets and books.
///
/// Without a command it serves, on 127.0.0.1:4000 and without a configuration: models of every provider whose usual
/// environment variable is set (such as `OPENAI_API_KEY`), a local Ollama, and `demo/echo`, which needs no
/// key and no network.
#[derive(Debug, Parser)]
#[command(
    name = "gatelet",
    version,
    args_conflicts_with_subcommands = true,
    after_help = "Exit codes: 0 fine, 1 refused or failed, 2 wrong usage."
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    /// A file of models and prices, in place of those that this program carries; without it `catalogue` in the data
    /// folder or beside the program, if there is one
    #[arg(long, global = true, env = "GATELET_CATALOGUE", value_name = "FILE")]
    pub catalogue: Option<PathBuf>,
    #[command(flatten)]
    pub serve: Serve,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve (what happens without a command)
    Serve(Serve),
    /// Check a configuration file: every fault with its line, its key and what was expected
    Check {
        /// The file, in YAML or JSON
        file: PathBuf,
    },
    /// Manage the virtual keys of a running gateway
    Keys {
        #[command(flatten)]
        remote: Remote,
        #[command(subcommand)]
        command: Box<Keys>,
    },
    /// Manage teams: what several keys share, with limits for all of them together
    Teams {
        #[command(flatten)]
        remote: Remote,
        #[command(subcommand)]
        command: Box<Scopes>,
    },
    /// Manage projects, as teams
    Projects {
        #[command(flatten)]
        remote: Remote,
        #[command(subcommand)]
        command: Box<Scopes>,
    },
    /// Manage users, as teams
    Users {
        #[command(flatten)]
        remote: Remote,
        #[command(subcommand)]
        command: Box<Scopes>,
    },
    /// Manage organisations, as teams
    Orgs {
        #[command(flatten)]
        remote: Remote,
        #[command(subcommand)]
        command: Box<Scopes>,
    },
    /// Manage members: a user's limits in one team, by `<team>/<user>`
    Members {
        #[command(flatten)]
        remote: Remote,
        #[command(subcommand)]
        command: Box<Scopes>,
    },
    /// Manage customers: end users, by the names that applications send
    Customers {
        #[command(flatten)]
        remote: Remote,
        #[command(subcommand)]
        command: Box<Scopes>,
    },
    /// Manage tags of requests, as teams
    Tags {
        #[command(flatten)]
        remote: Remote,
        #[command(subcommand)]
        command: Box<Scopes>,
    },
    /// Manage limits of models, by the names that callers use (`models` lists what there is)
    ModelLimits {
        #[command(flatten)]
        remote: Remote,
        #[command(subcommand)]
        command: Box<Scopes>,
    },
    /// Manage agents, as teams
    Agents {
        #[command(flatten)]
        remote: Remote,
        #[command(subcommand)]
        command: Box<Scopes>,
    },
    /// Manage tools, as teams
    Tools {
        #[command(flatten)]
        remote: Remote,
        #[command(subcommand)]
        command: Box<Scopes>,
    },
    /// Manage templates: limits under a name, to be copied
    Templates {
        #[command(flatten)]
        remote: Remote,
        #[command(subcommand)]
        command: Box<Scopes>,
    },
    /// List the providers that this program knows: how they are reached, and whether their variable is set here
    Providers {
        /// Words that the id, the name or the dialect must have; an id alone shows all that is known of it
        words: Vec<String>,
        /// Print JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// List models with their sizes, prices and capabilities; with a virtual key, those that it may call at a gateway
    Models {
        #[command(flatten)]
        remote: Remote,
        /// Words that `provider/model` must have
        words: Vec<String>,
        /// The virtual key
        #[arg(long, env = "GATELET_KEY", hide_env_values = true, value_name = "KEY")]
        key: Option<String>,
    },
    /// Convert another gateway's configuration
    Import {
        #[command(subcommand)]
        from: Import,
    },
    /// What was spent: requests, tokens and cost, by whoever and whatever they were for
    Spend {
        #[command(flatten)]
        remote: Remote,
        #[command(flatten)]
        wish: SpendWish,
    },
    /// Manage what the gateway shows to providers: given here, sealed there, and never shown
    Credentials {
        #[command(flatten)]
        remote: Remote,
        #[command(subcommand)]
        command: Credentials,
    },
    /// What admins did, and what was refused to them
    Audit {
        #[command(flatten)]
        remote: Remote,
        #[command(subcommand)]
        command: Audit,
    },
    /// Compare the records in the archive with the reports and with the ledger, to the nano-dollar; exit code 1 where they
    /// differ
    Reconcile {
        #[command(flatten)]
        remote: Remote,
        /// The first day, such as 2026-11-01; without any it is all time, and the ledger is compared too
        #[arg(long, value_name = "DAY")]
        from: Option<String>,
        /// The last day
        #[arg(long, value_name = "DAY")]
        to: Option<String>,
        /// The shard, where it is not the gateway's own
        #[arg(long, value_name = "SHARD")]
        shard: Option<String>,
    },
    /// Write all that this program knows of models into a file, for the store of another host (Workers: the KV key
    /// `catalogue`) or for `GATELET_CATALOGUE`
    Catalogue {
        /// The file
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub enum Import {
    /// A `config.yaml` of LiteLLM's proxy: models, providers, prices, fallbacks, retries, timeouts, passthroughs. What it has
    /// no counterpart for is told
    Litellm {
        /// The file
        file: PathBuf,
        /// Where to write ours, which must not be there yet; without it to standard output
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Fail if anything is not carried
        #[arg(long)]
        strict: bool,
    },
    /// Rows out of LiteLLM's database, to a running gateway: organisations, budgets, teams, users, customers and keys. Keys
    /// go on opening what they opened, where the configuration has `imported_keys`
    LitellmRows {
        #[command(flatten)]
        remote: Remote,
        /// JSON: a list of rows, lists by table, or a row a line
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

#[derive(Clone, Debug, Args)]
pub struct Serve {
    /// The configuration file; without it `gatelet.yaml` here, if there is one. A change of it holds within a second
    #[arg(long, env = "GATELET_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The address to listen on; 0.0.0.0:4000 opens it to other machines
    #[arg(long, env = "GATELET_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:4000")]
    pub listen: SocketAddr,
    /// The folder for everything that is kept: keys, books, records. One process at a time
    #[arg(long, env = "GATELET_DATA", value_name = "FOLDER", default_value = "./.gatelet")]
    pub data: PathBuf,
    /// Threads that serve requests; without it as many as there are processors
    #[arg(long, env = "GATELET_WORKERS", value_name = "COUNT")]
    pub workers: Option<NonZeroUsize>,
    /// Connections at the same time; further ones wait
    #[arg(long, env = "GATELET_CONNECTIONS", value_name = "COUNT", default_value = "4096")]
    pub connections: NonZeroUsize,
    /// Seconds that running requests have to finish once the process is told to stop
    #[arg(long, env = "GATELET_PATIENCE", value_name = "SECONDS", default_value = "30")]
    pub patience: u64,
}

/// A running gateway, and how its answers are shown.
#[derive(Clone, Debug, Args)]
pub struct Remote {
    /// The gateway's address
    #[arg(
        long,
        global = true,
        env = "GATELET_URL",
        value_name = "URL",
        default_value = "http://127.0.0.1:4000"
    )]
    pub url: String,
    /// The admin key
    #[arg(long, global = true, env = "GATELET_ADMIN_KEY", hide_env_values = true, value_name = "KEY")]
    pub admin_key: Option<String>,
    /// Print the gateway's JSON instead of a table
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum Credentials {
    /// Give one; its secret is read from standard input
    Give {
        /// A name for it
        id: String,
        /// A provider's name in the configuration
        provider: String,
        /// Only for requests of this team
        #[arg(long, value_name = "ID")]
        team: Option<String>,
        /// Only for requests of this organisation
        #[arg(long, value_name = "ID", conflicts_with = "team")]
        org: Option<String>,
    },
    /// List all, without their secrets
    List,
    /// Put another secret in its place, read from standard input
    Replace { id: String },
    /// Take one away
    Delete { id: String },
    /// Seal all with the newest of the gateway's sealing keys
    Reseal,
}

#[derive(Debug, Subcommand)]
pub enum Audit {
    /// List the last entries
    List {
        /// How many
        #[arg(long, value_name = "COUNT", default_value = "50")]
        limit: u64,
        /// The shard, where it is not the gateway's own
        #[arg(long, value_name = "SHARD")]
        shard: Option<String>,
    },
    /// Follow the chain of all entries and compare it with the archive; exit code 1 where somebody has changed it
    Verify {
        /// The shard, where it is not the gateway's own
        #[arg(long, value_name = "SHARD")]
        shard: Option<String>,
    },
}

#[derive(Clone, Debug, Args)]
pub struct SpendWish {
    /// The first day, such as 2026-11-01; without it the first of the month
    #[arg(long, value_name = "DAY")]
    pub from: Option<String>,
    /// The last day; without it today
    #[arg(long, value_name = "DAY")]
    pub to: Option<String>,
    /// A row for each: words of day, month, org, team, project, user, key, customer, tag, provider, model
    #[arg(long, value_name = "WORDS", default_value = "model")]
    pub by: String,
    /// Only what has this, such as team=search; once for each
    #[arg(long, value_name = "WORD=VALUE")]
    pub only: Vec<String>,
    /// The shard, where it is not the gateway's own
    #[arg(long, value_name = "SHARD")]
    pub shard: Option<String>,
    /// Print all that is counted, as CSV
    #[arg(long)]
    pub csv: bool,
}

#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Make a key; it is shown this once
    Create(Wish),
    /// List all keys
    List,
    /// Show a key, its limits and what is used of them
    Show { id: String },
    /// Change what is named, and nothing else; an empty value takes a setting away
    Update {
        id: String,
        #[command(flatten)]
        wish: Wish,
    },
    /// Refuse a key until it is unblocked
    Block { id: String },
    /// Let a blocked key in again
    Unblock { id: String },
    /// Refuse a key for ever; its books stay
    Revoke { id: String },
}

#[derive(Debug, Subcommand)]
pub enum Scopes {
    /// Make one
    Create {
        /// Lower-case letters, digits, `-`, `_` and `.`; for customers, tags and models anything that callers send
        id: String,
        /// The organisation that it belongs to
        #[arg(long, value_name = "ID")]
        org: Option<String>,
        /// The template whose limits it gets
        #[arg(long, value_name = "ID")]
        template: Option<String>,
        #[command(flatten)]
        wish: ScopeWish,
    },
    /// List all
    List,
    /// Show one, its limits and what all its keys use of them
    Show { id: String },
    /// Change what is named, and nothing else; an empty value takes a setting away
    Update {
        id: String,
        #[command(flatten)]
        wish: ScopeWish,
    },
    /// Refuse all its keys until it is unblocked
    Block { id: String },
    /// Let its keys in again
    Unblock { id: String },
    /// Close it for ever; its keys open nothing any more, its books stay
    Delete { id: String },
}

#[derive(Debug, Args)]
pub struct ScopeWish {
    /// A name for people
    #[arg(long)]
    pub name: Option<String>,
    /// A model that its keys may call, or a pattern; once for each. Without it every model
    #[arg(long = "model", value_name = "MODEL")]
    pub models: Vec<String>,
    #[command(flatten)]
    pub limits: LimitWish,
    /// Anything of yours, as a JSON object
    #[arg(long, value_name = "JSON")]
    pub metadata: Option<String>,
}

#[derive(Debug, Args)]
pub struct Wish {
    /// A name for people
    #[arg(long)]
    pub alias: Option<String>,
    /// The organisation that it belongs to
    #[arg(long, value_name = "ID")]
    pub org: Option<String>,
    /// The team that it belongs to
    #[arg(long, value_name = "ID")]
    pub team: Option<String>,
    /// The project that it belongs to
    #[arg(long, value_name = "ID")]
    pub project: Option<String>,
    /// The user that it belongs to
    #[arg(long, value_name = "ID")]
    pub user: Option<String>,
    /// A model that it may call, or a pattern such as "openai/*"; once for each. Without it every model
    #[arg(long = "model", value_name = "MODEL")]
    pub models: Vec<String>,
    #[command(flatten)]
    pub limits: LimitWish,
    /// When it expires, such as 2026-12-31T00:00:00Z
    #[arg(long, value_name = "MOMENT")]
    pub expires: Option<String>,
    /// A word that its records carry; once for each
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    /// Anything of yours, as a JSON object
    #[arg(long, value_name = "JSON")]
    pub metadata: Option<String>,
}

/// Limits as they are asked for.
#[derive(Debug, Args)]
pub struct LimitWish {
    /// Requests in any 60 seconds
    #[arg(long, value_name = "COUNT")]
    pub rpm: Option<String>,
    /// Tokens in any 60 seconds
    #[arg(long, value_name = "COUNT")]
    pub tpm: Option<String>,
    /// Requests in any 24 hours
    #[arg(long, value_name = "COUNT")]
    pub rpd: Option<String>,
    /// Tokens in any 24 hours
    #[arg(long, value_name = "COUNT")]
    pub tpd: Option<String>,
    /// Tokens of input in any 60 seconds
    #[arg(long, value_name = "COUNT")]
    pub input_tpm: Option<String>,
    /// Tokens of output in any 60 seconds
    #[arg(long, value_name = "COUNT")]
    pub output_tpm: Option<String>,
    /// Tokens of input in any 24 hours
    #[arg(long, value_name = "COUNT")]
    pub input_tpd: Option<String>,
    /// Tokens of output in any 24 hours
    #[arg(long, value_name = "COUNT")]
    pub output_tpd: Option<String>,
    /// Requests at the same time
    #[arg(long, value_name = "COUNT")]
    pub parallel: Option<String>,
    /// Money, such as "5 USD / day", "100 USD / month" or "1 USD / rolling 6h"; once for each
    #[arg(long, value_name = "BUDGET")]
    pub budget: Vec<String>,
    /// Money that may be passed, but not silently; once for each
    #[arg(long, value_name = "BUDGET")]
    pub soft_budget: Vec<String>,
    /// What becomes of a request that these refuse: refuse, "wait 10", "throttle 10" (seconds), or "cheaper MODEL,MODEL"
    #[arg(long, value_name = "WHAT")]
    pub at_limit: Option<String>,
    /// Only write down what these would refuse
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub shadow: Option<bool>,
}
