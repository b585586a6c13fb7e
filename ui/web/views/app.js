import { useEffect, useMemo, useState } from '../vendor/hooks.js';
import { actionsOf } from '../actions.js';
import { api, ApiError } from '../api.js';
import { ActionButton } from '../components/action-button.js';
import { AppIncidents } from '../components/app-incidents.js';
import { Autoscale } from '../components/autoscale.js';
import { Builds } from '../components/builds.js';
import { ComponentTable } from '../components/component-table.js';
import { CopyButton } from '../components/copy-button.js';
import { DomainsCard } from '../components/domains-card.js';
import { EnvCard } from '../components/env-card.js';
import { Icon } from '../components/icon.js';
import { Instances } from '../components/instances.js';
import { Logs } from '../components/logs.js';
import { MaintenanceNote, MaintenanceSwitch } from '../components/maintenance.js';
import { Problem } from '../components/problem.js';
import { ReleaseProgress } from '../components/progress.js';
import { Releases } from '../components/releases.js';
import { Status } from '../components/status.js';
import { Time } from '../components/time.js';
import { UsageCharts } from '../components/usage.js';
import { VolumesCard } from '../components/volumes-card.js';
import { count, shortDigest, shortURL } from '../format.js';
import { html } from '../html.js';
import { get, openDialog, putApp, set, useStore } from '../store.js';
import { useTitle } from '../title.js';

const period = 10_000;
const settle = 200; // several events about one change ask once

/** One app in one environment. @param {{name: string, environment: hks.Environment}} props */
export function AppView({ name, environment }) {
	const key = `${name}/${environment}`;
	const app = useStore((state) => state.apps?.[key]);
	const releases = useStore((state) => state.releases[key]);
	const all = useStore((state) => state.builds);
	const builds = useMemo(() => all?.filter((build) => build.app === name && build.environment === environment), [all, key]);
	const [error, setError] = useState(/** @type {ApiError | null} */ (null));
	const [attempt, setAttempt] = useState(0);
	useTitle(name);

	useEffect(() => {
		let gone = false;
		const fail = (/** @type {unknown} */ cause) => {
			if (!(cause instanceof ApiError)) throw cause;
			if (!gone) setError(cause);
		};
		const load = () => api.app(name, environment).then((app) => { if (!gone) { putApp(app); setError(null); } }, fail);
		void load();
		api.releases(name, environment).then((list) => !gone && set({ releases: { ...get().releases, [key]: list || [] } }), fail);
		const timer = setInterval(() => !document.hidden && void load(), period);
		return () => {
			gone = true;
			clearInterval(timer);
		};
	}, [key, attempt]);

	// An event about the app may come without its instances.
	const change = app && `${app.status} ${app.ready} ${app.release} ${app.target} ${app.replicas} ${app.updatedAt}`;
	useEffect(() => {
		if (!change) return;
		const timer = setTimeout(() => api.app(name, environment).then(putApp, () => {}), settle); // the period tries again
		return () => clearTimeout(timer);
	}, [change]);

	if (!app) {
		if (error) {
			const fix = error.status === 404 ? 'It may have been deleted. The dashboard lists what is there.' : error.fix;
			return html`<p><a class="back" href="/"><${Icon} name="back" />Dashboard</a></p>
				<${Problem} message=${error.message} fix=${fix} code=${error.code} retry=${error.status === 404 ? undefined : () => setAttempt(attempt + 1)} />
				${builds && builds.length > 0 && html`<${Builds} title="Builds" builds=${builds} environment=${environment} />`}`;
		}
		return html`<header class="page-head"><h1>${name}</h1></header>`;
	}
	const moving = releases?.find((release) => release.status === 'pending' || release.status === 'deploying');
	return html`
		<p><a class="back" href="/"><${Icon} name="back" />Dashboard</a></p>
		<${Head} app=${app} releases=${releases} />
		<${MaintenanceNote} app=${app} />
		${app.reason && app.status !== 'running' && !moving && html`<${Problem} message=${app.reason} fix=${app.fix} tone=${app.status === 'error' ? 'bad' : 'warn'} />`}
		${moving && html`<${ReleaseProgress} key=${moving.number} release=${moving} />`}
		${moving && app.reason && app.status !== 'running' && html`<${Problem} message=${app.reason} fix=${app.fix} tone=${app.status === 'error' ? 'bad' : 'warn'} />`}
		<${AppIncidents} app=${app} />
		${(app.release > 0 || app.ready > 0) && html`<${UsageCharts} app=${app} />`}
		${app.components.length > 1 && html`<${ComponentTable} app=${app} />`}
		<${Instances} app=${app} />
		<${VolumesCard} mine=${(/** @type {hks.Volume} */ volume) => volume.app === name && volume.environment === environment} grow=${(/** @type {hks.Volume} */ volume) => `hks volume resize ${volume.name} SIZE`} />
		${builds && html`<${Builds} title="Builds" builds=${builds} environment=${environment} />`}
		${releases && html`<${Releases} app=${app} releases=${releases} />`}
		<${DomainsCard} app=${app} />
		${releases?.[0] && html`<${EnvCard} app=${app} release=${releases[0]} />`}
		<${Logs} app=${app} />`;
}

/** @param {{app: hks.App, releases: hks.Release[] | undefined}} props */
function Head({ app, releases }) {
	const several = app.components.length > 1;
	const current = releases?.find((release) => release.number === app.release);
	return html`<header class="app-head">
		<div class="app-title">
			<h1>${app.name}</h1><span class="tag ${app.environment}">${app.environment}</span><${Status} status=${app.status} />
		</div>
		${app.url && html`<p class="app-url">
			<a href=${app.url} target="_blank" rel="noopener">${shortURL(app.url)}<${Icon} name="external" /></a>
			<${CopyButton} text=${app.url} what="address" />
		</p>`}
		<p class="app-facts muted">
			${app.release ? html`<span>Release <strong>#${app.release}</strong></span>` : html`<span>No release serves yet</span>`}
			<span>${several ? count(app.components.length, 'component') : html`<code>${app.image}</code>`}</span>
			${!several && app.digest && html`<span title=${app.digest}>${shortDigest(app.digest)}</span>`}
			<span><strong>${app.ready}</strong> of ${app.replicas} ready</span>
			${!several && app.components[0]?.autoscale && html`<${Autoscale} one=${app.components[0]} />`}
			${current && html`<span>serving since <${Time} at=${current.finishedAt || current.createdAt} /></span>`}
		</p>
		<div class="actions">
			<button type="button" class="button primary" disabled=${app.status === 'deleting'} onClick=${() => openDialog({ kind: 'deploy', app, release: releases?.[0] })}><${Icon} name="upload" />Deploy new version</button>
			${actionsOf(app).map((action) => html`<${ActionButton} key=${action.id} action=${action} />`)}
			<${MaintenanceSwitch} app=${app} />
		</div>
	</header>`;
}
