"use strict";
/* The page of a report. Every photo is a block of JSON, #photo-0 and so on, parsed when it is shown; what is needed of all
   of them at once is in #index. Whatever comes from a file is put in as text or as an attribute's value,
   never as markup. */

(() => {
  const $ = (id) => document.getElementById(id);
  const parsed = (id) => JSON.parse($(id).textContent);
  const index = parsed("index");
  const photos = index.photos;
  const ZOOMS = ["fit", "1", "2", "4"];

  /** An element with attributes, properties (`.name`) and listeners (`onclick`); texts become text nodes. */
  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  }

  // Numbers ----------------------------------------------------------------------------------------------------------

  /** JSON's value as a number, NaN or an infinity; null where it is none. */
  function number(value) {
    if (typeof value === "number") return value;
    return ["Infinity", "-Infinity", "NaN"].includes(value) ? Number(value) : null;
  }

  /** Decimals for a set of numbers: four significant digits of the largest, and no more than any of them needs. */
  function decimalsFor(values) {
    const finite = values.filter(Number.isFinite);
    const largest = Math.max(...finite.map(Math.abs), 0);
    const wanted = Math.min(Math.max(3 - Math.floor(Math.log10(largest || 1)), 0), 12);
    const needed = Math.max(...finite.map((value) => {
      const [digits, exponent] = String(value).split("e");
      return Math.max((digits.split(".")[1] || "").length - Number(exponent || 0), 0);
    }), 0);
    return Math.min(wanted, needed);
  }

  function format(value, decimals = decimalsFor([value])) {
    if (value === null) return "–";
    if (Number.isNaN(value)) return "NaN";
    if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
    const text = value.toFixed(decimals);
    const tooShort = value !== 0 && Number(text) === 0;
    return (tooShort ? value.toPrecision(2) : text).replace("-", "−");
  }

  const metricName = (name) => name.toUpperCase().replaceAll("_", "-");

  function metricNames(views) {
    return [...new Set(views.flatMap((view) => Object.keys(view.metrics)))];
  }

  /** The positions of the best of some finite numbers; none where they are all the same. */
  function best(values, direction) {
    const finite = values.filter(Number.isFinite);
    if (!direction || new Set(finite).size < 2) return new Set();
    const goal = direction === "higher" ? Math.max(...finite) : Math.min(...finite);
    return new Set(values.flatMap((value, position) => (value === goal ? [position] : [])));
  }

  const metricOf = (view, name) => number(view.metrics[name] ?? null);
  const everyView = photos.flatMap((entry) => entry.views);
  const metricDecimals = {}; // the same all over the page
  for (const name of metricNames(everyView)) {
    metricDecimals[name] = index.metrics[name]?.digits ?? decimalsFor(everyView.map((view) => metricOf(view, name) ?? NaN));
  }

  /** What counts in choosing the best: the ground truth is nobody's result. */
  const competing = (views, name) => views.map((view) => (view.truth ? NaN : metricOf(view, name) ?? NaN));

  // Tables -----------------------------------------------------------------------------------------------------------

  /** Ascending order of two cells: numbers, then texts. Missing ones are last whatever the direction. */
  function compareCells(first, second, sign) {
    const missing = (value) => value === null || value === "" || Number.isNaN(number(value) ?? 0);
    if (missing(first) || missing(second)) return missing(first) - missing(second);
    const [a, b] = [number(first), number(second)];
    if (a !== null && b !== null) return sign * (a < b ? -1 : a > b ? 1 : 0);
    if ((a === null) !== (b === null)) return a === null ? 1 : -1;
    return sign * String(first).localeCompare(String(second), undefined, { numeric: true });
  }

  /**
   * A table that is sorted by its header's buttons.
   * columns: names; rows: arrays of text, number or null; options.best: for each column the set of rows in bold;
   * options.decimals: for each column, where its own numbers should not decide; options.open(row, event): what choosing a row does.
   */
  function makeTable(label, columns, rows, options = {}) {
    const head = make("tr");
    const body = make("tbody");
    const numeric = columns.map((_, column) => rows.some((row) => number(row[column]) !== null));
    const decimals = columns.map(
      (_, column) => options.decimals?.[column] ?? decimalsFor(rows.map((row) => number(row[column]) ?? NaN)),
    );
    const elements = rows.map((row, position) => {
      const cells = row.map((value, column) => {
        const bold = options.best?.[column]?.has(position);
        const text = value === null || number(value) !== null ? format(number(value), decimals[column]) : value;
        const content = bold ? make("strong", { title: "best" }, text) : text;
        const kind = numeric[column] ? "number" : null;
        return column === 0 ? make("th", { scope: "row", class: kind, title: text }, content) : make("td", { class: kind }, content);
      });
      const element = make("tr", options.open ? { tabindex: position ? -1 : 0, "data-row": position } : {}, ...cells);
      if (options.open) element.addEventListener("click", (event) => options.open(position, event));
      return element;
    });
    const order = elements.map((_, position) => position);

    function place() {
      body.append(...order.map((position) => elements[position]));
    }

    function sort(column, descending) {
      const sign = descending ? -1 : 1;
      order.sort((a, b) => compareCells(rows[a][column], rows[b][column], sign) || a - b);
      [...head.children].forEach((cell, position) => {
        if (position === column) cell.setAttribute("aria-sort", descending ? "descending" : "ascending");
        else cell.removeAttribute("aria-sort");
      });
      place();
      moveTo(body.querySelector("tr:not([hidden])"));
    }

    function moveTo(row) {
      if (!options.open || !row) return;
      for (const other of body.querySelectorAll('tr[tabindex="0"]')) other.tabIndex = -1;
      row.tabIndex = 0;
    }

    columns.forEach((column, position) => {
      const button = make("button", { type: "button" }, column);
      const cell = make("th", { scope: "col", class: numeric[position] ? "number" : null }, button);
      button.addEventListener("click", () => sort(position, cell.getAttribute("aria-sort") === "ascending"));
      head.append(cell);
    });
    if (options.open) {
      body.addEventListener("keydown", (event) => {
        const row = event.target.closest("tr");
        const shown = [...body.children].filter((other) => !other.hidden);
        const position = shown.indexOf(row);
        const target = { ArrowDown: position + 1, ArrowUp: position - 1, Home: 0, End: shown.length - 1 }[event.key];
        if (event.key === "Enter") options.open(Number(row.dataset.row), event);
        else if (target === undefined) return;
        else if (shown[target]) {
          moveTo(shown[target]);
          shown[target].focus();
        }
        event.preventDefault();
        event.stopPropagation();
      });
    }
    place();
    const table = make("table", {}, make("thead", {}, head), body);
    const element = make("div", { class: "scroll", role: "region", "aria-label": label, tabindex: 0 }, table);
    return {
      element,
      /** Show only the rows of which `wanted(row)` is true. */
      filter(wanted) {
        elements.forEach((row, position) => (row.hidden = !wanted(position)));
        moveTo(body.querySelector("tr:not([hidden])"));
      },
    };
  }

  function showOverview() {
    for (const table of index.tables) {
      const values = table.columns.map((_, column) => table.rows.map((row) => number(row[column]) ?? NaN));
      const bold = table.columns.map((column, position) => best(values[position], index.metrics[column]?.better));
      const columns = table.columns.map((column) => (index.metrics[column] ? metricName(column) : column));
      const decimals = table.columns.map((column) => index.metrics[column]?.digits);
      const { element } = makeTable(table.title, columns, table.rows, { best: bold, decimals });
      $("tables").append(make("div", { class: "table" }, make("h2", {}, table.title), element));
    }
    if (index.damaged.length) {
      $("damaged").textContent = `Left out, because these files are damaged: ${index.damaged.join(", ")}`;
      $("damaged").hidden = false;
    }
    $("overview").hidden = !$("overview").querySelector("table, figure");
  }

  function showMetrics() {
    const names = Object.keys(metricDecimals);
    if (!names.length) return;
    const rows = [];
    const places = [];
    const bold = [new Set(), new Set(), ...names.map(() => new Set())];
    photos.forEach((photo, position) => {
      const start = rows.length;
      const measured = photo.views.filter((view) => Object.keys(view.metrics).length);
      names.forEach((name, column) => {
        for (const winner of best(competing(measured, name), index.metrics[name]?.better)) bold[column + 2].add(start + winner);
      });
      for (const view of measured) {
        rows.push([photo.photo, view.label, ...names.map((name) => view.metrics[name] ?? null)]);
        places.push({ photo: position, label: view.label });
      }
    });
    const open = (row) => {
      const { photo: position, label } = places[row];
      if (label !== state.a && label !== photos[position].views[0].label) state.b = label;
      show(position);
      $("viewer").scrollIntoView({ block: "start" });
      $("divider").focus({ preventScroll: true });
    };
    const columns = ["Photo", "View", ...names.map(metricName)];
    const decimals = [0, 0, ...Object.values(metricDecimals)];
    const table = makeTable("Metrics of all photos", columns, rows, { best: bold, decimals, open });
    const labels = [...new Set(places.map((place) => place.label))];
    const choice = $("metrics-view");
    choice.append(make("option", { value: "" }, "all"), ...labels.map((label, i) => make("option", { value: i }, label)));
    choice.addEventListener("change", () => {
      table.filter((row) => choice.value === "" || places[row].label === labels[Number(choice.value)]);
    });
    $("metrics-table").append(table.element);
    $("metrics").hidden = $("metrics-link").hidden = false;
  }

  // The viewer -------------------------------------------------------------------------------------------------------

  /** a, b: labels of the views, kept from photo to photo; split: the divider's place in percent; zoom: one of ZOOMS. */
  const state = { photo: 0, a: null, b: null, split: 50, zoom: "fit", flipped: false };
  let photo = null; // the parsed photo
  let images = []; // an <img> for each view that was shown

  const chosen = (side) => photo.views.findIndex((view) => view.label === state[side]);

  /** Keep the chosen views where the photo has them; else A is its first, B its last that is not the ground truth. */
  function chooseViews() {
    const last = photo.views.findLastIndex((view, position) => !view.truth && position > 0);
    const fallback = { a: 0, b: last > 0 ? last : photo.views.length - 1 };
    return { a: chosen("a") < 0 ? fallback.a : chosen("a"), b: chosen("b") < 0 ? fallback.b : chosen("b") };
  }

  function imageOf(position) {
    if (!images[position]) {
      const view = photo.views[position];
      images[position] = make("img", { alt: `${photo.photo}: ${view.label}`, draggable: "false", src: view.src });
      $("stage").prepend(images[position]);
    }
    return images[position];
  }

  function caption(element, side, view, other) {
    const names = Object.keys(view.metrics);
    const list = make("dl");
    for (const name of names) {
      const [value, before] = [metricOf(view, name), other && metricOf(other, name)];
      const detail = make("dd", {}, format(value, metricDecimals[name]));
      if (Number.isFinite(value) && Number.isFinite(before) && value !== before) {
        const gain = index.metrics[name]?.better === "higher" ? value > before : value < before;
        const text = (value > before ? "+" : "") + format(value - before, metricDecimals[name]);
        const kind = index.metrics[name] ? (gain ? "better" : "worse") : "change";
        detail.append(" ", make("small", { class: kind, title: `${kind}, against A` }, text));
      }
      list.append(make("div", {}, make("dt", {}, metricName(name)), detail));
    }
    const title = make("p", {}, make("span", { class: "key" }, side.toUpperCase()), make("b", {}, view.label));
    element.className = side;
    element.replaceChildren(title, list);
  }

  /** Draw what depends on the divider. */
  function renderSplit() {
    const split = state.split;
    $("divider").style.left = `${split}%`;
    $("divider").setAttribute("aria-valuenow", Math.round(split));
    for (const image of images) {
      if (!image) continue;
      if (image.className === "left") image.style.clipPath = `inset(0 ${100 - split}% 0 0)`;
      else if (image.className === "right") image.style.clipPath = `inset(0 0 0 ${split}%)`;
      else image.style.clipPath = "none";
    }
  }

  /** Draw what depends on the chosen views. */
  function renderViews() {
    if (!photo.views.length) return;
    const { a, b } = chooseViews();
    imageOf(a);
    imageOf(b);
    const [left, right] = state.flipped ? [b, a] : [a, b];
    images.forEach((image, position) => {
      image.className = position === left && position === right ? "both" : "";
      if (left !== right && position === left) image.className = "left";
      if (left !== right && position === right) image.className = "right";
      image.hidden = image.className === "";
    });
    const [sideLeft, sideRight] = state.flipped ? ["b", "a"] : ["a", "b"];
    const [viewA, viewB] = [photo.views[a], photo.views[b]];
    caption($("caption-left"), sideLeft, photo.views[left], sideLeft === "b" ? viewA : null);
    caption($("caption-right"), sideRight, photo.views[right], sideRight === "b" ? viewA : null);
    $("viewer").classList.toggle("flipped", state.flipped);
    $("choose-a").value = a;
    $("choose-b").value = b;
    const text = `${photo.views[left].label} on the left, ${photo.views[right].label} on the right`;
    $("divider").setAttribute("aria-valuetext", text);
    for (const row of $("views").querySelectorAll("tbody tr")) {
      const position = Number(row.dataset.row);
      row.classList.toggle("is-a", position === a);
      row.classList.toggle("is-b", position === b);
    }
    const notes = [];
    const percents = [viewA, viewB].map((view) => Math.round((100 * view.shown[1]) / view.size[1]));
    if (percents[0] !== percents[1]) notes.push(`A shown at ${percents[0]} %, B at ${percents[1]} %`);
    else if (percents[0] !== 100) notes.push(`shown at ${percents[0]} %`);
    const sizes = [viewA, viewB].map((view) => pixels(view.size));
    if (sizes[0] !== sizes[1]) notes.push(`A is ${sizes[0]}, B is ${sizes[1]}, stretched over each other`);
    $("shown").textContent = notes.join(" · ");
    $("shown").hidden = !notes.length;
    renderSplit();
  }

  const pixels = ([height, width]) => `${width} × ${height}`;

  /** Draw what depends on the zoom and the room there is; the middle of what was seen stays in the middle. */
  function renderZoom() {
    if (!photo.views.length) return;
    const viewport = $("viewport");
    const stage = $("stage");
    const [frame, picture] = [viewport.getBoundingClientRect(), stage.getBoundingClientRect()];
    const middle = [
      (frame.left + frame.width / 2 - picture.left) / (picture.width || 1),
      (frame.top + frame.height / 2 - picture.top) / (picture.height || 1),
    ];
    const height = Math.max(...photo.views.map((view) => view.shown[0]));
    const width = Math.max(...photo.views.map((view) => view.shown[1]));
    const room = Math.max(window.innerHeight * 0.82, 280);
    const scale =
      state.zoom === "fit"
        ? Math.min(viewport.clientWidth / width, room / height)
        : Number(state.zoom) / window.devicePixelRatio;
    stage.style.width = `${width * scale}px`;
    stage.style.aspectRatio = `${width} / ${height}`;
    viewport.style.maxHeight = state.zoom === "fit" ? "none" : `${room}px`;
    viewport.classList.toggle("zoomed", state.zoom !== "fit");
    stage.classList.toggle("pixelated", Number(state.zoom) > 1);
    viewport.scrollLeft = middle[0] * stage.offsetWidth - viewport.clientWidth / 2;
    viewport.scrollTop = middle[1] * stage.offsetHeight - viewport.clientHeight / 2;
    for (const button of document.querySelectorAll("[data-zoom]")) {
      button.setAttribute("aria-pressed", button.dataset.zoom === state.zoom);
    }
    const percent = Math.round(100 * scale * window.devicePixelRatio);
    document.querySelector('[data-zoom="fit"]').title = state.zoom === "fit" ? `Shown at ${percent} %` : "Fit (0)";
  }

  function setZoom(zoom) {
    state.zoom = zoom;
    renderZoom();
  }

  function setSplit(split) {
    state.split = Math.min(Math.max(split, 0), 100);
    renderSplit();
  }

  /** Move the divider by percent, and keep it in sight. */
  function moveSplit(change) {
    setSplit(state.split + change);
    const viewport = $("viewport");
    const x = (state.split / 100) * $("stage").offsetWidth;
    if (x < viewport.scrollLeft) viewport.scrollLeft = x;
    else if (x > viewport.scrollLeft + viewport.clientWidth) viewport.scrollLeft = x - viewport.clientWidth;
  }

  function setFlipped(flipped) {
    if (state.flipped === flipped) return;
    state.flipped = flipped;
    renderViews();
  }

  function setView(side, position) {
    if (!photo.views[position]) return;
    state[side] = photo.views[position].label;
    renderViews();
  }

  function listenToStage() {
    const stage = $("stage");
    let dragging = false;
    const moveTo = (event) => {
      const box = stage.getBoundingClientRect();
      setSplit((100 * (event.clientX - box.left)) / box.width);
    };
    stage.addEventListener("pointerdown", (event) => {
      const pans = event.pointerType === "touch" && state.zoom !== "fit" && !event.target.closest(".divider");
      if (event.button !== 0 || pans) return;
      dragging = true;
      stage.setPointerCapture(event.pointerId);
      if (!event.target.closest(".divider")) moveTo(event);
      $("divider").focus({ preventScroll: true });
      event.preventDefault();
    });
    stage.addEventListener("pointermove", (event) => dragging && moveTo(event));
    for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, () => (dragging = false));
    stage.addEventListener("click", (event) => event.pointerType === "touch" && moveTo(event));
    const flip = $("flip");
    flip.addEventListener("pointerdown", () => setFlipped(true));
    for (const end of ["pointerup", "pointercancel", "pointerleave", "blur"]) {
      flip.addEventListener(end, () => setFlipped(false));
    }
    for (const side of ["a", "b"]) {
      $(`choose-${side}`).addEventListener("change", (event) => setView(side, Number(event.target.value)));
    }
    for (const button of document.querySelectorAll("[data-zoom]")) {
      button.addEventListener("click", () => setZoom(button.dataset.zoom));
    }
    let width = 0; // a change of height alone is the viewport's own, or a phone's address bar
    new ResizeObserver(([entry]) => {
      if (photo && entry.contentRect.width !== width) {
        width = entry.contentRect.width;
        renderZoom();
        drawLosses();
      }
    }).observe($("viewer"));
  }

  // One photo --------------------------------------------------------------------------------------------------------

  function showFaces() {
    const cards = photo.faces.map((face, position) => {
      const picture = (source, text, kind) =>
        make(
          "figure",
          {},
          make("img", { src: source, alt: `Face ${position + 1} of ${photo.photo}: ${text}`, class: kind, loading: "lazy" }),
          make("figcaption", {}, text),
        );
      const row = make("div", { class: face.weights ? "face" : "face pair" });
      row.append(picture(face.lq, `LQ, ${pixels(face.size)}`, "pixelated"), picture(face.hq, "Restored"));
      if (face.weights) {
        const heat = picture(face.weights.src, "MaskNet's weights W");
        const legend = make("span", { class: "legend", "aria-hidden": "true" });
        legend.style.backgroundImage = `linear-gradient(to right, ${index.heat.join(", ")})`;
        heat.lastChild.append(
          make("span", { class: "scale" }, "0", legend, format(number(face.weights.max))),
          make("span", { class: "mean" }, `mean ${format(number(face.weights.mean))}`),
        );
        row.append(heat);
      }
      return row;
    });
    $("faces").replaceChildren(...cards);
    if (photo.faces.length && photo.faces.every((face) => !face.weights)) {
      $("faces").append(make("p", { class: "hint" }, "These weights have no MaskNet: W = 1 everywhere."));
    }
    $("faces-panel").hidden = !photo.faces.length;
  }

  /** Round steps between two numbers, about `count` of them. */
  function ticks(low, high, count) {
    const rough = (high - low) / count;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough * 0.8);
    const found = [];
    for (let tick = Math.ceil(low / step); tick <= Math.floor(high / step + 1e-9); tick++) found.push(tick * step);
    return found;
  }

  /** Labels at their curves' ends, moved apart so that none lies on another. */
  function spread(labels, gap, top, bottom) {
    labels.sort((a, b) => a.y - b.y);
    labels.forEach((label, i) => (label.y = Math.max(label.y, i ? labels[i - 1].y + gap : top)));
    for (let i = labels.length - 1; i >= 0; i--) {
      labels[i].y = Math.min(labels[i].y, i + 1 < labels.length ? labels[i + 1].y - gap : bottom);
    }
  }

  function drawLosses() {
    const curves = photo.losses
      .map((curve) => ({ label: curve.label, values: curve.values.map(number) }))
      .filter((curve) => curve.values.length);
    const panel = $("losses-panel");
    panel.hidden = !curves.length;
    if (!curves.length) return;
    const namespace = $("svg").content.firstElementChild.namespaceURI;
    const draw = (tag, attributes, text) => {
      const element = document.createElementNS(namespace, tag);
      for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
      if (text !== undefined) element.append(text);
      return element;
    };
    const finite = curves.flatMap((curve) => curve.values).filter(Number.isFinite);
    let [low, high] = finite.length ? [Math.min(...finite), Math.max(...finite)] : [0, 1];
    const margin = (high - low || Math.abs(high) || 1) * 0.08;
    [low, high] = [low - margin, high + margin];
    const last = Math.max(...curves.map((curve) => curve.values.length - 1), 1);
    const longest = Math.max(...curves.map((curve) => curve.label.length));
    const width = Math.max($("losses").clientWidth, 240);
    const named = longest * 7.5 + 16 <= width * 0.4; // at the ends of the lines; else in a list below
    const right = named ? longest * 7.5 + 16 : 16;
    const height = Math.max(240, named ? curves.length * 17 + 60 : 0);
    const levels = ticks(low, high, 5);
    const decimals = decimalsFor(levels.map((level) => Number(level.toPrecision(6))));
    const names = levels.map((level) => format(level, decimals));
    const box = { left: Math.max(...names.map((name) => name.length)) * 7.5 + 14, right: width - right, top: 10, bottom: height - 40 };
    const x = (step) => box.left + (step / last) * (box.right - box.left);
    const y = (loss) => box.bottom - ((loss - low) / (high - low)) * (box.bottom - box.top);
    const summary = curves.map((curve) => `${curve.label}: ${curve.values.map((value) => format(value)).join(", ")}`);
    const chart = draw("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", class: "chart" });
    chart.setAttribute("aria-label", `Loss before each step and after the last. ${summary.join(". ")}`);
    levels.forEach((level, i) => {
      chart.append(draw("line", { x1: box.left, x2: box.right, y1: y(level), y2: y(level), class: "grid" }));
      chart.append(draw("text", { x: box.left - 8, y: y(level) + 4, "text-anchor": "end" }, names[i]));
    });
    for (const step of ticks(0, last, Math.min(last, 8)).filter(Number.isInteger)) {
      chart.append(draw("text", { x: x(step), y: box.bottom + 18, "text-anchor": "middle" }, String(step)));
    }
    const middle = (box.left + box.right) / 2;
    chart.append(draw("text", { x: middle, y: height - 4, "text-anchor": "middle", class: "axis" }, "steps"));
    const labels = [];
    curves.forEach((curve, position) => {
      const kind = `curve-${position % 6}${position < 6 ? "" : " dashed"}`;
      const points = curve.values.map((value, step) => (Number.isFinite(value) ? [x(step), y(value)] : null));
      const path = points.map((point, step) => (point ? `${step && points[step - 1] ? "L" : "M"}${point.join(" ")}` : ""));
      chart.append(draw("path", { d: path.join(""), class: `curve ${kind}` }));
      curve.values.forEach((value, step) => {
        const text = `${curve.label}, after ${step} steps: ${format(value)}`;
        const mark = points[step]
          ? draw("circle", { cx: points[step][0], cy: points[step][1], r: 3, class: kind })
          : draw("text", { x: x(step), y: box.top + 8, "text-anchor": "middle", class: `${kind} broken` }, "×");
        mark.append(draw("title", {}, text));
        chart.append(mark);
      });
      const end = points.findLastIndex((point) => point);
      labels.push({ y: end < 0 ? box.top : points[end][1], x: end < 0 ? x(0) : points[end][0], kind, text: curve.label });
    });
    $("losses").replaceChildren(chart);
    if (named) {
      spread(labels, 16, box.top + 6, box.bottom);
      chart.append(...labels.map((label) => draw("text", { x: box.right + 10, y: label.y + 4, class: `${label.kind} name` }, label.text)));
    } else {
      const entry = (label) => make("li", {}, make("span", { class: `swatch ${label.kind}` }), label.text);
      $("losses").append(make("ul", { class: "legend" }, ...labels.map(entry)));
    }
    const broken = curves.some((curve) => curve.values.some((value) => !Number.isFinite(value)));
    if (broken) $("losses").append(make("p", { class: "hint" }, "× marks a loss that is no finite number."));
  }

  function showViews() {
    const names = metricNames(photo.views);
    const rows = photo.views.map((view) => [view.label, ...names.map((name) => view.metrics[name] ?? null)]);
    const bold = ["", ...names].map((name) => best(competing(photo.views, name), index.metrics[name]?.better));
    const decimals = [0, ...names.map((name) => metricDecimals[name])];
    const columns = ["View", ...names.map(metricName)];
    const open = (position, event) => setView(event.shiftKey ? "a" : "b", position);
    $("views").replaceChildren(makeTable("Views of this photo", columns, rows, { best: bold, decimals, open }).element);
    $("views-panel").hidden = !names.length;
  }

  function showRecord() {
    const same = (name, value) => JSON.stringify(index.settings[name]) === JSON.stringify(value);
    const entries = Object.entries(photo.settings).filter(([name, value]) => !same(name, value));
    const list = $("record").querySelector("dl");
    list.replaceChildren();
    for (const [name, value] of entries) {
      list.append(make("dt", {}, name), make("dd", {}, typeof value === "string" ? value : JSON.stringify(value)));
    }
    $("record").hidden = !entries.length;
  }

  function show(position) {
    state.photo = position;
    state.flipped = false;
    photo = parsed(`photo-${position}`);
    for (const image of images) image?.remove();
    images = [];
    $("name").textContent = photo.photo;
    const facts = [`${position + 1} of ${photos.length}`];
    facts.push([photo.size, ...photo.views.slice(-1).map((view) => view.size)].map(pixels).join(" → "));
    facts.push(photo.faces.length === 1 ? "1 face" : `${photo.faces.length || "no"} faces`);
    $("facts").textContent = facts.join(" · ");
    $("note").textContent = photo.note ?? "";
    $("note").hidden = !photo.note;
    for (const side of ["a", "b"]) {
      const options = photo.views.map((view, i) => make("option", { value: i }, i < 9 ? `[${i + 1}]  ${view.label}` : view.label));
      $(`choose-${side}`).replaceChildren(...options);
    }
    $("viewer").hidden = !photo.views.length;
    $("viewer").classList.toggle("single", photo.views.length === 1);
    showViews();
    renderViews();
    renderZoom();
    showFaces();
    showRecord();
    drawLosses();
    $("details").hidden = $("views-panel").hidden && $("losses-panel").hidden;
    for (const button of $("strip").querySelectorAll("button")) {
      const current = Number(button.dataset.photo) === position;
      if (current) {
        button.setAttribute("aria-current", "true");
        const strip = $("strip");
        strip.scrollLeft = button.offsetLeft - strip.offsetLeft - (strip.clientWidth - button.offsetWidth) / 2;
      } else button.removeAttribute("aria-current");
    }
    $("previous").disabled = !neighbour(-1);
    $("next").disabled = !neighbour(1);
  }

  // From photo to photo ----------------------------------------------------------------------------------------------

  /** The next button of the strip, before or behind the shown photo, that the filter lets through. */
  function neighbour(direction) {
    const buttons = [...$("strip").querySelectorAll("li:not([hidden]) button")];
    if (direction < 0) buttons.reverse();
    return buttons.find((button) => direction * (Number(button.dataset.photo) - state.photo) > 0);
  }

  function go(direction) {
    const button = neighbour(direction);
    if (button) show(Number(button.dataset.photo));
  }

  function listPhotos() {
    photos.forEach((entry, position) => {
      const picture = entry.thumbnail
        ? make("img", { src: entry.thumbnail, alt: "", loading: "lazy" })
        : make("span", { class: "blank", "aria-hidden": "true" });
      const name = make("span", {}, entry.photo);
      const button = make("button", { type: "button", "data-photo": position, title: entry.photo }, picture, name);
      button.addEventListener("click", () => show(position));
      $("strip").append(make("li", {}, button));
    });
    $("filter").addEventListener("input", () => {
      const wanted = $("filter").value.trim().toLowerCase();
      let count = 0;
      [...$("strip").children].forEach((item, position) => {
        item.hidden = !photos[position].photo.toLowerCase().includes(wanted);
        count += !item.hidden;
      });
      $("matches").textContent = wanted ? `${count} of ${photos.length}` : "";
      $("previous").disabled = !neighbour(-1);
      $("next").disabled = !neighbour(1);
    });
    $("previous").addEventListener("click", () => go(-1));
    $("next").addEventListener("click", () => go(1));
    $("browse").hidden = photos.length < 2;
    $("filter").parentElement.hidden = photos.length < 8;
  }

  // Keys and theme ---------------------------------------------------------------------------------------------------

  function inSight(element) {
    const box = element.getBoundingClientRect();
    return box.bottom > 0 && box.top < window.innerHeight;
  }

  function press(event) {
    const { target, key } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || $("keys").open) return;
    if (target.matches("input, select, textarea")) {
      if (key === "Escape") target.blur();
      return;
    }
    const digit = /^(?:Digit|Numpad)([0-9])$/.exec(event.code);
    const onDivider = target === $("divider");
    const far = event.shiftKey ? 10 : 1;
    const actions = { j: () => go(1), "]": () => go(1), k: () => go(-1), "[": () => go(-1) };
    actions["?"] = () => $("keys").showModal();
    actions.t = switchTheme;
    actions["/"] = () => !$("filter").parentElement.hidden && !$("browse").hidden && $("filter").focus();
    if (photo?.views.length) {
      if (!target.closest(".scroll")) {
        actions.ArrowLeft = () => moveSplit(-far);
        actions.ArrowRight = () => moveSplit(far);
      }
      const nearer = (change) => setZoom(ZOOMS[Math.min(Math.max(ZOOMS.indexOf(state.zoom) + change, 0), ZOOMS.length - 1)]);
      actions["+"] = actions["="] = () => nearer(1);
      actions["-"] = actions["−"] = () => nearer(-1);
      actions.f = () => setFlipped(true);
      if (onDivider) {
        actions.Home = () => moveSplit(-100);
        actions.End = () => moveSplit(100);
        actions.PageUp = () => moveSplit(10);
        actions.PageDown = () => moveSplit(-10);
      }
      const flips = target === $("flip") || ((onDivider || target === document.body) && inSight($("viewport")));
      if (flips) actions[" "] = () => setFlipped(true);
    }
    let action = actions[key] ?? actions[key.toLowerCase()];
    if (photo?.views.length && digit) {
      const position = Number(digit[1]) - 1;
      action = position < 0 ? () => setZoom("fit") : () => setView(event.shiftKey ? "a" : "b", position);
    }
    if (!action) return;
    event.preventDefault();
    action();
  }

  const THEME = "metaf2n-report-theme";
  const prefersDark = matchMedia("(prefers-color-scheme: dark)");

  function nameTheme() {
    const dark = (document.documentElement.dataset.theme ?? (prefersDark.matches ? "dark" : "light")) === "dark";
    $("theme").textContent = dark ? "Light" : "Dark";
    $("theme").title = `Change to the ${dark ? "light" : "dark"} theme (t)`;
    return dark;
  }

  function switchTheme() {
    document.documentElement.dataset.theme = nameTheme() ? "light" : "dark";
    nameTheme();
    try {
      localStorage.setItem(THEME, document.documentElement.dataset.theme);
    } catch {
      // A page that was opened from a file may not be allowed to keep anything.
    }
  }

  function startTheme() {
    try {
      const kept = localStorage.getItem(THEME);
      if (kept === "dark" || kept === "light") document.documentElement.dataset.theme = kept;
    } catch {
      // as above
    }
    prefersDark.addEventListener("change", nameTheme);
    $("theme").addEventListener("click", switchTheme);
    nameTheme();
  }

  startTheme();
  showOverview();
  showMetrics();
  listPhotos();
  listenToStage();
  document.addEventListener("keydown", press);
  document.addEventListener("keyup", (event) => [" ", "f", "F"].includes(event.key) && setFlipped(false));
  window.addEventListener("blur", () => photo && setFlipped(false));
  $("keys-button").addEventListener("click", () => $("keys").showModal());
  $("loading").hidden = photos.length > 0;
  $("loading").textContent = photos.length ? "" : "There is no photo to show.";
  $("photos").hidden = !photos.length;
  if (photos.length) show(0);
})();
