import { useEffect, useMemo, useState } from '../vendor/hooks.js';
import { api } from '../api.js';
import { html } from '../html.js';
import { Chart } from './chart.js';
import { seriesPoints } from './usage.js';

const period = 30_000;
const day = 24 * 60 * 60;

/** How a function was called and answered in the last day. @param {{name: string}} props */
export function FunctionFigures({ name }) {
	const [kept, setKept] = useState(/** @type {hks.Series[] | null} */ (null));
	useEffect(() => {
		let gone = false;
		const load = () => void (document.hidden || api.series({ kind: 'function', name }, `${day}s`).then((list) => !gone && setKept(list || []), () => !gone && setKept((before) => before || [])));
		load();
		const timer = setInterval(load, period);
		return () => {
			gone = true;
			clearInterval(timer);
		};
	}, [name]);
	const drawn = useMemo(() => ['requests', 'errors', 'p95'].map((what) => seriesPoints(kept || [], what)), [kept]);
	if (!kept || drawn[0].length === 0) return html`<p class="card-note muted">${kept ? 'It was not called in the last day.' : ''}</p>`;
	const shared = { seconds: day, marks: [], limit: 0 };
	return html`<div class="charts three" role="group" aria-label=${`Calls of ${name} in the last day`}>
		<${Chart} ...${shared} title="Calls" points=${drawn[0]} unit="per minute" />
		<${Chart} ...${shared} title="Errors" points=${drawn[1]} unit="per minute" empty="No call failed." />
		<${Chart} ...${shared} title="95 % answered within" points=${drawn[2]} unit="ms" />
	</div>`;
}
