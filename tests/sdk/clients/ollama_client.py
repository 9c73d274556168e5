"""`ollama`. Methods: `chat`, `generate`, `embed`, `list`, …"""

import ollama

from clients import gather, plain


async def perform(request):
    headers = {"Authorization": f"Bearer {request['api_key']}"}
    client = ollama.AsyncClient(host=request["base_url"], headers=headers, timeout=60)
    found = await getattr(client, request["method"])(**request["arguments"])
    if hasattr(found, "__aiter__"):
        return await gather(found)
    return {"result": plain(found)}
