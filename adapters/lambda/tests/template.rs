//! `template.yaml` is one that AWS would take, as far as that can be known without AWS.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use gatelet_tests::sdk::root;

#[test]
fn the_template_and_its_expansion_pass_the_checks() {
    let python = root().join(".tools/venv/bin/python");
    assert!(python.is_file(), "{} is not there: run `cargo xtask setup`", python.display());
    let output = Command::new(python).arg(root().join("infra/aws/check.py")).output().unwrap();
    let told = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&told));
}

/// The table's operations, as the SDK's builders name them; each is allowed by its own name.
const OF_TABLES: [&str; 14] = [
    "batch_execute_statement",
    "batch_get_item",
    "batch_write_item",
    "delete_item",
    "describe_table",
    "execute_statement",
    "execute_transaction",
    "get_item",
    "put_item",
    "query",
    "scan",
    "transact_get_items",
    "transact_write_items",
    "update_item",
];

#[test]
fn the_role_may_do_what_the_adapter_does_and_nothing_more() {
    let mut source = String::new();
    read(&root().join("adapters/lambda/src"), &mut source);
    // A builder of the SDK begins without arguments.
    let mut used: BTreeSet<String> = OF_TABLES
        .into_iter()
        .filter(|operation| source.contains(&format!(".{operation}()")))
        .map(|operation| format!("dynamodb:{}", pascal(operation)))
        .collect();
    assert!(used.len() > 3, "the adapter's calls are written otherwise: {used:?}");
    let bucket = std::fs::read_to_string(root().join("adapters/lambda/src/bucket.rs")).unwrap();
    for (call, action) in [
        ("Method::GET, &path", "s3:GetObject"),
        ("Method::HEAD", "s3:GetObject"),
        ("Method::PUT, &path", "s3:PutObject"),
        ("Method::DELETE", "s3:DeleteObject"),
        ("Method::POST", "s3:PutObject"),
        ("list-type=2", "s3:ListBucket"),
    ] {
        if bucket.contains(call) {
            used.insert(action.to_owned());
        }
    }
    // Lambda opens the environment with the function's role, and writes its log.
    used.extend(["kms:Decrypt", "logs:CreateLogStream", "logs:PutLogEvents"].map(str::to_owned));
    // Of models, the ones that an admin names.
    let of_models = ["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream", "bedrock:CountTokens"];
    used.extend(of_models.map(str::to_owned));

    let template = std::fs::read_to_string(root().join("template.yaml")).unwrap();
    let role = template.split("\n  Role:\n").nth(1).unwrap().split("\n  Table:\n").next().unwrap();
    let allowed: BTreeSet<String> = role
        .split(|letter: char| letter.is_whitespace() || "[],".contains(letter))
        .filter(|word| {
            let service = word.split_once(':').map(|(service, _)| service);
            matches!(service, Some("dynamodb" | "s3" | "kms" | "logs" | "bedrock"))
        })
        .map(str::to_owned)
        .collect();
    assert_eq!(allowed, used);
}

/// All code below a folder that is no test.
fn read(folder: &Path, into: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(&path, into);
        } else if path.extension().is_some_and(|ext| ext == "rs") && !path.ends_with("tests.rs") {
            into.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

fn pascal(words: &str) -> String {
    let word = |word: &str| word[..1].to_uppercase() + &word[1..];
    words.split('_').map(word).collect()
}
