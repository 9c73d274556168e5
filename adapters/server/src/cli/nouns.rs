//! Commands about what an admin manages: the same for every noun.

use std::path::PathBuf;

use clap::{ArgMatches, Args, Error, FromArgMatches, Subcommand};
use gatelet_core::domain::ScopeKind;

use super::Remote;

/// The nouns beside keys, each under its command.
const NOUNS: [(&str, ScopeKind, &str); 11] = [
    ("teams", ScopeKind::Team, "Manage teams: what several keys share, with limits for all of them together"),
    ("projects", ScopeKind::Project, "Manage projects, as teams"),
    ("users", ScopeKind::User, "Manage users, as teams"),
    ("orgs", ScopeKind::Organisation, "Manage organisations, as teams"),
    ("members", ScopeKind::Member, "Manage members: a user's limits in one team, by `<team>/<user>`"),
    ("customers", ScopeKind::Customer, "Manage customers: end users, by the names that applications send"),
    ("tags", ScopeKind::Tag, "Manage tags of requests, as teams"),
    (
        "model-limits",
        ScopeKind::Model,
        "Manage limits of models, by the names that callers use (`models` lists what there is)",
    ),
    ("agents", ScopeKind::Agent, "Manage agents, as teams"),
    ("tools", ScopeKind::Tool, "Manage tools, as teams"),
    ("templates", ScopeKind::Template, "Manage templates: limits under a name, to be copied"),
];

/// A command of one of the nouns.
#[derive(Debug)]
pub struct Noun {
    pub kind: ScopeKind,
    pub remote: Remote,
    pub command: Scopes,
}

impl Subcommand for Noun {
    fn augment_subcommands(command: clap::Command) -> clap::Command {
        NOUNS.iter().fold(command, |all, (name, _, about)| {
            let one = Scopes::augment_subcommands(Remote::augment_args(clap::Command::new(*name)));
            // After those, or what they say of themselves would stand there.
            all.subcommand(one.about(*about).subcommand_required(true))
        })
    }

    fn augment_subcommands_for_update(command: clap::Command) -> clap::Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        NOUNS.iter().any(|(noun, ..)| *noun == name)
    }
}

impl FromArgMatches for Noun {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let named = matches.subcommand().and_then(|(name, inner)| {
            let (_, kind, _) = NOUNS.iter().find(|(noun, ..)| *noun == name)?;
            Some((*kind, inner))
        });
        let (kind, inner) = named.ok_or_else(|| Error::new(clap::error::ErrorKind::MissingSubcommand))?;
        Ok(Self { kind, remote: Remote::from_arg_matches(inner)?, command: Scopes::from_arg_matches(inner)? })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
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
        /// What was spent elsewhere before, in US dollars: it counts in all its budgets
        #[arg(long, value_name = "USD")]
        opening: Option<String>,
        #[command(flatten)]
        wish: ScopeWish,
    },
    /// List all, or those that are looked for
    List(ScopeFilters),
    /// Show one, its limits and what all its keys use of them
    Show { id: String },
    /// Change what is named, and nothing else; an empty value takes a setting away
    Update {
        id: String,
        #[command(flatten)]
        wish: ScopeWish,
        #[command(flatten)]
        version: Version,
    },
    /// Refuse all its keys until it is unblocked
    Block { id: String },
    /// Let its keys in again
    Unblock { id: String },
    /// Close it for ever; its books stay. Refused while keys belong to it
    Delete {
        id: String,
        /// Close what belongs to it, too
        #[arg(long)]
        cascade: bool,
        #[command(flatten)]
        version: Version,
    },
    /// Make, change and close many, as a file says; exit code 1 where any was refused
    Bulk(Bulk),
}

#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Make a key; it is shown this once
    Create {
        #[command(flatten)]
        creation: Creation,
        #[command(flatten)]
        wish: Wish,
    },
    /// List all keys, or those that are looked for
    List(KeyFilters),
    /// Show a key, its limits and what is used of them
    Show { id: String },
    /// Change what is named, and nothing else; an empty value takes a setting away
    Update {
        id: String,
        #[command(flatten)]
        wish: Wish,
        #[command(flatten)]
        version: Version,
    },
    /// Refuse a key until it is unblocked
    Block { id: String },
    /// Let a blocked key in again
    Unblock { id: String },
    /// Refuse a key for ever; its books stay
    #[command(alias = "delete")]
    Revoke { id: String },
    /// Give a key another token; it is shown this once
    Rotate {
        id: String,
        /// How long the token of now goes on opening it, such as 24h; not at all, unless said
        #[arg(long, value_name = "TIME")]
        grace: Option<String>,
    },
    /// Give a key a pair for clients of AWS; its secret is shown this once
    Pair { id: String },
    /// Take the pair away
    Unpair { id: String },
    /// Make, change and revoke many, as a file says; exit code 1 where any was refused
    Bulk(Bulk),
}

/// Guards a change against others'.
#[derive(Debug, Args)]
pub struct Version {
    /// Refuse where it has another version than this
    #[arg(long, value_name = "NUMBER")]
    pub if_version: Option<u64>,
}

#[derive(Debug, Args)]
pub struct Bulk {
    /// JSON: a list of `{"create": {…}}`, `{"update": {"id": …, "set": {…}}}` and `{"delete": {"id": …}}`, or one a line
    pub file: PathBuf,
}

/// What a list is of.
#[derive(Debug, Args)]
pub struct ScopeFilters {
    /// The name
    #[arg(long)]
    pub name: Option<String>,
    #[arg(long, value_name = "ID")]
    pub org: Option<String>,
    #[arg(long, value_name = "ID")]
    pub team: Option<String>,
    #[arg(long, value_name = "ID")]
    pub user: Option<String>,
    /// Only those that are blocked, or with `false` those that are not
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub blocked: Option<bool>,
}

/// What a list of keys is of.
#[derive(Debug, Args)]
pub struct KeyFilters {
    /// The alias
    #[arg(long)]
    pub alias: Option<String>,
    #[arg(long, value_name = "ID")]
    pub org: Option<String>,
    #[arg(long, value_name = "ID")]
    pub team: Option<String>,
    #[arg(long, value_name = "ID")]
    pub project: Option<String>,
    #[arg(long, value_name = "ID")]
    pub user: Option<String>,
    #[arg(long)]
    pub tag: Option<String>,
    /// inference, management or `read_only`
    #[arg(long)]
    pub kind: Option<String>,
    /// Only those that are blocked, or with `false` those that are not
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub blocked: Option<bool>,
    /// Only those that expire before this moment
    #[arg(long, value_name = "MOMENT")]
    pub expires_before: Option<String>,
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
    #[command(flatten)]
    pub ceilings: CeilingWish,
    #[command(flatten)]
    pub more: More,
}

/// What keys of a team or an organisation may be that others make.
#[derive(Debug, Args)]
pub struct CeilingWish {
    /// The limits of its keys that say nothing, such as "rpm:60,budget:5 USD / day"
    #[arg(long, value_name = "LIMITS")]
    pub default_limits: Option<String>,
    /// The most that limits of its keys may be
    #[arg(long, value_name = "LIMITS")]
    pub max_limits: Option<String>,
    /// A model that its keys may name, or a pattern; once for each
    #[arg(long = "key-model", value_name = "MODEL")]
    pub key_models: Vec<String>,
    /// How long its keys may live, such as 90d
    #[arg(long, value_name = "TIME")]
    pub max_expiry: Option<String>,
    /// What its keys must have: alias, user, project, tags, expires, sources or metadata.NAME; once for each
    #[arg(long = "require", value_name = "FIELD")]
    pub required: Vec<String>,
    /// A tag that its keys and their requests may have; once for each
    #[arg(long = "allowed-tag", value_name = "TAG")]
    pub allowed_tags: Vec<String>,
}

/// What both keys and others have.
#[derive(Debug, Args)]
pub struct More {
    /// Which end users requests may name: any, known (those that there are) or off
    #[arg(long, value_name = "WHICH")]
    pub customers: Option<String>,
    /// The template that end users are made of when they are first seen
    #[arg(long, value_name = "ID")]
    pub customer_template: Option<String>,
    /// A name for a model, of a key or a team, such as fast=openai/gpt-4o-mini; without a model it is taken away. Once for each
    #[arg(long = "model-alias", value_name = "NAME=MODEL")]
    pub model_aliases: Vec<String>,
    /// A region that requests may go to, such as eu*; once for each. Without it every one
    #[arg(long = "region", value_name = "REGION")]
    pub regions: Vec<String>,
    /// A provider that requests may go to; once for each. Without it every one
    #[arg(long = "provider", value_name = "PROVIDER")]
    pub providers: Vec<String>,
    /// A guard that judges its requests beside those that the configuration demands; once for each. Empty: none of its own
    #[arg(long = "guard", value_name = "GUARD")]
    pub guards: Vec<String>,
    /// Anything of yours, as a JSON object
    #[arg(long, value_name = "JSON")]
    pub metadata: Option<String>,
    /// Any other field of the API: its name and its value, as JSON or as a text; once for each
    #[arg(long, value_name = "NAME=VALUE")]
    pub set: Vec<String>,
}

/// What is said of a key once.
#[derive(Debug, Args)]
pub struct Creation {
    /// What it opens: inference (models), management or `read_only` (the admin API)
    #[arg(long)]
    pub kind: Option<String>,
    /// What a key that is not for models may do: gateway-admin, auditor, org-admin, team-admin, member, customer or agent
    #[arg(long)]
    pub role: Option<String>,
    /// The template whose limits it gets
    #[arg(long, value_name = "ID")]
    pub template: Option<String>,
    /// What was spent elsewhere before, in US dollars: it counts in all its budgets
    #[arg(long, value_name = "USD")]
    pub opening: Option<String>,
    /// Make a pair for clients of AWS, too
    #[arg(long)]
    pub aws: bool,
    /// The SHA-256 of a token of another gateway, which is to open it
    #[arg(long, value_name = "HEX")]
    pub token_hash: Option<String>,
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
    /// An operation that it may ask for, such as chat, embedding or models; once for each. Without it every one
    #[arg(long = "route", value_name = "OPERATION")]
    pub routes: Vec<String>,
    /// An address, or a range such as 10.0.0.0/8, that it may be used from; once for each. Without it every one
    #[arg(long = "source", value_name = "ADDRESS")]
    pub sources: Vec<String>,
    #[command(flatten)]
    pub limits: LimitWish,
    /// Limits of one model for this key, such as "openai/gpt-4o=rpm:5,budget:1 USD / day"; once for each
    #[arg(long, value_name = "MODEL=LIMITS")]
    pub model_limit: Vec<String>,
    /// Limits of each session, such as "parallel:1,budget:1 USD / total"
    #[arg(long, value_name = "LIMITS")]
    pub session_limits: Option<String>,
    /// When it expires, such as 2026-12-31T00:00:00Z
    #[arg(long, value_name = "MOMENT")]
    pub expires: Option<String>,
    /// How long a token should be used before it is rotated, such as 90d
    #[arg(long, value_name = "TIME")]
    pub rotate_every: Option<String>,
    /// A word that its records carry; once for each
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    #[command(flatten)]
    pub more: More,
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
    /// More money for a while, such as "2 USD / day until 2026-12-31T00:00:00Z"; once for each
    #[arg(long, value_name = "BUDGET until MOMENT")]
    pub increase: Vec<String>,
    /// What becomes of a request that these refuse: refuse, "wait 10", "throttle 10" (seconds), or "cheaper MODEL,MODEL"
    #[arg(long, value_name = "WHAT")]
    pub at_limit: Option<String>,
    /// Only write down what these would refuse
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub shadow: Option<bool>,
}

#[cfg(test)]
mod tests {
    use clap::Command;

    use super::*;

    #[test]
    fn each_noun_says_what_it_is_for() {
        let all = Noun::augment_subcommands(Command::new("gatelet"));
        for (name, _, about) in &NOUNS {
            let said = all.find_subcommand(name).and_then(Command::get_about).map(ToString::to_string);
            assert_eq!(said.as_deref(), Some(*about));
        }
    }
}
