"use strict";
const D = JSON.parse(document.getElementById("data").textContent);
const $ = id => document.getElementById(id);
const LEFT = 76, RIGHT = 14, TOP = 10, BOTTOM = 24;
const FAULTS = ["dropped", "held back", "duplicated", "corrupted", "queue full", "forged", "changed by a middlebox"];
/* A frame that was clicked on, by its place in the leg; -1 for none. */
let leg, flow, view = [0, 1], mouse = null, chosen = -1;

const css = name => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
const every = (list, step, f) => { for (let i = 0; i < list.length; i += step) f(i); };

function timeText(us, span) {
  const s = span === undefined ? us : span;
  if (s >= 2e6) return (us / 1e6).toFixed(s >= 2e7 ? 1 : 2) + " s";
  if (s >= 2e3) return (us / 1e3).toFixed(s >= 2e4 ? 1 : 2) + " ms";
  return us.toFixed(1) + " µs";
}
function countText(n, unit) {
  if (unit !== "B") return n.toLocaleString("en") + (unit ? " " + unit : "");
  if (n >= 1048576) return (n / 1048576).toFixed(2) + " MiB";
  if (n >= 1024) return (n / 1024).toFixed(1) + " KiB";
  return n + " B";
}
function niceStep(span, ticks) {
  const raw = span / ticks, power = Math.pow(10, Math.floor(Math.log10(raw)));
  return [1, 2, 5, 10].map(m => m * power).find(step => step >= raw);
}
function byteStep(span, ticks) {
  let step = 1;
  while (step < span / ticks) step *= 2;
  return step;
}

const FRAME = 5, NO_FLOW = { bars: [], acks: [], lost: [], again: [], windows: [], edges: [], timeouts: [], lanes: [], segs: [], detail: null, unit: "" };
const SEG = 4;
const verdictAt = () => D.verdict && D.verdict.at !== undefined ? D.verdict.at : null;
function fullSpan() {
  let lo = Infinity, hi = 0;
  const see = (list, step) => { if (list.length) { lo = Math.min(lo, list[0]); hi = Math.max(hi, list[list.length - step]); } };
  see(flow.bars, 3); see(flow.acks, 2);
  if (!(hi > lo)) { see(leg.frames, FRAME); see(leg.faults, 3); }
  if (!(hi > lo)) return [0, 1];
  const pad = (hi - lo) * .015;
  return [Math.max(0, lo - pad), hi + pad];
}

/* Everything that there is to see, however long nothing happens in between. */
function hull() {
  let [lo, hi] = fullSpan(), at = verdictAt();
  const frames = leg.frames;
  if (frames.length) { lo = Math.min(lo, frames[0]); hi = Math.max(hi, frames[frames.length - FRAME]); }
  if (at !== null) { lo = Math.min(lo, at); hi = Math.max(hi, at); }
  const pad = (hi - lo) * .015 + 1;
  return [Math.max(0, lo - pad), hi + pad];
}

/* A time of the run in seconds, as every other output has it. */
const seconds = us => (Math.floor(us + 1e-4) / 1e6).toFixed(6);
/* A text, cut where it would be wider. */
function fit(g, text, width) {
  if (g.measureText(text).width <= width) return text;
  while (text.length > 1 && g.measureText(text + "…").width > width) text = text.slice(0, -1);
  return text + "…";
}

class Plot {
  constructor(id, draw) {
    this.canvas = $(id); this.draw = draw; this.height = +this.canvas.getAttribute("height");
    const c = this.canvas;
    c.addEventListener("wheel", e => {
      e.preventDefault();
      const at = this.time(e.offsetX), k = Math.exp(e.deltaY * .0016);
      setView(at - (at - view[0]) * k, at + (view[1] - at) * k);
    }, { passive: false });
    c.addEventListener("pointerdown", e => { this.drag = [e.clientX, ...view, e.clientY]; c.setPointerCapture(e.pointerId); });
    c.addEventListener("pointerup", e => {
      const still = this.drag && Math.hypot(e.clientX - this.drag[0], e.clientY - this.drag[3]) < 4;
      this.drag = null;
      if (still && this.find) choose(this.find(e.offsetX, e.offsetY));
    });
    c.addEventListener("pointermove", e => {
      if (this.drag) {
        const dt = (this.drag[0] - e.clientX) / this.width * (this.drag[2] - this.drag[1]);
        setView(this.drag[1] + dt, this.drag[2] + dt);
      }
      mouse = { t: this.time(e.offsetX), x: e.clientX, y: e.clientY, frame: this.find ? this.find(e.offsetX, e.offsetY) : -1 }; render(); tip();
    });
    c.addEventListener("pointerleave", () => { mouse = null; render(); tip(); });
    c.addEventListener("dblclick", () => setView(...fullSpan()));
  }
  time(x) { return view[0] + (x - LEFT) / this.width * (view[1] - view[0]); }
  x(t) { return LEFT + (t - view[0]) / (view[1] - view[0]) * this.width; }
  y(v) { return TOP + (1 - (v - this.lo) / (this.hi - this.lo || 1)) * (this.height - TOP - BOTTOM); }
  begin() {
    const c = this.canvas, ratio = window.devicePixelRatio || 1, w = c.clientWidth;
    c.style.height = this.height + "px";
    c.width = w * ratio; c.height = this.height * ratio;
    this.g = c.getContext("2d"); this.g.scale(ratio, ratio);
    this.width = Math.max(1, w - LEFT - RIGHT); this.w = w;
    this.g.font = "11.5px system-ui, sans-serif";
  }
  axes(unit, lanes) {
    const g = this.g, bottom = this.height - BOTTOM, span = view[1] - view[0];
    g.strokeStyle = css("grid"); g.fillStyle = css("soft"); g.lineWidth = 1;
    const step = niceStep(span, this.width / 120);
    g.textAlign = "center"; g.textBaseline = "top"; g.beginPath();
    for (let t = Math.ceil(view[0] / step) * step; t <= view[1]; t += step) {
      const x = Math.round(this.x(t)) + .5;
      g.moveTo(x, TOP); g.lineTo(x, bottom);
      const words = timeText(t, span), half = g.measureText(words).width / 2;
      g.fillText(words, Math.min(x, this.w - half - 1), bottom + 6);
    }
    g.textAlign = "right"; g.textBaseline = "middle";
    if (lanes) lanes.forEach((name, i) => {
      const y = this.lane(i, lanes.length);
      g.moveTo(LEFT, Math.round(y) + .5); g.lineTo(LEFT + this.width, Math.round(y) + .5); g.fillText(fit(g, name, LEFT - 10), LEFT - 8, y);
    });
    else {
      const height = this.hi - this.lo, count = Math.max(2.5, this.height / 48);
      /* There is no half of a packet. */
      const least = unit === "packets" ? 1 : 0, vstep = unit === "B" ? byteStep(height, count) : Math.max(least, niceStep(height, count));
      for (let v = Math.ceil(this.lo / vstep) * vstep; v <= this.hi; v += vstep) {
        const y = Math.round(this.y(v)) + .5;
        g.moveTo(LEFT, y); g.lineTo(LEFT + this.width, y);
        g.fillText(unit === "µs" ? timeText(v, this.hi) : countText(v, unit === "B" ? "B" : ""), LEFT - 8, y);
      }
    }
    g.stroke();
    g.save(); g.beginPath(); g.rect(LEFT, TOP - 2, this.width, bottom - TOP + 4); g.clip();
  }
  lane(i, count) { return TOP + (i + .5) * (this.height - TOP - BOTTOM) / count; }
  end() {
    const g = this.g, at = verdictAt();
    if (at !== null && at >= view[0] && at <= view[1]) {
      const x = Math.round(this.x(at)) + .5;
      g.strokeStyle = css("lost"); g.lineWidth = 2; g.beginPath(); g.moveTo(x, TOP - 2); g.lineTo(x, this.height - BOTTOM); g.stroke(); g.lineWidth = 1;
    }
    if (chosen >= 0) {
      const t = leg.frames[chosen * FRAME], x = Math.round(this.x(t)) + .5;
      if (t >= view[0] && t <= view[1]) { g.strokeStyle = css("accent"); g.lineWidth = 1; g.beginPath(); g.moveTo(x, TOP); g.lineTo(x, this.height - BOTTOM); g.stroke(); }
    }
    if (mouse && mouse.t >= view[0] && mouse.t <= view[1]) {
      const x = Math.round(this.x(mouse.t)) + .5;
      g.strokeStyle = css("soft"); g.setLineDash([3, 3]); g.lineWidth = 1; g.beginPath(); g.moveTo(x, TOP); g.lineTo(x, this.height - BOTTOM); g.stroke(); g.setLineDash([]);
    }
    g.restore();
  }
  steps(list, size, pick, colour, width, fill) {
    const g = this.g; g.strokeStyle = colour; g.lineWidth = width; g.beginPath();
    let last = null, first = null;
    every(list, size, i => {
      const x = this.x(list[i]), y = this.y(list[i + pick]);
      if (last === null) { g.moveTo(x, y); first = x; } else { g.lineTo(x, last); g.lineTo(x, y); }
      last = y; this.lastX = x;
    });
    g.stroke();
    if (fill && last !== null) {
      const base = this.y(this.lo); g.lineTo(this.lastX, base); g.lineTo(first, base); g.closePath();
      g.globalAlpha = .1; g.fillStyle = colour; g.fill(); g.globalAlpha = 1;
    }
  }
}

/* The values of a sorted flat list that lie in view, as [low, high]. */
function range(list, size, picks, lo, hi) {
  let before = null;
  const see = i => { for (const p of picks) { lo = Math.min(lo, list[i + p]); hi = Math.max(hi, list[i + p]); } };
  every(list, size, i => { if (list[i] < view[0]) before = i; else if (list[i] <= view[1]) see(i); });
  if (before !== null) see(before);
  return [lo, hi];
}
/* A stack that tells nothing of itself, or a sender that never had more than its first window to send. */
function nothing(p) {
  p.g.fillStyle = css("soft"); p.g.textAlign = "center"; p.g.textBaseline = "middle";
  p.g.fillText("The sender told of no change.", LEFT + p.width / 2, p.height / 2);
}
/* The sender tells nothing of windows, its own or its peer's, as those of Machnet do not: what else there is stands in the first graph. */
const isBare = () => !flow.windows.length && !flow.edges.length;
function timeouts(p) {
  p.g.fillStyle = css("lost");
  for (const t of flow.timeouts) { const x = p.x(t); p.g.beginPath(); p.g.moveTo(x - 4, TOP); p.g.lineTo(x + 4, TOP); p.g.lineTo(x, TOP + 8); p.g.fill(); }
}
/* Directions, and behind them hosts and NICs of which something is so for a while. */
const faultLanes = () => [...new Set([...leg.directions, ...leg.spans.map(span => span[0])])];
/* Its port: addresses are too long. */
const laneName = lane => "port " + lane.name.split(":").pop();
function stateColour(state) {
  if (/^(Listen|Syn|Opened)/.test(state)) return "delay";
  if (/^Established/.test(state)) return "ack";
  if (/^(Over|Gone)/.test(state)) return "lost";
  return /^(TimeWait|Closed)/.test(state) ? "ssthresh" : "cwnd";
}
const detailed = () => flow.detail && view[0] >= flow.detail.from - 1e-6 && view[1] <= flow.detail.to + 1e-6;

const plots = [
  new Plot("seq", p => {
    const fine = detailed(), sent = fine ? flow.detail.sent : flow.bars, acks = fine ? flow.detail.acks : flow.acks;
    let [lo, hi] = range(sent, 3, [1, 2], Infinity, -Infinity);
    [lo, hi] = range(acks, 2, [1], lo, hi);
    if (!(hi > lo)) { lo = 0; hi = 1; }
    const pad = (hi - lo) * .04; p.lo = Math.max(0, lo - pad); p.hi = hi + pad;
    p.axes(flow.unit);
    const g = p.g, bar = (list, colour, width, least) => {
      g.strokeStyle = colour; g.lineWidth = width; g.beginPath();
      every(list, 3, i => {
        if (list[i] < view[0] || list[i] > view[1]) return;
        const x = p.x(list[i]); let a = p.y(list[i + 1]), b = p.y(list[i + 2]);
        if (a - b < least) { const m = (a + b) / 2; a = m + least / 2; b = m - least / 2; }
        g.moveTo(x, a); g.lineTo(x, b);
      });
      g.stroke();
    };
    p.steps(flow.edges, 3, 1, css("edge"), 1);
    p.steps(acks, 2, 1, css("ack"), 1.6);
    bar(sent, css("data"), fine ? 2.4 : 1.7, 2.5);
    bar(flow.again, css("again"), fine ? 3 : 2, fine ? 6 : 3.5);
    const losses = [];
    every(flow.lost, 3, i => { if (flow.lost[i] >= view[0] && flow.lost[i] <= view[1]) losses.push(i); });
    /* Few: a cross each. Many: a rug below, so that the curve stays visible. */
    const few = losses.length < 50, r = few ? 4.5 : 0, base = p.height - BOTTOM;
    g.strokeStyle = css("lost"); g.lineWidth = few ? 2 : 1; g.beginPath();
    for (const i of losses) {
      const x = p.x(flow.lost[i]), y = p.y((flow.lost[i + 1] + flow.lost[i + 2]) / 2);
      if (few) { g.moveTo(x - r, y - r); g.lineTo(x + r, y + r); g.moveTo(x - r, y + r); g.lineTo(x + r, y - r); }
      g.moveTo(x, base); g.lineTo(x, base - 9);
    }
    g.stroke();
    if (isBare()) timeouts(p);
    every(flow.segs, SEG, i => {
      if (flow.segs[i + 3] !== chosen) return;
      const x = p.x(flow.segs[i]), top = p.y(flow.segs[i + 2]), bottom = p.y(flow.segs[i + 1]);
      g.strokeStyle = css("accent"); g.lineWidth = 2; g.strokeRect(x - 6, top - 5, 12, bottom - top + 10);
    });
  }),
  new Plot("win", p => {
    const w = flow.windows;
    /* The threshold starts at infinity: it counts only while it is near the window. */
    let [, hi] = w.length ? range(w, 5, [1, 3], 0, 1) : range(flow.edges, 3, [2], 0, 1);
    p.lo = 0; p.hi = hi * 1.12;
    p.axes("B");
    if (!w.length) nothing(p);
    p.steps(flow.edges, 3, 2, css("edge"), 1);
    p.steps(w, 5, 2, css("ssthresh"), 1.3);
    p.steps(w, 5, 3, css("flight"), 1);
    p.steps(w, 5, 1, css("cwnd"), 1.9, true);
    timeouts(p);
  }),
  new Plot("rtt", p => {
    const [, hi] = range(flow.windows, 5, [4], 0, 1);
    p.lo = 0; p.hi = hi * 1.15;
    p.axes("µs");
    p.steps(flow.windows, 5, 4, css("rtt"), 1.7, true);
  }),
  new Plot("state", p => {
    p.lo = 0; p.hi = 1;
    p.axes("", flow.lanes.map(laneName));
    const g = p.g;
    flow.lanes.forEach((lane, i) => {
      const y = p.lane(i, flow.lanes.length);
      lane.at.forEach((t, k) => {
        const until = k + 1 < lane.at.length ? lane.at[k + 1] : hull()[1];
        const x = Math.max(p.x(t), LEFT), w = Math.min(p.x(until), LEFT + p.width) - x;
        if (w <= 0) return;
        g.fillStyle = css(stateColour(lane.to[k])); g.globalAlpha = .22; g.fillRect(x, y - 11, w, 22);
        g.globalAlpha = 1; g.fillRect(x, y - 11, Math.min(2, w), 22);
        if (w > 24) { g.fillStyle = css("ink"); g.textAlign = "left"; g.textBaseline = "middle"; g.fillText(fit(g, lane.to[k], w - 10), x + 6, y); }
      });
    });
  }),
  new Plot("fault", p => {
    p.lo = 0; p.hi = 1;
    const names = faultLanes();
    p.axes("", names.map(d => d.replace("->", " → ")));
    const g = p.g, colours = ["lost", "delay", "copy", "spoilt", "again", "forged", "box"].map(css);
    leg.spans.forEach(([target, words, from, until]) => {
      const x = Math.max(p.x(from), LEFT), w = Math.min(p.x(until), LEFT + p.width) - x, y = p.lane(names.indexOf(target), names.length);
      if (w <= 0) return;
      g.fillStyle = css("soft"); g.globalAlpha = .28; g.fillRect(x, y - 10, Math.max(w, 1.5), 20); g.globalAlpha = 1;
      if (w > 30) { g.fillStyle = css("ink"); g.textAlign = "left"; g.textBaseline = "middle"; g.fillText(fit(g, words, w - 10), x + 5, y); }
    });
    for (let kind = 6; kind >= 0; kind--) {
      g.strokeStyle = colours[kind]; g.lineWidth = 1.5; g.globalAlpha = .85; g.beginPath();
      every(leg.faults, 3, i => {
        if (leg.faults[i + 2] !== kind || leg.faults[i] < view[0] || leg.faults[i] > view[1]) return;
        const x = p.x(leg.faults[i]), y = p.lane(leg.faults[i + 1], names.length);
        g.moveTo(x, y - 11); g.lineTo(x, y + 11);
      });
      g.stroke(); g.globalAlpha = 1;
    }
  }),
];

const KINDS = ["", "struck", "lost", "extra"];
function frameColour(i) {
  const kind = leg.frames[i * FRAME + 4], words = leg.words[i];
  if (kind) return ["", "again", "lost", "spoilt"][kind];
  if (/\[[SFR]|Machnet .* (syn|rst)/.test(words)) return "cwnd";
  return / len \d/.test(words) ? "data" : "ack";
}
/* Where a frame is drawn: from its sender at the time of sending to its receiver at the time of arrival. */
function frameLine(p, i) {
  const f = leg.frames, k = i * FRAME, lanes = leg.nodes.length, d = f[k + 2] * 2;
  const y0 = p.lane(leg.ends[d], lanes), y1 = p.lane(leg.ends[d + 1], lanes), x0 = p.x(f[k]);
  if (f[k + 4] !== 2) return [x0, y0, p.x(f[k + 1] < 0 ? f[k] : f[k + 1]), y1];
  const to = f[k + 1] < 0 ? x0 + 10 : p.x(f[k + 1]), part = f[k + 1] < 0 ? .45 : .92;
  return [x0, y0, x0 + (to - x0) * part, y0 + (y1 - y0) * part];
}
/* The frames that are in view, as [first, one past the last]; those before the first may still be under way. */
function framesInView() {
  const f = leg.frames, n = f.length / FRAME, find = t => { let lo = 0, hi = n; while (lo < hi) { const m = lo + hi >> 1; if (f[m * FRAME] < t) lo = m + 1; else hi = m; } return lo; };
  return [find(view[0]), find(view[1])];
}
/* The segment next to a place in the sequence graph, as the place of its frame. */
plots[0].find = (x, y) => {
  let best = -1, least = 12;
  every(flow.segs, SEG, i => {
    const s = flow.segs; if (s[i] < view[0] || s[i] > view[1]) return;
    const low = plots[0].y(s[i + 1]), high = plots[0].y(s[i + 2]);
    const d = Math.hypot(x - plots[0].x(s[i]), y > low ? y - low : y < high ? high - y : 0);
    if (d < least) { least = d; best = s[i + 3]; }
  });
  return best;
};
const ladder = new Plot("ladder", p => {
  if (!leg.frames.length) return;
  p.lo = 0; p.hi = 1; p.axes("", leg.nodes);
  const g = p.g, [from, to] = framesInView(), begin = Math.max(0, from - 200);
  /* What is out of the ordinary lies above what is not. */
  for (const odd of [false, true]) for (let i = begin; i < to; i++) {
    if (odd !== leg.frames[i * FRAME + 4] > 0) continue;
    const [x0, y0, x1, y1] = frameLine(p, i), on = chosen === i || mouse && mouse.frame === i;
    g.strokeStyle = css(frameColour(i)); g.lineWidth = on ? 3 : 1.3; g.globalAlpha = on || odd || to - from < 400 ? 1 : .5;
    g.beginPath(); g.moveTo(x0, y0); g.lineTo(x1, y1);
    if (leg.frames[i * FRAME + 4] === 2) { g.moveTo(x1 - 4, y1 - 4); g.lineTo(x1 + 4, y1 + 4); g.moveTo(x1 - 4, y1 + 4); g.lineTo(x1 + 4, y1 - 4); }
    else if (to - from < 400) { const a = Math.atan2(y1 - y0, x1 - x0); g.moveTo(x1 - 7 * Math.cos(a - .4), y1 - 7 * Math.sin(a - .4)); g.lineTo(x1, y1); g.lineTo(x1 - 7 * Math.cos(a + .4), y1 - 7 * Math.sin(a + .4)); }
    g.stroke();
  }
  g.globalAlpha = 1;
});
ladder.find = (x, y) => {
  const [from, to] = framesInView();
  let best = -1, least = 8;
  for (let i = Math.max(0, from - 200); i < to; i++) {
    const [x0, y0, x1, y1] = frameLine(ladder, i), dx = x1 - x0, dy = y1 - y0;
    const k = Math.max(0, Math.min(1, ((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy || 1)));
    const d = Math.hypot(x - x0 - k * dx, y - y0 - k * dy);
    if (d < least) { least = d; best = i; }
  }
  return best;
};
plots.push(ladder);
/* The frame at which something went wrong next to a place among the faults. */
const faultPlot = plots.find(plot => plot.canvas.id === "fault");
faultPlot.find = (x, y) => {
  const lanes = faultLanes().length, f = leg.frames;
  let best = -1, least = 8;
  for (let i = 0; i < leg.words.length; i++) {
    const k = i * FRAME, d = Math.abs(x - faultPlot.x(f[k]));
    if (f[k + 4] && d < least && Math.abs(y - faultPlot.lane(f[k + 2], lanes)) <= 12) { least = d; best = i; }
  }
  return best;
};
const ROWS = 300;
let rowsAt = "";
function rows() {
  if (!leg.frames.length) return;
  const [first, to] = framesInView();
  /* The frame that was chosen is among them. */
  const from = chosen >= first + ROWS && chosen < to ? chosen - ROWS / 2 : first, key = from + " " + to;
  if (key === rowsAt) return markRow();
  rowsAt = key;
  const table = document.createElement("table"), f = leg.frames;
  for (let i = from; i < Math.min(to, from + ROWS); i++) {
    const row = table.insertRow(), k = i * FRAME;
    row.className = KINDS[f[k + 4]]; row.dataset.frame = i; row.onclick = () => choose(i);
    for (const text of [seconds(f[k]), leg.directions[f[k + 2]].replace("->", " → "), f[k + 3] ? "#" + f[k + 3] : "", leg.words[i]]) row.insertCell().textContent = text;
    row.onmouseenter = () => { mouse = { t: f[k], x: -1, y: -1, frame: i }; render(); };
    row.onmouseleave = () => { mouse = null; render(); };
  }
  const note = document.createElement("div"), more = to - first - ROWS;
  note.className = "note";
  note.textContent = (to === from ? "No frame is in view. " : more > 0 ? more.toLocaleString("en") + " more frames are in view: zoom in. " : "")
    + (leg.leftOut ? leg.leftOut.toLocaleString("en") + " frames in the middle of the run are not on this page; the capture has them." : "");
  $("rows").replaceChildren(table, note);
  markRow();
}
/* Shows which row is that of the chosen frame, and brings it into sight. */
function markRow() {
  const box = $("rows");
  for (const row of box.querySelectorAll("tr")) {
    const on = +row.dataset.frame === chosen, was = row.classList.contains("on");
    row.classList.toggle("on", on);
    if (on && !was) box.scrollTop = row.offsetTop - box.clientHeight / 2;
  }
}
/* Chooses a frame: its row, its line between the hosts and its segment are marked. A segment of another flow brings that flow. */
function choose(i) {
  chosen = i >= 0 && i < leg.words.length ? i : -1;
  const box = $("chosen"), k = chosen * FRAME;
  box.hidden = chosen < 0;
  if (chosen >= 0) {
    const at = leg.frames[k], place = leg.directions[leg.frames[k + 2]].replace("->", " → ");
    box.children[0].textContent = seconds(at) + " s  " + place + (leg.frames[k + 3] ? " #" + leg.frames[k + 3] : "") + "  " + leg.words[chosen];
    const mine = f => { let is = false; every(f.segs, SEG, s => { is = is || f.segs[s + 3] === chosen; }); return is; };
    const other = mine(flow) ? -1 : leg.flows.findIndex(mine);
    if (other >= 0) showFlow(other);
    if (at < view[0] || at > view[1]) { const half = (view[1] - view[0]) / 2; setView(at - half, at + half); }
  }
  render();
}
/* The keys: the view, and the frame that is chosen. */
function key(e) {
  if (e.ctrlKey || e.metaKey || e.altKey || /^(SELECT|INPUT)$/.test(e.target && e.target.tagName)) return;
  const [a, b] = view, w = b - a, m = (a + b) / 2;
  const near = () => framesInView()[0];
  const steps = {
    ArrowLeft: () => setView(a - w / 5, b - w / 5), ArrowRight: () => setView(a + w / 5, b + w / 5),
    "+": () => setView(m - w / 3, m + w / 3), "=": () => setView(m - w / 3, m + w / 3), "-": () => setView(m - w * .75, m + w * .75),
    0: () => $("all").onclick(), Escape: () => choose(-1),
  };
  if (leg.frames.length) {
    steps.ArrowUp = () => choose(chosen < 0 ? near() : Math.max(0, chosen - 1));
    steps.ArrowDown = () => choose(chosen < 0 ? near() : Math.min(leg.words.length - 1, chosen + 1));
    /* Without a chosen frame the page scrolls. */
    if (chosen < 0 && !(mouse && mouse.x >= 0)) { delete steps.ArrowUp; delete steps.ArrowDown; }
  }
  if (!steps[e.key]) return;
  e.preventDefault(); steps[e.key]();
}

function before(list, size, t) {
  let lo = 0, hi = list.length / size;
  while (lo < hi) { const mid = lo + hi >> 1; if (list[mid * size] <= t) lo = mid + 1; else hi = mid; }
  return lo ? (lo - 1) * size : -1;
}
function tip() {
  const box = $("tip");
  if (!mouse || mouse.x < 0) { box.style.display = "none"; return; }
  const lines = [timeText(mouse.t, view[1] - view[0])], f = flow;
  let i = before(f.bars, 3, mouse.t); if (i >= 0) lines.push("sent to        " + countText(f.bars[i + 2], f.unit));
  i = before(f.acks, 2, mouse.t); if (i >= 0) lines.push("acknowledged   " + countText(f.acks[i + 1], f.unit));
  i = before(f.windows, 5, mouse.t);
  if (i >= 0) {
    lines.push("window         " + countText(f.windows[i + 1], "B"), "in flight      " + countText(f.windows[i + 3], "B"));
    lines.push("round trip     " + timeText(f.windows[i + 4]));
  }
  if (mouse.frame >= 0) lines.splice(0, lines.length, seconds(leg.frames[mouse.frame * FRAME]) + " s  " + leg.directions[leg.frames[mouse.frame * FRAME + 2]].replace("->", " → ") + " #" + leg.frames[mouse.frame * FRAME + 3], ...leg.words[mouse.frame].split("  "));
  const near = (view[1] - view[0]) / 150;
  f.lanes.forEach(lane => { const k = lane.at.findLastIndex(t => t <= mouse.t); if (k >= 0 && mouse.frame < 0) lines.push(laneName(lane).padEnd(15) + " " + lane.to[k]); });
  for (const [target, words, from, until] of leg.spans) if (from <= mouse.t && mouse.t < until) lines.push(target + ": " + words);
  const kinds = {};
  every(leg.faults, 3, k => { if (Math.abs(leg.faults[k] - mouse.t) < near) { const n = FAULTS[leg.faults[k + 2]]; kinds[n] = (kinds[n] || 0) + 1; } });
  for (const n in kinds) lines.push(n.padEnd(15) + kinds[n]);
  box.textContent = lines.join("\n"); box.style.display = "block"; box.style.fontFamily = "ui-monospace, monospace";
  const w = box.offsetWidth, h = box.offsetHeight;
  box.style.left = (mouse.x + 18 + w > innerWidth ? mouse.x - w - 14 : mouse.x + 18) + "px";
  box.style.top = Math.min(innerHeight - h - 8, mouse.y + 14) + "px";
}
function setView(a, b) {
  const [lo, hi] = hull(), least = 5;
  if (b - a < least) { const m = (a + b) / 2; a = m - least / 2; b = m + least / 2; }
  if (b - a >= hi - lo) { a = lo; b = hi; }
  if (a < lo) { b += lo - a; a = lo; }
  if (b > hi) { a -= b - hi; b = hi; }
  view = [a, b]; render();
}
function render() {
  for (const p of plots) if (p.canvas.offsetParent) { p.begin(); p.draw(p); p.end(); }
  rows();
}
/* Graphs in which nothing of the flow would stand are left out. */
function showFlow(i) {
  flow = leg.flows[i] || NO_FLOW; $("flow").value = i; $("loss").hidden = !flow.lost.length;
  for (const plot of document.querySelectorAll(".ofFlow")) plot.hidden = flow === NO_FLOW;
  const bare = isBare();
  $("win-plot").hidden = bare; $("rtt-plot").hidden = !flow.windows.length;
  $("state-plot").hidden = flow.lanes.every(lane => lane.to.every(state => state === "Opened"));
  $("edge-key").hidden = !flow.edges.length; $("timeout-key").hidden = !bare || !flow.timeouts.length;
}
function chooseFlow(i) { showFlow(i); setView(...fullSpan()); }
function chooseLeg(i) {
  leg = D.legs[i];
  [...$("legs").children].forEach((b, k) => b.setAttribute("aria-selected", k === i));
  $("about").textContent = leg.about;
  $("tiles").replaceChildren(...leg.figures.map(([name, value]) => {
    const tile = document.createElement("div"), b = document.createElement("b"), s = document.createElement("span");
    tile.className = "tile"; b.textContent = value; s.textContent = name; tile.append(b, s); return tile;
  }));
  $("flow").replaceChildren(...leg.flows.map((f, k) => new Option(f.name + "  ·  " + f.segments.toLocaleString("en") + (f.unit === "B" ? " segments" : " packets") + (f.truncated ? ", cut short" : ""), k)));
  if (leg.flowsInAll > leg.flows.length) $("flow").append(Object.assign(new Option((leg.flowsInAll - leg.flows.length) + " smaller flows are not shown"), { disabled: true }));
  $("flow").hidden = !leg.flows.length; $("flowless").hidden = leg.flows.length > 0;
  faultPlot.canvas.setAttribute("height", faultPlot.height = 44 + 26 * Math.max(2, faultLanes().length));
  $("ladder-plot").hidden = !leg.frames.length;
  ladder.height = 50 + 64 * Math.max(2, leg.nodes.length);
  rowsAt = ""; chosen = -1; $("chosen").hidden = true;
  chooseFlow(0);
}
function showVerdict(v) {
  const box = $("verdict"), [title, when, button, words] = box.children, broken = v.at !== undefined;
  box.hidden = false; box.classList.add(broken ? "broken" : "kept");
  title.textContent = broken ? v.signature : "Every rule was kept";
  when.textContent = broken ? "at " + seconds(v.at) + " s" : "";
  /* A line for each socket that it describes. */
  words.textContent = broken ? v.words.replaceAll("; host ", "\nhost ") : ""; words.hidden = button.hidden = !broken;
  button.onclick = () => { const w = (hull()[1] - hull()[0]) * .02; setView(v.at - w, v.at + w / 3); $("all").scrollIntoView({ behavior: "smooth" }); };
  const texts = [v.case, v.executed || "None."];
  [...$("texts").children].forEach((part, i) => {
    part.querySelector("pre").textContent = texts[i];
    part.querySelector("button").onclick = () => navigator.clipboard && navigator.clipboard.writeText(texts[i]);
  });
  $("texts").hidden = false;
}
$("title").textContent = document.title = D.title;
$("subtitle").textContent = D.subtitle;
$("legs").hidden = D.legs.length < 2;
if (D.verdict) showVerdict(D.verdict);
$("legs").replaceChildren(...D.legs.map((l, i) => {
  const b = document.createElement("button"); b.textContent = l.name; b.setAttribute("role", "tab"); b.onclick = () => chooseLeg(i); return b;
}));
$("flow").onchange = e => chooseFlow(+e.target.value);
$("all").onclick = () => setView(...(flow === NO_FLOW ? hull() : fullSpan()));
$("loss").onclick = () => {
  if (!flow.detail) return;
  const d = flow.detail, half = (d.to - d.from) * .2;
  const a = Math.max(d.from, d.pivot - half * .5);
  setView(a, Math.min(d.to, a + 2 * half));
};
$("chosen").children[1].onclick = () => choose(-1);
addEventListener("keydown", key);
addEventListener("resize", render);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", render);
chooseLeg(0);
