// Draws the confusion matrix on a canvas: 700 classes are 490,000 cells.

function drawMatrix(canvas) {
  const pairs = data.confusion;
  const used = [...new Set(pairs.flatMap(([truth, choice]) => [truth, choice]))].sort((a, b) => a - b);
  const position = new Map(used.map((index, at) => [index, at]));
  const counts = new Map(pairs.map(([truth, choice, count]) => [position.get(truth) * used.length + position.get(choice), count]));
  const totals = new Array(used.length).fill(0);
  for (const [truth, , count] of pairs) totals[position.get(truth)] += count;
  const named = used.length <= 40;
  const context = canvas.getContext("2d");
  let cursor = null;
  let edge = 0;
  let cell = 1;

  function draw() {
    const ratio = devicePixelRatio || 1;
    const width = canvas.clientWidth;
    edge = named ? Math.min(150, width * 0.34) : 0;
    cell = (width - edge) / used.length;
    canvas.width = width * ratio;
    canvas.height = (cell * used.length + edge) * ratio;
    context.scale(ratio, ratio);
    // A custom property does not resolve light-dark(), but the `color` property does.
    const resolve = (name) => {
      const probe = element("span");
      probe.style.color = `var(${name})`;
      canvas.after(probe);
      const color = getComputedStyle(probe).color;
      probe.remove();
      return color;
    };
    const [ink, paper, line, right, wrong] = ["--ink", "--paper", "--line", "--blue", "--wrong"].map(resolve);
    context.strokeStyle = line;
    context.strokeRect(edge + 0.5, 0.5, cell * used.length - 1, cell * used.length - 1);
    for (const [at, count] of counts) {
      const [row, column] = [Math.floor(at / used.length), at % used.length];
      context.globalAlpha = 0.15 + (0.85 * count) / totals[row];
      context.fillStyle = row === column ? right : wrong;
      context.fillRect(edge + column * cell, row * cell, Math.max(cell - 0.5, 1), Math.max(cell - 0.5, 1));
      context.globalAlpha = 1;
      if (named && cell > 16) {
        context.fillStyle = 2 * count > totals[row] ? paper : ink;
        context.font = "11px system-ui, sans-serif";
        context.textAlign = "center";
        context.textBaseline = "middle";
        context.fillText(count, edge + (column + 0.5) * cell, (row + 0.5) * cell);
      }
    }
    if (named) drawNames(ink);
    if (cursor) {
      context.strokeStyle = ink;
      context.lineWidth = 2;
      context.strokeRect(edge + cursor[1] * cell, cursor[0] * cell, Math.max(cell, 4), Math.max(cell, 4));
    }
  }

  function drawNames(ink) {
    context.fillStyle = ink;
    context.font = "11px system-ui, sans-serif";
    context.textBaseline = "middle";
    for (const [at, index] of used.entries()) {
      const name = shorten(visible(data.classes[index]), edge - 8);
      context.textAlign = "right";
      context.fillText(name, edge - 6, (at + 0.5) * cell);
      context.save();
      context.translate(edge + (at + 0.5) * cell, cell * used.length + 6);
      context.rotate(-Math.PI / 2);
      context.fillText(name, 0, 0);
      context.restore();
    }
  }

  function shorten(name, room) {
    if (context.measureText(name).width <= room) return name;
    let end = name.length;
    while (end > 1 && context.measureText(`${name.slice(0, end)}…`).width > room) end -= 1;
    return `${name.slice(0, end)}…`;
  }

  function pointAt(row, column) {
    if (row < 0 || column < 0 || row >= used.length || column >= used.length) return;
    cursor = [row, column];
    const count = counts.get(row * used.length + column) ?? 0;
    const [truth, choice] = [row, column].map((at) => visible(data.classes[used[at]]));
    byId("cell").textContent =
      row === column
        ? `${truth}: ${count} of ${counted(totals[row], "video")} right`
        : `${truth} predicted as ${choice}: ${count} of ${counted(totals[row], "video")}`;
    draw();
  }

  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [Math.floor((event.clientY - box.top) / cell), Math.floor((event.clientX - box.left - edge) / cell)];
  };
  const open = () => {
    if (!cursor) return;
    const [truth, choice] = cursor.map((at) => used[at]);
    const row = runs[0].target.indexOf(truth);
    showVideos({ label: row < 0 ? "" : labelOf(row), choice: data.classes[choice] });
  };
  canvas.addEventListener("pointermove", (event) => pointAt(...at(event)));
  canvas.addEventListener("click", (event) => (pointAt(...at(event)), open()));
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (step) {
      event.preventDefault();
      const [row, column] = cursor ?? [0, 0];
      cursor ? pointAt(row + step[0], column + step[1]) : pointAt(0, 0);
    }
    if (event.key === "Enter") open();
  });
  for (const [source, name] of [[window, "resize"], [document, "themechange"]]) source.addEventListener(name, draw);
  draw();
}

if (byId("matrix")) drawMatrix(byId("matrix"));
