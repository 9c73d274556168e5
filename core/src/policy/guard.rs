//! Guards as admins write them.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use gatelet_wire::SmallMap;
use http::{HeaderName, HeaderValue};
use sha2::{Digest, Sha256};

use super::detector::{board, content, language, links, patterns, score, shape, whole, words};
use super::document::duration;
use super::model::ModelName;
use super::node;
use super::read::{At, Fields, Reader, Spot};
use super::residency::region;
use super::topics::topics;
use crate::domain::Secret;
use crate::guard::external::SERVICES;
use crate::guard::{
    Action, Attached, Check, Choice, Detector, External, Guard, Masking, Pattern, Permit, Sites, Style,
    TEMPLATES, ToolRule, ToolRules, When, Whole,
};

/// All guards of a policy.
#[derive(Clone, Debug, Default)]
pub struct Guards {
    /// In the order in which they judge.
    list: Vec<Arc<Guard>>,
    /// Names for several at once.
    groups: SmallMap<Box<str>, Vec<Arc<str>>>,
}

/// Whose request it is, as far as guards are chosen by that.
#[derive(Clone, Copy, Debug, Default)]
pub struct Whom<'a> {
    pub organisation: Option<&'a str>,
    pub team: Option<&'a str>,
    pub key: &'a str,
    pub alias: Option<&'a str>,
    pub tags: &'a [String],
    pub more_tags: &'a [String],
    pub model: &'a str,
    /// What the key and those that it belongs to demand, by name.
    pub demanded: &'a [&'a str],
    /// What the request asks for, in the words of its header: names, with a `-` before those that it wants to do without.
    pub asks: Option<&'a str>,
}

impl Guards {
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub fn get(&self, name: &str) -> Option<&Arc<Guard>> {
        self.list.iter().find(|guard| *guard.name == *name)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Guard>> {
        self.list.iter()
    }

    /// The guards that a name means: one, or those of a group.
    pub fn named(&self, name: &str) -> Option<Vec<Arc<Guard>>> {
        Some(self.members(name)?.into_iter().filter_map(|name| self.get(name).cloned()).collect())
    }

    /// The names of the guards that a name means.
    fn members(&self, name: &str) -> Option<Vec<&str>> {
        if let Some(guard) = self.get(name) {
            return Some(vec![&*guard.name]);
        }
        Some(self.groups.get(name)?.iter().map(|name| &**name).collect())
    }

    /// The guards of one request, in their order.
    ///
    /// # Errors
    /// What the request asks for and may not have, in a sentence.
    pub fn chosen(&self, whom: &Whom<'_>) -> Result<Vec<Arc<Guard>>, String> {
        let mut demanded: Vec<&str> = Vec::new();
        let mut chosen: Vec<bool> = self.list.iter().map(|guard| whom.is_of(&guard.attached)).collect();
        for name in whom.demanded {
            // What was there when it was demanded and is gone is not passed over.
            let Some(named) = self.members(name) else { return Err(demands_none(name)) };
            demanded.extend(named);
        }
        for (guard, chosen) in self.list.iter().zip(&mut chosen) {
            *chosen |= demanded.contains(&&*guard.name);
        }
        for word in whom.asks.into_iter().flat_map(|asks| asks.split(',')).map(str::trim) {
            let (name, wanted) = match word.strip_prefix('-') {
                Some(name) => (name.trim(), false),
                None => (word.trim_start_matches('+').trim(), true),
            };
            if name.is_empty() {
                continue;
            }
            let Some(named) = self.named(name) else { return Err(format!("there is no guard `{name}`")) };
            for guard in named {
                let Some(place) = self.list.iter().position(|known| known.name == guard.name) else {
                    continue;
                };
                let Some(now) = chosen.get_mut(place).filter(|now| **now != wanted) else { continue };
                if !wanted && demanded.contains(&&*guard.name) {
                    return Err(format!(
                        "the guard `{}` is demanded by the key, or by what it belongs to",
                        guard.name
                    ));
                }
                let may = if wanted { guard.choice.adds() } else { guard.choice.drops() };
                if !may {
                    let verb = if wanted { "asked for" } else { "left out" };
                    return Err(format!("the guard `{}` may not be {verb} by requests", guard.name));
                }
                *now = wanted;
            }
        }
        let chosen = self.list.iter().zip(chosen).filter(|(_, chosen)| *chosen);
        Ok(chosen.map(|(guard, _)| guard.clone()).collect())
    }
}

fn demands_none(name: &str) -> String {
    format!(
        "the key, or what it belongs to, demands a guard `{name}`, and there is none of that name any more"
    )
}

impl Whom<'_> {
    fn is_of(&self, attached: &Attached) -> bool {
        let has = |list: &[String], name: Option<&str>| {
            name.is_some_and(|name| list.iter().any(|known| fits(known, name)))
        };
        attached.everybody
            || has(&attached.organisations, self.organisation)
            || has(&attached.teams, self.team)
            || has(&attached.keys, Some(self.key))
            || has(&attached.keys, self.alias)
            || has(&attached.models, Some(self.model))
            || self.tags.iter().chain(self.more_tags).any(|tag| has(&attached.tags, Some(tag)))
    }
}

/// A name, or all that begin as a pattern does that ends in `*`.
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(first) => name.starts_with(first),
        None => pattern == name,
    }
}

/// What a guard of any kind may say.
const COMMON: [&str; 17] = [
    "kind", "like", "template", "guards", "without", "on", "mode", "when", "order", "fail", "timeout",
    "sample", "replace", "restore", "salt", "for", "choice",
];
/// What is of one kind or of a few.
const OWN: [&str; 24] = [
    "message",
    "patterns",
    "words",
    "name",
    "ignore_case",
    "whole_words",
    "most",
    "kinds",
    "mask",
    "block",
    "flag",
    "shadow",
    "score",
    "severity",
    "allow",
    "deny",
    "rules",
    "otherwise",
    "url",
    "region",
    "private",
    "schema",
    "threshold",
    "billed",
];
const FOR: [&str; 5] = ["organisations", "teams", "keys", "tags", "models"];
const RULE: [&str; 4] = ["tool", "arguments", "permit", "set"];
pub(super) const PATTERN: [&str; 3] = ["pattern", "mode", "longest"];

const KINDS: &str = "regex, words, length, pii, secrets, injection, content, language, code, gibberish, links, schema, topics, tools, or a service";

/// A definition and those that it is like, the nearest first.
pub(super) struct Chain<'n> {
    fields: Vec<Fields<'n>>,
    pub(super) spot: Spot,
}

impl<'n> Chain<'n> {
    pub(super) fn get(&self, key: &str) -> Option<&At<'n>> {
        self.fields.iter().find_map(|fields| fields.get(key))
    }
}

/// Guards that are being read, before anybody shares them.
#[derive(Debug, Default)]
pub(super) struct Reading {
    guards: Vec<Guard>,
    groups: SmallMap<Box<str>, Vec<Arc<str>>>,
    /// Groups whose members are named, and where.
    members: Vec<(Box<str>, String, Spot)>,
    attached: Vec<(Box<str>, Attached)>,
    /// Models that make vectors for guards, and where they are named.
    pub(super) embedders: Vec<(ModelName, Spot)>,
}

/// Reads `guards`.
pub(super) fn guards(reader: &mut Reader<'_>, at: &At<'_>) -> Reading {
    let mut reading = Reading::default();
    let entries = reader.entries(at).unwrap_or_default();
    for (name, at) in &entries {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
            reader.note(&at.spot, "expected a guard's name of letters, digits, -, _ and .");
            continue;
        }
        let Some(chain) = chain(reader, &entries, at) else { continue };
        entry(reader, &mut reading, name, chain);
    }
    reading
}

/// Names of guards.
pub(super) fn names(reader: &mut Reader<'_>, at: &At<'_>) -> Vec<(String, Spot)> {
    let list = at.list();
    list.iter().filter_map(|at| Some((reader.text(at, "the name of a guard")?, at.spot.clone()))).collect()
}

/// A definition with what it inherits.
fn chain<'n>(reader: &mut Reader<'_>, entries: &[(&'n str, At<'n>)], at: &At<'n>) -> Option<Chain<'n>> {
    const DEEPEST: usize = 8;
    let known = known();
    let mut fields = vec![reader.fields(at, &known, &[])?];
    let spot = at.spot.clone();
    while let Some(like) = fields.last().and_then(|last| last.get("like")) {
        let name = reader.text(like, "the name of a guard")?;
        let spot = like.spot.clone();
        let Some((_, at)) = entries.iter().find(|(known, _)| *known == name) else {
            reader.note(&spot, format!("there is no guard `{name}`"));
            return None;
        };
        if fields.len() == DEEPEST {
            reader.note(&spot, "guards are like one another in a ring, or too deep");
            return None;
        }
        fields.push(reader.fields(at, &known, &[])?);
    }
    Some(Chain { fields, spot })
}

fn known() -> Vec<&'static str> {
    let services = SERVICES.iter().flat_map(|(_, keys)| keys.iter().copied());
    let mut known: Vec<&str> = COMMON.into_iter().chain(OWN).chain(["key", "headers"]).collect();
    for key in services {
        if !known.contains(&key) {
            known.push(key);
        }
    }
    known
}

fn entry(reader: &mut Reader<'_>, reading: &mut Reading, name: &str, mut chain: Chain<'_>) {
    if let Some(at) = chain.get("template") {
        let names: Vec<&str> = TEMPLATES.iter().map(|template| template.name).collect();
        let expected = format!("one of {}", names.join(", "));
        let known_as = |text: &str| TEMPLATES.iter().find(|template| template.name == text);
        let Some(template) = reader.parsed(at, &expected, known_as) else { return };
        let mut group = Vec::new();
        for (part, definition) in template.guards {
            let Ok(root) = node::parse(definition) else { continue };
            let at = At::root(&root);
            let Some(fields) = reader.fields(&at, &known(), &[]) else { continue };
            let full: Arc<str> = format!("{name}.{part}").into();
            // What the entry says itself goes before what the template says.
            let mut own: Vec<Fields<'_>> = chain.fields.clone();
            own.push(fields);
            let part = Chain { fields: own, spot: chain.spot.clone() };
            if let Some(guard) = guard(reader, reading, full.clone(), &part) {
                reading.guards.push(guard);
                group.push(full);
            }
        }
        reading.groups.insert(name.into(), group);
        return;
    }
    if chain.get("kind").is_none() && chain.get("guards").is_some() {
        let mut names = |key: &str| -> Vec<(String, Spot)> {
            let list = chain.fields.iter().rev().filter_map(|fields| fields.get(key)).flat_map(At::list);
            let list: Vec<At<'_>> = list.collect();
            list.iter()
                .filter_map(|at| Some((reader.text(at, "the name of a guard")?, at.spot.clone())))
                .collect()
        };
        let (members, without) = (names("guards"), names("without"));
        let members = members.into_iter().filter(|(name, _)| !without.iter().any(|(other, _)| other == name));
        reading.members.extend(members.map(|(member, spot)| (name.into(), member, spot)));
        // Whom a policy is for is said by itself: what it is like is for others.
        chain.fields.truncate(1);
        let attached = attached(reader, &chain);
        reading.groups.insert(name.into(), Vec::new());
        reading.attached.push((name.into(), attached));
        return;
    }
    if let Some(guard) = guard(reader, reading, name.into(), &chain) {
        reading.guards.push(guard);
    }
}

fn guard(reader: &mut Reader<'_>, reading: &mut Reading, name: Arc<str>, chain: &Chain<'_>) -> Option<Guard> {
    let Some(kind_at) = chain.get("kind") else {
        reader.note(&chain.spot, format!("expected a `kind`: {KINDS}"));
        return None;
    };
    let kind = reader.text(kind_at, KINDS)?;
    let mut actions: Vec<(Arc<str>, Action)> = Vec::new();
    let usual = if matches!(kind.as_str(), "pii") { Action::Mask } else { Action::Block };
    let modes = "block, mask, flag or shadow";
    let own_mode = chain.get("mode").and_then(|at| reader.parsed(at, modes, Action::read));
    let check = if kind == "topics" {
        let (topics, embedder) = topics(reader, chain)?;
        reading.embedders.push(embedder);
        Check::Topics(Arc::new(topics))
    } else {
        check(reader, &name, &kind, kind_at, chain, &mut actions)?
    };
    let action = own_mode.unwrap_or(usual);
    let when = chain.get("when").and_then(|at| {
        reader.parsed(at, "before or beside", |word| match word {
            "before" => Some(When::Before),
            "beside" => Some(When::Beside),
            _ => None,
        })
    });
    let order = chain.get("order").and_then(|at| {
        let order = |text: &str| text.parse::<i32>().ok().filter(|order| order.abs() <= 1_000_000);
        reader.parsed(at, "a whole number", order)
    });
    let fails_open = chain.get("fail").and_then(|at| {
        reader.parsed(at, "closed or open", |word| match word {
            "closed" => Some(false),
            "open" => Some(true),
            _ => None,
        })
    });
    let timeout = chain.get("timeout").and_then(|at| {
        let short = |text: &str| duration(text).filter(|time| *time <= Duration::from_mins(2));
        reader.parsed(at, "a duration of at most 2m, such as 2s", short)
    });
    let sample = chain.get("sample").and_then(|at| {
        let share = |text: &str| {
            let share = gatelet_wire::json::number(text.strip_suffix('%')?.trim())?;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1,000")]
            (0.0..=100.0).contains(&share).then(|| (share * 10.0).round() as u16)
        };
        reader.parsed(at, "a share such as 10%", share)
    });
    let masking = masking(reader, &name, chain);
    let choice = chain.get("choice").and_then(|at| {
        reader.parsed(at, "none, add, drop or both", |word| match word {
            "none" => Some(Choice::Nothing),
            "add" => Some(Choice::Add),
            "drop" => Some(Choice::Drop),
            "both" => Some(Choice::Both),
            _ => None,
        })
    });
    let message = chain.get("message").and_then(|at| reader.text(at, "a sentence"));
    let usual = match &check {
        // Others' words give no orders; a model's own are no attempt on it.
        Check::Texts(Detector::Injection(_)) => Sites { output: false, tool_arguments: false, ..Sites::ALL },
        Check::Shape(_) => Sites { output: true, ..Sites::default() },
        Check::Topics(_) => Sites { input: true, ..Sites::default() },
        Check::External(service) if service.is_of_grounds() => Sites { output: true, ..Sites::default() },
        Check::Texts(_) | Check::Tools(_) | Check::External(_) => Sites::ALL,
    };
    let on = chain.get("on").map_or(usual, |at| sites(reader, at));
    let attached = attached(reader, chain);
    let guard = Guard {
        version: version(chain).into(),
        name,
        check,
        on,
        action,
        actions,
        when: when.unwrap_or_default(),
        order: order.unwrap_or(0),
        fails_open: fails_open.unwrap_or(false),
        timeout: timeout.unwrap_or(Duration::from_secs(5)),
        sample: sample.unwrap_or(1_000),
        masking,
        attached,
        choice: choice.unwrap_or_default(),
        message: message.map(Into::into),
    };
    unfit(reader, chain, &guard, usual);
    Some(guard)
}

/// Notes what a guard of its kind cannot do.
fn unfit(reader: &mut Reader<'_>, chain: &Chain<'_>, guard: &Guard, usual: Sites) {
    let odd = guard.masks() || guard.on != usual;
    if matches!(guard.check, Check::Shape(_)) && odd {
        reader.note(
            &chain.spot,
            "a schema is for answers (`on: output`) that are blocked, flagged or shadowed",
        );
    }
    if matches!(guard.check, Check::Topics(_)) && odd {
        reader
            .note(&chain.spot, "topics are of questions (`on: input`) that are blocked, flagged or shadowed");
    }
    if guard.when == When::Beside && (guard.masks() || !guard.is_service()) {
        let at = chain.get("when").map_or(&chain.spot, |at| &at.spot);
        reader.note(
            at,
            "`beside` is for services that block, flag or shadow: what is masked must be masked before",
        );
    }
}

/// What a guard looks for; `actions` takes what follows for particular kinds.
fn check(
    reader: &mut Reader<'_>,
    name: &Arc<str>,
    kind: &str,
    kind_at: &At<'_>,
    chain: &Chain<'_>,
    actions: &mut Vec<(Arc<str>, Action)>,
) -> Option<Check> {
    match kind {
        "regex" => Some(Check::Texts(Detector::Patterns(patterns(reader, name, chain, actions)?))),
        "words" => words(reader, name, chain).map(Check::Texts),
        "length" => {
            let count = |text: &str| text.parse::<usize>().ok().filter(|most| *most > 0);
            let at = needed(reader, chain, "most", "the most characters of a text")?;
            let most = reader.parsed(at, "a whole number", count)?;
            Some(Check::Texts(Detector::Length("length".into(), most)))
        }
        "pii" | "secrets" => Some(Check::Texts(board(reader, kind, chain, actions))),
        "content" => Some(Check::Texts(content(reader, chain, actions))),
        "language" => {
            let at = needed(reader, chain, "allow", "languages, such as en")?;
            let languages = at.list().iter().filter_map(|at| language(reader, at)).collect();
            Some(whole("language", Whole::Language(languages)))
        }
        "code" => Some(whole("code", Whole::Code(score(reader, chain).unwrap_or(50)))),
        "gibberish" => Some(whole("gibberish", Whole::Gibberish(score(reader, chain).unwrap_or(50)))),
        "links" => links(reader, chain).map(Check::Texts),
        "injection" => {
            let least = score(reader, chain).unwrap_or(Detector::INJECTION);
            Some(Check::Texts(Detector::Injection(least)))
        }
        "schema" => shape(reader, chain).map(Check::Shape),
        "tools" => tool_rules(reader, chain).map(Check::Tools),
        service => {
            let Some((_, keys)) = SERVICES.iter().find(|(name, _)| *name == service) else {
                let services: Vec<&str> = SERVICES.iter().map(|(name, _)| *name).collect();
                let expected = format!("{KINDS}: {}", services.join(", "));
                reader.unexpected(kind_at, &expected);
                return None;
            };
            external(reader, service, keys, chain).map(|external| Check::External(Arc::new(external)))
        }
    }
}

pub(super) fn needed<'c, 'n>(
    reader: &mut Reader<'_>,
    chain: &'c Chain<'n>,
    key: &str,
    what: &str,
) -> Option<&'c At<'n>> {
    let at = chain.get(key);
    if at.is_none() {
        reader.note(&chain.spot, format!("expected `{key}`: {what}"));
    }
    at
}

fn tool_rules(reader: &mut Reader<'_>, chain: &Chain<'_>) -> Option<ToolRules> {
    const PERMITS: &str = "allow, deny or ask";
    let permit = |word: &str| match word {
        "allow" => Some(Permit::Allow),
        "deny" => Some(Permit::Deny),
        "ask" => Some(Permit::Ask),
        _ => None,
    };
    let mut rules = Vec::new();
    for at in chain.get("rules").map(At::list).unwrap_or_default() {
        let fields = reader.fields(&at, &RULE, &[])?;
        let tools: Vec<String> = fields
            .get("tool")
            .map(At::list)
            .unwrap_or_default()
            .iter()
            .filter_map(|at| reader.text(at, "a tool's name"))
            .collect();
        if tools.is_empty() {
            reader.note(&at.spot, "expected `tool`: names of tools, in which `*` stands for anything");
        }
        let mut arguments = Vec::new();
        for (path, at) in fields.get("arguments").and_then(|at| reader.entries(at)).unwrap_or_default() {
            let Some(text) = reader.verbatim(&at) else { continue };
            match Pattern::read(&text, Pattern::MOST_LONGEST) {
                Ok(pattern) => {
                    arguments.push((if path == "*" { String::new() } else { path.to_owned() }, pattern));
                }
                Err(problem) => {
                    reader.note(&at.spot, format!("not a pattern that can be looked for: {problem}"));
                }
            }
        }
        let permit = match (fields.get("permit"), fields.get("set")) {
            (Some(at), None) => reader.parsed(at, PERMITS, permit)?,
            (None, Some(at)) => {
                let entries = reader.entries(at)?;
                let set =
                    entries.iter().filter_map(|(path, at)| Some(((*path).to_owned(), reader.json(at)?)));
                Permit::Rewrite(set.collect())
            }
            _ => {
                reader.note(&at.spot, format!("expected `permit`: {PERMITS}; or `set`: values of arguments"));
                return None;
            }
        };
        rules.push(ToolRule { tools, arguments, permit });
    }
    let otherwise = chain.get("otherwise").and_then(|at| reader.parsed(at, PERMITS, permit));
    Some(ToolRules { rules, otherwise: otherwise.unwrap_or(Permit::Allow) })
}

fn external(reader: &mut Reader<'_>, service: &str, keys: &[&str], chain: &Chain<'_>) -> Option<External> {
    let mut settings = Vec::new();
    for key in keys {
        if let Some(at) = chain.get(key) {
            settings.push((*key, reader.json(at)?));
        }
    }
    let url = match chain.get("url") {
        Some(at) => {
            let sound = |text: &str| super::alert::address(text).map(|(url, _)| (url, text.to_owned()));
            let (_, url) = reader.parsed(at, "an address with https, or one of a private host", sound)?;
            Some(url.trim_end_matches('/').to_owned())
        }
        None => None,
    };
    let key = chain.get("key").and_then(|at| reader.text(at, "a secret")).map(Secret::new);
    let mut headers = Vec::new();
    for (name, at) in chain.get("headers").and_then(|at| reader.entries(at)).unwrap_or_default() {
        let value = reader.parsed(&at, "a header's value", |text| HeaderValue::try_from(text).ok());
        match (HeaderName::try_from(name), value) {
            (Ok(name), Some(value)) => headers.push((name, value)),
            (Err(_), _) => reader.note(&at.spot, "expected a header's name"),
            (Ok(_), None) => {}
        }
    }
    let private =
        chain.get("private").and_then(|at| reader.parsed(at, "true or false", |text| text.parse().ok()));
    let private = private.unwrap_or_else(|| url.as_deref().is_some_and(|url| url.starts_with("http://")));
    let region = region(reader, chain.get("region"));
    match External::read(service, url, key, headers, private, &settings) {
        Ok(external) => Some(External { region, ..external }),
        Err(problem) => {
            reader.note(&chain.spot, problem);
            None
        }
    }
}

fn masking(reader: &mut Reader<'_>, name: &Arc<str>, chain: &Chain<'_>) -> Masking {
    let style = chain.get("replace");
    let style = style.and_then(|at| reader.parsed(at, "tag, pseudonym, hash, partial or fake", Style::read));
    let restores = chain.get("restore").and_then(|at| {
        Some((reader.parsed(at, "true or false", |text| text.parse::<bool>().ok())?, at.spot.clone()))
    });
    let style = style.unwrap_or_default();
    if let Some((true, spot)) = &restores
        && !style.is_distinct()
    {
        reader.note(spot, "what is shown in part cannot be told from others again: choose another `replace`");
    }
    let salt = chain.get("salt").and_then(|at| reader.text(at, "a secret"));
    Masking {
        style,
        restores: restores.is_none_or(|(restores, _)| restores),
        salt: salt.map_or_else(|| name.clone(), Into::into),
    }
}

fn sites(reader: &mut Reader<'_>, at: &At<'_>) -> Sites {
    let mut sites = Sites::default();
    for at in at.list() {
        let expected = "input, output, tools, tool_arguments or tool_results";
        let Some(word) = reader.text(&at, expected) else { continue };
        match word.as_str() {
            "input" => sites.input = true,
            "output" => sites.output = true,
            "tools" => (sites.tool_arguments, sites.tool_results) = (true, true),
            "tool_arguments" => sites.tool_arguments = true,
            "tool_results" => sites.tool_results = true,
            _ => reader.unexpected(&at, expected),
        }
    }
    sites
}

/// `for: all`, or keys and values. Nothing: it is for whoever names it.
fn attached(reader: &mut Reader<'_>, chain: &Chain<'_>) -> Attached {
    // Whom a guard is for is not inherited.
    let Some(at) = chain.fields.first().and_then(|fields| fields.get("for")) else {
        return Attached::default();
    };
    if at.is_scalar() {
        let all = reader.parsed(at, "all, or keys and values", |word| (word == "all").then_some(()));
        return Attached { everybody: all.is_some(), ..Attached::default() };
    }
    let Some(fields) = reader.fields(at, &FOR, &[]) else { return Attached::default() };
    let mut names = |key: &str| -> Vec<String> {
        let list = fields.get(key).map(At::list).unwrap_or_default();
        list.iter().filter_map(|at| reader.text(at, "a name")).collect()
    };
    Attached {
        everybody: false,
        organisations: names("organisations"),
        teams: names("teams"),
        keys: names("keys"),
        tags: names("tags"),
        models: names("models"),
    }
}

/// Of what is said and inherited; secrets, and whom it is for, do not count.
fn version(chain: &Chain<'_>) -> String {
    let mut hash = Sha256::new();
    for key in known() {
        if matches!(key, "key" | "salt" | "headers" | "for" | "like" | "choice") {
            continue;
        }
        if let Some(at) = chain.get(key) {
            hash.update(key.as_bytes());
            hash.update(at.written().as_bytes());
        }
    }
    let mut out = String::new();
    for byte in hash.finalize().iter().take(4) {
        let _infallible = write!(out, "{byte:02x}");
    }
    out
}

impl Reading {
    /// A model names guards: they are for all that ask for it.
    pub(super) fn attach(&mut self, reader: &mut Reader<'_>, model: &str, names: &[(String, Spot)]) {
        for (name, spot) in names {
            if !self.add(name, &Attached { models: vec![model.to_owned()], ..Attached::default() }) {
                reader.note(spot, format!("there is no guard `{name}`"));
            }
        }
    }

    fn add(&mut self, name: &str, more: &Attached) -> bool {
        let group = self.groups.get(name).cloned();
        let is_one = |guard: &Guard| match &group {
            Some(group) => group.contains(&guard.name),
            None => *guard.name == *name,
        };
        let mut found = group.is_some();
        for guard in self.guards.iter_mut().filter(|guard| is_one(guard)) {
            found = true;
            let attached = &mut guard.attached;
            attached.everybody |= more.everybody;
            for (own, more) in [
                (&mut attached.organisations, &more.organisations),
                (&mut attached.teams, &more.teams),
                (&mut attached.keys, &more.keys),
                (&mut attached.tags, &more.tags),
                (&mut attached.models, &more.models),
            ] {
                own.extend(more.iter().cloned());
            }
        }
        found
    }

    /// Groups get their members.
    pub(super) fn join(&mut self, reader: &mut Reader<'_>) {
        for (group, member, spot) in std::mem::take(&mut self.members) {
            let named: Vec<Arc<str>> = match self.groups.get(member.as_str()) {
                Some(others) => others.clone(),
                None => self
                    .guards
                    .iter()
                    .filter(|guard| *guard.name == *member)
                    .map(|guard| guard.name.clone())
                    .collect(),
            };
            if named.is_empty() {
                reader.note(&spot, format!("there is no guard `{member}`, or none before this line"));
            }
            if let Some(members) = self.groups.get_mut(&group) {
                members.extend(named);
            }
        }
        for (group, attached) in std::mem::take(&mut self.attached) {
            self.add(&group, &attached);
        }
    }

    pub(super) fn done(self) -> Guards {
        let mut list: Vec<Arc<Guard>> = self.guards.into_iter().map(Arc::new).collect();
        gatelet_wire::sort::sort_by(&mut list, |one, other| one.order.cmp(&other.order));
        Guards { list, groups: self.groups }
    }
}

/// Every key that has a meaning here, for the test that the reference explains it.
#[cfg(test)]
pub(super) fn known_keys() -> Vec<&'static str> {
    [known(), FOR.to_vec(), RULE.to_vec(), PATTERN.to_vec()].concat()
}
