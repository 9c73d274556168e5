//! Reads `registry/*.toml` and `registry/models/*.models`, refuses what is wrong in them by file and line, and writes what
//! the crate embeds: the providers as lines of text, the models of the main ones and those of all as bytes.

#![expect(
    clippy::disallowed_methods,
    reason = "the rule is for what runs on a host; this runs at build time"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs, process};

#[expect(unreachable_pub, dead_code, reason = "public where the crate uses it")]
#[path = "src/registry/table.rs"]
mod table;

use gatelet_catalogue::{Day, Entry, pack, text};
use table::{Embedded, PLACES, ProviderRow, Scheme};

/// The words for languages of conversation that providers speak, whether this build does or not; `native` is that of a
/// provider that holds none.
const DIALECTS: &[&str] = &[
    "openai",
    "openai-responses",
    "anthropic",
    "gemini",
    "bedrock",
    "cohere",
    "ollama",
    "azure",
    "vertex",
    "vertex-anthropic",
    "watsonx",
    "gigachat",
    "sap",
    "nlp-cloud",
    "bytez",
    "langflow",
    "langgraph",
    "triton",
    table::NATIVE,
];

/// The description of the admin API without its spaces: they would be in every executable.
fn interface(problems: &mut Vec<String>) -> Vec<u8> {
    const FILE: &str = "src/api/admin/openapi.json";
    println!("cargo::rerun-if-changed={FILE}");
    let text = fs::read_to_string(FILE).unwrap_or_default();
    match serde_json::from_str::<serde_json::Value>(&text) {
        Ok(document) => document.to_string().into_bytes(),
        Err(error) => {
            problems.push(format!("{FILE}: {error}"));
            Vec::new()
        }
    }
}

fn main() {
    println!("cargo::rerun-if-changed=registry");
    println!("cargo::rerun-if-changed=src/registry/table.rs");
    let mut problems = Vec::new();
    let providers = providers(Path::new("registry"), &mut problems);
    let models = models(Path::new("registry/models"), &mut problems);
    let main_models = main_models(&providers, &models, &mut problems);
    let outputs = [
        ("openapi.json", interface(&mut problems)),
        ("providers.txt", lines(&providers, &mut problems).into_bytes()),
        ("embedded.catalogue", pack(&main_models)),
        ("full.catalogue", pack(&models)),
    ];
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    for (name, bytes) in outputs {
        if let Err(error) = fs::write(out.join(name), bytes) {
            problems.push(format!("cannot write {name}: {error}"));
        }
    }
    if !problems.is_empty() {
        for problem in problems {
            println!("cargo::error={problem}");
        }
        process::exit(1);
    }
}

/// The files of a folder with an extension, sorted, each with its text.
fn files(folder: &Path, extension: &str, problems: &mut Vec<String>) -> Vec<(PathBuf, String)> {
    let mut paths: Vec<PathBuf> = match fs::read_dir(folder) {
        Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.path())).collect(),
        Err(error) => {
            problems.push(format!("{}: {error}", folder.display()));
            Vec::new()
        }
    };
    paths.retain(|path| path.extension().is_some_and(|found| found == extension));
    paths.sort();
    let mut read = |path: PathBuf| match fs::read_to_string(&path) {
        Ok(text) => Some((path, text)),
        Err(error) => {
            problems.push(format!("{}: {error}", path.display()));
            None
        }
    };
    paths.into_iter().filter_map(&mut read).collect()
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn models(folder: &Path, problems: &mut Vec<String>) -> BTreeMap<String, Vec<Entry>> {
    let mut models = BTreeMap::new();
    for (path, content) in files(folder, "models", problems) {
        match text::read(&content) {
            Ok(entries) => drop(models.insert(stem(&path), entries)),
            Err(wrong) => {
                problems
                    .extend(wrong.iter().map(|(line, what)| format!("{}:{line}: {what}", path.display())));
            }
        }
    }
    models
}

/// The models that every executable carries: of the main providers, those that were served on the day of the data.
fn main_models(
    providers: &BTreeMap<String, ProviderRow>,
    models: &BTreeMap<String, Vec<Entry>>,
    problems: &mut Vec<String>,
) -> BTreeMap<String, Vec<Entry>> {
    const AS_OF: &str = "registry/models/as-of";
    let today = fs::read_to_string(AS_OF).ok().and_then(|text| Day::read(text.trim()));
    if today.is_none() {
        problems.push(format!("{AS_OF}: expected a day such as 2026-12-31"));
    }
    let keeps = |embedded: Embedded, entry: &Entry| {
        let wanted = match embedded {
            Embedded::None => false,
            Embedded::Plain => !entry.id.contains('/'),
            Embedded::All => true,
        };
        wanted && (entry.ends.is_none() || entry.ends > today)
    };
    let main = models.iter().filter_map(|(id, entries)| {
        let embedded = providers.get(id)?.embedded;
        let entries: Vec<Entry> = entries.iter().filter(|entry| keeps(embedded, entry)).cloned().collect();
        (!entries.is_empty()).then(|| (id.clone(), entries))
    });
    main.collect()
}

fn providers(folder: &Path, problems: &mut Vec<String>) -> BTreeMap<String, ProviderRow> {
    let mut rows = BTreeMap::new();
    for (path, content) in files(folder, "toml", problems) {
        let row: ProviderRow = match toml::from_str(&content) {
            Ok(row) => row,
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                let line = content.get(..at).unwrap_or("").matches('\n').count() + 1;
                problems.push(format!("{}:{line}: {}", path.display(), error.message()));
                continue;
            }
        };
        problems.extend(wrong(&row, &stem(&path)).iter().map(|what| format!("{}: {what}", path.display())));
        rows.insert(row.id.clone(), row);
    }
    rows
}

/// What is wrong with a row.
fn wrong(row: &ProviderRow, stem: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if stem != row.id {
        problems.push(format!("id `{}` is not the file's name", row.id));
    }
    let plain = |text: &str| {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        !text.is_empty() && text.chars().all(plain)
    };
    for name in row.aliases.iter().chain([&row.id]).filter(|name| !plain(name)) {
        problems.push(format!("name `{name}`: expected lower-case letters, digits and -"));
    }
    let also = row.also.iter();
    for dialect in also.clone().map(|also| &also.dialect).chain([&row.dialect]) {
        if !DIALECTS.contains(&dialect.as_str()) {
            problems.push(format!("unknown dialect `{dialect}`: expected one of {}", DIALECTS.join(", ")));
        }
    }
    for base in also.map(|also| &also.base).chain(row.bases.values()).chain([&row.base]) {
        if !is_base(base) {
            problems.push(format!("base `{base}`: expected an http(s) URL without a slash at its end"));
        }
    }
    for path in [&row.path, &row.stream_path, &row.count_path].into_iter().flatten() {
        let filled = filled(&path.replace("{model}", "m").replace("{path}", "/p"));
        if !filled.starts_with('/') || filled.contains(['{', '}', '#', ' ']) {
            problems.push(format!(
                "path `{path}`: expected what follows the base, with {{model}}, {{path}} or a place"
            ));
        }
    }
    let places = row.fill.keys().chain(row.usual.keys()).chain(&row.needs);
    for place in places.filter(|place| !PLACES.contains(&place.as_str())) {
        problems.push(format!("`{place}` is no place: expected one of {}", PLACES.join(", ")));
    }
    let mut variables = row.auth.iter().flat_map(|auth| auth.env.iter().chain(&auth.with));
    let upper = |name: &str| name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    if let Some(name) = variables.find(|name| name.is_empty() || !upper(name)) {
        problems.push(format!("env: `{name}` is no name of an environment variable"));
    }
    let needless = |scheme: &Scheme| matches!(scheme, Scheme::Header(name) if name.is_empty());
    if row.auth.iter().any(|auth| needless(&auth.scheme)) {
        problems.push("auth: expected the name of a header".to_owned());
    }
    problems
}

/// A text with something in each of its places.
fn filled(text: &str) -> String {
    PLACES.iter().fold(text.to_owned(), |text, place| text.replace(&format!("{{{place}}}"), "example"))
}

fn is_base(base: &str) -> bool {
    let filled = filled(base);
    let host = filled.strip_prefix("https://").or_else(|| filled.strip_prefix("http://"));
    host.is_some_and(|host| !host.is_empty())
        && !filled.contains(['{', '}', ' ', '?', '#', '\n', '\t'])
        && !filled.ends_with('/')
}

/// A line for each provider and each other name of one, sorted.
fn lines(rows: &BTreeMap<String, ProviderRow>, problems: &mut Vec<String>) -> String {
    let mut lines = BTreeMap::new();
    for row in rows.values() {
        match serde_json::to_string(row) {
            Ok(json) => drop(lines.insert(row.id.as_str(), json)),
            Err(error) => problems.push(format!("{}: {error}", row.id)),
        }
        if let Some(other) = row.models.as_ref().filter(|other| !rows.contains_key(other.as_str())) {
            problems.push(format!("{}: models: no provider `{other}`", row.id));
        }
    }
    for row in rows.values() {
        for alias in &row.aliases {
            if lines.insert(alias, format!("={}", row.id)).is_some() {
                problems.push(format!("{}: the name `{alias}` is another's too", row.id));
            }
        }
    }
    let mut out = String::new();
    for (name, line) in lines {
        out.extend([name, "\t", &line, "\n"]);
    }
    out
}
