// As much of a browser as the page of a run needs: elements with ids, events, and canvases that write down what is drawn.
"use strict";

const VOID = new Set(["meta", "link", "br", "input", "!doctype"]);

class Element {
  constructor(tag, parent = null) {
    this.tagName = tag.toUpperCase(); this.parent = parent; this.children = []; this.attributes = {}; this.listeners = {};
    this.style = {}; this.dataset = {}; this.hidden = false; this.text = ""; this.scrollTop = 0; this.value = "";
    this.clientWidth = 900; this.clientHeight = 380; this.offsetWidth = 100; this.offsetHeight = 20; this.offsetTop = 0;
    this.classes = new Set();
    this.classList = {
      add: name => this.classes.add(name), contains: name => this.classes.has(name),
      toggle: (name, on) => on ? this.classes.add(name) : this.classes.delete(name),
    };
  }
  get className() { return [...this.classes].join(" "); }
  set className(names) { this.classes = new Set(names.split(" ").filter(Boolean)); }
  get textContent() { return this.text + this.children.map(child => child.textContent).join(""); }
  set textContent(text) { this.text = String(text); this.children = []; }
  get offsetParent() { for (let e = this; e; e = e.parent) if (e.hidden) return null; return this; }
  get id() { return this.attributes.id || ""; }
  getAttribute(name) { return this.attributes[name]; }
  setAttribute(name, value) { this.attributes[name] = String(value); }
  append(...children) { for (const child of children) { child.parent = this; this.children.push(child); } }
  replaceChildren(...children) { this.text = ""; this.children = []; this.append(...children); }
  insertRow() { const row = new Element("tr"); this.append(row); return row; }
  insertCell() { const cell = new Element("td"); this.append(cell); return cell; }
  addEventListener(name, listener) { (this.listeners[name] ||= []).push(listener); }
  fire(name, event) { for (const listener of this.listeners[name] || []) listener({ preventDefault() {}, ...event }); }
  setPointerCapture() {}
  scrollIntoView() {}
  all() { return this.children.flatMap(child => [child, ...child.all()]); }
  querySelectorAll(what) {
    return this.all().filter(e => what[0] === "." ? e.classes.has(what.slice(1)) : e.tagName === what.toUpperCase());
  }
  querySelector(what) { return this.querySelectorAll(what)[0] || null; }
  getContext() { return this.context ||= context(); }
}

/* A canvas of which the last drawing is kept: [function, arguments ...] each. */
function context() {
  const calls = [];
  const own = { calls, measureText: text => ({ width: 6 * text.length }) };
  return new Proxy(own, {
    get: (target, name) => name in target ? target[name] : (...args) => {
      for (const arg of args) if (typeof arg === "number" && Number.isNaN(arg)) throw new Error(`${String(name)}(${args}) is no place`);
      if (name === "scale") calls.length = 0;
      calls.push([name, ...args]);
    },
    set: (target, name, value) => { target[name] = value; return true; },
  });
}

/* The elements of a document, whose tags have to fit each other, and the texts of its scripts. */
function parse(html) {
  const root = new Element("document"), ids = {}, scripts = [];
  let at = root, place = 0;
  const tags = /<(\/?)([a-z!][a-z0-9]*)([^>]*)>/gi;
  for (let found; (found = tags.exec(html)); ) {
    const [whole, closes, name, rest] = found;
    at.text += html.slice(place, found.index).trim();
    place = found.index + whole.length;
    if (closes) {
      if (at.tagName !== name.toUpperCase()) throw new Error(`</${name}> closes <${at.tagName}>`);
      at = at.parent;
      continue;
    }
    const element = new Element(name);
    for (const [, key, value] of rest.matchAll(/([a-z-]+)(?:=(?:"([^"]*)"|([^\s>]+)))?/gi)) {
      element.setAttribute(key, value ?? "");
      if (key === "id") ids[value] = element;
      if (key === "class") element.className = value;
      if (key === "hidden") element.hidden = true;
    }
    at.append(element);
    if (VOID.has(name.toLowerCase())) continue;
    if (name === "script" || name === "style") {
      const end = html.indexOf(`</${name}>`, place);
      if (end < 0) throw new Error(`<${name}> is not closed`);
      element.text = html.slice(place, end);
      if (name === "script" && !element.attributes.type) scripts.push(element.text);
      tags.lastIndex = place = end + name.length + 3;
      continue;
    }
    at = element;
  }
  if (at !== root) throw new Error(`<${at.tagName}> is not closed`);
  return { root, ids, scripts };
}

/* What a script of the document finds around it. */
function globals({ root, ids }) {
  const listeners = new Element("window");
  const window = {
    devicePixelRatio: 1, innerWidth: 1000, innerHeight: 700, navigator: {}, console,
    addEventListener: (name, listener) => listeners.addEventListener(name, listener),
    matchMedia: () => ({ addEventListener() {} }),
    getComputedStyle: () => ({ getPropertyValue: name => ` ${name} ` }),
    Option: function (text, value) { const option = new Element("option"); option.textContent = text; option.value = value; return option; },
    document: {
      title: "", documentElement: root,
      getElementById: id => ids[id] || null, createElement: tag => new Element(tag),
      querySelectorAll: what => root.querySelectorAll(what),
    },
  };
  window.window = window;
  return { window, press: key => listeners.fire("keydown", { key, target: root }) };
}

module.exports = { parse, globals };
