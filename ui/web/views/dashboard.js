import { useMemo } from '../vendor/hooks.js';
import { ActivityList } from '../components/activity.js';
import { AppTable } from '../components/app-table.js';
import { Attention, matters } from '../components/attention.js';
import { Builds } from '../components/builds.js';
import { EmptyApps } from '../components/empty-apps.js';
import { Icon } from '../components/icon.js';
import { Problem } from '../components/problem.js';
import { SystemParts } from '../components/system-parts.js';
import { WorkspaceCard } from '../components/workspace-card.js';
import { count } from '../format.js';
import { html } from '../html.js';
import { refresh } from '../live.js';
import { isOver, openDialog, useStore } from '../store.js';
import { useTitle } from '../title.js';

const recent = 12;

/** The first screen: what needs action, then everything else. */
export function DashboardView() {
	const apps = useStore((state) => state.apps);
	const domains = useStore((state) => state.domains);
	const builds = useStore((state) => state.builds);
	const workspace = useStore((state) => state.workspace);
	const system = useStore((state) => state.system);
	const attention = useStore((state) => state.attention);
	const activity = useStore((state) => state.activity);
	const problem = useStore((state) => state.problem);
	const list = useMemo(() => Object.values(apps || {}), [apps]);
	const found = useMemo(() => matters(/** @type {any} */ ({ apps, builds, domains, workspace, system, attention })), [apps, builds, domains, workspace, system, attention]);
	const building = useMemo(() => (builds || []).filter((build) => !isOver(build.status)), [builds]);
	const unhealthy = system?.parts.some((part) => !part.healthy);
	useTitle(found.length > 0 ? `(${found.length}) Dashboard` : 'Dashboard');

	return html`
		<header class="page-head">
			<div><h1>${verdict(list, found, apps !== null)}</h1><p class="muted">${summary(list)}</p></div>
			${workspace?.status === 'ready' && list.length > 0 && html`<button type="button" class="button primary" onClick=${() => openDialog({ kind: 'deploy' })}><${Icon} name="plus" />Deploy an image</button>`}
		</header>
		${problem && html`<${Problem} message=${problem.message} fix=${problem.fix} code=${problem.code} retry=${refresh} />`}
		<${Attention} found=${found} />
		${workspace && html`<${WorkspaceCard} workspace=${workspace} />`}
		${apps && html`<section class="card" aria-labelledby="apps-title">
			<header class="card-head"><h2 id="apps-title">Apps</h2></header>
			${list.length === 0 ? html`<${EmptyApps} />` : html`<${AppTable} apps=${list} />`}
		</section>`}
		${building.length > 0 && html`<${Builds} title="Builds under way" builds=${building} />`}
		<div class="columns">
			${activity && html`<section class="card" aria-labelledby="activity-title">
				<header class="card-head"><h2 id="activity-title">Recent activity</h2></header>
				<${ActivityList} activity=${activity} limit=${recent} />
			</section>`}
			${system && unhealthy && html`<section class="card" aria-labelledby="system-title">
				<header class="card-head"><h2 id="system-title">The appliance's parts</h2></header>
				<${SystemParts} parts=${system.parts} />
			</section>`}
		</div>`;
}

/** One sentence that answers: is it fine? @param {hks.App[]} apps @param {import('../components/attention.js').Matter[]} found @param {boolean} loaded */
function verdict(apps, found, loaded) {
	if (!loaded) return 'Dashboard';
	const bad = found.filter((matter) => matter.tone === 'bad').length;
	if (bad > 0) return `${count(bad, 'thing needs', 'things need')} your attention`;
	if (found.length > 0) return `${count(found.length, 'thing waits', 'things wait')} for you`;
	if (apps.length === 0) return 'Ready for your first app';
	const moving = apps.filter((app) => ['deploying', 'updating', 'stopping', 'deleting'].includes(app.status)).length;
	if (moving > 0) return `All is well, ${count(moving, 'change')} under way`;
	return 'All is well';
}

/** @param {hks.App[]} apps */
function summary(apps) {
	if (apps.length === 0) return 'Nothing is deployed yet.';
	const running = apps.filter((app) => app.ready > 0).length;
	const ready = apps.reduce((sum, app) => sum + app.ready, 0);
	return `${running} of ${count(apps.length, 'app')} running, ${count(ready, 'instance')} ready.`;
}
