// `openai` and `@anthropic-ai/sdk`: one generator made both, so one file drives both.

import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const CLIENTS = { "anthropic-node": Anthropic, "openai-node": OpenAI };

export async function perform({ sdk, base_url: baseURL, api_key: apiKey, method, arguments: body, options }) {
  const client = new CLIENTS[sdk]({ baseURL, apiKey, maxRetries: 0, timeout: 60_000, ...options });
  const path = method.replace("input_items", "inputItems").split(".");
  const verb = path.pop();
  const owner = path.reduce((resource, name) => resource[name], client);
  if (verb === "stream") {
    // The clients' own accumulators, which throw where events come in a wrong order.
    const stream = owner.stream(body);
    const events = [];
    for await (const event of stream) events.push(event.type ?? "chunk");
    const name = ["finalChatCompletion", "finalResponse", "finalMessage"].find((name) => name in stream);
    return { events, final: await stream[name]() };
  }
  // Here an answer's id stands by itself before the rest.
  const { response_id: id, ...rest } = body ?? {};
  const found = await (id === undefined ? owner[verb](body) : owner[verb](id, rest));
  if (verb === "list") {
    const items = [];
    for await (const item of found) items.push(item);
    return { result: items };
  }
  if (!body?.stream) return { result: found };
  const events = [];
  for await (const event of found) events.push(event);
  return { events };
}
