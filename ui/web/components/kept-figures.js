import { useEffect, useMemo, useState } from '../vendor/hooks.js';
import { api } from '../api.js';
import { html } from '../html.js';
import { Chart } from './chart.js';
import { seriesNamed, seriesPoints } from './usage.js';

const period = 30_000;
const day = 24 * 60 * 60;

/** What is drawn, where there is anything of it. */
const figures = [
	{ name: 'cpu', title: 'CPU' },
	{ name: 'memory', title: 'Memory' },
	{ name: 'used', title: 'Disk' },
	{ name: 'requests', title: 'Calls' },
	{ name: 'errors', title: 'Errors' },
	{ name: 'p95', title: '95 % answered within' },
];

/**
 * What is kept of a service, a function or a node, over the last day.
 * @param {{kind: 'service' | 'function' | 'node', name: string, only?: string[], none: string}} props
 */
export function KeptFigures({ kind, name, only, none }) {
	const [kept, setKept] = useState(/** @type {hks.Series[] | null} */ (null));
	useEffect(() => {
		let gone = false;
		const load = () => void (document.hidden || api.series({ kind, name }, `${day}s`).then((list) => !gone && setKept(list || []), () => !gone && setKept((before) => before || []))); // what is drawn stays
		load();
		const timer = setInterval(load, period);
		return () => {
			gone = true;
			clearInterval(timer);
		};
	}, [kind, name]);
	const drawn = useMemo(() => figures.filter((one) => !only || only.includes(one.name)).map((one) => {
		const series = seriesNamed(kept || [], one.name);
		const capacity = one.name === 'used' ? seriesPoints(kept || [], 'capacity').at(-1)?.value : 0;
		return { ...one, unit: series?.unit || '', limit: capacity || 0, points: seriesPoints(kept || [], one.name) };
	}).filter((one) => one.points.length > 0), [kept]);
	if (!kept || drawn.length === 0) return html`<p class="card-note muted">${kept ? none : ''}</p>`;
	return html`<div class=${drawn.length === 2 ? 'charts' : 'charts three'} role="group" aria-label=${`${name} in the last day`}>
		${drawn.map((one) => html`<${Chart} key=${one.name} title=${one.title} points=${one.points} unit=${one.unit} limit=${one.limit} seconds=${day} marks=${[]} />`)}
	</div>`;
}
