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

#[test]
fn what_is_said_of_faults_by_their_kinds_is_carried() {
    let folder = tempfile::tempdir().unwrap();
    let (theirs, ours) = (folder.path().join("litellm.yaml"), folder.path().join("gatelet.yaml"));
    let text = "
model_list:
  - { model_name: a, litellm_params: { model: openai/gpt-4o, num_retries: 4 } }
  - { model_name: b, litellm_params: { model: openai/gpt-4o-mini } }
  - { model_name: c, litellm_params: { model: openai/gpt-4o } }
router_settings:
  num_retries: 1
  retry_policy: { RateLimitErrorRetries: 3, InternalServerErrorRetries: 2, ServiceUnavailableErrorRetries: 99, AuthenticationErrorRetries: 5, BadRequestErrorRetries: 0 }
  model_group_retry_policy: { b: { TimeoutErrorRetries: 0 }, nobody: { TimeoutErrorRetries: 1 } }
  allowed_fails_policy: { InternalServerErrorAllowedFails: 20, TimeoutErrorAllowedFails: 12, RateLimitErrorAllowedFails: 10000 }
  cooldown_time: 30
litellm_settings: { allowed_fails: 3 }
";
    std::fs::write(&theirs, text).unwrap();
    let output = import(&[theirs.to_str().unwrap(), "--output", ours.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8(output.stderr).unwrap();
    for (place, left) in [
        ("retry_policy.AuthenticationErrorRetries", true),
        ("retry_policy.BadRequestErrorRetries", false),
        ("model_group_retry_policy.nobody", true),
        ("allowed_fails_policy", true),
        ("cooldown_time", false),
        ("RateLimitErrorRetries", false),
    ] {
        assert_eq!(told.contains(place), left, "{place}: {told}");
    }
    let written: serde_json::Value =
        serde_saphyr::from_str(&std::fs::read_to_string(&ours).unwrap()).unwrap();
    let retries = |model: &str| written["models"][model]["retries"].clone();
    assert_eq!(
        retries("a"),
        serde_json::json!({ "rate_limit": 3, "timeout": 4, "provider": 10, "network": 4 })
    );
    assert_eq!(
        retries("b"),
        serde_json::json!({ "rate_limit": 1, "timeout": 0, "provider": 1, "network": 1 })
    );
    assert_eq!(
        retries("c"),
        serde_json::json!({ "rate_limit": 3, "timeout": 1, "provider": 10, "network": 1 })
    );
    assert_eq!(written["health"], serde_json::json!({ "faults": 13, "out": "30s" }));
    let mut check = Command::new(env!("CARGO_BIN_EXE_gatelet"));
    let checked = check
        .args(["check", ours.to_str().unwrap()])
        .env_clear()
        .env("OPENAI_API_KEY", "k")
        .output()
        .unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}
