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
