//! What can be said to the API can be said on the command line.

use std::collections::BTreeSet;

use clap::Parser as _;

use super::*;
use crate::cli::{Cli, Command, Keys, Scopes};

fn parsed(line: &[&str]) -> Command {
    Cli::try_parse_from([&["gatelet"], line].concat()).unwrap().command.unwrap()
}

/// The body of the call that a line of `keys` makes.
fn of_key(line: &[&str]) -> Value {
    let Command::Keys { command, .. } = parsed(&[&["keys"], line].concat()) else { panic!("{line:?}") };
    match *command {
        Keys::Create { creation, wish } => new_key(creation, wish).unwrap(),
        Keys::Update { wish, .. } => key(wish).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn of_team(line: &[&str]) -> Value {
    let Command::Noun(noun) = parsed(&[&["teams"], line].concat()) else { panic!("{line:?}") };
    match noun.command {
        Scopes::Create { id, org, template, opening, wish } => {
            let once = [("id", Some(id)), ("org", org), ("template", template), ("opening", opening)];
            new_scope(once, wish).unwrap()
        }
        Scopes::Update { wish, .. } => scope(wish).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// The fields of what the API reads under one of these names.
fn fields(schemas: &[&str]) -> BTreeSet<String> {
    let document = include_str!("../../../../../core/src/api/admin/openapi.json");
    let document: Value = serde_json::from_str(document).unwrap();
    let of = |name: &&str| {
        let properties = document["components"]["schemas"][*name]["properties"].as_object();
        properties.unwrap_or_else(|| panic!("no schema {name}")).keys().cloned().collect::<Vec<_>>()
    };
    schemas.iter().flat_map(of).collect()
}

fn said(value: &Value) -> BTreeSet<String> {
    value.as_object().unwrap().keys().cloned().collect()
}

const LIMITS: [&str; 30] = [
    "--rpm",
    "1",
    "--tpm",
    "2",
    "--rpd",
    "3",
    "--tpd",
    "4",
    "--input-tpm",
    "5",
    "--output-tpm",
    "6",
    "--input-tpd",
    "7",
    "--output-tpd",
    "8",
    "--parallel",
    "9",
    "--budget",
    "5 USD / day",
    "--budget",
    "9 USD / month",
    "--soft-budget",
    "4 USD / day",
    "--increase",
    "2 USD / day until 2026-12-31T00:00:00Z",
    "--at-limit",
    "cheaper a,b",
    "--shadow",
    "true",
];
const MORE: [&str; 16] = [
    "--customers",
    "known",
    "--customer-template",
    "t",
    "--model-alias",
    "fast=demo/echo",
    "--region",
    "eu*",
    "--provider",
    "openai",
    "--guard",
    "pii",
    "--guard",
    "secrets",
    "--metadata",
    r#"{"a":1}"#,
];

#[test]
fn every_field_of_a_key_has_a_flag() {
    let own = [
        "create",
        "--kind",
        "inference",
        "--role",
        "team-admin",
        "--template",
        "t",
        "--opening",
        "1.5",
        "--aws",
        "--token-hash",
        "00",
        "--alias",
        "a",
        "--org",
        "o",
        "--team",
        "t",
        "--project",
        "p",
        "--user",
        "u",
        "--model",
        "openai/*",
        "--route",
        "chat",
        "--source",
        "10.0.0.0/8",
        "--model-limit",
        "m=rpm:2,budget:1 USD / day",
        "--session-limits",
        "parallel:1",
        "--expires",
        "2027-01-01T00:00:00Z",
        "--rotate-every",
        "30d",
        "--tag",
        "night",
    ];
    let made = of_key(&[&own[..], &LIMITS, &MORE].concat());
    let mut known = fields(&["KeyCreation", "KeyWish"]);
    // Said by `--shard`, and by a command of its own.
    assert!(known.remove("shard") && known.remove("blocked"));
    assert_eq!(said(&made), known);
    assert_eq!(said(&made["limits"]), fields(&["Limits"]));
    let limits = json!({
        "rpm": 1, "tpm": 2, "rpd": 3, "tpd": 4, "input_tpm": 5, "output_tpm": 6, "input_tpd": 7, "output_tpd": 8, "parallel": 9,
        "budget": ["5 USD / day", "9 USD / month"], "soft_budget": ["4 USD / day"],
        "increase": [{ "budget": "2 USD / day", "until": "2026-12-31T00:00:00Z" }],
        "at_limit": { "cheaper": ["a", "b"] }, "shadow": true,
    });
    assert_eq!(made["limits"], limits);
    assert_eq!(made["role"], "team_admin");
    assert_eq!(made["aliases"], json!({ "fast": "demo/echo" }));
    assert_eq!(made["residency"], json!({ "regions": ["eu*"], "providers": ["openai"] }));
    assert_eq!(made["guards"], json!(["pii", "secrets"]));
    assert_eq!(made["opening"], "1.5");
}

#[test]
fn every_field_of_a_team_has_a_flag() {
    let own = [
        "create",
        "blue",
        "--org",
        "o",
        "--template",
        "t",
        "--opening",
        "1.5",
        "--name",
        "Blue",
        "--model",
        "openai/*",
        "--default-limits",
        "rpm:60,budget:5 USD / day",
        "--max-limits",
        "rpm:600",
        "--key-model",
        "openai/*",
        "--max-expiry",
        "90d",
        "--require",
        "alias",
        "--require",
        "metadata.owner",
        "--allowed-tag",
        "night",
    ];
    let made = of_team(&[&own[..], &LIMITS, &MORE].concat());
    let mut known = fields(&["ScopeCreation", "ScopeWish"]);
    assert!(known.remove("blocked"));
    assert_eq!(said(&made), known);
    assert_eq!(said(&made["ceilings"]), fields(&["Ceilings"]));
    let ceilings = json!({
        "default_limits": { "rpm": 60, "budget": ["5 USD / day"] }, "max_limits": { "rpm": 600 }, "models": ["openai/*"],
        "max_expiry": "90d", "required": ["alias", "metadata.owner"], "allowed_tags": ["night"],
    });
    assert_eq!(made["ceilings"], ceilings);
}

#[test]
fn an_empty_value_takes_a_setting_away() {
    let line = [
        "update",
        "k",
        "--alias",
        "",
        "--model",
        "",
        "--rpm",
        "",
        "--increase",
        "",
        "--at-limit",
        "",
        "--region",
        "",
        "--model-alias",
        "fast=",
        "--session-limits",
        "",
    ];
    let patch = json!({
        "alias": null, "models": null, "limits": { "rpm": null, "increase": [], "at_limit": null }, "residency": null,
        "aliases": { "fast": null }, "session_limits": null,
    });
    assert_eq!(of_key(&line), patch);
    let patch = json!({ "ceilings": { "max_limits": null, "required": null, "max_expiry": null } });
    assert_eq!(of_team(&["update", "t", "--max-limits", "", "--require", "", "--max-expiry", ""]), patch);
}
