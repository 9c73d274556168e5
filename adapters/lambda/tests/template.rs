//! `template.yaml` is one that AWS would take, as far as that can be known without AWS.

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
