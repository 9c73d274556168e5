// What workerd starts: hands every event to the wasm module, and starts that afresh if it ever trapped.
//
// A trap (a panic, a stack overflow, memory at its end) ends the wasm instance with every request inside it. Rust code
// here never panics; should it happen all the same, the next event gets a new instance instead of the dead one.
import { DurableObject } from "cloudflare:workers";
import * as gatelet from "./index.js";

const state = gatelet.__worker_init_state();

const note = (error) => {
  if (error instanceof WebAssembly.RuntimeError) state.criticalError = true;
};
addEventListener("error", (event) => note(event.error));
addEventListener("unhandledrejection", (event) => note(event.reason));

// Futures in wasm go on in microtasks, several a request. Those of a promise stay inside V8; the runtime's own function
// crosses out of it and back, which was a fiftieth of a request.
globalThis.queueMicrotask = (work) => void Promise.resolve().then(work);

const revive = () => {
  if (!state.criticalError) return;
  gatelet.__wbg_reset_state();
  state.criticalError = false;
  state.instanceId++;
};

const call = (work) => {
  revive();
  try {
    return work();
  } catch (error) {
    note(error);
    throw error;
  }
};

export default {
  async fetch(request, env, context) {
    const answer = call(() => gatelet.fetch(request, env));
    // A client that leaves ends the request, and whatever runs for it, unless it is waited for: the books stay open.
    context.waitUntil(answer.catch(note));
    const response = await answer;
    // Nobody would read this body, and nobody would tell it so.
    if (request.signal?.aborted) await response.body?.cancel();
    return response;
  },
  scheduled: (event, env) => call(() => gatelet.scheduled(env)),
};

// One shard of the ledger. Its answers are synchronous from the first read to the last write, in one transaction.
export class Shard extends DurableObject {
  get live() {
    revive();
    if (this.instance !== state.instanceId) {
      this.object = new gatelet.Shard(this.ctx, this.env);
      this.instance = state.instanceId;
    }
    return this.object;
  }

  ask(text) {
    return this.atomically((object) => object.ask(text));
  }

  transact(asks) {
    return this.atomically((object) => object.transact(asks));
  }

  atomically(work) {
    return call(() => {
      const object = this.live;
      const answer = this.ctx.storage.transactionSync(() => work(object));
      this.schedule(object);
      return answer;
    });
  }

  async alarm() {
    const object = call(() => this.live);
    await object.alarm();
    await this.schedule(object);
  }

  schedule(object) {
    const due = object.due();
    if (due !== undefined) return this.ctx.storage.setAlarm(due);
  }
}
