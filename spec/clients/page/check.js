// check.js - what pages do in a browser: the board's own page is used as a person would use it, and
// other boards are asked with fetch, FormData and EventSource, across origins too.
//
// Writes a line for each check into the page, `N passed, N failed` at last. The page counts as
// loading until then: a document in a frame stays open. ?board= is the board of another origin,
// ?stranger= one that does not know this origin.

const parameters = new URLSearchParams(location.search);
const results = document.getElementById("results");
const open = document.getElementById("open").contentDocument;
const MESSAGES = 3000;
let passed = 0, failed = 0;

open.open();

function expect(actual, expected) {
  const [left, right] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (left !== right) throw new Error(`got ${left}, not ${right}`);
}

// Calls look() until it gives something true.
async function until(look, what) {
  const deadline = performance.now() + 10000;
  for (;;) {
    const found = look();
    if (found) return found;
    if (performance.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => { setTimeout(resolve, 10); });
  }
}

async function check(what, run) {
  let line = `ok   chromium: ${what}`;
  try {
    await run();
    passed += 1;
  } catch (error) {
    line = `FAIL chromium: ${what}: ${error}`;
    failed += 1;
  }
  results.append(`${line}\n`);
}

// A picture of noise, as PNG.
function make_photo(width, height) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  for (let at = 0; at < image.data.length; at += 16384) {
    crypto.getRandomValues(image.data.subarray(at, at + 16384));
  }
  for (let at = 3; at < image.data.length; at += 4) image.data[at] = 255;
  context.putImageData(image, 0, 0);
  return new Promise((resolve) => { canvas.toBlob(resolve, "image/png"); });
}

async function expect_bytes(response, blob) {
  const [left, right] = [await response.arrayBuffer(), await blob.arrayBuffer()];
  expect(left.byteLength, right.byteLength);
  const expected = new Uint8Array(right);
  expect(new Uint8Array(left).findIndex((byte, at) => byte !== expected[at]), -1);
}

// --- the board's own page ------------------------------------------------------------------------

const frame = document.getElementById("board");
const element = (selector) => frame.contentDocument.querySelector(selector);
const item_of = (text) => Array.from(frame.contentDocument.querySelectorAll("li"))
  .find((item) => item.textContent.includes(text));

async function open_board() {
  const loaded = new Promise((resolve) => { frame.onload = resolve; });
  frame.src = "/";
  await loaded;
  await until(() => element("#state").textContent === "connected", "the feed");
}

async function log_in() {
  element("#post input[name=text]").value = "too early";
  element("#post").requestSubmit();
  await until(() => element("#problem").textContent === "log in first", "the refusal");
  element("#login input").value = "chromium";
  element("#login").requestSubmit();
  await until(() => element("#user").textContent === "chromium", "the login");
}

async function write_message() {
  element("#post input[name=text]").value = "Grüße <b>live</b>";
  element("#post").requestSubmit();
  const item = await until(() => item_of("Grüße <b>live</b>"), "the message");
  expect(item.querySelector("b").textContent, "chromium");
}

async function upload_photo() {
  const photo = await make_photo(800, 600);
  const files = new DataTransfer();
  files.items.add(new File([photo], "näme.png", { type: "image/png" }));
  element("#post input[name=photo]").files = files.files;
  element("#post input[name=text]").value = "with a photo";
  element("#post").requestSubmit();
  const item = await until(() => item_of("with a photo"), "the message");
  const image = await until(() => item.querySelector("img"), "the image");
  await until(() => image.complete && image.naturalWidth > 0, "the photo");
  expect([image.naturalWidth, image.naturalHeight], [800, 600]);
  await expect_bytes(await fetch(image.src), photo);
}

// --- fetch and EventSource -----------------------------------------------------------------------

async function json_of(response, status) {
  expect(response.status, status);
  return response.json();
}

function post_json(url, value, options) {
  return fetch(url, {
    ...options, method: "POST", body: JSON.stringify(value),
    headers: { "content-type": "application/json" },
  });
}

async function streams() {
  const lines = Array.from({ length: MESSAGES }, (_, i) =>
    `${JSON.stringify({ author: "page", text: `line ${i}` })}\n`);
  const answer = await fetch("/import", { method: "POST", body: new Blob(lines) });
  expect(await json_of(answer, 200), { imported: MESSAGES });
  const response = await fetch("/messages.csv");
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let csv = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) csv += part.value;
  const rows = csv.split("\r\n").slice(-MESSAGES - 1, -1).map((row) => row.replace(/^\d+/, ""));
  expect(rows, lines.map((_, i) => `,"page","line ${i}"`));
}

async function aborted() {
  const leaving = new AbortController();
  const waiting = fetch("/messages/next", { signal: leaving.signal });
  leaving.abort();
  expect(await waiting.catch((error) => error.name), "AbortError");
}

function next_event(source) {
  return new Promise((resolve, reject) => {
    source.onmessage = resolve;
    source.onerror = () => reject(new Error("the event source failed"));
  });
}

// All that is allowed across origins, with the cookie of the other board.
async function across_origins() {
  const board = parameters.get("board");
  const options = { credentials: "include" };
  const login = new URLSearchParams({ name: "visitor" });
  await json_of(await fetch(`${board}/login`, { ...options, method: "POST", body: login }), 200);
  const source = new EventSource(`${board}/feed`, { withCredentials: true });
  await new Promise((resolve) => { source.onopen = resolve; });
  const coming = next_event(source);
  const message = await json_of(await post_json(`${board}/messages`, { text: "hi" }, options), 201);
  const event = await coming;
  source.close();
  expect(JSON.parse(event.data), message);
  expect(event.lastEventId, String(message.id));
  const removed = await fetch(`${board}/messages/${message.id}`, { ...options, method: "DELETE" });
  expect(removed.status, 204);
  await json_of(await fetch(`${board}/missing`, options), 404);
}

async function photo_across_origins() {
  const board = parameters.get("board");
  const photo = await make_photo(1000, 700);
  const form = new FormData();
  form.set("text", "from another origin");
  form.set("photo", photo, 'a "quoted" name.png');
  const options = { method: "POST", body: form, credentials: "include" };
  const message = await json_of(await fetch(`${board}/photos`, options), 201);
  await expect_bytes(await fetch(board + message.photo), photo);
  const part = await fetch(board + message.photo, { headers: { range: "bytes=10-99" } });
  expect(part.status, 206);
  await expect_bytes(part, photo.slice(10, 100));
}

async function refused_across_origins() {
  const stranger = parameters.get("stranger");
  expect(await fetch(`${stranger}/messages`).catch((error) => error.name), "TypeError");
  const seen = await fetch(`${stranger}/messages`, { mode: "no-cors" });
  expect(seen.type, "opaque");
}

async function run() {
  await check("the page opens and gets its feed", open_board);
  await check("a login in the page", log_in);
  await check("a message comes back live", write_message);
  await check("a photo is uploaded and shown", upload_photo);
  await check("an import, and CSV as it comes", streams);
  await check("an aborted fetch", aborted);
  await check("fetch and EventSource across origins", across_origins);
  await check("a photo across origins", photo_across_origins);
  await check("an origin that is not allowed", refused_across_origins);
  results.append(`${passed} passed, ${failed} failed\n`);
  frame.remove();
  open.close();
}

run();
