// Says that something was copied.

const SHOWN_MS = 1600;

document.addEventListener("clipboard-copy", (event) => {
  const notice = document.getElementById("notice");
  event.target.classList.add("was-copied");
  notice.textContent = "Copied";
  setTimeout(() => {
    event.target.classList.remove("was-copied");
    notice.textContent = "";
  }, SHOWN_MS);
});
