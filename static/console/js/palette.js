// The palette: what does not match what is typed goes away, arrows move, Enter opens the first that is left.

const palette = document.getElementById("palette");
const words = document.getElementById("palette-words");

function links() {
  return [...palette.querySelectorAll("[data-palette] a")].filter((link) => link.offsetParent !== null);
}

function sift() {
  const typed = words.value.trim().toLowerCase();
  for (const link of palette.querySelectorAll("[data-palette] > ul a")) {
    link.parentElement.hidden = typed !== "" && !link.textContent.toLowerCase().includes(typed);
  }
}

words.addEventListener("input", sift);

palette.addEventListener("keydown", (event) => {
  const all = links();
  const at = all.indexOf(document.activeElement);
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    const to = at + (event.key === "ArrowDown" ? 1 : -1);
    (all[to] ?? words).focus();
  }
  if (event.key === "Enter" && at < 0 && all.length) {
    event.preventDefault();
    all[0].click();
  }
});

// A click beside it closes it.
palette.addEventListener("click", (event) => {
  if (event.target === palette) palette.close();
});
