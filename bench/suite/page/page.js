/* Draws the report of the bench that stands in this file, with what draw.js has. Read top-down: charts, tables,
 * sections, start. Every chart has its figures in a table beside or behind it; colour is never the only mark of a series. */
const report = JSON.parse(document.getElementById("data").textContent);
const PEER = { weft: "weft", go: "Go", rust: "Rust", c: "floor (C)", nginx: "nginx", haproxy: "haproxy" };
const DASH = { weft: "", go: "9 4", rust: "2.5 3", c: "12 3 2.5 3" };
const MARK = { weft: "circle", go: "square", rust: "diamond", c: "triangle" };
const METRIC = { ns: "ns", bytes: "bytes each", cpu: "CPU µs/op", rate: "requests/s", p50: "p50 µs", p99: "p99 µs", p999: "p99.9 µs", p9999: "p99.99 µs", max: "max µs", share: "% of a core",
	wall: "s", cpu_s: "CPU s", rss: "MiB", gbs: "GB/s", hold: "µs", extra: "more than plain" };
const HIGHER = ["rate", "share", "gbs"];
const SECTION = {
	micro1: "Micro, one core", micro2: "Micro, two cores", raw: "Raw request/response and echo",
	framework: "Framework HTTP", "tails-raw": "Tails, raw", "tails-framework": "Tails, framework", sched: "Scheduling latency, two cores",
	memory: "Memory", pushes: "Pushes into a window of live messages",
};
const rowOf = new Map(report.rows.map((row) => [row.id, row]));

const colour = (peer) => `var(--${["weft", "go", "rust", "c"].includes(peer) ? peer : "c"})`;

/* ---- figures ---- */
function figure(result, metric) {
	const own = result.metrics[metric];
	return own && known(own.median) ? own.median : metric[0] === "p" && known(result[metric]) ? result[metric] : null;
}
function variantName(result) {
	const v = result.variant;
	return (PEER[result.peer] || result.peer) + (v && v !== "gogc100" && v !== "tokio" && v !== "hyper" && v !== "floor" && v !== "box" ? ` ${v.replace("gogc", "GOGC ")}` : "");
}
const resultsOf = (id) => report.results.filter((r) => r.workload === id);
function bestOf(id, peer, metric) {
	const have = resultsOf(id).filter((r) => r.peer === peer && known(figure(r, metric)));
	have.sort((a, b) => (HIGHER.includes(metric) ? -1 : 1) * (figure(a, metric) - figure(b, metric)));
	return have[0] || null;
}
const headline = (id, metric, against) =>
	report.ratios.find((r) => r.workload === id && r.metric === metric && r.against === against && r.headline);
const rivals = () => ["go", "rust", "c"].filter((p) => p !== report.subject && report.ratios.some((r) => r.against === p));

/* ---- marks ---- */
function mark(peer, x, y, r) {
	const shape = MARK[peer] || "circle", fill = colour(peer);
	if (shape === "circle") return s("circle", { cx: x, cy: y, r, fill });
	if (shape === "square") return s("rect", { x: x - r * 0.9, y: y - r * 0.9, width: r * 1.8, height: r * 1.8, fill });
	const d = shape === "diamond" ? `M${x} ${y - r * 1.3}L${x + r * 1.3} ${y}L${x} ${y + r * 1.3}L${x - r * 1.3} ${y}Z`
		: `M${x} ${y - r * 1.2}L${x + r * 1.2} ${y + r}L${x - r * 1.2} ${y + r}Z`;
	return s("path", { d, fill });
}
function sample(series) {
	return s("svg", { width: 34, height: 12, viewBox: "0 0 34 12", style: "width:34px;flex:none", "aria-hidden": "true" },
		series.hiccup ? s("line", { class: "hiccup", x1: 1, x2: 33, y1: 6, y2: 6 }) : [
			s("line", { x1: 1, x2: 33, y1: 6, y2: 6, stroke: colour(series.peer), "stroke-width": series.main ? 2.6 : 1.6, "stroke-dasharray": DASH[series.peer], opacity: series.main ? 1 : 0.65 }),
			series.marks ? mark(series.peer, 17, 6, 4) : null]);
}

/* ---- forest plot: ratios with their intervals ---- */
function forest(rows, label) {
	const lines = [];
	for (const row of rows) for (const metric of row.metrics) {
		if (metric === "rate") continue;
		const found = rivals().map((p) => headline(row.id, metric, p)).filter((r) => r && known(r.low));
		if (found.length) lines.push({ name: row.base.replace("-saturation", " sat.") + (row.metrics.length > 1 ? ` ${METRIC[metric].replace(/ (µs|each|µs\/op)$/, "")}` : "") + (row.realtime && rows.some((o) => o.base === row.base && !o.realtime) ? " rt" : ""), found });
	}
	if (!lines.length) return null;
	const all = lines.flatMap((l) => l.found.flatMap((r) => [r.low, r.high, r.median]));
	const low = Math.max(0.01, Math.min(0.5, ...all) * 0.9), high = Math.min(100, Math.max(2, ...all) * 1.1);
	const longest = Math.max(...lines.map((l) => l.name.length));
	const draw = (width) => {
		const left = Math.min(width * 0.42, longest * 6.7 + 14), right = width - 12, each = 13, gap = 9;
		const heights = lines.map((l) => l.found.length * each + gap);
		const bottom = 20 + heights.reduce((a, b) => a + b, 0);
		const whole = logScale(low, high, left, right), x = (v) => Math.min(right, Math.max(left, whole(v)));
		const svg = s("svg", { height: bottom + 34, viewBox: `0 0 ${width} ${bottom + 34}`, role: "img", "aria-label": label });
		svg.append(s("rect", { x: left, y: 14, width: x(1) - left, height: bottom - 14, fill: "var(--win-ground)", opacity: 0.45 }));
		let lastX = -99;
		for (const t of logTicks(low, high)) {
			svg.append(s("line", { class: t === 1 ? "one" : "grid", x1: x(t), x2: x(t), y1: 14, y2: bottom }));
			if (x(t) - lastX > 30 || t === 1) { svg.append(s("text", { x: x(t), y: bottom + 15, "text-anchor": "middle" }, `${t >= 1 ? t : String(t)}×`)); lastX = x(t); }
		}
		svg.append(s("text", { x: (left + x(1)) / 2, y: 9, "text-anchor": "middle" }, width > 480 ? `${PEER[report.subject]} better` : "better"),
			s("text", { x: (x(1) + right) / 2, y: 9, "text-anchor": "middle" }, "worse"),
			s("text", { x: (left + right) / 2, y: bottom + 31, "text-anchor": "middle" }, `${PEER[report.subject]} ÷ the other`));
		let y = 20;
		lines.forEach((line, i) => {
			svg.append(s("text", { class: "strong", x: left - 8, y: y + heights[i] / 2 + 4, "text-anchor": "end" }, line.name));
			line.found.forEach((r, k) => {
				const at = y + gap / 2 + k * each + each / 2, c = colour(r.against);
				svg.append(s("g", { class: "ratio" },
					s("title", {}, `${line.name} ÷ ${PEER[r.against]}: ${times(r.median)} [${times(r.low)}–${times(r.high)}] ${r.verdict}`),
					s("line", { x1: x(r.low), x2: x(r.high), y1: at, y2: at, stroke: c, "stroke-width": 2 }),
					s("line", { x1: x(r.low), x2: x(r.low), y1: at - 3, y2: at + 3, stroke: c, "stroke-width": 1.5 }),
					s("line", { x1: x(r.high), x2: x(r.high), y1: at - 3, y2: at + 3, stroke: c, "stroke-width": 1.5 }),
					mark(r.against, x(r.median), at, 4)));
			});
			y += heights[i];
			svg.append(s("line", { class: "grid", x1: 0, x2: right, y1: y, y2: y }));
		});
		return svg;
	};
	return [h("div", { class: "key" }, rivals().filter((p) => lines.some((l) => l.found.some((r) => r.against === p))).map((peer) =>
		h("span", { class: "item" }, s("svg", { width: 14, height: 12, style: "width:14px;flex:none", "aria-hidden": "true" }, mark(peer, 7, 6, 4.5)), `against ${PEER[peer]}`))), place(draw)];
}

/* ---- line charts with a read-out ---- */
/* spec: {series: [{name, peer, main, points: [[x, y]], marks}], x: {scale, ticks, text, name}, hiccups: [[y, text]], label, height} */
let linearLatency = false;
function lineChart(spec) {
	const hidden = new Set();
	const draw = (width, node) => {
		const shown = spec.series.filter((one) => !hidden.has(one.name));
		const ys = (shown.length ? shown : spec.series).flatMap((one) => one.points.map((p) => p[1])).filter((v) => v > 0);
		const most = Math.max(...ys), marks = (spec.hiccups || []).map((m) => m[0]).filter((v) => v < 3 * most);
		const low = linearLatency ? 0 : Math.min(...ys) * 0.85, high = Math.max(most, ...marks) * 1.2;
		const height = spec.height || Math.round(Math.min(400, Math.max(260, width * 0.5)));
		const left = 52, right = width - 14, top = 20, bottom = height - 44;
		const y = linearLatency ? linearScale(low, high, bottom, top) : logScale(low, high, bottom, top);
		const x = spec.x.scale(left, right);
		const svg = s("svg", { height, viewBox: `0 0 ${width} ${height}`, role: "img", tabindex: 0, "aria-label": `${spec.label}. Arrow keys read the values.` });
		const ticks = linearLatency ? [] : logTicks(low, high);
		for (const t of ticks.length > 1 ? ticks : linearTicks(low, high, 5))
			svg.append(s("line", { class: "grid", x1: left, x2: right, y1: y(t), y2: y(t) }),
				s("text", { x: left - 7, y: y(t) + 4, "text-anchor": "end" }, t >= 1000 ? `${short(t / 1000).replace(/\.0+$/, "")} ms` : `${String(+t.toPrecision(3))}`));
		let lastX = -99;
		for (const [value, text] of spec.x.ticks) {
			svg.append(s("line", { class: "grid", x1: x(value), x2: x(value), y1: top, y2: bottom }));
			if (x(value) - lastX < 44) continue;
			svg.append(s("text", { x: x(value), y: bottom + 17, "text-anchor": "middle" }, text));
			lastX = x(value);
		}
		svg.append(s("path", { class: "axis", fill: "none", d: `M${left} ${top}V${bottom}H${right}` }),
			s("text", { x: (left + right) / 2, y: height - 8, "text-anchor": "middle" }, spec.x.name),
			s("text", { x: left - 7, y: 10, "text-anchor": "end" }, "µs"));
		for (const [value, text] of spec.hiccups || []) if (value > high)
			svg.append(s("text", { x: left + 6, y: 12 }, `↑ ${text}`));
		else if (value > low)
			svg.append(s("line", { class: "hiccup", x1: left, x2: right, y1: y(value), y2: y(value) }),
				s("text", { x: left + 6, y: y(value) - 5 }, text));
		for (const one of shown) {
			const inside = one.points.filter((p) => p[1] > 0);
			svg.append(s("path", { class: one.main ? "curve main" : "curve", stroke: colour(one.peer), "stroke-dasharray": DASH[one.peer], opacity: one.main ? 1 : 0.6, d: inside.map((p, i) => `${i ? "L" : "M"}${x(p[0]).toFixed(1)} ${y(p[1]).toFixed(1)}`).join("") },
				s("title", {}, one.name)));
			if (one.marks) svg.append(...inside.map((p) => mark(one.peer, x(p[0]), y(p[1]), 4)));
		}
		readOut(svg, node, spec, shown, x, { left, right, top, bottom, width });
		return svg;
	};
	const node = place(draw);
	const key = h("div", { class: "key" }, spec.series.map((one) => h("button", { type: "button", "aria-pressed": "true", title: "show or hide", onclick: (event) => {
		if (!hidden.delete(one.name)) hidden.add(one.name);
		event.currentTarget.setAttribute("aria-pressed", String(!hidden.has(one.name)));
		redraw(true);
	} }, sample(one), one.name)), spec.hiccups && spec.hiccups.length ? h("span", { class: "item" }, sample({ hiccup: true }), "the machine's hiccups") : null);
	return [key, node];
}
function readOut(svg, node, spec, shown, x, box) {
	const stops = [...new Set(shown.flatMap((one) => one.points.map((p) => p[0])))].sort((a, b) => x(a) - x(b));
	if (!stops.length) return;
	const line = s("line", { class: "cross", y1: box.top, y2: box.bottom, visibility: "hidden" });
	const panel = h("div", { class: "readout", hidden: "" });
	svg.append(line);
	let current = -1;
	const show = (i) => {
		current = Math.max(0, Math.min(stops.length - 1, i));
		const at = stops[current], px = x(at);
		line.setAttribute("x1", px); line.setAttribute("x2", px); line.setAttribute("visibility", "visible");
		const values = shown.map((one) => [one, one.points.reduce((best, p) => (Math.abs(x(p[0]) - px) < Math.abs(x(best[0]) - px) ? p : best), one.points[0] || [NaN, null])])
			.filter(([, p]) => p && Math.abs(x(p[0]) - px) < 24);
		panel.replaceChildren(h("b", {}, spec.x.text(at)), ...values.sort((a, b) => b[1][1] - a[1][1]).map(([one, p]) =>
			h("div", {}, h("span", { style: `color:${colour(one.peer)}` }, one.name), h("span", {}, micros(p[1])))));
		panel.hidden = false;
		if (!panel.isConnected) node.append(panel);
		const wide = panel.offsetWidth;
		panel.style.left = `${px + wide + 18 > box.width ? Math.max(0, px - wide - 12) : px + 12}px`;
		panel.style.top = `${box.top + 6}px`;
	};
	const hide = () => { line.setAttribute("visibility", "hidden"); panel.hidden = true; };
	svg.addEventListener("pointermove", (event) => {
		const px = event.clientX - svg.getBoundingClientRect().left;
		show(stops.reduce((best, v, i) => (Math.abs(x(v) - px) < Math.abs(x(stops[best]) - px) ? i : best), 0));
	});
	svg.addEventListener("pointerleave", hide);
	svg.addEventListener("blur", hide);
	svg.addEventListener("keydown", (event) => {
		const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
		if (step) { event.preventDefault(); show(current + step); }
	});
}

/* ---- percentile curves, on HdrHistogram's axis: 1/(1-p), logarithmic ---- */
function percentileName(distance) {
	if (distance <= 1.0001) return "0%";
	const digits = Math.max(0, Math.ceil(Math.log10(distance)) - 2 + (distance < 10 ? 1 : 0));
	return `${(100 * (1 - 1 / distance)).toFixed(Math.min(digits, 6)).replace(/\.0+$/, "")}%`;
}
function percentileChart(row) {
	const have = resultsOf(row.id).filter((r) => r.curve.length > 2);
	if (!have.length) return null;
	const distance = (p) => 1 / (1 - p);
	const farthest = Math.max(...have.map((r) => distance(r.curve.at(-1)[0])));
	const ticks = [1, 2, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7].filter((t) => t <= farthest).map((t) => [t, percentileName(t)]);
	const peak = Math.max(...have.map((r) => r.hiccups.max || 0)), usual = Math.max(...have.map((r) => r.hiccups.p99 || 0));
	return lineChart({
		label: `Latency by percentile, ${row.question}`,
		series: have.map((r) => ({ name: variantName(r), peer: r.peer, main: bestOf(row.id, r.peer, row.primary) === r, points: r.curve.map(([p, v]) => [distance(p), v]) })),
		x: { scale: (a, b) => logScale(1, farthest, a, b), ticks, text: (d) => percentileName(d), name: "percentile" },
		hiccups: [[peak, `hiccups, longest ${micros(peak)}`], [usual, `hiccups, p99 ${micros(usual)}`]].filter((m) => m[0] > 0),
	});
}

/* ---- load against latency ---- */
function loadCharts() {
	const points = report.rows.filter((row) => row.rate && row.group === "raw" && row.server_mode === "raw" && !row.why);
	const way = points.some((row) => row.realtime);
	const rows = points.filter((row) => row.realtime === way).sort((a, b) => a.rate - b.rate);
	if (new Set(rows.map((row) => row.rate)).size < 2) return null;
	const chart = (metric) => {
		const series = ["weft", "go", "rust", "c"].map((peer) => ({ name: PEER[peer], peer, main: true, marks: true, points: rows.map((row) => {
			const own = resultsOf(row.id).filter((r) => r.peer === peer && ["", "gogc100", "tokio", "epoll"].includes(r.variant));
			return own.length ? [row.rate, figure(own[0], metric)] : null;
		}).filter((p) => p && known(p[1])) })).filter((one) => one.points.length);
		if (!series.length) return null;
		const top = rows.at(-1).rate * 1.05;
		return h("div", { class: "card" }, h("h3", {}, `${metric} against offered load`), lineChart({
			label: `${metric} against offered load`, series, height: 300,
			x: { scale: (a, b) => linearScale(0, top, a, b), ticks: linearTicks(0, top, 6).map((t) => [t, t ? `${t / 1000}k` : "0"]), text: (v) => `${short(v)} requests/s`, name: "requests per second, offered" },
		}), details("The figures", table(["requests/s", ...series.map((one) => one.name)], rows.map((row) => [short(row.rate), ...series.map((one) => micros((one.points.find((p) => p[0] === row.rate) || [])[1]))]))));
	};
	return section("load", "Load and latency", h("p", { class: "soft" }, `Open loop, raw servers, one core for the server and one for the load; ${way ? "real-time scheduling of both sides" : "ordinary scheduling"}. Where the curve bends, queueing begins.`),
		h("div", { class: "pair" }, chart("p50"), chart("p99")));
}

/* ---- CPU per operation ---- */
function cpuChart(rows) {
	const bars = [];
	for (const row of rows) {
		const own = resultsOf(row.id).filter((r) => known(r.cpu_us_per_op));
		if (own.length) bars.push({ title: row.id.replace("-saturation", ", at saturation"), own });
	}
	if (!bars.length) return null;
	const most = Math.max(...bars.flatMap((b) => b.own.map((r) => r.cpu_us_per_op + (r.cpu.spin || 0))));
	const draw = (width) => {
		const left = Math.min(150, Math.max(104, width * 0.2)), right = width - 62, each = 18;
		const x = linearScale(0, most, left, right);
		const height = bars.reduce((sum, b) => sum + b.own.length * each + 30, 0) + 8;
		const svg = s("svg", { height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "Server CPU time per operation, user, system and spinning" },
			s("defs", {}, ["weft", "go", "rust", "c"].map((p) => [
				s("pattern", { id: `spin-${p}`, width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" }, s("line", { x1: 0, x2: 0, y1: 0, y2: 6, stroke: colour(p), "stroke-width": 2.4 }))])));
		let y = 4;
		for (const group of bars) {
			svg.append(s("text", { class: "strong", x: 0, y: y + 14, "font-weight": 600 }, group.title));
			y += 22;
			for (const r of group.own) {
				const user = known(r.cpu.user) ? r.cpu.user : r.cpu_us_per_op, system = r.cpu_us_per_op - user, spin = r.cpu.spin || 0;
				const text = `${variantName(r)}: ${short(r.cpu_us_per_op)} µs, user ${short(user)}, system ${short(system)}, spinning besides ${short(spin)}`;
				svg.append(s("g", {}, s("title", {}, text),
					s("text", { x: left - 8, y: y + 12, "text-anchor": "end" }, variantName(r)),
					s("rect", { x: left, y: y + 1, width: Math.max(0, x(user) - left), height: each - 4, fill: colour(r.peer) }),
					s("rect", { x: x(user), y: y + 1, width: Math.max(0, x(user + system) - x(user)), height: each - 4, fill: colour(r.peer), opacity: 0.45 }),
					s("rect", { x: x(user + system), y: y + 1, width: Math.max(0, x(user + system + spin) - x(user + system)), height: each - 4, fill: `url(#spin-${r.peer})`, stroke: spin > 0.005 ? colour(r.peer) : "none" }),
					s("text", { class: "strong", x: x(user + system + spin) + 6, y: y + 12 }, short(r.cpu_us_per_op))));
				y += each;
			}
			y += 8;
		}
		return svg;
	};
	return [h("p", { class: "soft small" }, "Solid: user. Pale: system. Hatched: burnt by spinning, not counted in the figure at the end of the bar."), place(draw)];
}

/* ---- tables ---- */
function peerCell(row, peer, metric) {
	const r = bestOf(row.id, peer, metric);
	if (r) {
		const own = r.metrics[metric], tail = known(own && own.low) ? ` [${short(own.low)}–${short(own.high)}]` : "";
		const other = r.variant && /400|spin|uring|bump|mimalloc|boehm/.test(r.variant) ? ` ${r.variant.replace("gogc", "GOGC ")}` : "";
		return h("td", { title: `${variantName(r)}${tail}${r.why ? `; ${r.why}` : ""}` }, short(figure(r, metric)), other ? h("span", { class: "range" }, other) : null);
	}
	const why = resultsOf(row.id).filter((e) => e.peer === peer && (e.failed || e.pending));
	return h("td", { class: "absent", title: why.length ? why[0].why : null }, why.length ? (why[0].pending ? "not built" : "failed") : "–");
}
function ratioCell(row, metric, against) {
	const r = headline(row.id, metric, against);
	if (!r || !known(r.low)) return h("td", {}, "");
	return h("td", { title: `${r.method === "merged" ? "of the merged rounds" : "paired by round"}${r.within_aa ? "; within the A/A spread" : ""}` }, times(r.median), h("span", { class: "range" }, ` [${times(r.low)}–${times(r.high)}]`),
		h("span", { class: `chip ${r.verdict}` }, r.verdict + (r.within_aa && r.verdict !== "tie" ? " ≈" : "")));
}
function figures(rows) {
	const peers = ["weft", "go", "rust", "c"].filter((p) => rows.some((row) => resultsOf(row.id).some((r) => r.peer === p)));
	const against = rivals();
	const lines = rows.filter((row) => !row.why).flatMap((row) => row.metrics.map((metric) => [
		h("span", { title: row.question }, row.id.replace(/-p[12]$/, "") + (row.metrics.length > 1 || metric !== "ns" ? ` · ${METRIC[metric]}` : "")),
		...peers.map((p) => peerCell(row, p, metric)), ...(metric === "rate" ? against.map(() => "") : against.map((p) => ratioCell(row, metric, p)))]));
	return table(["", ...peers.map((p) => PEER[p]), ...against.map((p) => `${PEER[report.subject]} ÷ ${PEER[p]}`)], lines);
}
function quotientTable(rows) {
	const here = (report.quotients || []).filter((q) => rows.some((row) => row.id === q.bottom));
	if (!here.length) return null;
	const peers = [...new Set(here.map((q) => q.peer))];
	return table(["", ...peers.map((p) => PEER[p])], [...new Set(here.map((q) => q.name))].map((name) => [
		h("span", { title: here.find((q) => q.name === name).words }, name),
		...peers.map((p) => {
			const q = here.find((one) => one.name === name && one.peer === p);
			return h("td", {}, q ? short(q.median) : "", q && known(q.low) ? h("span", { class: "range" }, ` [${short(q.low)}–${short(q.high)}]`) : null);
		})]), "Of two rows: the quotient of their medians; its range is as wide as both intervals allow.");
}
function tailTable(row) {
	const noted = resultsOf(row.id).filter((r) => r.why && r.valid);
	return [table(["", "p50", "p90", "p99", "p99.9", "p99.99", "max", "samples", "CPU µs/op", "hiccups p99", "hiccups max"],
		resultsOf(row.id).filter((r) => r.rounds.length || r.why).map((r) => r.rounds.length && r.valid
			? [variantName(r), ...["p50", "p90", "p99", "p999", "p9999", "max"].map((m) => micros(r[m])), short(r.count), short(r.cpu_us_per_op), micros(r.hiccups.p99), micros(r.hiccups.max)]
			: [variantName(r), h("td", { class: "words absent", colspan: 10 }, r.why || "no figures")]), "All rounds merged; – where fewer than 100 samples lie beyond."),
	noted.map((r) => h("p", { class: "small soft" }, `${variantName(r)}: ${r.why}.`))];
}
function roundsTable(rows) {
	return table(["row", "peer", "metric", "median", "interval", "rounds"], rows.flatMap((row) => resultsOf(row.id).filter((r) => r.rounds.length).map((r) => [row.id, h("td", {}, variantName(r)), METRIC[r.metric] || r.metric, short(r.median),
		known(r.low) ? `${short(r.low)}–${short(r.high)}` : "–", r.rounds.map(short).join("  ")])));
}

/* ---- sections ---- */
const rowsIn = (name) => report.rows.filter((row) => row.section === name);
function leftOut(rows) {
	return rows.filter((row) => row.why).map((row) => h("p", { class: "notice" }, `${row.id}: ${row.why}`));
}
function groupSection(name, lead) {
	const rows = rowsIn(name);
	if (!rows.length) return null;
	const ran = rows.filter((row) => !row.why);
	return section(name, SECTION[name], lead ? h("p", { class: "soft" }, lead) : null, leftOut(rows), ran.length ? h("div", { class: "card" }, forest(ran, `${SECTION[name]}: ratios`), figures(ran), quotientTable(ran), details("What each row asks", h("dl", {}, ran.map((row) => [h("dt", {}, row.base), h("dd", {}, row.question)]))), details("Every round", roundsTable(ran))) : null);
}
function tailSection(name, lead) {
	const rows = rowsIn(name);
	if (!rows.length) return null;
	const ran = rows.filter((row) => !row.why);
	return section(name, SECTION[name], h("p", { class: "soft" }, lead), leftOut(rows), ran.length ? h("div", { class: "card" }, forest(ran, `${SECTION[name]}: ratios`), figures(ran), details("Every round", roundsTable(ran))) : null,
		ran.map((row) => h("div", { class: "card" }, h("h3", {}, row.id), h("p", { class: "soft small" }, `${row.question}; ${row.realtime ? "real-time" : "ordinary"} scheduling`), percentileChart(row), tailTable(row))));
}
/* Time against memory: the settings of each peer in the order of what they need. */
function memoryCurve() {
	const row = report.rows.find((one) => one.kind === "memory" && one.curve && !one.why);
	if (!row) return null;
	const series = ["weft", "go"].map((peer) => ({ name: PEER[peer], peer, main: true, marks: true,
		points: resultsOf(row.id).filter((r) => r.peer === peer && known(r.median) && known(r.rss_mib)).map((r) => [r.rss_mib, r.median / 1000]).sort((a, b) => a[0] - b[0]) })).filter((one) => one.points.length);
	if (!series.length) return null;
	const all = series.flatMap((one) => one.points.map((p) => p[0])), low = Math.min(...all) * 0.9, high = Math.max(...all) * 1.1;
	const equal = (report.equal_rss || []).filter((e) => e.workload === row.id);
	return section("memory-curve", "Time against memory", h("p", { class: "soft" }, `${row.question}. Left is less memory, below is less time.`), h("div", { class: "card" },
		lineChart({ label: "CPU time of a node against resident memory", series, height: 300,
			x: { scale: (a, b) => logScale(low, high, a, b), ticks: logTicks(low, high).map((t) => [t, short(t)]), text: (v) => `${short(v)} MiB`, name: "resident memory at its peak, MiB" } }),
		table(["", "MiB", "ns", `${PEER[report.subject]} with as much`, "ratio"], equal.map((e) => [`${PEER[e.against]} ${e.against_variant.replace("gogc", "GOGC ")}`, short(e.rss_mib), short(e.against_ns), known(e.ns) ? short(e.ns) : "needs more", known(e.ratio) ? times(e.ratio) : "–"]))));
}
function cpuSection() {
	const cards = [["raw", "Raw"], ["framework", "Framework"]].map(([group, title]) => {
		const chart = cpuChart(report.rows.filter((row) => row.kind === "load" && row.group === group && !row.curve));
		return chart && h("div", { class: "card" }, h("h3", {}, title), chart);
	}).filter(Boolean);
	return cards.length ? section("cpu", "CPU time per operation", h("p", { class: "soft" }, "The server's own time, from its process clock: ", report.settings.saturation_note, "."), h("div", { class: "pair" }, cards)) : null;
}
function noiseSection() {
	if (!report.aa.length) return null;
	return section("noise", "The noise: A/A", h("p", { class: "soft" }, `${PEER[report.aa[0].peer]} measured twice a round, against itself. A ratio of two peers inside such a spread (≈) says nothing, whatever its own interval.`),
		h("div", { class: "card" }, table(["row", "metric", "ratio of equals", "95% interval", "rounds"], report.aa.map((a) => [a.workload, METRIC[a.metric] || a.metric, times(a.median), known(a.low) ? `${times(a.low)}–${times(a.high)}` : "–", a.rounds.map(times).join("  ")]))));
}
const spoken = (v) => (v === null || v === "" ? "not known" : Array.isArray(v) ? v.join(", ") : typeof v === "object" ? Object.entries(v).map(([k, w]) => `${k}: ${spoken(w)}`).join(" · ") : String(v));
const pairs = (object) => h("dl", {}, Object.entries(object).map(([k, v]) => [h("dt", {}, k.replace(/_/g, " ")), h("dd", {}, spoken(v))]));
function particulars() {
	const programs = report.peers.flatMap((p) => p.programs.map((q) => [PEER[p.name] || p.name, h("td", {}, q.program), h("td", { class: "words" }, q.version || "–"), h("td", { class: "words" }, q.ok ? q.note || "" : q.why)]));
	return section("particulars", "Machine, versions, settings", h("div", { class: "card" }, h("h3", {}, "Versions"), table(["peer", "program", "version", "note"], programs)),
		h("div", { class: "pair" }, h("div", { class: "card" }, h("h3", {}, "Machine"), pairs(report.machine)), h("div", { class: "card" }, h("h3", {}, "Settings"), pairs(report.settings))));
}
function tally() {
	const count = { win: 0, tie: 0, LOST: 0 };
	for (const r of report.ratios) {
		const row = rowOf.get(r.workload);
		if (r.headline && (r.against === "go" || r.against === "rust") && !row.curve && r.verdict in count) count[r.verdict]++;
	}
	return count;
}
function masthead() {
	const m = report.machine, t = report.settings;
	return [h("div", { class: "mast" }, h("div", {}, h("h1", {}, "weft bench"), h("p", { class: "soft" }, `${m.cpu}, ${m.cpus_used.length} of ${m.cpus_online} cores · Linux ${m.kernel} · ${(t.started || "").replace("T", " ").replace("Z", " UTC")} · ${t.mode}, ${t.rounds} rounds`)), themeButton())];
}
function overview() {
	const count = tally(), name = PEER[report.subject];
	const missing = new Set(report.problems.flatMap((p) => p.workloads)).size;
	const tile = (kind, number, words) => h("div", { class: `tile ${kind}` }, h("b", {}, number), h("span", { class: "soft small" }, words));
	return [h("div", { class: "tiles" }, tile("win", count.win, `won by ${name}`), tile("tie", count.tie, "ties: the interval spans 1"), tile("lost", count.LOST, `lost by ${name}`), tile("", missing, "rows with something missing")),
		h("p", { class: "soft" }, `Ratios of ${name} to Go and to Rust, headline metrics of every row. A ratio is the median of ratios paired by round, its interval the 95% bootstrap interval; below 1 is better for ${name}. Go counts at the better of GOGC 100 and 400, in memory rows at 100, the floor with its best server.`),
		report.subject !== "weft" ? h("p", { class: "notice" }, `weft has no program in this run: ratios are ${name}'s.`) : null,
		report.interrupted ? h("p", { class: "notice bad" }, "Interrupted: only the rows that were finished are shown.") : null,
		report.problems.map((p) => h("p", { class: p.failed ? "notice bad" : "notice" }, `${PEER[p.peer] || p.peer}, ${p.program}: ${p.why} (${p.workloads.length > 4 ? `${p.workloads.slice(0, 4).join(", ")} and ${p.workloads.length - 4} more` : p.workloads.join(", ")})`)),
		h("p", { class: "small soft" }, report.settings.scheduling, ".")];
}

/* ---- start ---- */
const axisButton = h("button", { type: "button", class: "theme", onclick: (event) => {
	linearLatency = !linearLatency;
	event.currentTarget.textContent = `Latency axis: ${linearLatency ? "linear" : "logarithmic"}`;
	redraw(true);
} }, "Latency axis: logarithmic");

start(masthead(), [
	overview(),
	groupSection("raw", "A minimal scan for the end of the request, the same fixed answer; and TCP echo. Compare CPU, not rate."),
	tailSection("tails-raw", "Requests at a fixed rate, whether or not the server keeps up; latency counts from the intended time of sending."),
	groupSection("framework", "Real parsing, routing and a Date header: a class of its own, never compared with raw."),
	tailSection("tails-framework", "The same fixed rates, with real parsing, routing and a Date header."),
	loadCharts(), cpuSection(),
	groupSection("micro1", "Nanoseconds per operation, everything on one core."),
	groupSection("micro2", "The same with two."),
	tailSection("sched", "How much later than intended a goroutine runs that slept, while one computes all the time; and how much of a core that one is left."),
	groupSection("memory", "Each has the same live set and does the same work; time is that of the CPU, of all threads, and what collecting or freeing costs is in it."),
	memoryCurve(),
	tailSection("pushes", "Each push makes a message and lets the oldest go. Its latency is its own: the collector's assists, its marking on the same core, and the kernel's pages."),
	noiseSection(), particulars(),
]);
const firstTail = document.querySelector("#tails-raw h2, #tails-framework h2, #sched h2, #pushes h2");
if (firstTail) firstTail.parentNode.insertBefore(axisButton, firstTail.nextSibling.nextSibling);
