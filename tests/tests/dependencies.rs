//! What we depend on: where it comes from, under which licence, and what may not creep in.
#![expect(clippy::unwrap_used, reason = "all of this is a test")]

use std::process::Command;

use gatelet_tests::sdk::root;
use serde_json::Value;

/// Licences that may be part of what we ship, each enough by itself.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// A second stack for what one stack does already, or code that links to what a machine happens to have.
const BANNED: &[&str] = &["aws-lc-sys", "native-tls", "openssl", "openssl-sys", "reqwest"];

fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 50, "the list of packages cannot be this short");
    packages.iter().filter(|package| !package["source"].is_null()).cloned().collect()
}

#[test]
fn every_dependency_comes_from_the_registry() {
    for package in packages() {
        let source = package["source"].as_str().unwrap();
        assert!(source.starts_with("registry+"), "{} comes from {source}", package["name"]);
    }
}

#[test]
fn every_dependency_has_a_licence_that_we_may_ship() {
    for package in packages() {
        let licence = package["license"].as_str().unwrap_or("none");
        assert!(may_ship(licence), "{} is under {licence}", package["name"]);
    }
}

#[test]
fn nothing_banned_creeps_in() {
    for package in packages() {
        let name = package["name"].as_str().unwrap();
        assert!(!BANNED.contains(&name), "{name} is in the lock file");
    }
}

/// Judges an expression: of what is joined by OR (or the old slash) one must do, of what is joined by AND all.
fn may_ship(expression: &str) -> bool {
    let plain = expression.replace(['(', ')'], "").replace(" WITH LLVM-exception", "").replace('/', " OR ");
    plain.split(" AND ").all(|part| part.split(" OR ").any(|licence| LICENCES.contains(&licence.trim())))
}

#[test]
fn expressions_of_licences_are_judged() {
    assert!(may_ship("MIT/Apache-2.0") && may_ship("(GPL-3.0 OR MIT) AND BSD-3-Clause"));
    assert!(!may_ship("GPL-3.0") && !may_ship("MIT AND GPL-3.0") && !may_ship("none"));
}
