// The inbox: which question is open, and the keys of the form under it.

const inbox = document.getElementById("inbox");

function mark(id) {
  for (const row of document.querySelectorAll("#inbox-list [aria-current]")) row.removeAttribute("aria-current");
  document.getElementById(`open-${id}`)?.setAttribute("aria-current", "true");
}

// After a swap the open question is the one that stands on the page, whichever way it got there.
document.addEventListener("htmx:afterSettle", () => {
  const item = document.getElementById("item");
  if (item?.dataset.id) mark(item.dataset.id);
});

// On a phone the question takes the page.
document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target?.id !== "item") return;
  inbox.classList.add("is-alone");
  if (matchMedia("(max-width: 991px)").matches) scrollTo(0, 0);
});

inbox.addEventListener("keydown", (event) => {
  const form = event.target.closest("#answers");
  if (!form || !event.target.matches("textarea")) return;
  if (event.key === "Escape") form.querySelector("[data-goes-back]")?.click();
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.querySelector("[data-sends]").click();
});

inbox.addEventListener("change", (event) => {
  if (event.target.matches("[data-submits]")) event.target.form.requestSubmit();
});

// A refresh that was under way when an answer brought the list anew is of no use: its element has gone.
function guard(list) {
  list.addEventListener("htmx:beforeOnLoad", (event) => {
    if (!list.isConnected) event.preventDefault();
  });
}

guard(document.getElementById("inbox-list"));
document.addEventListener("htmx:load", (event) => {
  if (event.detail.elt.id === "inbox-list") guard(event.detail.elt);
});

// --- choosing many ---

const chosen = new Set();

function boxes() {
  return [...document.querySelectorAll("#inbox-list .row-pick input")];
}

function told() {
  const count = document.querySelector("[data-chosen]");
  if (count) count.textContent = chosen.size;
}

// What a refresh brings anew is chosen as before; what is gone is not.
function choose() {
  for (const box of boxes()) box.checked = chosen.has(box.value);
  for (const value of chosen) if (!boxes().some((box) => box.value === value)) chosen.delete(value);
  told();
}

inbox.addEventListener("change", (event) => {
  if (!event.target.matches(".row-pick input")) return;
  if (event.target.checked) chosen.add(event.target.value);
  else chosen.delete(event.target.value);
  told();
});

document.addEventListener("htmx:afterSettle", choose);
addEventListener("pageshow", () => {
  for (const box of boxes()) if (box.checked) chosen.add(box.value);
  told();
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "x" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("input:not([type=checkbox]), textarea, select") || document.querySelector("dialog[open]")) return;
  const line = document.activeElement.closest(".inbox-line") ?? document.querySelector(".inbox-line:has([aria-current])");
  line?.querySelector(".row-pick input")?.click();
});
