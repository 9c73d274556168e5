"""Judges what receivers are told by what their makers publish: a line each, {"langfuse": body} or {"prometheus": text}.

Answers with how much there was of each, and what is wrong with it.
"""

import collections
import json
import sys

from langfuse.api.core.pydantic_utilities import pydantic_v1
from langfuse.api.resources.ingestion import types
from prometheus_client.parser import text_string_to_metric_families

EVENTS = {
    "trace-create": types.TraceEvent,
    "generation-create": types.CreateGenerationEvent,
    "score-create": types.ScoreEvent,
}
counts, wrong = collections.Counter(), []


def unknown(model, told, place):
    """Fields that the SDK's types do not have: it would keep them, and nobody would read them."""
    names = {field.alias for field in model.__fields__.values()}
    return [f"{place}.{name} is unknown" for name in told if name not in names]


def langfuse(body):
    for event in body["batch"]:
        kind = event["type"]
        counts[kind] += 1
        try:
            read = pydantic_v1.parse_obj_as(EVENTS[kind], {name: value for name, value in event.items() if name != "type"})
        except Exception as error:
            wrong.append(f"{kind}: {error}")
            continue
        wrong.extend(unknown(type(read.body), event["body"], kind))


def prometheus(text):
    """What `promtool check metrics` looks for, by the reader of Prometheus's own client."""
    seen = set()
    for family in text_string_to_metric_families(text):
        counts["family"] += 1
        if not family.documentation:
            wrong.append(f"{family.name} has no help")
        if family.type == "unknown":
            wrong.append(f"{family.name} has no type")
        if family.type == "counter" and not all(sample.name.endswith("_total") for sample in family.samples):
            wrong.append(f"{family.name} is a counter without _total")
        if family.type != "counter" and family.name.endswith("_total"):
            wrong.append(f"{family.name} is a {family.type} with _total")
        if any(family.name.endswith(unit) for unit in ("_ms", "_milliseconds", "_us", "_kilobytes")):
            wrong.append(f"{family.name} is in no base unit")
        buckets = collections.defaultdict(list)
        for sample in family.samples:
            counts["sample"] += 1
            name = (sample.name, tuple(sorted(sample.labels.items())))
            if name in seen:
                wrong.append(f"{name} is there twice")
            seen.add(name)
            if sample.name.endswith("_bucket"):
                rest = tuple(sorted((key, value) for key, value in sample.labels.items() if key != "le"))
                buckets[rest].append((float(sample.labels["le"]), sample.value))
        for rest, steps in buckets.items():
            if steps != sorted(steps) or steps[-1][0] != float("inf") or any(a > b for (_, a), (_, b) in zip(steps, steps[1:])):
                wrong.append(f"{family.name}{rest}: {steps}")


for line in sys.stdin:
    for kind, told in json.loads(line).items():
        {"langfuse": langfuse, "prometheus": prometheus}[kind](told)
print(json.dumps({"counts": counts, "wrong": wrong}))
