"""`openai` and `anthropic`: one generator made both, so one file drives both."""

import asyncio

import anthropic
import openai

from clients import gather, plain

CLIENTS = {"openai": openai.AsyncOpenAI, "anthropic": anthropic.AsyncAnthropic}


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
                return await gather(parsed, headers)
            return {"result": plain(parsed), "headers": headers}
        found = getattr(owner, verb)(**arguments)
        if hasattr(found, "__aiter__"):
            return {"result": [plain(item) async for item in found]}
        return {"result": plain(await found)}


async def accumulate(owner, arguments):
    """The clients' own accumulators, which throw where events come in a wrong order."""
    events = []
    async with owner.stream(**arguments) as stream:
        async for event in stream:
            events.append(event.type)
        names = ("get_final_message", "get_final_completion", "get_final_response")
        final = next(getattr(stream, name) for name in names if hasattr(stream, name))
        return {"events": events, "final": plain(await final())}
