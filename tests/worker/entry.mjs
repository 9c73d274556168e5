// The Worker's own entry with more doors, for the tests alone: an object's methods, a trap in wasm, and KV.
//
// `tests/src/host/worker.rs` puts this beside the production entry, in a copy of the built Worker.
import gateway, { Shard as Production } from "./entry.mjs";

export class Shard extends Production {
  // Asks through a pointer that leads nowhere: a true trap, where a panic or a stack overflow would be one.
  trap() {
    this.live.__wbg_ptr = 0xfffffff0;
    return this.ask(`"shards"`);
  }
}

const doors = {
  ask: async (request, env, name) => new Response(await env.SHARDS.getByName(name).ask(await request.text())),
  transact: async (request, env, name) =>
    new Response(await env.SHARDS.getByName(name).transact(await request.bytes())),
  trap: async (request, env, name) => new Response(await env.SHARDS.getByName(name).trap()),

  // What the Worker's store does to KV. Version and bytes cross as the ask's documents do.
  async kv(request, env, method) {
    const { name, version, bytes } = await request.json();
    const kv = env.DOCUMENTS;
    if (method === "put") await kv.put(name, Uint8Array.fromBase64(bytes), { metadata: { version } });
    if (method === "delete") await kv.delete(name);
    if (method !== "get") return Response.json(null);
    const { value, metadata } = await kv.getWithMetadata(name, "arrayBuffer");
    return Response.json(
      value && { version: metadata?.version ?? 0, bytes: new Uint8Array(value).toBase64() },
    );
  },
};

export default {
  ...gateway,
  async fetch(request, env, context) {
    // Names of objects have slashes of their own.
    const [, test, door, ...name] = new URL(request.url).pathname.split("/");
    if (test !== "test") return gateway.fetch(request, env, context);
    try {
      return await doors[door](request, env, name.join("/"));
    } catch (error) {
      return new Response(String(error), { status: 500 });
    }
  },
};
