// Answers as they arrive. Rules of this file: the stream is a replay and asks nobody; it ends with its last event; what
// a person is reading is neither moved nor replaced; the status line speaks at most once a second, its last word at once.

const SPEAK_MS = 1000;
const answer = document.getElementById("answer");

function fromHtml(html) {
  const template = document.createElement("template");
  template.innerHTML = html; // written and escaped by our own server, under a policy that runs no inline script
  return template.content;
}

let spoken = 0;
let pending;
function speak(text, { isLast = false } = {}) {
  clearTimeout(pending);
  const wait = isLast ? 0 : Math.max(0, spoken + SPEAK_MS - Date.now());
  pending = setTimeout(() => {
    spoken = Date.now();
    const line = document.getElementById("summary");
    if (line && line.textContent !== text) line.textContent = text;
  }, wait);
}

function isBeingRead() {
  const below = document.getElementById("below");
  return Boolean(below) && (below.contains(document.activeElement) || below.getBoundingClientRect().top < 0);
}

// Makes a change above or below what is being read, and keeps that where it is on the screen.
function steadily(change) {
  const below = document.getElementById("below");
  const held = below?.contains(document.activeElement)
    ? document.activeElement
    : [...document.querySelectorAll("#records > li")].find((item) => item.getBoundingClientRect().bottom > 0);
  const before = isBeingRead() && held ? held.getBoundingClientRect().top : undefined;
  change();
  if (before !== undefined && held.isConnected) {
    window.scrollBy({ top: held.getBoundingClientRect().top - before, behavior: "instant" });
  }
}

function onOrganization(message) {
  const told = JSON.parse(message.data);
  // The stream begins with what this page may have had from the beginning: it is not shown twice.
  if (!document.getElementById(`org-${told.organization}`)?.classList.contains("waiting")) return;
  steadily(() => {
    document.getElementById(`org-${told.organization}`)?.replaceWith(fromHtml(told.chip));
    document.getElementById("records")?.append(fromHtml(told.records));
  });
  speak(told.summary);
}

function show(whole, ids) {
  for (const id of ids) {
    const [old, fresh] = [document.getElementById(id), whole.getElementById(id)];
    if (old && fresh) old.replaceWith(fresh);
  }
}

async function finish() {
  const response = await fetch(location.href, { headers: { accept: "text/html" }, cache: "no-store" });
  const whole = new DOMParser().parseFromString(await response.text(), "text/html");
  if (answer.dataset.whole || !whole.getElementById("records")) {
    document.getElementById("main").replaceWith(whole.getElementById("main"));
    document.title = whole.title;
    return;
  }
  const summary = whole.getElementById("summary").textContent;
  answer.dataset.state = "done";
  if (isBeingRead()) {
    steadily(() => {
      show(whole, ["chips", "completeness"]);
      document.getElementById("order").hidden = false;
    });
    document.querySelector("#order button").addEventListener("click", () => {
      show(whole, ["below"]);
      document.querySelector("#records a")?.focus();
    });
  } else {
    show(whole, ["chips", "below", "completeness"]);
  }
  speak(summary, { isLast: true });
}

function follow(url, whenOver) {
  const source = new EventSource(url);
  let isOver = false;
  const end = () => {
    source.close();
    if (isOver) return;
    isOver = true;
    whenOver().catch(() => location.reload());
  };
  source.addEventListener("organization", onOrganization);
  source.addEventListener("done", end);
  source.addEventListener("failed", end);
  // The browser comes back by itself, after the last event it saw; CLOSED means that there is nothing more to come.
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) end();
  });
}

// A lineage that is being walked: its stream tells only that it is over; then its section is shown anew, and nothing else.
async function showLineage() {
  const response = await fetch(location.href, { headers: { accept: "text/html" }, cache: "no-store" });
  const whole = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const waiting of document.querySelectorAll(".walking")) {
    const { id } = waiting.previousElementSibling;
    const fresh = whole.getElementById(id)?.parentElement;
    if (fresh && !fresh.querySelector(".walking")) waiting.parentElement.replaceWith(fresh);
  }
}

for (const waiting of document.querySelectorAll("[data-walking]")) {
  follow(waiting.dataset.walking, showLineage);
}
if (answer?.dataset.events) follow(answer.dataset.events, finish);
