/* What the pages are drawn with: elements, numbers, scales, charts' places, tables, sections, the theme. The script that
 * follows it in a page makes the parts and calls start. A chart is a function of a width that returns an <svg>; it is
 * drawn anew when its place changes its width. */
"use strict";
let errors = 0;
addEventListener("error", () => { document.body.dataset.errors = String(++errors); });

const SVG = "http://www.w3.org/2000/svg";

/* ---- elements ---- */
function put(node, attributes, children) {
	for (const [name, value] of Object.entries(attributes || {})) {
		if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
		else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value);
	}
	for (const child of children.flat(9)) if (child !== null && child !== undefined && child !== false) node.append(child);
	return node;
}
const h = (tag, attributes, ...children) => put(document.createElement(tag), attributes, children);
const s = (tag, attributes, ...children) => put(document.createElementNS(SVG, tag), attributes, children);

/* ---- numbers ---- */
const known = (v) => v !== null && v !== undefined;
function short(v) {
	if (!known(v)) return "–";
	const size = Math.abs(v);
	if (size >= 1e4) return Math.round(v).toLocaleString("en").replace(/,/g, "\u2009");
	if (size >= 100) return v.toFixed(0);
	return size >= 10 ? v.toFixed(1) : size >= 0.1 || size === 0 ? v.toFixed(2) : v.toPrecision(2);
}
const micros = (v) => (!known(v) ? "–" : v >= 1e6 ? `${short(v / 1e6)} s` : v >= 1000 ? `${short(v / 1000)} ms` : `${short(v)} µs`);
const times = (v) => (v >= 10 ? v.toFixed(1) : v >= 0.1 ? v.toFixed(2) : v.toFixed(3));

/* ---- scales ---- */
function logScale(low, high, from, to) {
	const a = Math.log(low), b = Math.log(high);
	return (v) => from + ((Math.log(v) - a) / (b - a || 1)) * (to - from);
}
const linearScale = (low, high, from, to) => (v) => from + ((v - low) / (high - low || 1)) * (to - from);
function logTicks(low, high) {
	const ticks = [];
	for (let decade = 10 ** Math.floor(Math.log10(low)); decade <= high; decade *= 10)
		for (const step of [1, 2, 5]) if (decade * step >= low * 0.999 && decade * step <= high * 1.001) ticks.push(decade * step);
	return ticks.length > 9 ? ticks.filter((t) => /^1(0*|e)/.test(String(t)) || /^0\.0*1$/.test(String(t))) : ticks;
}
function linearTicks(low, high, count) {
	const rough = (high - low) / count, unit = 10 ** Math.floor(Math.log10(rough));
	const step = [1, 2, 5, 10].map((m) => m * unit).find((m) => m >= rough);
	const ticks = [];
	for (let t = Math.ceil(low / step) * step; t <= high + step / 1e3; t += step) ticks.push(t);
	return ticks;
}

/* ---- places that redraw ---- */
const places = [];
function place(draw) {
	const node = h("div", { class: "plot" });
	places.push({ node, draw, width: 0 });
	return node;
}
function redraw(force) {
	for (const p of places) {
		const width = Math.floor(p.node.clientWidth);
		if (width < 40 || (!force && width === p.width)) continue;
		p.width = width;
		p.node.replaceChildren(...[p.draw(width, p.node)].flat());
	}
	document.body.dataset.curves = String(document.querySelectorAll("path.curve").length);
	document.body.dataset.charts = String(document.querySelectorAll("svg").length);
	document.body.dataset.errors = String(errors);
}

/* ---- tables ---- */
const details = (title, ...inside) => h("details", {}, h("summary", {}, title), inside);
function table(heads, lines, caption) {
	return [caption ? h("p", { class: "small soft" }, caption) : null, h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption || "figures" }, h("table", {},
		h("thead", {}, h("tr", {}, heads.map((text) => h("th", { scope: "col" }, text)))),
		h("tbody", {}, lines.map((line) => h("tr", {}, line.map((cell, i) => (i ? (cell instanceof Element && cell.matches("td") ? cell : h("td", {}, cell)) : h("th", { scope: "row" }, cell))))))))];
}

/* ---- sections ---- */
const sections = [];
function section(id, title, ...children) {
	sections.push([id, title]);
	return h("section", { id, "aria-labelledby": `${id}-title` }, h("h2", { id: `${id}-title` }, title), children);
}

/* ---- the theme ---- */
let theme = { "#dark": "dark", "#light": "light" }[location.hash] || "auto";
const dark = matchMedia("(prefers-color-scheme: dark)");
function applyTheme(button) {
	document.documentElement.dataset.theme = theme === "auto" ? (dark.matches ? "dark" : "light") : theme;
	if (button) button.textContent = `Theme: ${theme}`;
}
dark.addEventListener("change", () => applyTheme());
function themeButton() {
	const modes = ["auto", "light", "dark"];
	const button = h("button", { class: "theme", type: "button", onclick: () => { theme = modes[(modes.indexOf(theme) + 1) % 3]; applyTheme(button); } });
	applyTheme(button);
	return button;
}

/* ---- start ---- */
/* Puts the parts into the page, with the masthead above them and the list of sections between. */
function start(masthead, parts) {
	const main = document.getElementById("main");
	main.replaceChildren(...parts.flat(9).filter(Boolean));
	document.getElementById("top").append(...masthead);
	document.getElementById("top").after(h("nav", { "aria-label": "sections" }, h("ul", {}, sections.map(([id, title]) => h("li", {}, h("a", { href: `#${id}` }, title))))));
	redraw(true);
	if (location.hash && !["#dark", "#light"].includes(location.hash)) document.querySelector(location.hash)?.scrollIntoView();
	new ResizeObserver(() => redraw(false)).observe(main);
}
