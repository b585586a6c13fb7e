import { useEffect, useRef, useState } from '../vendor/hooks.js';
import { absolute, clock, figure } from '../format.js';
import { html } from '../html.js';

/**
 * end: where it ends, in milliseconds; absent: now.
 * @typedef {{time: string, value: number}} ChartPoint
 * @typedef {{
 *   title: string, points: ChartPoint[], unit: string, limit: number, seconds: number, marks: {at: number, label: string}[],
 *   end?: number, empty?: string
 * }} ChartProps
 */

const height = 168;
const dark = matchMedia('(prefers-color-scheme: dark)');

/** @param {string} name of a custom property */
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** The steps of an axis of bytes, so that its labels are whole. */
const byteSteps = Array.from({ length: 24 }, (_, i) => 2 ** (16 + i));

/**
 * Use over time, with the limit and the releases.
 * @param {ChartProps} props
 */
export function Chart(props) {
	const { title, points, unit, limit, seconds, empty = 'No samples yet. The first come some seconds after the start.' } = props;
	const format = (/** @type {number} */ value) => figure(value, unit);
	const box = useRef(/** @type {HTMLElement | null} */ (null));
	const latest = useRef(props);
	const plot = useRef(/** @type {any} */ (null));
	const [hover, setHover] = useState(/** @type {number | null} */ (null));
	latest.current = props;

	useEffect(() => {
		const element = box.current;
		if (!element) return;
		let gone = false;
		/** @type {ResizeObserver | undefined} */
		let sizes;
		const draw = async () => {
			const { default: Plot } = await import('../vendor/uplot.js');
			if (gone) return;
			plot.current?.destroy();
			plot.current = new Plot(/** @type {any} */ (options(element.clientWidth, latest, setHover)), /** @type {any} */ (series(latest.current)), element);
			sizes ??= new ResizeObserver(() => plot.current?.setSize({ width: element.clientWidth, height }));
			sizes.observe(element);
		};
		void draw();
		dark.addEventListener('change', draw);
		return () => {
			gone = true;
			dark.removeEventListener('change', draw);
			sizes?.disconnect();
			plot.current?.destroy();
		};
	}, []);
	useEffect(() => plot.current?.setData(series(latest.current)), [points, limit, seconds, props.marks, props.end]);

	const now = points.at(-1);
	const at = hover !== null && points[hover] ? points[hover] : null;
	const highest = points.reduce((most, point) => Math.max(most, point.value), 0);
	const words = now ? `${title}: now ${format(now.value)}, highest ${format(highest)}${limit ? `, limit ${format(limit)}` : ''}` : `${title}: no samples yet`;
	return html`<figure class="chart">
		<figcaption>
			<span class="chart-title">${title}</span>
			<strong>${at ? format(at.value) : now ? format(now.value) : '–'}</strong>
			<span class="muted">${at ? `at ${seconds > 86_400 ? absolute(at.time) : clock(at.time)}` : limit ? `limit ${format(limit)}` : unit === 'bytes' || unit === 'cores' ? 'no limit' : `at most ${format(highest)}`}</span>
		</figcaption>
		<div class="plot" ref=${box} role="img" aria-label=${words}></div>
		${points.length === 0 && html`<p class="chart-empty muted">${empty}</p>`}
	</figure>`;
}

/** @param {ChartProps} props @returns {[number[], number[]]} */
function series({ points }) {
	return [points.map((point) => Date.parse(point.time) / 1000), points.map((point) => point.value)];
}

/** The top of an axis on which nothing happens. @type {Record<string, number>} */
const leasts = { cores: 0.05, bytes: 4 << 20, ms: 20, 'per minute': 5 };

/** The limit is in sight when the use comes near it. @param {ChartProps} props @param {number} highest */
function top({ limit, unit }, highest) {
	const least = leasts[unit] || 1;
	const wanted = Math.max(highest * 1.2, least);
	return limit && highest > limit * 0.15 ? Math.max(wanted, limit * 1.25) : wanted;
}

const day = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });

/**
 * @param {number} width
 * @param {{current: ChartProps}} latest
 * @param {(index: number | null) => void} onHover
 */
function options(width, latest, onHover) {
	const line = colour('--accent');
	const grid = { stroke: colour('--line-soft'), width: 1 };
	const axis = { stroke: colour('--muted'), grid, ticks: { show: false }, font: `11px ${getComputedStyle(document.body).fontFamily}` };
	const { unit } = latest.current;
	const end = () => (latest.current.end || Date.now()) / 1000;
	return {
		width, height, legend: { show: false }, padding: [10, 18, 0, 0],
		cursor: { y: false, points: { size: 7, fill: line, stroke: colour('--surface') }, drag: { setScale: false } },
		scales: {
			x: { range: () => [end() - latest.current.seconds, end()] },
			y: { range: (/** @type {any} */ _, /** @type {number} */ _low, /** @type {number} */ high) => [0, top(latest.current, high || 0)] },
		},
		axes: [
			{ ...axis, size: 26, space: 70, values: (/** @type {any} */ _, /** @type {number[]} */ ticks) => ticks.map((tick) => (latest.current.seconds > 2 * 86_400 ? day.format(tick * 1000) : clock(tick * 1000).slice(0, latest.current.seconds <= 300 ? 8 : 5))) },
			{ ...axis, size: 58, space: 36, ...(unit === 'bytes' ? { incrs: byteSteps } : {}), values: (/** @type {any} */ _, /** @type {number[]} */ ticks) => ticks.map((tick) => (tick === 0 ? '0' : figure(tick, unit).replace(/( cores|\/min)$/, ''))) },
		],
		series: [{}, { stroke: line, width: 1.5, fill: colour('--accent-wash'), points: { show: false } }],
		hooks: {
			draw: [(/** @type {any} */ plot) => { drawLimit(plot, latest.current.limit); drawMarks(plot, latest.current.marks); }],
			setCursor: [(/** @type {any} */ plot) => onHover(plot.cursor.idx ?? null)],
		},
	};
}

/** @param {any} plot @param {number} limit */
function drawLimit(plot, limit) {
	if (!limit || limit > plot.scales.y.max) return;
	const y = plot.valToPos(limit, 'y', true);
	stroke(plot, colour('--bad'), [5, 4], plot.bbox.left, y, plot.bbox.left + plot.bbox.width, y);
}

/** Releases, the newest first: where labels would meet, the newer one shows. @param {any} plot @param {{at: number, label: string}[]} marks */
function drawMarks(plot, marks) {
	const { ctx, bbox } = plot;
	ctx.save();
	ctx.font = `${11 * devicePixelRatio}px ${getComputedStyle(document.body).fontFamily}`;
	ctx.fillStyle = colour('--muted');
	let free = Infinity; // where the label to the right begins
	for (const mark of marks) {
		const x = plot.valToPos(mark.at / 1000, 'x', true);
		if (x < bbox.left || x > bbox.left + bbox.width) continue;
		stroke(plot, colour('--muted'), [2, 3], x, bbox.top, x, bbox.top + bbox.height);
		const gap = 4 * devicePixelRatio;
		const wide = ctx.measureText(mark.label).width;
		const start = Math.max(x - wide - gap, bbox.left);
		if (start + wide > free - gap) continue;
		ctx.fillText(mark.label, start, bbox.top + 10 * devicePixelRatio);
		free = start;
	}
	ctx.restore();
}

/** @param {any} plot @param {string} style @param {number[]} dash @param {number} x1 @param {number} y1 @param {number} x2 @param {number} y2 */
function stroke({ ctx }, style, dash, x1, y1, x2, y2) {
	ctx.save();
	ctx.strokeStyle = style;
	ctx.lineWidth = devicePixelRatio;
	ctx.setLineDash(dash.map((part) => part * devicePixelRatio));
	ctx.beginPath();
	ctx.moveTo(x1, y1);
	ctx.lineTo(x2, y2);
	ctx.stroke();
	ctx.restore();
}
