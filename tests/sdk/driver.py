"""Drives the vendors' own clients: one JSON request a line on stdin, one JSON answer a line on stdout, in any order.

A request is {"id", "sdk": "openai" | "anthropic", "base_url", "api_key", "method": "chat.completions.create",
"arguments": {...}, "options": {...}}; an answer is {"id", "result" | "events" and "final" | "error", "headers"}.
The scenarios in Rust assert; nothing here does.
"""

import asyncio
import json
import sys

import anthropic
import openai

CLIENTS = {"openai": openai.AsyncOpenAI, "anthropic": anthropic.AsyncAnthropic}


async def main():
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 26)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    tasks = set()
    while line := await reader.readline():
        task = asyncio.create_task(answer(json.loads(line)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


async def answer(request):
    try:
        result = await perform(request)
    except Exception as error:  # every failure is the scenario's to judge
        result = {"error": describe(error)}
    sys.stdout.write(json.dumps({"id": request["id"], **result}) + "\n")
    sys.stdout.flush()


async def perform(request):
    options = {"max_retries": 0, "timeout": 60, **request.get("options", {})}
    client = CLIENTS[request["sdk"]](base_url=request["base_url"], api_key=request["api_key"], **options)
    async with client:
        *resource, verb = request["method"].split(".")
        owner = client
        for name in resource:
            owner = getattr(owner, name)
        arguments = request["arguments"]
        if verb == "stream":
            return await accumulate(owner, arguments)
        if verb == "create":
            raw = await owner.with_raw_response.create(**arguments)
            parsed, headers = raw.parse(), dict(raw.headers)
            if asyncio.iscoroutine(parsed):
                parsed = await parsed
            if arguments.get("stream"):
                events = []
                try:
                    async for event in parsed:
                        events.append(dump(event))
                except Exception as error:
                    return {"events": events, "headers": headers, "error": describe(error)}
                return {"events": events, "headers": headers}
            return {"result": dump(parsed), "headers": headers}
        found = getattr(owner, verb)(**arguments)
        if hasattr(found, "__aiter__"):
            return {"result": [dump(item) async for item in found]}
        return {"result": dump(await found)}


async def accumulate(owner, arguments):
    """The clients' own accumulators, which throw where events come in a wrong order."""
    events = []
    async with owner.stream(**arguments) as stream:
        async for event in stream:
            events.append(event.type)
        final = getattr(stream, "get_final_message", None) or stream.get_final_completion
        return {"events": events, "final": dump(await final())}


def dump(model):
    return model.model_dump(mode="json")


def describe(error):
    return {
        "class": type(error).__name__,
        "message": str(error),
        "status": getattr(error, "status_code", None),
        "code": getattr(error, "code", None),
        "type": getattr(error, "type", None),
        "body": getattr(error, "body", None),
        "headers": dict(error.response.headers) if getattr(error, "response", None) is not None else {},
    }


asyncio.run(main())
