// node check.js PAGE: runs the script of a page and uses it as a reader would. Ends with an error where it does something else than it should.
"use strict";
const assert = require("node:assert/strict");
const fs = require("node:fs");
const vm = require("node:vm");
const { parse, globals } = require("./dom.js");

const page = parse(fs.readFileSync(process.argv[2], "utf8"));
assert.equal(page.scripts.length, 1);
const { window, press } = globals(page);
const context = vm.createContext(window);
vm.runInContext(page.scripts[0], context, { filename: "page.js" });
const ask = words => vm.runInContext(words, context);
const { seq, state, fault, ladder, rows, chosen, flow: select } = page.ids;

const leg = ask("leg");
const drawn = canvas => canvas.getContext().calls;
const texts = canvas => drawn(canvas).filter(call => call[0] === "fillText").map(call => call[1]);
const chosenRow = () => rows.querySelectorAll("tr").filter(row => row.classes.has("on"));
const click = (canvas, x, y) => {
  const event = { offsetX: x, offsetY: y, clientX: x, clientY: y, pointerId: 1 };
  canvas.fire("pointerdown", event);
  canvas.fire("pointerup", event);
};
/* The middle of segment i of the flow in the graph. */
const middle = i => ask(`(() => { const s = flow.segs, p = plots[0], k = ${i} * SEG; return [p.x(s[k]), (p.y(s[k + 1]) + p.y(s[k + 2])) / 2]; })()`);

assert.ok(leg.flows.length >= 2, "the page has flows");
let clicks = 0;
leg.flows.forEach((flow, index) => {
  select.onchange({ target: { value: index } });
  assert.ok(flow.segs.length > 0, `${flow.name} has segments whose frames are on the page`);
  assert.ok(flow.lanes.every(lane => lane.at.length === lane.to.length && lane.at.length > 0), `${flow.name}: both ends tell their states`);
  assert.equal(flow.lanes.length, 2, flow.name);
  assert.ok(flow.lanes.every(lane => lane.to.some(name => /^(Established|Opened)/.test(name))), `${flow.name}: ${JSON.stringify(flow.lanes)}`);
  /* A graph in which nothing would stand is not there. */
  const machnet = flow.unit === "packets", shown = id => !page.ids[id].hidden;
  assert.deepEqual(["win-plot", "rtt-plot", "edge-key"].map(shown), [!machnet, flow.windows.length > 0, !machnet], flow.name);
  assert.ok(shown("state-plot"), `${flow.name} ends, and its states are told`);
  assert.ok(texts(state).some(text => flow.lanes[0].to.includes(text)), `${flow.name}: ${texts(state)}`);
  for (let i = 0; i < flow.segs.length / 4; i++) {
    const [at, from, to, frame] = flow.segs.slice(4 * i, 4 * i + 4);
    /* So near that no other segment lies there, but for one that left at the same moment and overlaps it. */
    ask(`setView(${at} - 3, ${at} + 3)`);
    press("Escape");
    assert.equal(chosenRow().length, 0);
    click(seq, ...middle(i));
    const words = leg.words[ask("chosen")];
    assert.ok(words, `a click on segment ${i} of ${flow.name} chooses a frame`);
    /* Packets of Machnet have a number each, and their first is 0; a SYN or FIN counts and is not told as a range. */
    const range = words.match(/ seq (\d+):(\d+) /);
    if (flow.unit === "B" && range) assert.deepEqual([+range[1], +range[2]].map(String), [String(from), String(to - / \[[^\]]*F/.test(words))], words);
    if (flow.unit === "packets") assert.ok(/Machnet/.test(words), words);
    const chose = ask("chosen");
    assert.ok(chose === frame || leg.frames[5 * chose] === leg.frames[5 * frame], `segment ${i}: frame ${chose} instead of ${frame}`);
    assert.equal(chosenRow().length, 1);
    assert.ok(chosenRow()[0].textContent.endsWith(words));
    assert.ok(!chosen.hidden && chosen.textContent.includes(words));
    clicks++;
    /* And back: a click on the row marks the segment. */
    press("Escape");
    const row = rows.querySelectorAll("tr").find(row => +row.dataset.frame === frame);
    row.onclick();
    assert.equal(ask("chosen"), frame);
    const [x, y] = middle(i);
    const boxes = drawn(seq).filter(call => call[0] === "strokeRect");
    assert.ok(boxes.some(([, left, top, w, h]) => left <= x && x <= left + w && top <= y && y <= top + h), `row ${frame} marks its segment`);
  }
});
assert.ok(clicks > 20, `${clicks} clicks`);

/* A row of another flow brings that flow. */
select.onchange({ target: { value: 0 } });
press("0");
const other = leg.flows[1].segs[3];
ask(`choose(${other})`);
assert.equal(ask("flow === leg.flows[1]"), true);
assert.equal(chosenRow().length, 1);

/* The ladder: a frame is chosen by a click on its line, in its middle. */
press("Escape");
ask(`setView(leg.frames[${other} * FRAME] - 3, leg.frames[${other} * FRAME] + 3)`);
const [x0, y0, x1, y1] = ask(`frameLine(ladder, ${other})`);
const k = Math.min(1, Math.max(0, (450 - x0) / (x1 - x0 || 1)));
click(ladder, x0 + k * (x1 - x0), y0 + k * (y1 - y0));
assert.notEqual(ask("chosen"), -1);
/* A frame that something happened to is chosen by a click on the mark of its fault. */
press("Escape");
const struck = ask("leg.words.findIndex((_, i) => leg.frames[i * FRAME + 4] === 2)");
ask(`setView(leg.frames[${struck} * FRAME] - 3, leg.frames[${struck} * FRAME] + 3)`);
click(fault, ...ask(`[faultPlot.x(leg.frames[${struck} * FRAME]), faultPlot.lane(leg.frames[${struck} * FRAME + 2], faultLanes().length)]`));
assert.equal(ask("chosen"), struck);
/* A drag chooses nothing. */
press("Escape");
ladder.fire("pointerdown", { clientX: 100, clientY: 50 });
ladder.fire("pointerup", { clientX: 140, clientY: 50, offsetX: 140, offsetY: 50 });
assert.equal(ask("chosen"), -1);

/* The keys. */
const width = () => ask("view[1] - view[0]");
press("0");
const whole = width();
press("+");
assert.ok(width() < whole * .7);
const left = ask("view[0]");
press("ArrowRight");
assert.ok(ask("view[0]") > left);
press("ArrowLeft");
press("0");
assert.equal(width(), whole);
ask("choose(0)");
press("ArrowDown");
assert.equal(ask("chosen"), 1);
press("ArrowUp");
assert.equal(ask("chosen"), 0);
press("Escape");
assert.ok(chosen.hidden);
for (const canvas of [seq, ladder, fault]) {
  canvas.fire("pointermove", { offsetX: 300, offsetY: 60, clientX: 300, clientY: 60 });
  canvas.fire("wheel", { offsetX: 300, deltaY: -100 });
  canvas.fire("pointerleave", {});
}
page.ids.all.onclick();
page.ids.loss.onclick();
if (!page.ids.verdict.children[2].hidden) page.ids.verdict.children[2].onclick();
ask("setView(...hull())");

/* What is so for a while has a bar where its target's lane is. */
for (const [target, words, from, until] of leg.spans) {
  ask(`setView(${from}, ${until})`);
  assert.ok(ask("faultLanes()").includes(target));
  assert.ok(texts(fault).some(text => text.startsWith(words.slice(0, 3))), `${words}: ${texts(fault)}`);
}
console.log(`${leg.flows.length} flows, ${clicks} segments, ${leg.words.length} frames, ${leg.spans.length} spans`);
