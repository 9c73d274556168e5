//! The command line.

mod nouns;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

pub use nouns::{
    Bulk, CeilingWish, Creation, KeyFilters, Keys, LimitWish, More, Noun, ScopeFilters, ScopeWish, Scopes,
    Version, Wish,
};

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
    after_help = "Exit codes: 0 fine; 1 refused or failed, and what the gateway said is told; 2 wrong usage, and nothing \
        was sent."
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
    #[command(flatten)]
    Noun(Box<Noun>),
    /// What would become of a request, and why: every limit and rule that it meets. Nothing happens; exit code 1 where it
    /// would be refused
    Explain {
        #[command(flatten)]
        remote: Remote,
        #[command(flatten)]
        wish: ExplainWish,
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
    /// What became of requests: the newest of the last day, or one with its attempts and scores
    Logs {
        #[command(flatten)]
        remote: Remote,
        #[command(flatten)]
        wish: LogsWish,
    },
    /// Say what an answer is worth: it is joined to the request's record, and told to the sinks that know scores
    Score {
        #[command(flatten)]
        remote: Remote,
        /// The request, as its answer's `x-gatelet-request-id` names it
        id: String,
        /// What is judged, such as `helpful`
        name: String,
        /// A number, a word, true or false
        value: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        comment: Option<String>,
    },
    /// Manage what the gateway shows to providers: given here, sealed there, and never shown
    Credentials {
        #[command(flatten)]
        remote: Remote,
        #[command(subcommand)]
        command: Credentials,
    },
    /// Prompts: messages that are written once and named by requests
    Prompts {
        #[command(flatten)]
        remote: Remote,
        /// Of this organisation; of the default one unless said
        #[arg(long, value_name = "ID", global = true)]
        org: Option<String>,
        #[command(subcommand)]
        command: Prompts,
    },
    /// Answers that are kept to be given again
    Cache {
        #[command(flatten)]
        remote: Remote,
        #[command(subcommand)]
        command: Cache,
    },
    /// Targets of models: which are in, which are out, and why, as the process that is asked has seen them
    Targets {
        #[command(flatten)]
        remote: Remote,
        /// Words that `provider/model` must have
        words: Vec<String>,
        /// Only those that are not wholly in
        #[arg(long)]
        out: bool,
    },
    /// Guards: what may not go in or come out
    Guards {
        #[command(flatten)]
        remote: Remote,
        #[command(subcommand)]
        command: Guards,
    },
    /// What requests said and were answered, where that is kept
    Content {
        #[command(flatten)]
        remote: Remote,
        #[command(subcommand)]
        command: Content,
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
    },
    /// Print what makes a shell complete these commands
    Completions {
        /// bash, zsh, fish, elvish or powershell
        shell: Shell,
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
    /// The shard that this is about, where it is not the gateway's own
    #[arg(long, global = true, value_name = "SHARD")]
    pub shard: Option<String>,
}

/// A request to be explained.
#[derive(Clone, Debug, Args)]
pub struct ExplainWish {
    /// The id of the key that would send it; without it the key that is shown in place of the admin's
    #[arg(long, value_name = "ID")]
    pub key: Option<String>,
    /// The model, where the request does not name it
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// A file with the request's body; without it a conversation of one empty message
    #[arg(long, value_name = "FILE")]
    pub request: Option<PathBuf>,
    /// A field of the form that its body is, or its file, such as file=@speech.wav, of which only the length counts; once for each
    #[arg(long, value_name = "NAME=VALUE", conflicts_with = "request")]
    pub form: Vec<String>,
    /// The path that it would be sent to, one of a provider's own interface (/<provider>/...) too; without it /v1/chat/completions
    #[arg(long, value_name = "PATH")]
    pub path: Option<String>,
    /// How it would be sent, to a provider's own interface; without it POST
    #[arg(long, value_name = "METHOD")]
    pub method: Option<String>,
    /// A header that it would have, such as "x-gatelet-customer: ada"; once for each
    #[arg(long, value_name = "HEADER")]
    pub header: Vec<String>,
    /// The address that it would come from; without it the first that the key may be used from
    #[arg(long, value_name = "ADDRESS")]
    pub source: Option<String>,
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
pub enum Content {
    /// Delete what somebody's requests said and were answered until now, but for what is on legal hold; records stay
    Erase {
        /// Whose: customer/ann, or an org/…, team/…, project/…, user/… or key/…
        of: String,
    },
    /// What was asked to be deleted, and whether it is
    Erasures,
}

#[derive(Debug, Subcommand)]
pub enum Prompts {
    /// Write one: its first version
    Create {
        /// What requests call it
        id: String,
        /// A file of JSON: messages, and what else a prompt has
        file: PathBuf,
    },
    /// List all, without what they say
    List,
    /// Show a version, the newest unless said
    Show {
        id: String,
        /// A number or a label
        #[arg(long)]
        version: Option<String>,
    },
    /// Make another version: what the file names in place of what the newest one says
    Update {
        id: String,
        file: PathBuf,
        /// Only if the newest version has this number
        #[arg(long, value_name = "NUMBER")]
        if_version: Option<u64>,
    },
    /// Let a label name a version
    Label {
        id: String,
        /// Such as production
        label: String,
        /// Its number; without one the label is taken away
        version: Option<u64>,
    },
    /// Take one away, with all its versions
    Delete { id: String },
}

#[derive(Debug, Subcommand)]
pub enum Cache {
    /// Give answers that were kept to nobody any more; every process follows within ten seconds
    Purge {
        #[command(flatten)]
        what: PurgeWish,
    },
}

/// What is taken out.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = false)]
pub struct PurgeWish {
    /// Answers to requests of this key, by its id
    #[arg(long, value_name = "ID")]
    pub key: Option<String>,
    /// Answers to requests with this tag
    #[arg(long, value_name = "TAG")]
    pub tag: Option<String>,
    /// Answers of this model
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// Everything
    #[arg(long)]
    pub all: bool,
}

#[derive(Debug, Subcommand)]
pub enum Guards {
    /// Whether they say of each case of a file what is expected; nothing is sent on. Exit code 1 where they do not
    Test {
        /// A list in JSON of cases: `guard`, `text` with `on` and `tool` or `request` with `path`, and `expect`, of which
        /// `outcome`, `found` (kinds), `sent` and `hides` (texts that are not sent) are compared
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub enum Audit {
    /// List the last entries
    List {
        /// How many
        #[arg(long, value_name = "COUNT", default_value = "50")]
        limit: u64,
    },
    /// Follow the chains of all entries and of content that was kept, and compare them with the archive; exit code 1 where somebody
    /// has changed, added or taken away something
    Verify,
}

#[derive(Clone, Debug, Args)]
pub struct LogsWish {
    /// One request, as its answer's `x-gatelet-request-id` names it
    pub id: Option<String>,
    /// Since this moment, such as 2026-11-22T17:00:00Z, or this day; without it the last day
    #[arg(long, value_name = "MOMENT")]
    pub from: Option<String>,
    /// Until this moment
    #[arg(long, value_name = "MOMENT", conflicts_with = "follow")]
    pub to: Option<String>,
    /// Only those whose record says this, such as status=429 or tags=night; once for each
    #[arg(long, value_name = "FIELD=VALUE")]
    pub only: Vec<String>,
    /// How many
    #[arg(long, value_name = "COUNT", default_value = "50")]
    pub limit: usize,
    /// Go on showing what is new
    #[arg(long)]
    pub follow: bool,
}

#[derive(Clone, Debug, Args)]
pub struct SpendWish {
    /// The first day, such as 2026-11-01; without it the first of the month. By the minute or the hour a moment, too
    #[arg(long, value_name = "DAY")]
    pub from: Option<String>,
    /// The last day; without it today
    #[arg(long, value_name = "DAY")]
    pub to: Option<String>,
    /// A row for each: words of minute, hour (both with org, provider and model alone), day, month, org, team, project, user, key, customer, tag, provider, model
    #[arg(long, value_name = "WORDS", default_value = "model")]
    pub by: String,
    /// Only what has this, such as team=search; once for each
    #[arg(long, value_name = "WORD=VALUE")]
    pub only: Vec<String>,
    /// Print all that is counted, as CSV
    #[arg(long)]
    pub csv: bool,
}
