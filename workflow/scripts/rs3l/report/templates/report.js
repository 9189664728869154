"use strict";
// Sort a table by a column: numbers by value ("0.97 ± 0.01" and "> 90" too), other texts by letters.
function key(row, column) {
  const text = row.cells[column].textContent.trim();
  const number = parseFloat(text.replace(/^[>+]\s*/, ""));
  return { text, number };
}
function sort(table, head) {
  const column = head.cellIndex;
  const up = head.getAttribute("aria-sort") !== "ascending";
  const rows = [...table.tBodies[0].rows];
  const numeric = rows.every((row) => key(row, column).text === "" || !isNaN(key(row, column).number));
  rows.sort((a, b) => {
    const [x, y] = [key(a, column), key(b, column)];
    const order = numeric ? (x.number || 0) - (y.number || 0) : x.text.localeCompare(y.text);
    return up ? order : -order;
  });
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  table.tBodies[0].append(...rows);
}
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => sort(button.closest("table"), button.closest("th")));
}
// Enlarge a figure.
const dialog = document.querySelector("dialog");
for (const button of document.querySelectorAll(".zoom")) {
  button.addEventListener("click", () => {
    const image = button.querySelector("img");
    dialog.querySelector("img").src = image.src;
    dialog.querySelector("img").alt = image.alt;
    dialog.showModal();
  });
}
dialog?.addEventListener("click", () => dialog.close());
// Mark the section that is being read.
const links = new Map([...document.querySelectorAll("nav > ul > li > a")].map((a) => [a.hash.slice(1), a]));
const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    for (const link of links.values()) link.classList.remove("here");
    links.get(entry.target.id)?.classList.add("here");
  }
}, { rootMargin: "-10% 0px -80% 0px" });
for (const id of links.keys()) watcher.observe(document.getElementById(id));
// Unfold what a link leads to, and everything for the printer.
function unfold(target) {
  for (let part = target; part; part = part.parentElement) {
    if (part.tagName === "DETAILS") part.open = true;
  }
  target?.querySelector(":scope > details.section")?.setAttribute("open", "");
}
function follow() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  unfold(target);
  target.scrollIntoView();
}
addEventListener("hashchange", follow);
if (location.hash) follow();
addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details.section")) part.open = true;
});
