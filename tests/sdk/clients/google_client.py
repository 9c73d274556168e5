"""`google-genai`. Methods are those of `client.aio.models`: `generate_content`, `generate_content_stream`, `list`, …

Bytes in arguments are {"base64": "…"}. The result has `text` and `parsed` beside the fields, as users read them.
"""

import inspect

from google import genai

from clients import gather, plain, with_bytes


async def perform(request):
    options = {"base_url": request["base_url"], "timeout": 60_000, **request.get("options", {})}
    client = genai.Client(api_key=request["api_key"], http_options=options)
    found = getattr(client.aio.models, request["method"])(**with_bytes(request["arguments"]))
    if inspect.isawaitable(found):
        found = await found
    # A list is pages, which are iterable too.
    if request["method"] == "list":
        return {"result": [plain(item) async for item in found]}
    if hasattr(found, "__aiter__"):
        return await gather(found)
    result = plain(found)
    if hasattr(found, "candidates"):
        result |= {"text": found.text, "parsed": plain(found.parsed)}
    return {"result": result}
