// urls.js - logs in, shortens, and shows one's links with their clicks.

const byId = (id) => document.getElementById(id);

async function ask(method, path, body) {
  const response = await fetch(path, { method, body: body && JSON.stringify(body) });
  if (response.status === 204) return null;
  const answer = await response.json();
  if (response.ok) return answer;
  throw new Error(typeof answer.detail === "string" ? answer.detail : Object.values(answer.detail).join(", "));
}

function row(link) {
  const tr = document.createElement("tr");
  const a = document.createElement("a");
  a.href = `/${link.code}`;
  a.textContent = link.code;
  for (const content of [a, link.url, link.clicks]) {
    const td = document.createElement("td");
    td.append(content);
    tr.append(td);
  }
  return tr;
}

async function show() {
  const { links } = await ask("GET", "/links");
  byId("login").hidden = true;
  byId("add").hidden = false;
  byId("links").replaceChildren(...links.map(row));
}

function onSubmit(form, send) {
  byId(form).addEventListener("submit", async (event) => {
    event.preventDefault();
    byId("problem").textContent = "";
    try {
      await send(Object.fromEntries(new FormData(event.target)), event.submitter);
      await show();
    } catch (error) {
      byId("problem").textContent = error.message;
    }
  });
}

onSubmit("login", (fields, button) => ask("POST", button.value, fields));
onSubmit("add", (fields) => ask("POST", "/links", fields));
show().catch(() => {}); // not logged in yet
