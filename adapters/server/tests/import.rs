//! `gatelet import`: what it writes, what it tells, and that what it writes is read.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The configurations beside this file.
fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import")
}

fn import(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatelet"));
    command.args(["import", "litellm"]).args(arguments).current_dir(samples());
    // Nothing of this machine's is read.
    command.env_clear().output().unwrap()
}

#[test]
fn a_configuration_of_litellm_becomes_ours() {
    let output = import(&["litellm.yaml"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let written = String::from_utf8(output.stdout).unwrap();
    let expected = std::fs::read_to_string(samples().join("gatelet.yaml")).unwrap();
    assert_eq!(written, expected, "run the command again and read the difference");
    // Whatever the head tells stands on standard error too.
    let told = String::from_utf8(output.stderr).unwrap();
    let head = written.lines().filter_map(|line| line.strip_prefix("#   "));
    let told: Vec<&str> = told.lines().filter_map(|line| line.strip_prefix("not carried: ")).collect();
    assert!(head.eq(told.iter().copied()) && told.len() > 10, "{told:?}");
}

#[test]
fn an_import_that_loses_something_fails_where_that_is_asked_and_never_overwrites() {
    assert_eq!(import(&["litellm.yaml", "--strict"]).status.code(), Some(1));
    assert!(import(&["litellm-more.yaml", "--strict"]).status.success());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gatelet.yaml");
    let output = ["litellm-more.yaml", "--output", file.to_str().unwrap()];
    assert!(import(&output).status.success());
    assert_eq!(import(&output).status.code(), Some(1), "it is there already");
    assert!(std::fs::read_to_string(&file).unwrap().contains("groq/llama"));
}

#[test]
fn what_is_no_configuration_is_said_to_be_none() {
    let folder = tempfile::tempdir().unwrap();
    for (text, expected) in [
        ("- a list", "expected keys and values"),
        ("model_list: [", "bad.yaml"),
        ("include: [gone.yaml]", "gone.yaml"),
        ("include: [3]", "a list of files"),
    ] {
        let file = folder.path().join("bad.yaml");
        std::fs::write(&file, text).unwrap();
        let output = import(&[file.to_str().unwrap()]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && told.contains(expected), "{text}: {told}");
    }
}
