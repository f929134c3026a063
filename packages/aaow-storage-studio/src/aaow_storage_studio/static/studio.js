// What pages can do only with scripts. Without them, every page and every decision works all the same.
"use strict";

const shortcuts = { s: "sessions", a: "approvals", b: "budgets", u: "usage", w: "workflows" };
let wentTo = 0;

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
  const field = document.querySelector(`[data-shortcut="${CSS.escape(event.key)}"]`);
  if (event.timeStamp - wentTo < 1500 && shortcuts[event.key]) {
    const link = document.querySelector(`nav[aria-label="Views"] a[href$="/${shortcuts[event.key]}"]`);
    if (link) link.click();
  } else if (event.key === "g") {
    wentTo = event.timeStamp;
  } else if (event.key === "j" || event.key === "k") {
    move(event.key === "j" ? 1 : -1);
  } else if (field) {
    event.preventDefault();
    field.focus();
  }
});

// Moves the focus from the link of one row to that of the next.
function move(step) {
  const links = [...document.querySelectorAll("main tbody tr a.id, main .cards a.id")];
  const at = links.indexOf(document.activeElement);
  const next = links[at < 0 ? (step > 0 ? 0 : links.length - 1) : at + step];
  if (next) next.focus();
}

function enhance() {
  for (const button of document.querySelectorAll("[data-copy][hidden]")) button.hidden = false;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(button.parentElement.querySelector("pre").textContent);
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
});

// What a person has opened stays open when the page is patched, and what this script has shown stays shown.
htmx.registerExtension("keep", {
  htmx_before_morph_attr: (element, { attrName }) =>
    !(attrName === "open" && element.matches("details")) && !(attrName === "hidden" && element.matches("[data-copy]")),
});

document.addEventListener("htmx:after:swap", enhance);
enhance();

// How long a request can still be decided. At its end the page asks for itself, as if there were news.
const over = new WeakSet();
function countDown() {
  for (const time of document.querySelectorAll("time[data-countdown]")) {
    const seconds = Math.floor((Date.parse(time.dateTime) - Date.now()) / 1000);
    const text = seconds < 0 ? "expired" : `expires in ${duration(seconds)}`;
    if (time.textContent !== text) time.textContent = text;
    time.classList.toggle("soon", seconds < 300);
    if (seconds >= 0) over.delete(time);
    else if (!over.has(time)) {
      over.add(time);
      const live = document.getElementById("live");
      if (live) live.dispatchEvent(new CustomEvent("changed"));
    }
  }
}

function duration(seconds) {
  if (seconds < 60) return `${seconds} s`;
  const [day, hour, minute] = [Math.floor(seconds / 86400), Math.floor(seconds / 3600), Math.floor(seconds / 60)];
  if (day) return `${day}d ${hour % 24}h`;
  return hour ? `${hour}h ${minute % 60}m` : `${minute}m ${seconds % 60}s`;
}

if (document.querySelector("time[data-countdown], .asks, #list")) setInterval(countDown, 1000);

// News that would take away a form with notes in it wait; the answer to the decision says who was first.
document.addEventListener("htmx:before:swap", (event) => {
  for (const form of document.querySelectorAll("form.decide")) {
    if (!form.elements.notes.value || event.detail.ctx.text.includes(`id="${form.id}"`)) continue;
    event.preventDefault();
    form.querySelector(".overtaken").hidden = false;
  }
});

// A second press of a button is no second decision.
document.addEventListener("submit", (event) => {
  if (!event.target.matches("form.decide")) return;
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "yes";
});
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form.decide")) delete form.dataset.sent;
});
