//! Who may import whom: the edges between crates, and those between the modules of the core.
#![expect(clippy::unwrap_used, reason = "all of this is a test, its helpers too")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use gatelet_tests::sdk::root;
use syn::visit::{self, Visit};

/// The packages of this workspace that a package may depend on. What tests need beyond that is not judged here.
const CRATES: &[(&str, &str, &[&str])] = &[
    ("core/catalogue", "gatelet-catalogue", &[]),
    ("core/detect", "gatelet-detect", &[]),
    ("core/nearest", "gatelet-nearest", &[]),
    ("core/wire", "gatelet-wire", &[]),
    ("core", "gatelet-core", &["gatelet-catalogue", "gatelet-detect", "gatelet-nearest", "gatelet-wire"]),
    ("adapters/tokio", "gatelet-tokio", &["gatelet-core", "gatelet-wire"]),
    ("adapters/server", "gatelet", &["gatelet-core", "gatelet-tokio", "gatelet-wire"]),
    ("adapters/compact", "gatelet-compact", &["gatelet", "gatelet-core"]),
    ("adapters/lambda", "gatelet-lambda", &["gatelet-core", "gatelet-tokio", "gatelet-wire"]),
    ("adapters/worker", "gatelet-worker", &["gatelet-core", "gatelet-wire"]),
];

/// Below the features: each may be imported by everything above it. The registry's data and the policy that is compiled from
/// it stand here, since every feature reads what they say.
const BASE: &[(&str, &[&str])] = &[
    ("together", &[]),
    ("domain", &[]),
    ("port", &["domain"]),
    ("exchange", &["domain", "port"]),
    // A credential may buy tokens, which is an exchange.
    ("registry", &["domain", "port", "exchange"]),
    // How targets are ordered: the policy says by what, the pipeline asks.
    ("route", &["domain"]),
    // What may not go in or come out: the policy defines guards, refusals and records say what they found, the pipeline asks.
    // Services are opened as providers are: by the registry's credentials.
    ("guard", &["domain", "port", "exchange", "registry", "together"]),
    // What requests are made of: the policy brings some, admins write others, the pipeline says them.
    ("prompt", &["domain", "port"]),
    ("policy", &["domain", "port", "registry", "route", "guard", "prompt"]),
    ("refusal", &["domain", "port", "guard"]),
];

/// Above the features, lowest first: each may import those before it, every feature, and the base.
const TOP: &[&str] = &["shared", "pipeline", "api", "gateway"];

#[test]
fn crates_import_only_what_stands_below_them() {
    for (folder, package, allowed) in CRATES {
        let manifest = root().join(folder).join("Cargo.toml");
        let text = std::fs::read_to_string(&manifest).unwrap();
        assert!(text.contains(&format!("name = \"{package}\"")), "{} is not {package}", manifest.display());
        for name in dependencies(&text) {
            let ours = name == "gatelet" || name.starts_with("gatelet-");
            assert!(!ours || allowed.contains(&name.as_str()), "{package} must not depend on {name}");
        }
    }
}

#[test]
fn modules_of_the_core_import_only_what_stands_below_them() {
    let source = root().join("core/src");
    let mut wrong = Vec::new();
    for (module, imports) in imports(&source) {
        for import in imports {
            if let Err(reason) = judge(&module, &import) {
                wrong.push(format!("{module} imports {import}: {reason}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_forbidden_import_is_found() {
    let found = imports_of("use crate::{api::admin, ledger as books};\nfn f() { crate::gateway::run(); }");
    assert_eq!(found, BTreeSet::from(["api".to_owned(), "gateway".to_owned(), "ledger".to_owned()]));
    assert!(judge("identity", "ledger").is_err(), "features never import each other");
    assert!(judge("domain", "port").is_err());
    assert!(judge("registry", "policy").is_err());
    assert!(judge("port", "domain").is_ok());
    assert!(judge("ledger", "domain").is_ok());
    assert!(judge("ledger", "pipeline").is_err());
    assert!(judge("pipeline", "ledger").is_ok());
    assert!(judge("pipeline", "api").is_err());
    assert!(judge("api", "gateway").is_err());
    assert!(judge("gateway", "api").is_ok());
}

fn judge(module: &str, import: &str) -> Result<(), &'static str> {
    if module == import {
        return Ok(());
    }
    let base = |name: &str| BASE.iter().find(|(base, _)| *base == name);
    let top = |name: &str| TOP.iter().position(|top| *top == name);
    match (base(module), top(module)) {
        (Some((_, allowed)), _) if allowed.contains(&import) => Ok(()),
        (Some(_), _) => Err("it stands above"),
        (None, Some(place)) if top(import).is_some_and(|other| other >= place) => Err("it stands above"),
        (None, Some(_)) => Ok(()),
        (None, None) if base(import).is_some() => Ok(()),
        (None, None) if top(import).is_some() => Err("it stands above"),
        (None, None) => Err("features never import each other"),
    }
}

/// For each top-level module, the other top-level modules that its files name, tests left out.
fn imports(source: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let mut imports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in rust_files(source) {
        let inside = file.strip_prefix(source).unwrap();
        let is_test =
            inside.components().any(|part| part.as_os_str() == "tests" || part.as_os_str() == "tests.rs");
        let first = inside.components().next().unwrap().as_os_str().to_string_lossy();
        let module = first.trim_end_matches(".rs").to_owned();
        if is_test || module == "lib" {
            continue;
        }
        let found = imports_of(&std::fs::read_to_string(&file).unwrap());
        imports.entry(module).or_default().extend(found);
    }
    assert!(
        imports.contains_key("domain") && imports.contains_key("port"),
        "no modules in {}",
        source.display()
    );
    imports
}

fn imports_of(text: &str) -> BTreeSet<String> {
    let mut imports = Imports::default();
    imports.visit_file(&syn::parse_file(text).unwrap());
    imports.0
}

/// Collects the segment after `crate` of every path and every `use`.
#[derive(Default)]
struct Imports(BTreeSet<String>);

impl Imports {
    fn of_tree(&mut self, tree: &syn::UseTree) {
        match tree {
            syn::UseTree::Path(path) => {
                self.0.insert(path.ident.to_string());
            }
            syn::UseTree::Name(name) => {
                self.0.insert(name.ident.to_string());
            }
            syn::UseTree::Rename(rename) => {
                self.0.insert(rename.ident.to_string());
            }
            syn::UseTree::Glob(_) => {
                self.0.insert("*".to_owned());
            }
            syn::UseTree::Group(group) => group.items.iter().for_each(|item| self.of_tree(item)),
        }
    }
}

impl<'ast> Visit<'ast> for Imports {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let is_test = item.attrs.iter().any(|attribute| {
            matches!(&attribute.meta, syn::Meta::List(list) if list.path.is_ident("cfg") && list.tokens.to_string() == "test")
        });
        if !is_test {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_use_path(&mut self, path: &'ast syn::UsePath) {
        if path.ident == "crate" {
            self.of_tree(&path.tree);
        } else {
            visit::visit_use_path(self, path);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let mut segments = path.segments.iter();
        if segments.next().is_some_and(|first| first.ident == "crate")
            && let Some(second) = segments.next()
        {
            self.0.insert(second.ident.to_string());
        }
        visit::visit_path(self, path);
    }
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The names under `[dependencies]` and `[build-dependencies]`, also those for one target only.
fn dependencies(manifest: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut inside = false;
    for line in manifest.lines() {
        if let Some(section) = line.strip_prefix('[') {
            let section = section.trim_end_matches(']');
            inside = section.ends_with("dependencies") && !section.ends_with("dev-dependencies");
        } else if inside && let Some((name, _)) = line.split_once(['.', '=', ' ']) {
            names.push(name.trim().to_owned());
        }
    }
    names
}
