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

document.addEventListener("htmx:after:swap", enhance);
enhance();
