"""`google-genai`. Methods are those of `client.aio.models`: `generate_content`, `generate_content_stream`, …"""

from google import genai

from clients import gather, plain


async def perform(request):
    options = {"base_url": request["base_url"], "timeout": 60_000, **request.get("options", {})}
    client = genai.Client(api_key=request["api_key"], http_options=options)
    found = await getattr(client.aio.models, request["method"])(**request["arguments"])
    if hasattr(found, "__aiter__"):
        return await gather(found)
    return {"result": plain(found)}
