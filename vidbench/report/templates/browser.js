// Filters, sorts and pages through the videos, so that 20,000 are as quick as 20.

const PAGE_SIZE = 20;
const { videos, runs } = data;
const form = byId("filters");
const letters = "ABCDEFGH";
const verdicts = {
  right: "✓ right",
  near: `✗ wrong, but in the top ${runs[0].top_n}`,
  wrong: "✗ wrong",
  unjudged: "○ no class to compare with",
  skipped: "– skipped",
};
const states = ["right", "near", "wrong", "unjudged", "skipped"];
const accepted = {
  miss: ["near", "wrong"],
  right: ["right"],
  near: ["near"],
  unjudged: ["unjudged"],
  skipped: ["skipped"],
};
for (const run of runs) run.classes ??= data.classes;
let matching = [];
let page = 0;

const stateOf = (run, row) => states[run.state[row]];
const labelOf = (row) => videos.labels[videos.label[row]];
const choiceOf = (run, row) => run.classes[run.best[row][0]] ?? "";
const hasShares = (run) => run.evidence === "probabilities";
const topScore = (run, row) => run.scores[row][0] ?? -Infinity;
const isScored = (run, row) => stateOf(run, row) !== "skipped";

// Texts to search, built once.
const texts = videos.id.map((id, row) =>
  [id, labelOf(row), ...runs.filter((run) => isScored(run, row)).map((run) => choiceOf(run, row))]
    .join("\n")
    .toLowerCase(),
);

function matches(row, wanted) {
  if (wanted.text && !texts[row].includes(wanted.text)) return false;
  if (wanted.label && labelOf(row) !== wanted.label) return false;
  if (!runs.every((run, place) => !wanted.states[place] || accepted[wanted.states[place]].includes(stateOf(run, row))))
    return false;
  const scored = runs.filter((run) => isScored(run, row));
  if (wanted.choice && !scored.some((run) => choiceOf(run, row) === wanted.choice)) return false;
  if (wanted.low <= 0 && wanted.high >= 1) return true;
  return scored.some((run) => hasShares(run) && topScore(run, row) >= wanted.low && topScore(run, row) <= wanted.high);
}

function readFilters() {
  const chosen = new FormData(form);
  const share = (name, otherwise) =>
    chosen.get(name) === "" ? otherwise : Number(chosen.get(name)) / 100;
  return {
    text: chosen.get("text").trim().toLowerCase(),
    states: runs.map((_, place) => chosen.get(`state${place}`)),
    label: chosen.get("label"),
    choice: chosen.get("choice"),
    low: share("low", 0),
    high: share("high", 1),
    order: chosen.get("order"),
  };
}

function search() {
  const wanted = readFilters();
  matching = videos.id.map((_, row) => row).filter((row) => matches(row, wanted));
  if (wanted.order !== "list") {
    const sign = wanted.order === "sure" ? -1 : 1;
    matching.sort((a, b) => sign * (topScore(runs[0], a) - topScore(runs[0], b) || 0));
  }
  page = 0;
  show();
}

function show() {
  const from = page * PAGE_SIZE;
  const rows = matching.slice(from, from + PAGE_SIZE);
  byId("cards").replaceChildren(...rows.map(card));
  byId("count").textContent = `${matching.length.toLocaleString("en")} of ${counted(videos.id.length, "video")}`;
  for (const pager of document.querySelectorAll(".pager")) fillPager(pager);
}

function fillPager(pager) {
  const last = Math.ceil(matching.length / PAGE_SIZE) - 1;
  const turn = (text, to) => {
    const button = element("button", { type: "button", textContent: text, disabled: to < 0 || to > last });
    button.addEventListener("click", () => turnTo(to));
    return button;
  };
  const place = element("span", { className: "muted" }, `Page ${page + 1} of ${last + 1}`);
  pager.replaceChildren(...(last > 0 ? [turn("Previous", page - 1), place, turn("Next", page + 1)] : []));
}

function turnTo(to) {
  page = to;
  show();
  byId("count").tabIndex = -1;
  byId("count").focus({ preventScroll: true });
  byId("videos").scrollIntoView();
}

function card(row) {
  const [run] = runs;
  const single = runs.length === 1;
  const left = element("div", {}, title(row, single), strip(row));
  const answers = element("div", { className: "answers" }, ...runs.map((each, place) => answer(each, place, row)));
  const made = element("li", { className: "video" }, left, answers);
  made.dataset.row = row;
  if (single) made.classList.add(stateOf(run, row));
  left.append(actions(row));
  for (const text of new Set(runs.map((each) => each.note[row]).filter(Boolean)))
    left.append(element("p", { className: "muted" }, visible(text)));
  return made;
}

function title(row, single) {
  const label = labelOf(row);
  const made = element("h3", {}, label ? visible(label) : "no label");
  if (single) made.append(" ", element("span", { className: "verdict" }, verdict(runs[0], row)));
  return made;
}

function verdict(run, row) {
  const state = stateOf(run, row);
  return state === "skipped" ? `${verdicts.skipped}: ${visible(run.reason[row])}` : verdicts[state];
}

function strip(row) {
  const source = data.thumbnails[row];
  if (!source) return element("p", { className: "nothing" }, "This page has no frames of this video.");
  const alt = `Frames that the model saw of ${visible(videos.id[row])}, ${visible(labelOf(row) || "no label")}`;
  return element("img", { className: "strip", src: source, alt, decoding: "async" });
}

function actions(row) {
  const made = element("div", { className: "row" }, element("code", {}, visible(videos.id[row])));
  const source = data.embedded[row] || videos.file[row];
  if (!source) return made;
  const button = element("button", { type: "button", textContent: "Play" });
  button.setAttribute("aria-label", `Play ${visible(videos.id[row])}`);
  button.addEventListener("click", () => play(made, button, source));
  made.append(button);
  return made;
}

function play(row, button, source) {
  const player = element("video", { controls: true, loop: true, muted: true, playsInline: true, src: source });
  const giveUp = (why) => player.replaceWith(element("p", { className: "nothing" }, why));
  const file = visible(source.startsWith("data:") ? "this video" : decodeURIComponent(source));
  player.addEventListener("error", () =>
    giveUp(`This browser cannot play ${file}: it is missing, or its format is not supported.`),
  );
  player.addEventListener("loadedmetadata", () => {
    if (!player.videoWidth) giveUp(`This browser cannot play ${file}: it has no decoder for its video stream.`);
  });
  button.remove();
  row.after(player);
  player.focus();
  player.play().catch(() => {}); // the handlers above report errors
}

function answer(run, place, row) {
  const list = element("ol", { className: "best" });
  if (isScored(run, row)) list.append(...run.best[row].map((choice, rank) => bar(run, row, choice, rank)));
  if (isScored(run, row) && !run.best[row].length) list.append(element("li", {}, "no class ranks above others"));
  const made = element("div", {}, list);
  if (runs.length > 1)
    made.prepend(
      element("h4", {}, `${letters[place]} `, element("span", { className: `verdict ${stateOf(run, row)}` }, verdict(run, row))),
    );
  if (run.target[row] >= 0 && run.classes[run.target[row]] !== labelOf(row))
    made.append(element("p", { className: "muted" }, `class in the model: ${visible(run.classes[run.target[row]])}`));
  return made;
}

function bar(run, row, choice, rank) {
  const score = run.scores[row][rank];
  const fill = element("div", { className: "fill" });
  const isShare = hasShares(run);
  fill.style.width = isShare ? `${Math.max(0, Math.min(100, 100 * score))}%` : 0;
  const isTruth = choice === run.target[row];
  const isMistaken = rank === 0 && !isTruth && run.target[row] >= 0;
  return element(
    "li",
    { className: isTruth ? "truth" : isMistaken ? "mistaken" : "" },
    element("span", { className: "name" }, `${isTruth ? "✓ " : isMistaken ? "✗ " : ""}${visible(run.classes[choice])}`),
    element("span", { className: "share" }, isShare ? percent(score) : `${score ?? ""}`),
    ...(isShare ? [element("div", { className: "track" }, fill)] : []),
  );
}

function fillChoices(name, values) {
  const sorted = [...new Set(values)].sort((a, b) => a.localeCompare(b, "en"));
  form.elements[name].append(...sorted.map((value) => new Option(visible(value), value)));
}

// Sets the named filters and resets all others.
function showVideos(filters) {
  form.reset();
  for (const [name, value] of Object.entries(filters))
    if (form.elements[name]) form.elements[name].value = value;
  search();
  byId("videos").scrollIntoView();
  byId("count").tabIndex = -1;
  byId("count").focus({ preventScroll: true });
}

form.querySelector("fieldset").hidden = !runs.some(hasShares);
fillChoices("label", videos.labels.filter(Boolean));
fillChoices("choice", runs.flatMap((run) => run.best.flatMap((best, row) => (isScored(run, row) && best.length ? [run.classes[best[0]]] : []))));
form.addEventListener("input", search);
form.addEventListener("submit", (event) => event.preventDefault());
byId("show-all").addEventListener("click", () => (form.reset(), search()));
for (const button of document.querySelectorAll("button[data-shows]"))
  button.addEventListener("click", () => showVideos({ ...button.dataset }));
search();
