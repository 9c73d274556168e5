"""Checks template.yaml without AWS: as it is written, and as SAM expands it."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

from cfnlint.decode import cfn_yaml  # noqa: E402
from samtranslator.translator.transform import transform  # noqa: E402

TEMPLATE = pathlib.Path(__file__).resolve().parents[2] / "template.yaml"


class Managed:
    """The policies of AWS that a template may name: ours names none."""

    def load(self):
        return {}


def plain(node):
    """Without the positions that the linter's reader keeps."""
    if isinstance(node, dict):
        return {str(key): plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [plain(value) for value in node]
    return str(node) if isinstance(node, str) else node


def lint(path):
    linter = pathlib.Path(sys.executable).with_name("cfn-lint")
    subprocess.run([linter, "--regions", "us-east-1", "--", path], check=True)


def main():
    written = plain(cfn_yaml.load(str(TEMPLATE)))
    # SAM wants what `sam package` makes of the code's folder.
    local = json.loads(json.dumps(written))
    local["Resources"]["Gateway"]["Properties"]["CodeUri"] = "s3://code/bootstrap.zip"
    expanded = transform(local, {}, Managed())
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "expanded.json"
        path.write_text(json.dumps(expanded))
        lint(TEMPLATE)
        lint(path)
    resources = expanded["Resources"]
    of = lambda kind: [one["Properties"] for one in resources.values() if one["Type"] == kind]  # noqa: E731
    # What the linter lets pass, and a deployment would not.
    [url] = of("AWS::Lambda::Url")
    assert url["InvokeMode"] == "RESPONSE_STREAM", url
    permissions = {one["Action"] for one in of("AWS::Lambda::Permission")}
    assert {"lambda:InvokeFunctionUrl", "lambda:InvokeFunction"} <= permissions, permissions
    [table] = of("AWS::DynamoDB::Table")
    assert [(one["AttributeName"], one["KeyType"]) for one in table["KeySchema"]] == [("pk", "HASH"), ("sk", "RANGE")]
    told = pathlib.Path(__file__).with_name("README.md").read_text()
    alarms = [name for name, one in resources.items() if one["Type"] == "AWS::CloudWatch::Alarm"]
    assert alarms and all(f"`{name}`" in told for name in alarms), f"not all of {alarms} are in infra/aws/README.md"
    for role in of("AWS::IAM::Role"):
        for policy in role.get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                # One that stands under a condition is judged as if that held.
                statement = statement.get("Fn::If", [None, statement])[1]
                actions = statement["Action"]
                assert "*" not in json.dumps(actions), f"too much is allowed: {actions}"
                assert statement["Resource"] != "*", statement
    names = {name for one in of("AWS::Lambda::Function") for name in one["Environment"]["Variables"]}
    assert {"GATELET_TABLE", "GATELET_BUCKET", "GATELET_ADMIN_KEY", "GATELET_SEALING_KEY", "GATELET_CONFIG", "GATELET_CATALOGUE"} <= names, names
    print(f"template.yaml: {len(resources)} resources")


main()
