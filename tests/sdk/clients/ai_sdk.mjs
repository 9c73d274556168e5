// The AI SDK. `method` is `generateText` or `streamText`; `arguments` is {"provider", "model", "tools", …}, where tools
// are {name: {description, schema}} and never run.

import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogle } from "@ai-sdk/google";
import { createOpenResponses } from "@ai-sdk/open-responses";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, jsonSchema, streamText, tool } from "ai";

const MODELS = {
  anthropic: (given, id) => createAnthropic(given)(id),
  google: (given, id) => createGoogle(given)(id),
  "open-responses": ({ baseURL, apiKey }, id) =>
    createOpenResponses({ name: "gatelet", url: `${baseURL}/responses`, apiKey })(id),
  openai: (given, id) => createOpenAI(given).chat(id),
  "openai-compatible": (given, id) => createOpenAICompatible({ name: "gatelet", includeUsage: true, ...given })(id),
  "openai-responses": (given, id) => createOpenAI(given).responses(id),
};

export async function perform({ base_url: baseURL, api_key: apiKey, method, arguments: asked }) {
  const { provider, model, tools = {}, ...rest } = asked;
  const declared = Object.entries(tools).map(([name, { description, schema }]) => [
    name,
    tool({ description, inputSchema: jsonSchema(schema) }),
  ]);
  const settings = {
    model: MODELS[provider]({ baseURL, apiKey }, model),
    ...(declared.length > 0 && { tools: Object.fromEntries(declared) }),
    maxRetries: 0,
    abortSignal: AbortSignal.timeout(60_000),
    ...rest,
  };
  if (method === "generateText") return { result: summary(await generateText(settings)) };
  const events = [];
  let failure;
  const stream = streamText({ ...settings, onError: ({ error }) => (failure = error) });
  for await (const part of stream.fullStream) events.push(part.type);
  if (failure) throw failure;
  return { events, final: summary({
    text: await stream.text,
    reasoningText: await stream.reasoningText,
    toolCalls: await stream.toolCalls,
    finishReason: await stream.finishReason,
    usage: await stream.usage,
  }) };
}

function summary({ text, reasoningText, toolCalls, finishReason, usage }) {
  const calls = toolCalls.map(({ toolCallId, toolName, input }) => ({ id: toolCallId, name: toolName, input }));
  return { text, reasoning: reasoningText ?? null, tool_calls: calls, finish_reason: finishReason, usage };
}
