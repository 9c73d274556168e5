// What is cheaper in JavaScript than by single calls from wasm: each function here is one crossing.
import { waitUntil } from "cloudflare:workers";

// Header lists cross as one text: name, line feed, value, line feed, and so on. Neither can hold a line feed.
const text = (headers) => {
  let all = "";
  headers.forEach((value, name) => {
    all += name + "\n" + value + "\n";
  });
  return all;
};

// The runtime reads the properties of an object in half the time of a list of pairs, but each name can be there once.
const list = (text) => {
  const lines = text.split("\n");
  const once = Object.create(null);
  for (let at = 0; at + 1 < lines.length; at += 2) {
    if (lines[at] in once) return pairs(lines);
    once[lines[at]] = lines[at + 1];
  }
  return once;
};

const pairs = (lines) => {
  const pairs = [];
  for (let at = 0; at + 1 < lines.length; at += 2) pairs.push([lines[at], lines[at + 1]]);
  return pairs;
};

// A request without its body: method, URL, headers, a line each.
export const head = (request) => request.method + "\n" + request.url + "\n" + text(request.headers);

export const answer = (status, headers, body) => new Response(body, { status, headers: list(headers) });

// Answers status, headers, and the body: its bytes where they are few and their number was said, why they did not come,
// or a stream. The signal that ends a call lives with it: aborting it before this has answered cancels the call.
export const call = async (url, method, headers, body, controller) => {
  const response = await fetch(url, {
    method,
    headers: list(headers),
    body,
    redirect: "manual",
    signal: controller.signal,
  });
  const answer = [response.status, text(response.headers)];
  if (isSmall(response.headers)) {
    answer.push(await response.arrayBuffer().then((buffer) => new Uint8Array(buffer), String));
  } else {
    answer.push(response.body);
  }
  return answer;
};

// What is encoded may be of any size.
const isSmall = (headers) => {
  const length = headers.get("content-length");
  return length !== null && Number(length) <= 1 << 20 && !headers.has("content-encoding");
};

// A stream that wasm reads: one promise and one call back per chunk. Whoever waits for the chunk goes on in the same call.
export class Reader {
  constructor(stream, slot) {
    this.reader = stream.getReader();
    this.take = ({ value }) => attended(() => (value === undefined ? slot.end() : slot.chunk(value)));
    this.fail = (error) => attended(() => slot.fail(String(error)));
  }

  next() {
    this.reader.read().then(this.take, this.fail);
  }

  // A failed cancellation means that there was nothing left to cancel.
  cancel() {
    this.reader.cancel().catch(() => {});
  }
}

// Streams that were woken while something was handed to wasm.
let woken;

const attended = (hand) => {
  const outer = woken;
  const own = (woken = []);
  try {
    hand();
  } finally {
    woken = outer;
  }
  for (const outlet of own) outlet.run();
};

// What comes within so many milliseconds after a write leaves with the next one: a write costs more than all else that
// happens to a chunk. What comes alone leaves at once.
const LULL = 4;
// So many bytes are not held back.
const FULL = 32_768;
// Writes that nobody has taken yet, before nothing more is read; then it is looked for room after so many milliseconds, and
// after twice as many, up to the longest. A `pull` would be called two times a chunk, and costs as much as a timer.
const AHEAD = 8;
const SOON = 2;
const LATE = 64;

// The way out of what wasm streams. `source.poll` puts what there is and tells whether that was all; if not, it wakes.
class Outlet {
  woken = false;
  polling = false;
  over = false;
  gone = false;
  held = [];
  size = 0;
  wrote = 0;
  timer = undefined;
  room = AHEAD;
  pause = SOON;
  beat = undefined;
  quiet = false;
  between = true;

  constructor(source, controller) {
    this.source = source;
    this.controller = controller;
  }

  wake() {
    if (this.woken) return;
    this.woken = true;
    if (this.polling) return;
    if (woken === undefined) queueMicrotask(() => this.run());
    else woken.push(this);
  }

  run() {
    if (this.polling || this.over) return;
    this.polling = true;
    try {
      while (this.woken && this.hasRoom()) {
        this.woken = false;
        if (this.source.poll(this)) this.end();
      }
    } catch (error) {
      this.flush();
      this.stop();
      this.fail(error, SOON);
    } finally {
      this.polling = false;
    }
  }

  hasRoom() {
    if (this.over) return false;
    if (this.room > 0) return true;
    this.room = this.controller.desiredSize;
    if (this.room > 0) {
      this.pause = SOON;
      return true;
    }
    setTimeout(() => this.run(), this.pause);
    this.pause = Math.min(this.pause * 2, LATE);
    return false;
  }

  put(chunk) {
    this.quiet = false;
    this.held.push(chunk);
    this.size += chunk.length;
    if (this.size >= FULL || Date.now() - this.wrote >= LULL) this.flush();
    else
      this.timer ??= setTimeout(() => {
        this.timer = undefined;
        this.flush();
      }, LULL);
  }

  flush() {
    if (this.over || this.held.length === 0) return;
    const chunk = this.held.length === 1 ? this.held[0] : joined(this.held, this.size);
    this.held = [];
    this.size = 0;
    this.wrote = Date.now();
    this.between = endsEvent(chunk);
    this.room--;
    this.controller.enqueue(chunk);
  }

  end() {
    this.flush();
    this.stop();
    this.controller.close();
  }

  // An error takes away what was not read yet: it waits until all of that is.
  fail(error, pause) {
    if (this.gone) return;
    const left = this.controller.desiredSize;
    if (left === null || left >= AHEAD) this.controller.error(error);
    else setTimeout(() => this.fail(error, Math.min(pause * 2, LATE)), pause);
  }

  stop() {
    this.over = true;
    clearTimeout(this.timer);
    clearInterval(this.beat);
  }

  // `source.cancel` is where a client that leaves is noticed; the runtime itself notices when it writes. So server-sent
  // events that fall silent for some seconds get a comment between two events, which every client skips: two of them, and
  // a client that has gone is known to have gone.
  listen() {
    this.beat = setInterval(() => {
      const idle = this.quiet && this.between && this.held.length === 0;
      if (idle && this.controller.desiredSize === AHEAD) this.controller.enqueue(BEAT);
      this.quiet = true;
    }, 2_000);
  }
}

// A stream that wasm feeds; `beats`: it is server-sent events.
export const stream = (source, beats) => {
  let outlet;
  return new ReadableStream(
    {
      start(controller) {
        outlet = new Outlet(source, controller);
        outlet.wake();
        if (beats) outlet.listen();
      },
      cancel() {
        outlet.gone = true;
        outlet.stop();
        source.cancel();
      },
    },
    { highWaterMark: AHEAD },
  );
};

const joined = (chunks, size) => {
  const whole = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
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

// RSASSA-PKCS1-v1_5 with SHA-256, by a key in PKCS #8.
export const rs256 = async (key, message) => {
  const algorithm = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
  const imported = await crypto.subtle.importKey("pkcs8", key, algorithm, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign(algorithm, imported, message));
};

// AES-256-GCM. What is sealed ends with its tag, as WebCrypto has it.
export const aes = async (way, key, iv, additionalData, data) => {
  const imported = await crypto.subtle.importKey("raw", key, "AES-GCM", false, [way]);
  return new Uint8Array(await crypto.subtle[way]({ name: "AES-GCM", iv, additionalData }, imported, data));
};

// One member of gzip.
export const pack = (bytes) => new Response(through(bytes, new CompressionStream("gzip"))).bytes();

// Rejects where it is not whole, or more than `most` bytes.
export const unpack = async (packed, most) => {
  const chunks = [];
  let size = 0;
  for await (const chunk of through(packed, new DecompressionStream("gzip"))) {
    size += chunk.length;
    if (size > most) throw new Error(`more than ${most} bytes`);
    chunks.push(chunk);
  }
  return joined(chunks, size);
};

const through = (bytes, transform) => new Response(bytes).body.pipeThrough(transform);

export const shard = (namespace, name, ask) => namespace.getByName(name).ask(ask);

// Transactions of an isolate's requests with one shard travel together: while a call is under way, those that come wait,
// and leave with the next one. A call and the commit that it waits for cost the same for one transaction as for many.
// After a call that had company, the next one gathers for some milliseconds more.
//
// One of those that wait leads the next call, since a call lives and dies with the request that made it. Should that
// request be gone before its call has answered, the others notice when their patience ends, and travel alone: every
// transaction may come twice. That timer also tells the runtime that a request which waits for another has not hung.
const roads = new Map();
const MOST_ROADS = 1_000;
const MOST = 32;
const GATHER = 8;
const PATIENCE = 5_000;
const LEAD = Symbol("lead");
const ALONE = Symbol("alone");

export const transact = async (namespace, name, ask) => {
  let road = roads.get(name);
  if (road === undefined) {
    // Those that are busy go on by themselves.
    if (roads.size >= MOST_ROADS) roads.clear();
    road = { busy: false, waiting: [], company: false };
    roads.set(name, road);
  }
  if (!road.busy) return travel(namespace, name, road, ask);
  const seat = { ask };
  const told = new Promise((resolve, reject) => {
    seat.resolve = resolve;
    seat.reject = reject;
  });
  road.waiting.push(seat);
  const patience = setTimeout(() => {
    road.waiting = road.waiting.filter((other) => other !== seat);
    if (roads.get(name) === road) roads.delete(name);
    seat.resolve(ALONE);
  }, PATIENCE);
  try {
    const answer = await told;
    if (answer === LEAD) return await travel(namespace, name, road, ask);
    if (answer === ALONE) return (await carry(namespace, name, [ask]))[0];
    return answer;
  } finally {
    clearTimeout(patience);
  }
};

const travel = async (namespace, name, road, ask) => {
  road.busy = true;
  let others = [];
  try {
    if (road.company) await scheduler.wait(GATHER);
    others = road.waiting.splice(0, MOST - 1);
    road.company = others.length > 0;
    const answers = await carry(namespace, name, [ask, ...others.map((seat) => seat.ask)]);
    others.forEach((seat, index) => seat.resolve(answers[index + 1]));
    return answers[0];
  } catch (error) {
    for (const seat of others) seat.reject(error);
    throw error;
  } finally {
    const next = road.waiting.shift();
    if (next === undefined) road.busy = false;
    else next.resolve(LEAD);
  }
};

const carry = async (namespace, name, asks) => {
  const answers = apart(await namespace.getByName(name).transact(together(asks)));
  if (answers.length !== asks.length) throw new Error(`${asks.length} asks, ${answers.length} answers`);
  return answers;
};

// Messages after their lengths, four bytes, the lowest first.
const together = (messages) => {
  const packed = new Uint8Array(messages.reduce((length, message) => length + 4 + message.length, 0));
  const view = new DataView(packed.buffer);
  let at = 0;
  for (const message of messages) {
    view.setUint32(at, message.length, true);
    packed.set(message, at + 4);
    at += 4 + message.length;
  }
  return packed;
};

const apart = (packed) => {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  const messages = [];
  for (let at = 0; at < packed.length; ) {
    const from = at + 4;
    at = from + view.getUint32(at, true);
    messages.push(packed.subarray(from, at));
  }
  return messages;
};
