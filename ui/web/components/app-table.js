import { Component } from '../vendor/preact.js';
import { useEffect, useMemo, useRef, useState } from '../vendor/hooks.js';
import { api } from '../api.js';
import { bytes, cores, sampled, sentence, shortURL } from '../format.js';
import { html } from '../html.js';
import { appLink } from '../router.js';
import { get, keyOf, putSamples, useStore } from '../store.js';
import { Icon } from './icon.js';
import { Spark } from './spark.js';
import { Status } from './status.js';
import { Time } from './time.js';

/** What needs a look comes first. @type {Record<string, number>} */
const rank = { error: 0, pending: 1, deploying: 2, updating: 2, stopping: 3, deleting: 3, running: 4, stopped: 5 };
const filterFrom = 8; // fewer apps are found faster by eye
const sparksAtFirst = 24;
const batch = 60; // rows drawn at once; more come when the end is near

/** @param {{apps: hks.App[]}} props */
export function AppTable({ apps }) {
	const [filter, setFilter] = useState('');
	const [drawn, setDrawn] = useState(batch);
	const end = useRef(/** @type {HTMLElement | null} */ (null));
	useEffect(seedSparks, []);
	useEffect(() => setDrawn(batch), [filter]);
	useEffect(() => {
		const toFilter = (/** @type {KeyboardEvent} */ event) => {
			const typing = event.target instanceof HTMLElement && event.target.matches('input, textarea, select');
			if (event.key !== '/' || typing || event.ctrlKey || event.metaKey || get().dialog) return;
			event.preventDefault();
			document.getElementById('app-filter')?.focus();
		};
		addEventListener('keydown', toFilter);
		return () => removeEventListener('keydown', toFilter);
	}, []);
	const shown = useMemo(() => {
		const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
		return apps
			.filter((app) => words.every((word) => `${app.name} ${app.environment} ${app.status} ${app.image}`.toLowerCase().includes(word)))
			.sort((a, b) => (rank[a.status] ?? 9) - (rank[b.status] ?? 9) || a.name.localeCompare(b.name) || a.environment.localeCompare(b.environment));
	}, [apps, filter]);
	const more = shown.length > drawn;
	useEffect(() => {
		if (!more || !end.current) return;
		const near = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && setDrawn((rows) => rows + batch), { rootMargin: '600px' });
		near.observe(end.current);
		return () => near.disconnect();
	}, [more, drawn]);

	return html`
		${apps.length >= filterFrom && html`<div class="table-tools">
			<label class="search"><${Icon} name="search" /><span class="hidden">Filter apps</span>
				<input id="app-filter" type="search" placeholder="Filter by name, environment, status or image" value=${filter}
					onInput=${(/** @type {any} */ event) => setFilter(event.target.value)} /><kbd>/</kbd></label>
			<span class="muted" role="status">${shown.length === apps.length ? `${apps.length} apps` : `${shown.length} of ${apps.length}`}</span>
		</div>`}
		<table class="apps" role="table" aria-label="Apps">
			<thead role="rowgroup"><tr role="row">
				${['App', 'Status', 'Release', 'Ready', 'CPU', 'Memory', 'Address', 'Changed'].map((title) => html`<th role="columnheader" scope="col">${title}</th>`)}
			</tr></thead>
			<tbody role="rowgroup">${shown.slice(0, drawn).map((app) => html`<${Row} key=${keyOf(app)} app=${app} />`)}</tbody>
		</table>
		${more && html`<p ref=${end} class="card-note muted">${shown.length - drawn} more…</p>`}
		${shown.length === 0 && html`<p class="card-note muted">No app matches “${filter}”.</p>`}`;
}

/**
 * One app. Drawn again only when the app itself changed.
 * @extends {Component<{app: hks.App}>}
 */
class Row extends Component {
	/** @param {{app: hks.App}} next */
	shouldComponentUpdate(next) {
		return next.app !== this.props.app;
	}

	render() {
		const { app } = this.props;
		const { usage } = app;
		const awake = app.status !== 'stopped';
		const used = app.ready > 0 && sampled(usage);
		return html`<tr role="row">
			<td role="cell" class="cell-name"><a class="row-link" href=${appLink(app)}>${app.name}</a><span class="tag ${app.environment}">${app.environment}</span></td>
			<td role="cell" class="cell-status"><${Status} status=${app.status} />${app.maintenance?.on && html` <${Status} status="maintenance" />`}${app.reason && app.status !== 'running' && html`<span class="reason" title=${sentence(app.reason)}>${sentence(app.reason)}</span>`}</td>
			<td role="cell" data-label="Release" class="number">${app.release ? `#${app.release}` : '–'}${app.target ? html`<span class="muted"> → #${app.target}</span>` : ''}</td>
			<td role="cell" data-label="Ready" class="number ${awake && app.ready < app.replicas ? 'short' : ''}">${app.ready}/${app.replicas}${app.components.some((one) => one.autoscale) && html`<span class="muted"> auto</span>`}</td>
			<td role="cell" data-label="CPU" class="number use">${used ? html`<${Use} app=${app} field="cpu" /><span>${cores(usage.cpu)}</span>` : '–'}</td>
			<td role="cell" data-label="Memory" class="number use wide">${used ? html`<${Use} app=${app} field="memory" /><span>${bytes(usage.memory)}</span>` : '–'}</td>
			<td role="cell" class="cell-url">${app.url && awake && html`<a href=${app.url} target="_blank" rel="noopener" title=${app.url}><span>${shortURL(app.url)}</span><${Icon} name="external" /></a>`}</td>
			<td role="cell" class="cell-time"><${Time} at=${app.updatedAt} /></td>
		</tr>`;
	}
}

/** @param {{app: hks.App, field: 'cpu' | 'memory'}} props */
function Use({ app, field }) {
	const samples = useStore((state) => state.samples[keyOf(app)]);
	return html`<${Spark} values=${(samples || []).map((sample) => sample[field])} />`;
}

/** Fetches what the lines need for the first rows; the rest grows by itself. */
function seedSparks() {
	const { apps, samples } = get();
	const bare = Object.values(apps || {}).filter((app) => app.status === 'running' && (samples[keyOf(app)] || []).length < 2).slice(0, sparksAtFirst);
	let next = 0;
	const worker = async () => {
		while (next < bare.length) {
			const app = bare[next++];
			const points = await api.metrics(app.name, app.environment, '15m').catch(() => null); // numbers are there without it
			if (points && points.length > 1) putSamples(keyOf(app), points);
		}
	};
	void Promise.all([worker(), worker(), worker()]);
}
