"""Judges what we write by the types that the vendors' own Python packages declare, in the dialects of OpenAI (both),
Anthropic, Gemini, Cohere and Ollama. Bedrock's is judged by its own model: bedrock_model.py.

Without arguments, lines on stdin are judged: {"dialect", "kind": "request" | "response" | "stream", "case", "body"}, where
body is JSON and of a stream one event. With a folder of fixtures, every golden file in it is. One line of JSON on stdout:
{"judged": {"<dialect> <kind>": count}, "problems": [text]}.
"""

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Union

import anthropic.types as anthropic
import cohere
import ollama
from anthropic.types import message_create_params
from google.genai import types as google
from jsonschema import Draft202012Validator
from openai.types import chat, responses
from openai.types.chat import completion_create_params
from openai.types.responses import response_create_params
from pydantic import TypeAdapter

TYPES = {
    ("openai", "request"): Union[
        completion_create_params.CompletionCreateParamsNonStreaming,
        completion_create_params.CompletionCreateParamsStreaming,
    ],
    ("openai", "response"): chat.ChatCompletion,
    ("openai", "stream"): chat.ChatCompletionChunk,
    ("openai-responses", "request"): Union[
        response_create_params.ResponseCreateParamsNonStreaming,
        response_create_params.ResponseCreateParamsStreaming,
    ],
    ("openai-responses", "response"): responses.Response,
    ("openai-responses", "stream"): responses.ResponseStreamEvent,
    ("anthropic", "request"): Union[
        message_create_params.MessageCreateParamsNonStreaming,
        message_create_params.MessageCreateParamsStreaming,
    ],
    ("anthropic", "response"): anthropic.Message,
    ("anthropic", "stream"): anthropic.RawMessageStreamEvent,
    ("gemini", "response"): google.GenerateContentResponse,
    ("gemini", "stream"): google.GenerateContentResponse,
    ("cohere", "response"): cohere.V2ChatResponse,
    ("cohere", "stream"): cohere.V2ChatStreamResponse,
    ("ollama", "response"): ollama.ChatResponse,
    ("ollama", "stream"): ollama.ChatResponse,
}

# What has no type of its own is judged field by field.
FIELDS = {
    ("gemini", "request"): {
        "contents": list[google.Content],
        "systemInstruction": google.Content,
        "tools": list[google.Tool],
        "toolConfig": google.ToolConfig,
        "generationConfig": google.GenerationConfig,
        "safetySettings": list[google.SafetySetting],
    },
    ("cohere", "request"): {"messages": list[cohere.ChatMessageV2], "tools": list[cohere.ToolV2]},
    ("ollama", "request"): {"messages": list[ollama.Message], "tools": list[ollama.Tool], "options": ollama.Options},
}

# What the packages' types do not know and the vendors do, or what a caller has said in its vendor's own words and gets
# back as it was: dialect, kind, part of the case, part of the problem, and why.
KNOWN = [
    ("anthropic", "response", "anthropic/stop_unknown", "stop_reason", "a word of the beta"),
    ("anthropic", "stream", "anthropic/unknown_events", "", "unknown events pass"),
    ("gemini", "response", "", "citationSources", "the REST API's own name for it"),
    ("gemini", "stream", "gemini/unknown_events", "", "unknown events pass"),
    ("gemini", "request", "", "imageConfig", "in the REST API's config; the package has it elsewhere"),
    ("openai", "stream", "", "tool_calls/*/type", "the vendor streams custom tools, its chunks' type forgets them"),
    ("openai-responses", "request", "/audio", "/content/", "the package has the part and leaves it out of the union"),
    ("openai-responses", "request", "openai-responses/tool_choice_of_a_hosted_tool", "", "newer than the package"),
    ("openai-responses", "", "/logprobs", "", "`bytes` may be null where an upstream does not know them"),
    ("cohere", "request", "cohere/unknown_part", "", "a caller's own part passes"),
    ("ollama", "request", "", "images/*", "the package encodes what it reads from its Image, which is text on the wire"),
]


class Judge:
    def __init__(self):
        self.judged, self.problems, self.validators = Counter(), [], {}

    def validator(self, kind):
        key = repr(kind)
        if key not in self.validators:
            schema = TypeAdapter(kind).json_schema(by_alias=True, mode="validation")
            self.validators[key] = Draft202012Validator(schema)
        return self.validators[key]

    def judge(self, dialect, kind, case, body):
        key = (dialect, kind)
        if key in TYPES:
            self.check(key, case, "", TYPES[key], body)
        elif key in FIELDS:
            for field, type_of_it in FIELDS[key].items():
                if field in body:
                    self.check(key, case, field, type_of_it, body[field])
        else:
            return
        self.judged[f"{dialect} {kind}"] += 1

    def check(self, key, case, field, type_of_it, body):
        for error in self.validator(type_of_it).iter_errors(body):
            deepest = error
            while deepest.context:
                deepest = min(deepest.context, key=lambda inner: -len(inner.absolute_path))
            path = "/".join("*" if isinstance(step, int) else str(step) for step in [field, *deepest.absolute_path])
            said = f"{path}: {deepest.message[:200]}"
            if not any(
                key[0] == dialect and kind in ("", key[1]) and place in case and part in said
                for dialect, kind, place, part, _ in KNOWN
            ):
                self.problems.append(f"{key[0]} {key[1]} {case}: {said} in {json.dumps(body)[:2000]}")


def golden(folder):
    """Every body in the golden files: (dialect, kind, case, body)."""
    for path in sorted(Path(folder).rglob("*.snap")):
        written_from, kind = path.parts[-3], path.parts[-2]
        case, dialect = path.name.removesuffix(".snap").rsplit(".", 1)
        text = path.read_text().split("---\n", 2)[2]
        bodies = []
        if kind in ("request", "response") and text.startswith("{"):
            bodies.append(json.JSONDecoder().raw_decode(text)[0])
        elif kind == "stream":
            lines = (line.removeprefix("data: ") for line in text.splitlines())
            bodies.extend(json.loads(line) for line in lines if line.startswith("{"))
        for body in bodies:
            # An error in a stream is in no vendor's types, and pings are dropped before they get there.
            if not (kind == "stream" and (body.get("error") or body.get("type") in ("error", "ping"))):
                yield dialect, kind, f"{written_from}/{case}", body


def main():
    judge = Judge()
    if len(sys.argv) > 1:
        cases = golden(sys.argv[1])
    else:
        lines = (json.loads(line) for line in sys.stdin)
        cases = ((line["dialect"], line["kind"], line["case"], line["body"]) for line in lines)
    for case in cases:
        judge.judge(*case)
    print(json.dumps({"judged": judge.judged, "problems": judge.problems}))


if __name__ == "__main__":
    main()
