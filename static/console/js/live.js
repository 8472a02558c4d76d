// Follows a run: each message holds the parts of the page that changed. A part whose id stands on the page takes its
// place, another is appended to the list; so a part that comes twice does no harm.

const AGAIN_MS = 3000;

function parts(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return [...template.content.children];
}

function put(part, list) {
  const standing = document.getElementById(part.id);
  if (standing?.isEqualNode(part)) return;
  const focused = document.activeElement?.id;
  const within = standing?.contains(document.activeElement);
  if (standing) {
    standing.replaceWith(part);
  } else {
    part.classList.add("is-new");
    list.append(part);
  }
  window.htmx?.process(part);
  if (within && focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

/** Open the stream at `address` behind event `after`, and again whenever it was closed from the other side. */
export function follow(address, after, { list, line, changed }) {
  let seen = after;

  function say(words, lost) {
    line.classList.toggle("is-lost", lost);
    line.querySelector(".needs-script").textContent = words;
  }

  function open() {
    const source = new EventSource(`${address}&after=${seen}`);
    source.addEventListener("open", () => say("Live. New steps appear here; the page does not jump.", false));
    source.addEventListener("changed", (event) => {
      seen = Number(event.lastEventId);
      for (const part of parts(event.data)) put(part, list);
      for (const count of document.querySelectorAll("[data-events]")) count.textContent = seen;
      changed();
    });
    source.addEventListener("end", () => {
      source.close();
      line.remove();
    });
    source.addEventListener("error", () => {
      say("The connection was lost; trying again. What is shown may be old.", true);
      if (source.readyState === EventSource.CLOSED) setTimeout(open, AGAIN_MS);
    });
  }

  open();
}
