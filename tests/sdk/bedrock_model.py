"""Judges what we write for Bedrock by the vendor's own model of the service, as its Python client carries it.

Lines on stdin: {"kind": "request" | "answer" | "error", "case", "body"} with JSON, {"kind": "stream", "case", "base64"} with
a binary stream. One line of JSON on stdout: {"judged": how many, "problems": [text]}.
"""

import base64
import json
import sys

from botocore.eventstream import EventStreamBuffer
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.parsers import create_parser
from botocore.validate import ParamValidator

SERVICE = ServiceModel(Loader().load_service_model("bedrock-runtime", "service-2"), "bedrock-runtime")
WHOLE, STREAM = SERVICE.operation_model("Converse"), SERVICE.operation_model("ConverseStream")


def with_bytes(value, shape, path, problems):
    """The value as the client's caller would give it, blobs as bytes; notes what the model does not know."""
    if shape.type_name == "blob":
        try:
            return base64.b64decode(value, validate=True)
        except Exception:
            problems.append(f"{path}: no base64")
            return b""
    if shape.type_name == "structure" and not getattr(shape, "is_document_type", False):
        if not isinstance(value, dict):
            return value
        for name in value:
            if name not in shape.members:
                problems.append(f"{path}.{name}: unknown")
        known = {name: item for name, item in value.items() if name in shape.members}
        if getattr(shape, "is_tagged_union", False) and len(known) != 1:
            problems.append(f"{path}: {len(known)} members of a union")
        return {name: with_bytes(item, shape.members[name], f"{path}.{name}", problems) for name, item in known.items()}
    if shape.type_name == "list" and isinstance(value, list):
        return [with_bytes(item, shape.member, f"{path}[{at}]", problems) for at, item in enumerate(value)]
    if shape.type_name == "string" and getattr(shape, "enum", None) and value not in shape.enum:
        problems.append(f"{path}: {value!r} is none of {shape.enum}")
    return value


def validate(value, shape, problems, beside=None):
    value = with_bytes(value, shape, "", problems)
    report = ParamValidator().validate({**value, **(beside or {})}, shape)
    if report.has_errors():
        problems.extend(report.generate_report().splitlines())


def stream(data, problems):
    """As the client reads it: frames with their checksums, then each event by its shape."""
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    shape = STREAM.output_shape.members["stream"]
    parser = create_parser("rest-json")._event_stream_parser
    names = []
    for message in buffer:
        response = message.to_response_dict()
        parsed = parser.parse(response, shape)
        if response["status_code"] >= 400:
            names.append("error")
            if not parsed["Error"]["Code"] in shape.members:
                problems.append(f"{parsed}: no exception of the model")
            continue
        if len(parsed) != 1:
            problems.append(f"{response}: the client reads {parsed}")
            continue
        ((name, _),) = parsed.items()
        names.append(name)
        validate(json.loads(message.payload), shape.members[name], problems)
    if names and names[0] not in ("messageStart", "error"):
        problems.append(f"begins with {names[0]}")
    if "metadata" in names and names[-2:] != ["messageStop", "metadata"]:
        problems.append(f"ends with {names[-2:]}")


def main():
    problems, judged = [], 0
    for line in sys.stdin:
        case = json.loads(line)
        found = []
        kind = case["kind"]
        if kind == "request":
            validate(case["body"], WHOLE.input_shape, found, {"modelId": "a"})
        elif kind == "answer":
            validate(case["body"], WHOLE.output_shape, found)
        elif kind == "stream":
            stream(base64.b64decode(case["base64"]), found)
        else:
            found.append(f"unknown kind {kind}")
        judged += 1
        problems.extend(f"{case['case']}: {problem}" for problem in found)
    print(json.dumps({"judged": judged, "problems": problems}))


main()
