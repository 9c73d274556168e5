"""`langchain-openai`: `invoke` and `stream`. `arguments` is {"model": {…}, "tools": […], "input": […]}."""

from langchain_openai import ChatOpenAI

from clients import gather, plain


async def perform(request):
    arguments = request["arguments"]
    client = ChatOpenAI(
        base_url=request["base_url"], api_key=request["api_key"], max_retries=0, timeout=60, **arguments["model"]
    )
    if tools := arguments.get("tools"):
        client = client.bind_tools(tools)
    if request["method"] == "stream":
        return await gather(client.astream(arguments["input"]))
    return {"result": plain(await client.ainvoke(arguments["input"]))}
