// chart.js - draws the counts that come over /feed, and sends an event for each click.

const chart = document.getElementById("chart");
const state = document.getElementById("state");

function draw(totals) {
  const names = Object.keys(totals).sort();
  const most = Math.max(1, ...Object.values(totals));
  chart.replaceChildren(...names.map((name) => {
    const bar = document.createElement("div");
    bar.className = "bar";
    const label = document.createElement("span");
    label.textContent = name;
    const fill = document.createElement("div");
    fill.style.width = `${(totals[name] / most) * 70}%`;
    const count = document.createElement("b");
    count.textContent = totals[name];
    bar.append(label, fill, count);
    return bar;
  }));
}

const feed = new EventSource("/feed");
feed.addEventListener("open", () => { state.textContent = "live"; });
feed.addEventListener("error", () => { state.textContent = "connecting again"; });
feed.addEventListener("totals", (event) => draw(JSON.parse(event.data)));

document.querySelectorAll("button").forEach((button) => {
  button.addEventListener("click", () => fetch("/events", {
    method: "POST",
    body: JSON.stringify({ name: button.dataset.name, path: location.pathname }),
  }));
});
