/* Draws what `weft tune gc` has found, with what draw.js has. A setting on the frontier is a full mark, the others are
 * hollow; the recommended one has a ring. Every chart has its figures in the table. */
const report = JSON.parse(document.getElementById("data").textContent);
const NAMES = {
	throughput: "throughput", p50_us: "p50", p99_us: "p99", p999_us: "p99.9", max_us: "max", rss: "RSS", cpu_s: "CPU",
	cycles: "cycles", gc_cpu_s: "GC CPU", hold_us: "longest hold",
};
const recommended = report.recommended && report.recommended.name;

/* ---- numbers ---- */
function bytes(v) {
	const units = ["B", "KiB", "MiB", "GiB", "TiB"];
	let at = 0;
	while (v >= 1023.5 && at < 4) { v /= 1024; at++; }
	return `${short(v)} ${units[at]}`;
}
function shown(key, v) {
	if (!known(v)) return "–";
	if (key === "throughput") return `${short(v)}/s`;
	if (key === "rss") return bytes(v);
	if (key === "cycles") return String(v);
	return micros(key.endsWith("_s") ? v * 1e6 : v);
}
const range = (key, m) => `${shown(key, m.median)}${known(m.low) ? ` [${shown(key, m.low)} – ${shown(key, m.high)}]` : ""}`;
const having = (...keys) => report.settings.filter((one) => keys.every((key) => one.measures[key]));
function span(key, list) {
	const all = list.flatMap((one) => ["low", "median", "high"].map((end) => one.measures[key][end])).filter(known);
	const low = Math.min(...all), high = Math.max(...all), widen = Math.max(1.03, Math.sqrt(1.1 * low / high)); // at least a tenth, whatever the noise
	return [low / widen, high * widen];
}

/* ---- marks ---- */
function dot(one, x, y) {
	return [one.name === recommended ? s("circle", { class: "recommended", cx: x, cy: y, r: 9, fill: "none", stroke: "var(--win)", "stroke-width": 2 }) : null,
		s("circle", { class: "dot", cx: x, cy: y, r: 4.5, fill: one.frontier ? "var(--weft)" : "var(--card)", stroke: one.frontier ? "var(--weft)" : "var(--soft)", "stroke-width": 1.6 })];
}
function interval(one, horizontal, from, to, at) {
	const tone = { stroke: one.frontier ? "var(--weft)" : "var(--soft)", "stroke-width": 1.6 };
	return s("line", horizontal ? { class: "interval", x1: from, x2: to, y1: at, y2: at, ...tone } : { class: "interval", x1: at, x2: at, y1: from, y2: to, ...tone });
}
const ends = (m) => [known(m.low) ? m.low : m.median, known(m.high) ? m.high : m.median];

/* ---- a measure over the settings ---- */
function measureChart(key, label) {
	const list = having(key);
	if (!list.length) return null;
	const [low, high] = span(key, list), each = 24;
	return place((width) => {
		const left = Math.min(170, width * 0.42), right = width - 14, bottom = 12 + list.length * each;
		const x = logScale(low, high, left, right);
		const svg = s("svg", { height: bottom + 24, viewBox: `0 0 ${width} ${bottom + 24}`, role: "img", "aria-label": label });
		for (const [value, anchor] of [[low * 1.03, "start"], [high / 1.03, "end"]])
			svg.append(s("line", { class: "grid", x1: x(value), x2: x(value), y1: 6, y2: bottom }), s("text", { x: x(value), y: bottom + 16, "text-anchor": anchor }, shown(key, value)));
		list.forEach((one, i) => {
			const y = 12 + i * each + each / 2, m = one.measures[key], [from, to] = ends(m);
			svg.append(s("g", { class: "setting" }, s("title", {}, `${one.name}: ${range(key, m)}`),
				s("text", { class: one.frontier ? "strong" : "", x: 0, y: y + 4 }, one.name),
				s("line", { class: "grid", x1: left, x2: right, y1: y, y2: y }), interval(one, true, x(from), x(to), y), dot(one, x(m.median), y)));
		});
		return svg;
	});
}

/* ---- what is paid for what: memory against another measure ---- */
function frontierChart(key, name) {
	const list = having("rss", key);
	if (!list.length) return null;
	const [left0, right0] = span("rss", list), [low, high] = span(key, list);
	return place((width) => {
		const height = Math.round(Math.min(420, Math.max(280, width * 0.55))), left = 74, right = width - 20, top = 16, bottom = height - 42;
		const x = logScale(left0, right0, left, right), y = logScale(low, high, bottom, top);
		const svg = s("svg", { height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${name} against RSS` },
			s("path", { class: "axis", fill: "none", d: `M${left} ${top}V${bottom}H${right}` }),
			s("text", { x: (left + right) / 2, y: height - 6, "text-anchor": "middle" }, "RSS"),
			[[left0 * 1.03, "start"], [right0 / 1.03, "end"]].map(([v, anchor]) => s("text", { x: x(v), y: bottom + 16, "text-anchor": anchor }, bytes(v))),
			[low * 1.03, high / 1.03].map((v) => s("text", { x: left - 6, y: y(v) + 4, "text-anchor": "end" }, shown(key, v))));
		const taken = [];
		const label = (one, px, py, beyond) => {
			const text = one.name.replace(" limit=off", ""), wide = 6.6 * text.length, from = beyond ? px - 11 - wide : px + 11;
			if (!one.frontier || taken.some((box) => from < box.to && box.from < from + wide && Math.abs(box.y - py) < 14)) return null;
			taken.push({ from, to: from + wide, y: py });
			return s("text", { x: px + (beyond ? -11 : 11), y: py - 7, "text-anchor": beyond ? "end" : "start" }, text);
		};
		for (const one of [...list].sort((a, b) => (b.name === recommended) - (a.name === recommended))) {
			const across = one.measures.rss, up = one.measures[key], px = x(across.median), py = y(up.median);
			const [from, to] = ends(across), [under, over] = ends(up), beyond = px > (left + right) / 2;
			svg.append(s("g", { class: "setting" }, s("title", {}, `${one.name}: RSS ${range("rss", across)}, ${name} ${range(key, up)}`),
				interval(one, true, x(from), x(to), py), interval(one, false, y(under), y(over), px), dot(one, px, py),
				label(one, px, py, beyond)));
		}
		return svg;
	});
}

/* ---- sections ---- */
const key = () => h("div", { class: "key" }, [["on the frontier", { frontier: true }], ["dominated", { frontier: false }], ["recommended", { frontier: true, name: recommended }]]
	.filter(([, one]) => !one.name || recommended).map(([words, one]) => h("span", { class: "item" }, s("svg", { width: 22, height: 20, style: "width:22px;flex:none", "aria-hidden": "true" }, dot({ name: "", ...one }, 11, 10)), words)));
const chip = (v) => h("span", { class: `chip ${v.differs ? "win" : "tie"}` }, v.verdict);
function overview() {
	const failed = report.settings.filter((one) => one.failed);
	return [h("p", { class: "notice" }, recommended ? h("code", {}, report.recommended.environment) : null, recommended ? " – " : null, report.why, "."),
		report.interrupted ? h("p", { class: "notice bad" }, "Interrupted: this is what there is.") : report.ended ? h("p", { class: "soft" }, `${report.ended}.`) : null,
		report.left_out.length ? h("p", { class: "soft" }, `Left out, as the budget does not hold ${report.rounds} rounds of all: ${report.left_out.join(", ")}.`) : null,
		failed.map((one) => h("p", { class: "notice bad" }, `${one.name}: ${one.failed} of ${one.runs} runs failed: ${one.why}`))];
}
function measures() {
	if (!report.verdicts.length) return null;
	return section("measures", "The measures", h("p", { class: "soft" }, "Median over the runs and its 95% bootstrap interval, on a logarithmic axis. Whether a measure differs at all is told by a permutation test over all settings."),
		report.verdicts.map((v) => h("div", { class: "card" }, h("h3", {}, NAMES[v.measure], chip(v)), h("p", { class: "small soft" }, `${v.better} is better; p ${v.p < 0.001 ? "below 0.001" : v.p.toFixed(3)}`), measureChart(v.measure, NAMES[v.measure]))));
}
function frontier() {
	const others = report.verdicts.filter((v) => v.measure !== "rss");
	if (!others.length) return null;
	return section("frontier", "The frontier", h("p", { class: "soft" }, "A setting is dominated when another is better in one measure and worse in none, as far as the intervals tell."), key(),
		h("div", { class: "pair" }, others.map((v) => h("div", { class: "card" }, h("h3", {}, `${NAMES[v.measure]} against RSS`), frontierChart(v.measure, NAMES[v.measure])))));
}
function figures() {
	if (!report.settings.length) return null;
	const keys = Object.keys(NAMES).filter((name) => report.settings.some((one) => one.measures[name]));
	return section("figures", "The figures", h("div", { class: "card" }, table(["setting", "runs", "failed", ...keys.map((name) => NAMES[name]), "dominated by"], report.settings.map((one) => [one.name, String(one.runs), String(one.failed),
		...keys.map((name) => (one.measures[name] ? range(name, one.measures[name]) : "–")), h("td", { class: "words" }, one.dominated_by.join(", ") || (one.frontier ? "nobody" : "not judged"))]))));
}
const parts = [overview(), frontier(), measures(), figures()];
start([h("div", { class: "mast" }, h("div", {}, h("h1", {}, "weft tune gc"), h("p", { class: "soft" }, h("code", {}, report.command_line)),
	h("p", { class: "soft" }, `${report.machine.cpus} CPUs · Linux ${report.machine.kernel} · ${report.started.replace("T", " ").replace("Z", " UTC")} · ${report.runs} runs, ${report.failed} failed, ${Math.round(report.spent_s)} s`)), themeButton())], parts);
