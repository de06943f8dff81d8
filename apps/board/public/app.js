// app.js - the board's page: shows messages as they come, sends a text as JSON, a photo as a form.

const list = document.getElementById("messages");
const problem = document.getElementById("problem");

function show(message) {
  const item = document.createElement("li");
  item.id = `message-${message.id}`;
  const author = document.createElement("b");
  author.textContent = message.author;
  item.append(author, " ", message.text);
  if (message.photo) {
    const image = document.createElement("img");
    image.src = message.photo;
    image.alt = message.text;
    item.append(image);
  }
  list.append(item);
}

async function send(url, body) {
  const options = { method: "POST", body };
  if (!(body instanceof FormData)) {
    options.body = JSON.stringify(body);
    options.headers = { "content-type": "application/json" };
  }
  const response = await fetch(url, options);
  const answer = response.status === 204 ? {} : await response.json();
  if (!response.ok) throw new Error(answer.detail);
  return answer;
}

// Sends a form when it is submitted, and shows what went wrong.
function on_submit(id, action) {
  const form = document.getElementById(id);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    problem.textContent = "";
    try {
      await action(new FormData(form));
      form.reset();
    } catch (error) {
      problem.textContent = error.message;
    }
  });
}

on_submit("login", async (fields) => {
  const answer = await send("login", fields);
  document.getElementById("user").textContent = answer.name;
});

on_submit("post", (fields) => {
  const has_photo = fields.get("photo").size > 0;
  return has_photo ? send("photos", fields) : send("messages", { text: fields.get("text") });
});

const { messages, last } = await (await fetch("messages")).json();
messages.forEach(show);

const feed = new EventSource(`feed?after=${last}`);
feed.onopen = () => { document.getElementById("state").textContent = "connected"; };
feed.onerror = () => { document.getElementById("state").textContent = "connecting again"; };
feed.onmessage = (event) => show(JSON.parse(event.data));
