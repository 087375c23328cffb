"use strict";
// The lineage on a canvas: pan, zoom, choose, walk by keys. Every text goes into text nodes or the canvas alone.
(() => {
  const canvas = document.getElementById("lineage"), pen = canvas.getContext("2d");
  const byId = (id) => document.getElementById(id);
  const tip = byId("tip"), told = byId("told"), legend = byId("legend");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const PERSONAS = {optimizer: "#f59e0b", architecture: "#3b82f6", reward: "#ec4899", kernel: "#14b8a6", seed: "#78716c"};
  const EDGE = 44, NEAR = 14, MOST = 400, NAMED = 40, ROOMY = 640;
  let data = null, reach = [0, 1], tall = 1.14, places = [], children = [], view = {x: 0, y: 0, k: 1}, chosen = -1, over = -1, way = new Set(), due = false;

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const STATES = () => ({promoted: colour("--promoted"), scored: colour("--scored"), failed: colour("--failed"),
    timed_out: colour("--timed"), cheated: colour("--cheated"), rejected: colour("--rejected"), waiting: colour("--quiet"), seed: colour("--ink")});
  const stateOf = (n) => data.states.names[data.states.codes[n]];
  const personaOf = (n) => data.personas.names[data.personas.codes[n]];
  const valueOf = (n) => data.metrics[byId("metric").value]?.[n] ?? null;

  // --- layouts: places in a unit square, made once ------------------------------------------------

  function byGain() {
    const gains = data.gains.filter((g) => g !== null).sort((a, b) => a - b), count = data.parents.length;
    const high = Math.max(gains[gains.length - 1], data.floor * 2, 1e-9);
    const low = Math.max(gains[0], -high / 2), span = (high - low) || 1;
    reach = [low, low + span];
    tall = data.gains.includes(null) ? 1.14 : 0.98;
    return data.parents.map((_, n) => {
      const gain = data.gains[n], x = count > 1 ? n / (count - 1) : 0;
      // Without a score there is no height: those stand in a band of their own below all others.
      return [x, gain === null ? 1.04 + 0.1 * (((n * 7919) % 97) / 97) : 0.94 * (1 - (Math.max(gain, low) - low) / span)];
    });
  }

  function byFamily() {
    const count = data.parents.length, depth = new Int32Array(count), row = new Float64Array(count), stack = [0];
    let leaf = 0, deepest = 1;
    tall = 1.14;
    const order = [];
    while (stack.length) {
      const n = stack.pop();
      order.push(n);
      if (!children[n].length) row[n] = leaf++;
      for (const child of spread(n)) { depth[child] = depth[n] + 1; deepest = Math.max(deepest, depth[child]); stack.push(child); }
    }
    for (const n of order.reverse()) {
      const kept = children[n].find((c) => way.has(c) && way.has(n));
      if (kept !== undefined) row[n] = row[kept];
      else if (children[n].length) row[n] = children[n].reduce((sum, c) => sum + row[c], 0) / children[n].length;
    }
    return Array.from(depth, (d, n) => [d / deepest, leaf > 1 ? 1.12 * row[n] / (leaf - 1) : 0.5]);
  }

  // The champion's way runs straight: as many of its sisters stand above it as below.
  function spread(n) {
    const kept = way.has(n) ? children[n].find((c) => way.has(c)) : undefined;
    if (kept === undefined) return children[n];
    const others = children[n].filter((c) => c !== kept), half = (others.length + n % 2) >> 1;
    return [...others.slice(0, half), kept, ...others.slice(half)];
  }

  // --- drawing -------------------------------------------------------------------------------------

  function ramp(share) {
    const stops = dark.matches ? [[71, 85, 105], [56, 139, 253], [74, 222, 128]] : [[148, 163, 184], [37, 99, 235], [22, 128, 61]];
    const at = Math.min(0.999, Math.max(0, share)) * 2, from = stops[Math.floor(at)], to = stops[Math.floor(at) + 1], t = at % 1;
    return `rgb(${from.map((v, i) => Math.round(v + (to[i] - v) * t)).join(" ")})`;
  }

  function painter() {
    const kind = byId("colour").value;
    if (kind === "persona") return (n) => PERSONAS[personaOf(n)] || "#78716c";
    if (kind === "outcome") { const states = STATES(); return (n) => states[stateOf(n)] || "#78716c"; }
    const known = data.parents.map((_, n) => valueOf(n)).filter((v) => v !== null).sort((a, b) => a - b);
    const low = known[Math.floor(known.length * 0.05)], span = (known[Math.floor(known.length * 0.98)] - low) || 1, none = colour("--wenton");
    return (n) => { const v = valueOf(n); return v === null ? none : ramp(Math.round(20 * (v - low) / span) / 20); };
  }

  const size = () => ({w: canvas.clientWidth, h: canvas.clientHeight});
  const sx = (n, w) => EDGE + places[n][0] * (w - 2 * EDGE), sy = (n, h) => EDGE + places[n][1] * (h - 2 * EDGE) / tall;
  const at = (n) => { const {w, h} = size(); return [sx(n, w) * view.k + view.x, sy(n, h) * view.k + view.y]; };

  function edge(path, from, to) {
    const middle = (from[0] + to[0]) / 2;
    path.moveTo(from[0], from[1]);
    path.bezierCurveTo(middle, from[1], middle, to[1], to[0], to[1]);
  }

  function draw() {
    due = false;
    if (!data) return;
    const {w, h} = size(), scale = window.devicePixelRatio || 1, count = places.length;
    if (canvas.width !== Math.round(w * scale) || canvas.height !== Math.round(h * scale)) { canvas.width = Math.round(w * scale); canvas.height = Math.round(h * scale); }
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, w, h);
    const spots = new Array(count);
    for (let n = 0; n < count; n++) spots[n] = at(n);
    const inside = (n) => spots[n][0] > -20 && spots[n][0] < w + 20 && spots[n][1] > -20 && spots[n][1] < h + 20;
    if (byId("layout").value === "gain") ground(w, h);
    const many = count > 500 && byId("layout").value === "gain";
    pen.strokeStyle = colour("--quiet"); pen.lineWidth = 1; pen.globalAlpha = Math.max(0.07, Math.min(0.4, 60 / count * view.k));
    pen.beginPath();
    for (let n = 1; n < count; n++) if (!many || data.gains[n] !== null) for (const p of data.parents[n]) if (inside(n) || inside(p)) edge(pen, spots[p], spots[n]);
    pen.stroke();
    pen.globalAlpha = 1; pen.strokeStyle = colour("--promoted"); pen.lineWidth = 2.5;
    pen.beginPath();
    for (const n of way) if (n && data.parents[n].length) edge(pen, spots[data.parents[n][0]], spots[n]);
    pen.stroke();
    dots(spots, inside, count);
    if (chosen >= 0) family(spots);
    for (const [n, width] of [[over, 1.5], [chosen, 2.5]]) if (n >= 0) {
      pen.strokeStyle = colour("--ink"); pen.lineWidth = width; pen.beginPath(); pen.arc(spots[n][0], spots[n][1], 9, 0, 7); pen.stroke();
    }
  }

  // The chosen one's way to the seed, and its children.
  function family(spots) {
    pen.strokeStyle = colour("--ink"); pen.lineWidth = 1.5; pen.globalAlpha = 0.75;
    pen.beginPath();
    for (let n = chosen; data.parents[n].length; n = data.parents[n][0]) edge(pen, spots[data.parents[n][0]], spots[n]);
    for (const child of children[chosen]) edge(pen, spots[chosen], spots[child]);
    pen.stroke();
    pen.globalAlpha = 1;
  }

  // The grid of gains, and below it the band of those that have none.
  function ground(w, h) {
    const height = (share) => (EDGE + share * (h - 2 * EDGE) / tall) * view.k + view.y;
    const [low, high] = reach, step = nice((high - low) / (5 * view.k));
    pen.font = "12px Inter, system-ui, sans-serif"; pen.lineWidth = 1; pen.strokeStyle = colour("--line");
    for (let value = Math.ceil(low / step) * step; value <= high; value += step) {
      const y = height(0.94 * (1 - (value - low) / (high - low)));
      if (y < -5 || y > h + 5) continue;
      pen.beginPath(); pen.moveTo(0, y); pen.lineTo(w, y); pen.stroke();
      pen.fillStyle = colour("--quiet"); pen.fillText(`${value > step / 2 ? "+" : ""}${Number(value.toFixed(5))}`, 8, y - 5);
    }
    if (!data.gains.includes(null)) return;
    pen.fillStyle = colour("--sunk"); pen.fillRect(0, height(1.01), w, height(1.17) - height(1.01));
    pen.fillStyle = colour("--quiet"); pen.fillText("no score", 8, height(1.01) + 16);
  }

  function nice(rough) {
    const unit = 10 ** Math.floor(Math.log10(rough));
    return [1, 2, 5, 10].map((times) => times * unit).find((step) => step >= rough);
  }

  function dots(spots, inside, count) {
    const paint = painter(), groups = new Map(), base = Math.max(2, Math.min(6, 90 / Math.sqrt(count))) * Math.min(2.2, Math.max(0.9, Math.sqrt(view.k)));
    for (let n = 0; n < count; n++) {
      if (!inside(n)) continue;
      const fill = paint(n);
      if (!groups.has(fill)) groups.set(fill, []);
      groups.get(fill).push(n);
    }
    for (const [fill, members] of groups) {
      pen.fillStyle = fill; pen.globalAlpha = count > 2000 ? 0.8 : 0.95;
      pen.beginPath();
      for (const n of members) { const r = way.has(n) ? base * 1.35 : base; pen.moveTo(spots[n][0] + r, spots[n][1]); pen.arc(spots[n][0], spots[n][1], r, 0, 7); }
      pen.fill();
    }
    pen.globalAlpha = 1; pen.strokeStyle = colour("--card"); pen.lineWidth = 2; pen.fillStyle = colour("--promoted");
    for (const n of way) if (n && stateOf(n) === "promoted") { pen.beginPath(); pen.arc(spots[n][0], spots[n][1], base * 1.7, 0, 7); pen.fill(); pen.stroke(); }
    pen.fillStyle = colour("--ink"); pen.font = "600 12px Inter, system-ui, sans-serif";
    const name = (n, text) => { if (inside(n)) pen.fillText(text, Math.min(spots[n][0] - 24, canvas.clientWidth - 120), spots[n][1] - 14); };
    name(0, "seed");
    if (data.champion) name(data.champion, `#${data.champion} champion`);
    if (count / view.k ** 2 > NAMED || canvas.clientWidth < ROOMY) return;
    pen.font = "11px Inter, system-ui, sans-serif"; pen.fillStyle = colour("--quiet");
    for (let n = 1; n < count; n++) if (n !== data.champion && inside(n)) pen.fillText(`#${n} ${short(data.techniques.names[data.techniques.codes[n]])}`, Math.min(spots[n][0] + 4, canvas.clientWidth - 150), spots[n][1] - 9);
  }

  const short = (text) => text.length > 22 ? text.slice(0, 21) + "…" : text;


  function later() { if (!due) { due = true; requestAnimationFrame(draw); } }

  // --- choosing ------------------------------------------------------------------------------------

  function words(n) {
    const gain = data.gains[n], value = byId("colour").value === "metric" ? valueOf(n) : null;
    const came = n === 0 ? "where the search begins" : gain === null ? stateOf(n).replace("_", " ") : `${stateOf(n)}, gain ${gain >= 0 ? "+" : ""}${gain.toFixed(4)}`;
    return `#${n} ${data.techniques.names[data.techniques.codes[n]]}\n${came}${n ? `, ${personaOf(n)}` : ""}${value === null ? "" : `, ${byId("metric").value} ${value.toFixed(4)}`}`;
  }

  function nearest(x, y) {
    let best = -1, least = NEAR * NEAR;
    for (let n = 0; n < places.length; n++) {
      const [px, py] = at(n), d = (px - x) ** 2 + (py - y) ** 2;
      if (d < least) { least = d; best = n; }
    }
    return best;
  }

  function choose(n) {
    chosen = n;
    told.textContent = n < 0 ? `${places.length} candidates; the champion is #${data.champion}.` : words(n).replace("\n", ": ");
    if (n >= 0) {
      const [x, y] = at(n), {w, h} = size();
      if (x < EDGE || x > w - EDGE || y < EDGE || y > h - EDGE) { view.x += w / 2 - x; view.y += h / 2 - y; }
    }
    later();
  }

  function hover(n, x, y) {
    over = n; tip.hidden = n < 0;
    if (n >= 0) {
      tip.textContent = words(n);
      const {w} = size();
      tip.style.transform = `translate(${Math.max(4, Math.min(x + 14, w - tip.offsetWidth - 8))}px, ${y + 16}px)`;
    }
    later();
  }

  function zoom(by, x, y) {
    const k = Math.min(MOST, Math.max(0.5, view.k * by)), share = k / view.k;
    view = {x: x - (x - view.x) * share, y: y - (y - view.y) * share, k};
    hover(-1);
  }

  const open = () => { if (chosen >= 0) location.href = `${canvas.dataset.run}/candidates/${chosen}`; };
  const all = () => { view = {x: 0, y: 0, k: 1}; later(); };
  const middle = (by) => { const {w, h} = size(); zoom(by, w / 2, h / 2); };

  function walk(key) {
    if (chosen < 0) return choose(data.champion);
    const [px, py] = at(chosen), turned = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[key];
    let best = -1, least = Infinity;
    for (let n = 0; n < places.length; n++) {
      const [x, y] = at(n), along = (x - px) * turned[0] + (y - py) * turned[1], aside = Math.abs((x - px) * turned[1]) + Math.abs((y - py) * turned[0]);
      if (n !== chosen && along > 0.5 && along + 3 * aside < least) { least = along + 3 * aside; best = n; }
    }
    if (best >= 0) choose(best);
  }

  function keyed(event) {
    const act = {"+": () => middle(1.4), "=": () => middle(1.4), "-": () => middle(1 / 1.4), 0: all, Enter: open}[event.key];
    if (act) act(); else if (event.key.startsWith("Arrow")) walk(event.key); else return;
    event.preventDefault();
  }

  // --- pointers ------------------------------------------------------------------------------------

  const held = new Map();
  let moved = 0;
  const where = (event) => { const box = canvas.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
  canvas.addEventListener("pointerdown", (event) => { held.set(event.pointerId, where(event)); moved = 0; canvas.setPointerCapture(event.pointerId); });
  canvas.addEventListener("pointermove", (event) => {
    const [x, y] = where(event);
    if (!held.has(event.pointerId)) { if (data) hover(nearest(x, y), x, y); return; }
    const [fx, fy] = held.get(event.pointerId);
    if (held.size === 2) {
      const [ox, oy] = [...held.entries()].find(([id]) => id !== event.pointerId)[1];
      zoom(Math.hypot(x - ox, y - oy) / (Math.hypot(fx - ox, fy - oy) || 1), ox, oy);
    } else { view.x += x - fx; view.y += y - fy; later(); }
    moved += Math.abs(x - fx) + Math.abs(y - fy);
    held.set(event.pointerId, [x, y]);
  });
  const drop = (event) => {
    const [x, y] = where(event);
    if (held.delete(event.pointerId) && moved < 5 && data && event.type === "pointerup") {
      const n = nearest(x, y);
      if (n >= 0 && n === chosen) open(); else choose(n);
    }
  };
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, drop);
  canvas.addEventListener("pointerleave", () => { if (data) hover(-1); });
  canvas.addEventListener("wheel", (event) => { event.preventDefault(); zoom(Math.exp(-event.deltaY * 0.0016), ...where(event)); }, {passive: false});
  canvas.addEventListener("keydown", (event) => { if (data) keyed(event); });
  for (const [id, act] of [["in", () => middle(1.5)], ["out", () => middle(1 / 1.5)], ["all", all]]) byId(id).addEventListener("click", act);

  // --- legend and start ----------------------------------------------------------------------------

  function explain() {
    const kind = byId("colour").value, states = STATES();
    byId("metric-label").hidden = kind !== "metric";
    const entries = kind === "outcome" ? data.states.names.map((name) => [name.replace("_", " "), states[name]])
      : kind === "persona" ? data.personas.names.map((name) => [name, PERSONAS[name]]) : [["low", ramp(0)], ["middle", ramp(0.5)], ["high", ramp(1)]];
    legend.replaceChildren(...entries.map(([name, fill]) => {
      const part = document.createElement("span"), mark = document.createElement("i");
      mark.className = "swatch"; mark.style.background = fill;
      part.append(mark, name);
      return part;
    }));
    later();
  }

  function lay() { places = byId("layout").value === "tree" ? byFamily() : byGain(); all(); }

  async function start() {
    const answer = await fetch(canvas.dataset.url, {credentials: "same-origin"});
    if (!answer.ok) { told.textContent = "The lineage can't be read."; return; }
    data = await answer.json();
    children = data.parents.map(() => []);
    data.parents.forEach((parents, n) => { if (parents.length) children[parents[0]].push(n); });
    for (let n = data.champion; n !== undefined; n = data.parents[n][0]) way.add(n);
    lay(); explain(); choose(-1);
    draw();
    canvas.dataset.ready = String(Math.round(performance.now()));
  }

  byId("layout").addEventListener("change", lay);
  byId("colour").addEventListener("change", explain);
  byId("metric").addEventListener("change", explain);
  dark.addEventListener("change", explain);
  new ResizeObserver(later).observe(canvas);
  start();
})();
