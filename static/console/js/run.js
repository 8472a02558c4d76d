// A run's page: which step is open, which kinds are shown, and what changes while the run goes on.

import { follow } from "./live.js";
import { draw } from "./timeline.js";

const page = document.querySelector(".run");
const steps = document.getElementById("steps");

// --- the open step ---

function mark(link) {
  for (const other of steps.querySelectorAll("[aria-current]")) other.removeAttribute("aria-current");
  link?.setAttribute("aria-current", "true");
}

steps?.addEventListener("htmx:beforeRequest", (event) => {
  if (event.target.matches(".step-name")) mark(event.target);
});

document.addEventListener("click", (event) => {
  const closer = event.target.closest("[data-closes]");
  if (!closer) return;
  event.preventDefault();
  const detail = document.getElementById(closer.dataset.closes);
  detail.classList.remove("is-chosen");
  const link = document.getElementById(`step-${detail.dataset.seq}`);
  mark(null);
  link?.focus();
  history.pushState(null, "", location.pathname);
});

// --- kinds ---

const hidden = new Set();

function sift() {
  for (const step of steps?.querySelectorAll(".step") ?? []) step.hidden = hidden.has(step.dataset.stepKind);
}

document.addEventListener("click", (event) => {
  const chip = event.target.closest("[data-kind]");
  if (!chip) return;
  const shown = chip.getAttribute("aria-pressed") !== "true";
  chip.setAttribute("aria-pressed", String(shown));
  if (shown) hidden.delete(chip.dataset.kind);
  else hidden.add(chip.dataset.kind);
  sift();
});

document.addEventListener("htmx:afterSettle", sift);

// --- time ---

const TICK_MS = 200;

function lasted(seconds) {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.floor(seconds);
  for (const [size, large, rest, small] of [[86400, "d", 3600, "h"], [3600, "h", 60, "min"], [60, "min", 1, "s"]]) {
    if (whole >= size) return `${Math.floor(whole / size)} ${large} ${Math.floor((whole % size) / rest)} ${small}`;
  }
  return `${whole} s`;
}

function tick() {
  const going = document.querySelector("[data-since]");
  if (!going) return;
  const since = new Date(going.dataset.since);
  going.textContent = lasted(Math.max(Date.now() - since, 0) / 1000);
  if (steps) draw(steps, Date.now() - since);
  setTimeout(tick, TICK_MS);
}

tick();

// --- what changes ---

if (page.dataset.live) {
  follow(page.dataset.live, Number(page.dataset.after), {
    list: steps ?? document.getElementById("events"),
    line: document.getElementById("live-line"),
    changed: () => {
      if (!steps) return;
      mark(document.getElementById(`step-${new URLSearchParams(location.search).get("step")}`));
      sift();
      if (!document.querySelector("[data-since]")) draw(steps);
    },
  });
}
