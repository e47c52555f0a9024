"use strict";
// Functions of every page: reading data, sorting and filtering tables, copying, dark mode.
// Untrusted text becomes text nodes only, never HTML.

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);

// Shows control characters, such as line breaks and changes of text direction, as escape codes.
const visible = (text) =>
  String(text).replace(
    /[\u0000-\u001f\u007f-\u009f\u2028\u2029\ud800-\udfff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu,
    (char) => "\\u" + char.charCodeAt(0).toString(16).padStart(4, "0"),
  );
const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)}\u202f%`;
const counted = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function cellValue(row, column) {
  const cell = row.cells[column];
  const text = cell.dataset.value ?? cell.textContent.trim();
  const number = Number(text);
  return text !== "" && !Number.isNaN(number) ? number : text.toLowerCase();
}

function compareValues(a, b) {
  if (typeof a === typeof b) return a < b ? -1 : a > b ? 1 : 0;
  return typeof a === "number" ? -1 : 1;
}

function sortTable(table, column) {
  const header = table.tHead.rows[0].cells[column];
  const descending = header.ariaSort === "ascending";
  for (const other of table.tHead.rows[0].cells) other.ariaSort = "none";
  header.ariaSort = descending ? "descending" : "ascending";
  const keyed = [...table.tBodies[0].rows].map((row) => [cellValue(row, column), row]);
  keyed.sort(([a], [b]) => (descending ? -1 : 1) * compareValues(a, b));
  table.tBodies[0].append(...keyed.map(([, row]) => row));
}

function filterTable(input) {
  const table = byId(input.dataset.filters);
  const wanted = input.value.trim().toLowerCase();
  let shown = 0;
  for (const row of table.tBodies[0].rows) {
    row.hidden = !row.cells[0].textContent.toLowerCase().includes(wanted);
    shown += !row.hidden;
  }
  byId(`${table.id}-count`).value = `${shown} of ${table.tBodies[0].rows.length}`;
}

async function copy(button) {
  const source = byId(button.dataset.copies);
  getSelection().selectAllChildren(source); // to copy by hand if the browser denies access
  try {
    await navigator.clipboard.writeText(source.textContent);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Selected: copy with Ctrl+C";
  }
}

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

for (const table of document.querySelectorAll("table.sortable"))
  for (const [column, header] of [...table.tHead.rows[0].cells].entries())
    header.querySelector("button").addEventListener("click", () => sortTable(table, column));
for (const input of document.querySelectorAll("[data-filters]")) {
  input.addEventListener("input", () => filterTable(input));
  filterTable(input);
}
for (const button of document.querySelectorAll("[data-copies]"))
  button.addEventListener("click", () => copy(button));
byId("theme").addEventListener("click", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  document.dispatchEvent(new Event("themechange"));
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () =>
  document.dispatchEvent(new Event("themechange")),
);
