"""`cohere`, its V2 client. Methods: `chat`, `chat_stream`, `embed`, `rerank`."""

import cohere

from clients import gather, plain


async def perform(request):
    options = {"timeout": 60, **request.get("options", {})}
    client = cohere.AsyncClientV2(api_key=request["api_key"], base_url=request["base_url"], **options)
    arguments = {"request_options": {"max_retries": 0}, **request["arguments"]}
    found = getattr(client, request["method"])(**arguments)
    if hasattr(found, "__aiter__"):
        return await gather(found)
    return {"result": plain(await found)}
