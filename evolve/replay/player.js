"use strict";
const told = JSON.parse(document.getElementById("data").textContent);
const steps = told.steps, at = document.getElementById("at"), play = document.getElementById("play");
const WIDTH = 640, HEIGHT = 480, EDGE = 30;
const ring = {fill: "none", stroke: "currentColor", "stroke-width": 2};
const colours = {scored: "#3b82f6", failed: "#dc2626", timed_out: "#a855f7", cheated: "#991b1b", rejected: "#ca8a04"};
const gains = steps.map(s => s.gain).filter(g => g !== null).concat([0]);
const low = Math.min(...gains), high = Math.max(...gains), last = Math.max(1, ...steps.map(s => s.number));
const x = number => EDGE + (WIDTH - 2 * EDGE) * number / last;
const y = gain => HEIGHT - EDGE - (HEIGHT - 2 * EDGE) * (gain - low) / (high - low || 1);
const placed = new Map([[0, [x(0), y(0)]]]);
for (const s of steps) placed.set(s.number, [x(s.number), y(s.gain === null ? low : s.gain)]);

function draw(kind, attributes, text = "") {
  const part = document.createElementNS("http://www.w3.org/2000/svg", kind);
  for (const [name, value] of Object.entries(attributes)) part.setAttribute(name, String(value));
  part.textContent = text;
  document.getElementById("tree").append(part);
}

// The grid of gains: round numbers, about five of them.
function ground() {
  const unit = 10 ** Math.floor(Math.log10((high - low || 1) / 5));
  const step = [1, 2, 5, 10].map(times => times * unit).find(size => size >= (high - low || 1) / 5);
  for (let gain = Math.ceil(low / step) * step; gain <= high; gain += step) {
    draw("line", {x1: 0, x2: WIDTH, y1: y(gain), y2: y(gain), stroke: "#8883"});
    draw("text", {x: 4, y: y(gain) - 4}, `${gain > step / 2 ? "+" : ""}${Number(gain.toFixed(5))}`);
  }
}

function curve(from, to) {
  const middle = (from[0] + to[0]) / 2;
  return `M ${from[0]} ${from[1]} C ${middle} ${from[1]} ${middle} ${to[1]} ${to[0]} ${to[1]}`;
}

function say(id, text) { document.getElementById(id).textContent = text; }

function showDiff(text) {
  const lines = text.split("\n").map(line => {
    const span = document.createElement("span");
    span.className = /^(diff|index|---|\+\+\+) /.test(line) ? "file" : {"+": "added", "-": "removed", "@": "hunk"}[line[0]] || "";
    span.textContent = line;
    return span;
  });
  const box = document.getElementById("diff");
  box.replaceChildren(...lines);
  box.scrollTop = 0;
}

function show(count) {
  document.getElementById("tree").replaceChildren();
  ground();
  const shown = steps.slice(0, count), best = [`M ${x(0)} ${y(0)}`];
  let most = 0;
  for (const s of shown) {
    const [cx, cy] = placed.get(s.number);
    for (const parent of s.parents) {
      draw("path", {d: curve(placed.get(parent) || placed.get(0), [cx, cy]), fill: "none", stroke: "#8887"});
    }
    if (s.gain !== null && s.gain > most) { best.push(`H ${cx} V ${y(s.gain)}`); most = s.gain; }
  }
  if (shown.length) best.push(`H ${x(shown[shown.length - 1].number)}`);
  draw("path", {d: best.join(" "), fill: "none", stroke: "#888", "stroke-dasharray": "4 3"});
  draw("circle", {cx: x(0), cy: y(0), r: 5, fill: "#888"});
  for (const s of shown) {
    const [cx, cy] = placed.get(s.number), promoted = s.decision === "promoted";
    if (s === shown[shown.length - 1]) draw("circle", {cx, cy, r: 12, ...ring});
    draw("circle", {cx, cy, r: promoted ? 8 : 4, fill: promoted ? "#16a34a" : colours[s.kind] || "#888"});
  }
  const s = shown[shown.length - 1];
  say("name", s ? `#${s.number} on ${s.parents.map(p => "#" + p).join(", ")}: ${s.technique}` : "The seed");
  say("hypothesis", s ? s.hypothesis : "");
  say("mechanism", s ? s.mechanism : "");
  const came = !s ? "" : s.gain === null ? `${s.kind} ${s.reason}` : `gain ${s.gain < 0 ? "" : "+"}${s.gain.toFixed(4)}`;
  say("outcome", s ? `${came}; ${s.decision}; the champion is #${s.champion}` : "");
  showDiff(s ? s.diff : "");
}

let timer = 0;
function pause() { clearInterval(timer); timer = 0; play.textContent = "Play"; }
function tick() {
  const box = document.getElementById("diff");
  if (box.scrollTop + box.clientHeight + 1 < box.scrollHeight) { box.scrollTop += 24; return; }
  if (Number(at.value) >= steps.length) { pause(); return; }
  at.value = String(Number(at.value) + 1);
  show(Number(at.value));
}
play.addEventListener("click", () => {
  if (timer) { pause(); return; }
  if (Number(at.value) >= steps.length) { at.value = "0"; show(0); }
  timer = setInterval(tick, 250);
  play.textContent = "Pause";
});
at.addEventListener("input", () => show(Number(at.value)));
at.max = String(steps.length);
say("title", `evolve replay: ${told.run}`);
show(0);
