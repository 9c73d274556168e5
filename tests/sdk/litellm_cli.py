"""Runs commands of the `litellm-proxy` command line, one list of arguments a line, in one process: what each printed."""

import json
import os
import sys

# Otherwise it asks the internet for prices when it is imported.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

from click.testing import CliRunner
from litellm.proxy.client.cli.main import cli

runner = CliRunner()
done = []
for line in sys.stdin:
    result = runner.invoke(cli, sys.argv[1:] + json.loads(line))
    done.append({"code": result.exit_code, "output": result.output, "error": repr(result.exception)})
print(json.dumps(done))
