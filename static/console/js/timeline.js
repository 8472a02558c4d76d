// Draws the bars and the axis anew when the time they span has grown. Places are percentages, in attributes.

const SVG = "http://www.w3.org/2000/svg";
const NARROWEST = 0.6;
const MOST_MARKS = 5;
const MARKS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400, 604800];

function words(seconds) {
  if (seconds === 0) return "0";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"]]) {
    if (seconds >= size && seconds % size === 0) return `${seconds / size} ${unit}`;
  }
  return `${seconds} s`;
}

function drawAxis(axis, seconds) {
  const each = MARKS.find((mark) => seconds / mark <= MOST_MARKS) ?? seconds / MOST_MARKS;
  const marks = [];
  for (let place = 0; place * each <= seconds; place += 1) {
    const mark = document.createElementNS(SVG, "text");
    mark.textContent = words(Number((place * each).toFixed(3)));
    mark.setAttribute("x", `${(place * each * 100) / seconds}%`);
    mark.setAttribute("y", "14");
    marks.push(mark);
  }
  axis.replaceChildren(...marks);
}

/** Draw `steps` over the time up to `now` (milliseconds since the run's start), or up to their last end. */
export function draw(steps, now = 0) {
  const rows = [...steps.querySelectorAll(".step")];
  const span = Math.max(now, 1, ...rows.map((row) => Number(row.dataset.end || row.dataset.start)));
  for (const row of rows) {
    const start = Number(row.dataset.start);
    const end = row.dataset.end === "" ? span : Number(row.dataset.end);
    const bar = row.querySelector(".span");
    const x = Math.min((start * 100) / span, 100 - NARROWEST);
    bar.setAttribute("x", `${x}%`);
    bar.setAttribute("width", `${Math.max(((end - start) * 100) / span, NARROWEST)}%`);
  }
  const axis = document.querySelector("[data-axis]");
  if (axis) drawAxis(axis, span / 1000);
}
