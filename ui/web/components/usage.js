import { useEffect, useMemo, useState } from '../vendor/hooks.js';
import { api } from '../api.js';
import { html } from '../html.js';
import { keyOf, useStore } from '../store.js';
import { Chart } from './chart.js';

/** The shortest is drawn from the samples themselves, the others from what is kept of them by minutes. */
const ranges = [
	{ label: '15 min', since: '15m', seconds: 900 },
	{ label: '1 h', since: '1h', seconds: 3600 },
	{ label: '24 h', since: '24h', seconds: 86_400 },
	{ label: '7 d', since: '168h', seconds: 604_800 },
	{ label: '30 d', since: '720h', seconds: 2_592_000 },
];
const period = 10_000;

/** More points than a chart has room for are a smear. */
const mostPoints = 360;

/** Of these the highest in a while says more than the mean. */
const peaks = ['errors', 'p95'];

/** One series over all instances; of volumes, which nothing adds up, the first. @param {hks.Series[]} all @param {string} name */
export const seriesNamed = (all, name) => all.find((series) => series.name === name && (!series.of || name === 'used' || name === 'capacity'));

/** Its points, as many of it as can be seen. @param {hks.Series[]} all @param {string} name @returns {import('./chart.js').ChartPoint[]} */
export function seriesPoints(all, name) {
	const points = seriesNamed(all, name)?.points || [];
	const size = Math.ceil(points.length / mostPoints);
	if (size <= 1) return points.map(({ time, mean }) => ({ time, value: mean }));
	const drawn = [];
	for (let i = 0; i < points.length; i += size) {
		const some = points.slice(i, i + size);
		const value = peaks.includes(name) ? Math.max(...some.map(({ mean }) => mean)) : some.reduce((sum, { mean }) => sum + mean, 0) / some.length;
		drawn.push({ time: some[some.length - 1].time, value });
	}
	return drawn;
}

/** Where releases began to serve. @param {hks.Release[] | undefined} releases */
export const releaseMarks = (releases) => (releases || []).filter((release) => release.status === 'succeeded')
	.map((release) => ({ at: Date.parse(release.finishedAt || release.createdAt), label: `#${release.number}` }));

/** What an app takes over time, and how it answers. @param {{app: hks.App}} props */
export function UsageCharts({ app }) {
	const [range, setRange] = useState(ranges[0]);
	const [points, setPoints] = useState(/** @type {hks.Point[] | null} */ (null));
	const [kept, setKept] = useState(/** @type {hks.Series[]} */ ([]));
	const releases = useStore((state) => state.releases[keyOf(app)]);
	useEffect(() => {
		let gone = false;
		const load = () => {
			if (document.hidden) return;
			api.series({ kind: 'app', name: app.name, environment: app.environment }, range.since).then((list) => !gone && setKept(list || []), () => {}); // what is drawn stays
			if (range !== ranges[0]) return;
			api.metrics(app.name, app.environment, range.since)
				.then((list) => !gone && setPoints(list || []))
				.catch(() => !gone && setPoints((known) => known || [])); // what is drawn stays
		};
		load();
		const timer = setInterval(load, period);
		return () => {
			gone = true;
			clearInterval(timer);
		};
	}, [app.name, app.environment, range]);
	const marks = useMemo(() => releaseMarks(releases), [releases]);
	const drawn = useMemo(() => {
		const live = (/** @type {'cpu' | 'memory'} */ field) => (points || []).map((point) => ({ time: point.time, value: point[field] }));
		const own = range === ranges[0];
		return { cpu: own ? live('cpu') : seriesPoints(kept, 'cpu'), memory: own ? live('memory') : seriesPoints(kept, 'memory'), requests: seriesPoints(kept, 'requests'), errors: seriesPoints(kept, 'errors'), p95: seriesPoints(kept, 'p95') };
	}, [points, kept, range]);
	const shared = { seconds: range.seconds, marks, ...(range !== ranges[0] && { empty: 'Nothing is kept of this while.' }) };
	return html`<section class="card" aria-labelledby="usage-title">
		<header class="card-head">
			<h2 id="usage-title">CPU and memory</h2>
			<span class="spacer"></span>
			<div class="segments small" role="group" aria-label="Time range">
				${ranges.map((one) => html`<button type="button" aria-pressed=${one === range ? 'true' : 'false'} onClick=${() => setRange(one)}>${one.label}</button>`)}
			</div>
		</header>
		<div class="charts">
			<${Chart} ...${shared} title="CPU" points=${drawn.cpu} unit="cores" limit=${app.usage?.cpuLimit || 0} />
			<${Chart} ...${shared} title="Memory" points=${drawn.memory} unit="bytes" limit=${app.usage?.memoryLimit || 0} />
		</div>
		${drawn.requests.length > 0 && html`<div class="charts three">
			<${Chart} ...${shared} title="Requests" points=${drawn.requests} unit="per minute" limit=${0} />
			<${Chart} ...${shared} title="Errors" points=${drawn.errors} unit="per minute" limit=${0} empty="No request failed." />
			<${Chart} ...${shared} title="95 % answered within" points=${drawn.p95} unit="ms" limit=${0} />
		</div>`}
	</section>`;
}
