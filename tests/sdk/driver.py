"""Drives the vendors' own Python clients: one JSON request a line on stdin, one JSON answer a line on stdout, in any order.

A request is {"id", "sdk": "openai", "base_url", "api_key", "method": "chat.completions.create", "arguments": {...},
"options": {...}}; an answer is {"id", "result" | "events" and "final" | "error", "headers"}. Each client has a file
under clients/ with one function, `perform(request)`. The scenarios in Rust assert; nothing here does.
"""

import asyncio
import importlib
import json
import sys

# Loaded when first asked for: some of them take seconds.
CLIENTS = {
    "anthropic": "clients.stainless",
    "bedrock": "clients.bedrock",
    "cohere": "clients.cohere_client",
    "google": "clients.google_client",
    "google-token": "clients.google_token",
    "langchain": "clients.langchain_client",
    "ollama": "clients.ollama_client",
    "openai": "clients.stainless",
}


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
        client = importlib.import_module(CLIENTS[request["sdk"]])
        result = await client.perform(request)
    except Exception as error:  # every failure is the scenario's to judge
        from clients import describe

        result = {"error": describe(error)}
    sys.stdout.write(json.dumps({"id": request["id"], **result}) + "\n")
    sys.stdout.flush()


asyncio.run(main())
