// What is cheaper in JavaScript than by single calls from wasm: each function here is one crossing.
import { waitUntil } from "cloudflare:workers";

// Header lists cross as one text: name, line feed, value, line feed, and so on. Neither can hold a line feed.
const text = (headers) => {
  let all = "";
  for (const [name, value] of headers) all += name + "\n" + value + "\n";
  return all;
};

const list = (text) => {
  const lines = text.split("\n");
  const pairs = [];
  for (let at = 0; at + 1 < lines.length; at += 2) pairs.push([lines[at], lines[at + 1]]);
  return pairs;
};

export const head = (message) => text(message.headers);

export const answer = (status, headers, body) => new Response(body, { status, headers: list(headers) });

// The signal that ends a call lives with the call: aborting it before the head cancels the call, after it the body.
export const call = (url, method, headers, body, controller) =>
  fetch(url, { method, headers: list(headers), body, redirect: "manual", signal: controller.signal });

// A stream that wasm reads. One promise and one call back per chunk: half of what a wasm future over `read()` costs.
export class Reader {
  constructor(stream, slot) {
    this.reader = stream.getReader();
    this.take = ({ value }) => (value === undefined ? slot.end() : slot.chunk(value));
    this.fail = (error) => slot.fail(String(error));
  }

  next() {
    this.reader.read().then(this.take, this.fail);
  }

  // A failed cancellation means that there was nothing left to cancel.
  cancel() {
    this.reader.cancel().catch(() => {});
  }
}

// A stream that wasm feeds. `source.cancel` is where a client that leaves is noticed; the runtime itself notices when it
// writes. So server-sent events (`beats`) that fall silent for some seconds get a comment between two events, which
// every client skips: two of them, and a client that has gone is known to have gone.
export const stream = (source, beats) => {
  let timer;
  let quiet = false;
  let between = true;
  const stop = () => clearInterval(timer);
  return new ReadableStream(
    {
      start(controller) {
        if (!beats) return;
        timer = setInterval(() => {
          if (quiet && between && controller.desiredSize === 0) controller.enqueue(BEAT);
          quiet = true;
        }, 2_000);
      },
      async pull(controller) {
        let chunk;
        try {
          chunk = await source.pull();
        } catch (error) {
          stop();
          throw error;
        }
        quiet = false;
        if (chunk === undefined) {
          stop();
          controller.close();
        } else {
          between = endsEvent(chunk);
          controller.enqueue(chunk);
        }
      },
      cancel() {
        stop();
        source.cancel();
      },
    },
    { highWaterMark: 0 },
  );
};

const BEAT = new TextEncoder().encode(":\n\n");

const endsEvent = (chunk) => {
  const [a, b, c, d] = chunk.slice(-4);
  return chunk.length > 3 && d === 10 && (c === 10 || (c === 13 && b === 10 && a === 13));
};

export const timer = (milliseconds, slot) => setTimeout(() => slot.end(), milliseconds);

export const stop = (timer) => clearTimeout(timer);

export const later = (promise) => waitUntil(promise);

export const random = (bytes) => void crypto.getRandomValues(bytes);

export const shard = (namespace, name, ask) => namespace.getByName(name).ask(ask);
