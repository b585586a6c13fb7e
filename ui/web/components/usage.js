import { useEffect, useMemo, useState } from '../vendor/hooks.js';
import { api } from '../api.js';
import { bytes, cores } from '../format.js';
import { html } from '../html.js';
import { keyOf, useStore } from '../store.js';
import { Chart } from './chart.js';

const ranges = [
	{ label: '15 min', since: '15m', seconds: 900 },
	{ label: '1 h', since: '1h', seconds: 3600 },
	{ label: '6 h', since: '6h', seconds: 21_600 },
	{ label: '24 h', since: '24h', seconds: 86_400 },
];
const period = 10_000;
const showCores = (/** @type {number} */ value) => `${cores(value)} cores`;

/** CPU and memory of an app over time. @param {{app: hks.App}} props */
export function UsageCharts({ app }) {
	const [range, setRange] = useState(ranges[0]);
	const [points, setPoints] = useState(/** @type {hks.Point[] | null} */ (null));
	const releases = useStore((state) => state.releases[keyOf(app)]);
	useEffect(() => {
		let gone = false;
		const load = () => {
			if (document.hidden) return;
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
	const marks = useMemo(
		() => (releases || []).filter((release) => release.status === 'succeeded')
			.map((release) => ({ at: Date.parse(release.finishedAt || release.createdAt), label: `#${release.number}` })),
		[releases],
	);
	const shared = { points: points || [], seconds: range.seconds, marks };
	return html`<section class="card" aria-labelledby="usage-title">
		<header class="card-head">
			<h2 id="usage-title">CPU and memory</h2>
			<span class="spacer"></span>
			<div class="segments small" role="group" aria-label="Time range">
				${ranges.map((one) => html`<button type="button" aria-pressed=${one === range ? 'true' : 'false'} onClick=${() => setRange(one)}>${one.label}</button>`)}
			</div>
		</header>
		<div class="charts">
			<${Chart} ...${shared} title="CPU" field="cpu" limit=${app.usage?.cpuLimit || 0} format=${showCores} />
			<${Chart} ...${shared} title="Memory" field="memory" limit=${app.usage?.memoryLimit || 0} format=${bytes} />
		</div>
	</section>`;
}
