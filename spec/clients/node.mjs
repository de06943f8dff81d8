// node.mjs - what programs in Node do with fetch (undici) and node:http, against BOARD_URL.
//
// Every check compares bytes. Prints a line for each and ends with `N passed, N failed`. Started by
// spec/clients/run.

import assert from "node:assert/strict";
import http from "node:http";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";

const board = process.env.BOARD_URL;
const page = process.env.PAGE_URL;
const MESSAGES = 20000, KEPT = 10000;
const LIMIT_MS = 30000;
const text_of = (i) => `line ${i}`;
let passed = 0, failed = 0, cookie = "";

async function check(what, run) {
  let timer;
  const limit = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("took too long")), LIMIT_MS);
  });
  try {
    await Promise.race([run(), limit]);
    console.log(`ok   node: ${what}`);
    passed += 1;
  } catch (error) {
    console.log(`FAIL node: ${what}\n     ${error.stack ?? error}`);
    if (error.cause) console.log("     cause:", error.cause);
    failed += 1;
  }
  clearTimeout(timer);
}

const call = (path, options = {}) =>
  fetch(board + path, { ...options, headers: { cookie, ...options.headers } });

const post_json = (path, value) =>
  call(path, {
    method: "POST", body: JSON.stringify(value), headers: { "content-type": "application/json" },
  });

async function post(text) {
  const response = await post_json("/messages", { text });
  assert.equal(response.status, 201);
  const message = await response.json();
  assert.equal(response.headers.get("location"), `/messages/${message.id}`);
  return message;
}

// --- fetch ---------------------------------------------------------------------------------------

async function log_in() {
  const response = await call("/login", {
    method: "POST", body: new URLSearchParams({ name: "node" }),
  });
  assert.deepEqual(await response.json(), { name: "node" });
  const [set] = response.headers.getSetCookie();
  assert.match(set, /; *HttpOnly/i);
  cookie = set.split(";")[0];
}

async function pages() {
  for (const [path, name] of [["/", "index.html"], ["/app.js", "app.js"]]) {
    const response = await call(path);
    assert.equal(response.status, 200);
    const expected = await readFile(`apps/board/public/${name}`);
    assert.deepEqual(Buffer.from(await response.arrayBuffer()), expected);
  }
}

async function messages() {
  const message = await post("Grüße aus Node");
  assert.deepEqual(await (await call(`/messages/${message.id}`)).json(), message);
  const latest = await call("/messages/latest");
  assert.ok(latest.redirected);
  assert.deepEqual(await latest.json(), message);
  const removed = await call(`/messages/${message.id}`, { method: "DELETE" });
  assert.equal(removed.status, 204);
  assert.equal((await removed.arrayBuffer()).byteLength, 0);
  assert.equal((await call(`/messages/${message.id}`)).status, 404);
}

async function refusals() {
  assert.deepEqual(await (await call("/missing")).json(), { detail: "Not Found" });
  assert.equal((await fetch(`${board}/messages`, { method: "POST", body: "{}" })).status, 401);
  const other = await call("/messages", { method: "PUT", body: "x" });
  assert.equal(other.status, 405);
  assert.match(other.headers.get("allow"), /GET/);
}

async function at_once() {
  const expected = await readFile("apps/board/public/style.css", "utf8");
  const wave = Array.from({ length: 100 }, async () => (await call("/style.css")).text());
  for (const text of await Promise.all(wave)) assert.equal(text, expected);
}

// A request body that is a stream: chunked, sent while the answer may come already.
function lines_in_pieces() {
  let i = 0;
  return new ReadableStream({
    pull(controller) {
      let piece = "";
      for (const end = Math.min(i + 777, MESSAGES); i < end; ) {
        i += 1;
        piece += `${JSON.stringify({ author: "node", text: text_of(i) })}\n`;
      }
      controller.enqueue(new TextEncoder().encode(piece));
      if (i === MESSAGES) controller.close();
    },
  });
}

async function streams() {
  const response = await call("/import", {
    method: "POST", body: lines_in_pieces(), duplex: "half",
  });
  assert.deepEqual(await response.json(), { imported: MESSAGES });
  let csv = "";
  const decoder = new TextDecoder();
  for await (const piece of (await call("/messages.csv")).body) {
    csv += decoder.decode(piece, { stream: true });
  }
  const rows = csv.split("\r\n").slice(-KEPT - 1, -1);
  rows.forEach((row, at) => {
    const expected = `,"node","${text_of(MESSAGES - KEPT + 1 + at)}"`;
    assert.equal(row.slice(row.indexOf(",")), expected);
  });
  assert.equal(rows.length, KEPT);
}

async function photo() {
  const bytes = randomBytes(3 << 20);
  const form = new FormData();
  form.set("text", "from node");
  form.set("photo", new File([bytes], 'näme "1".png', { type: "image/png" }));
  const response = await call("/photos", { method: "POST", body: form });
  assert.equal(response.status, 201);
  const message = await response.json();
  assert.equal(message.text, "from node");
  const back = await call(message.photo);
  assert.equal(back.headers.get("content-type"), "image/png");
  assert.deepEqual(Buffer.from(await back.arrayBuffer()), bytes);
  const part = await call(message.photo, { headers: { range: "bytes=1000-1999" } });
  assert.equal(part.status, 206);
  assert.deepEqual(Buffer.from(await part.arrayBuffer()), bytes.subarray(1000, 2000));
  const same = await call(message.photo, {
    headers: { "if-none-match": back.headers.get("etag") },
  });
  assert.equal(same.status, 304);
}

// EventSource by hand: events of the feed, until as many have come.
async function read_events(path, count, headers, started) {
  const leaving = new AbortController();
  const response = await call(path, { headers, signal: leaving.signal });
  assert.equal(response.headers.get("content-type"), "text/event-stream");
  started?.();
  const events = [];
  let text = "";
  for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
    text += piece;
    const blocks = text.split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const fields = Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s)));
      if (fields.data) events.push({ id: fields.id, message: JSON.parse(fields.data) });
    }
    if (events.length >= count) break;
  }
  leaving.abort();
  return events;
}

async function feed() {
  let started;
  const is_open = new Promise((resolve) => { started = resolve; });
  const reading = read_events("/feed", 2, {}, started);
  await is_open;
  const sent = [await post("live 1"), await post("live 2")];
  assert.deepEqual((await reading).map((event) => event.message), sent);
  const again = await read_events("/feed", 1, { "last-event-id": String(sent[0].id) });
  assert.deepEqual(again, [{ id: String(sent[1].id), message: sent[1] }]);
}

async function aborted() {
  const leaving = new AbortController();
  const waiting = call("/messages/next", { signal: leaving.signal });
  setTimeout(() => leaving.abort(), 50);
  await assert.rejects(waiting, { name: "AbortError" });
  assert.equal((await call("/messages")).status, 200);
}

async function compressed() {
  const coded = await call("/messages?limit=300", { headers: { "accept-encoding": "br" } });
  assert.equal(coded.headers.get("content-encoding"), "br");
  const plain = await call("/messages?limit=300", { headers: { "accept-encoding": "identity" } });
  assert.equal(plain.headers.get("content-encoding"), null);
  assert.equal(await coded.text(), await plain.text());
}

async function cors() {
  const response = await call("/messages", { headers: { origin: page } });
  assert.equal(response.headers.get("access-control-allow-origin"), page);
  assert.equal(response.headers.get("access-control-allow-credentials"), "true");
}

// --- node:http -----------------------------------------------------------------------------------

async function read(response) {
  const pieces = [];
  for await (const piece of response) pieces.push(piece);
  return Buffer.concat(pieces);
}

async function ask(agent, path, options = {}, body) {
  const request = http.request(board + path, { agent, ...options });
  request.end(body);
  const [response] = await once(request, "response");
  return { response, request, body: await read(response) };
}

async function kept_alive() {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const ports = new Set();
  for (let i = 0; i < 20; i += 1) {
    const { request, body, response } = await ask(agent, i % 2 ? "/messages" : "/missing");
    assert.equal(response.statusCode, i % 2 ? 200 : 404);
    assert.ok(body.length > 0);
    ports.add(request.socket.localPort);
  }
  agent.destroy();
  assert.equal(ports.size, 1);
}

async function not_kept_alive() {
  const agent = new http.Agent({ keepAlive: false });
  const { response, body } = await ask(agent, "/style.css");
  assert.equal(response.headers.connection, "close");
  assert.deepEqual(body, await readFile("apps/board/public/style.css"));
}

async function asked_first() {
  const lines = Buffer.from(`${JSON.stringify({ author: "node", text: "x" })}\n`.repeat(50000));
  const headers = { cookie, expect: "100-continue", "content-length": lines.length };
  const request = http.request(`${board}/import`, { method: "POST", headers });
  request.flushHeaders();
  await once(request, "continue");
  request.end(lines);
  const [response] = await once(request, "response");
  assert.deepEqual(JSON.parse(await read(response)), { imported: 50000 });
}

async function without_a_body() {
  const { response, body } = await ask(undefined, "/style.css", { method: "HEAD" });
  assert.equal(body.length, 0);
  const expected = await readFile("apps/board/public/style.css");
  assert.equal(response.headers["content-length"], String(expected.length));
}

// A client that leaves in the middle of its upload takes nothing with it.
async function left_in_the_middle() {
  const request = http.request(`${board}/import`, {
    method: "POST", headers: { cookie, "transfer-encoding": "chunked" },
  });
  request.on("error", () => {});
  request.write(`${JSON.stringify({ author: "node", text: "before leaving" })}\n{"author":`);
  for (;;) {
    const { messages: found } = await (await call("/messages?limit=5")).json();
    if (found.some((message) => message.text === "before leaving")) break;
  }
  request.destroy();
  assert.equal((await call("/messages")).status, 200);
}

await check("a login's cookie", log_in);
await check("pages of public/", pages);
await check("a message: posted, read, redirected to, deleted", messages);
await check("refusals", refusals);
await check("a hundred requests at once", at_once);
await check("streams both ways", streams);
await check("a photo in a form", photo);
await check("the live feed", feed);
await check("an aborted request", aborted);
await check("compressed answers", compressed);
await check("CORS", cors);
await check("http.Agent: one connection for many requests", kept_alive);
await check("http.Agent without keep-alive", not_kept_alive);
await check("Expect: 100-continue", asked_first);
await check("HEAD", without_a_body);
await check("a client that leaves in the middle of its upload", left_in_the_middle);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
