// Drives the vendors' own Node clients, in the words of driver.py: one JSON request a line on stdin, one JSON answer a
// line on stdout, in any order. The scenarios in Rust assert; nothing here does.

import { createInterface } from "node:readline";

// Loaded when first asked for.
const CLIENTS = {
  "ai-sdk": () => import("./clients/ai_sdk.mjs"),
  "anthropic-node": () => import("./clients/stainless.mjs"),
  "openai-node": () => import("./clients/stainless.mjs"),
};

for await (const line of createInterface({ input: process.stdin })) void answer(JSON.parse(line));

async function answer(request) {
  let result;
  try {
    const { perform } = await CLIENTS[request.sdk]();
    result = await perform(request);
  } catch (error) {
    result = { error: describe(error) }; // every failure is the scenario's to judge
  }
  process.stdout.write(JSON.stringify({ id: request.id, ...result }) + "\n");
}

function describe(error) {
  return {
    class: error?.constructor?.name ?? typeof error,
    message: String(error?.message ?? error),
    status: error?.status ?? error?.statusCode ?? null,
    code: error?.code ?? null,
    type: error?.type ?? null,
    body: error?.error ?? error?.responseBody ?? null,
  };
}
