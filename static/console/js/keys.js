// Keys: what names one (`data-hotkey`), moving through the lines of a page, and dialogs that buttons open.

import { install, uninstall } from "../../vendor/github-hotkey/index.js";

function installIn(root) {
  for (const element of root.querySelectorAll("[data-hotkey]")) install(element);
}

function typing(target) {
  return target.matches("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]");
}

function move(by) {
  const lines = [...document.querySelectorAll("[data-lines] [data-line]")].filter((line) => line.offsetParent !== null);
  if (!lines.length) return;
  const active = document.activeElement; // a line, or the box that chooses one
  const from = lines.indexOf(active.closest(".inbox-line")?.querySelector("[data-line]") ?? active);
  const at = from < 0 ? lines.findIndex((line) => line.ariaCurrent === "true" && line.closest("[data-opens-on-move]")) : from;
  const to = at < 0 ? (by > 0 ? 0 : lines.length - 1) : Math.min(Math.max(at + by, 0), lines.length - 1);
  lines[to].focus();
  if (to !== at && lines[to].closest("[data-opens-on-move]")) lines[to].click();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  if (document.querySelector("dialog[open]")) return;
  if (event.key === "j") move(1);
  if (event.key === "k") move(-1);
});

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-opens]");
  if (!opener) return;
  event.preventDefault(); // a link that opens a dialog leads to a page of the same where there are no scripts
  document.getElementById(opener.dataset.opens).showModal();
});

installIn(document);
document.addEventListener("htmx:load", (event) => {
  if (event.detail.elt !== document.body) installIn(event.detail.elt);
});
document.addEventListener("htmx:beforeCleanupElement", (event) => {
  if (event.detail.elt.dataset?.hotkey) uninstall(event.detail.elt);
});
