import { html } from '../html.js';
import { appLink } from '../router.js';
import { Problem } from './problem.js';

/**
 * @typedef {{key: string, tone: 'bad' | 'warn', title: string, message?: string, fix?: string, link?: string, command?: string}} Matter
 */

/**
 * All that waits for the owner, worst first.
 * @param {import('../store.js').State} state
 * @returns {Matter[]}
 */
export function matters({ apps, workspace, system }) {
	/** @type {Matter[]} */
	const found = [];
	for (const part of system?.parts || []) {
		if (!part.healthy) found.push({ key: `part/${part.name}`, tone: 'bad', title: `The ${part.name} is not healthy`, message: part.message });
	}
	if (workspace?.status === 'failed') {
		found.push({ key: 'workspace', tone: 'bad', title: `The workspace ${workspace.name} could not be made`, message: workspace.reason, fix: workspace.fix, link: '/setup' });
	}
	for (const app of Object.values(apps || {})) {
		if (app.status !== 'error' && app.status !== 'pending') continue;
		found.push({
			key: `app/${app.name}/${app.environment}`, tone: app.status === 'error' ? 'bad' : 'warn', link: appLink(app),
			title: `${app.name} in ${app.environment} ${app.status === 'error' ? 'does not run' : 'waits'}`, message: app.reason, fix: app.fix,
		});
	}
	for (const resource of workspace?.resources || []) {
		if (resource.limit <= 0 || resource.used / resource.limit < 0.95) continue;
		const share = Math.round((resource.used / resource.limit) * 100);
		found.push({
			key: `quota/${resource.name}`, tone: 'warn', title: `The workspace has used ${share} % of its ${resource.name}`,
			message: 'A new deploy may have to wait for room.', fix: 'Scale an app down, stop one that nobody needs, or lower its limits.',
		});
	}
	return found.sort((a, b) => Number(b.tone === 'bad') - Number(a.tone === 'bad'));
}

const shown = 5;

/** The first thing on the dashboard. @param {{found: Matter[]}} props */
export function Attention({ found }) {
	if (found.length === 0) return null;
	return html`<section class="attention" aria-label="Needs attention">
		${found.slice(0, shown).map((matter) => html`<${Problem} key=${matter.key} tone=${matter.tone} message=${matter.title}>
			${matter.message && html`<p class="problem-why">${matter.message}</p>`}
			${matter.fix && html`<p class="problem-fix">${matter.fix}</p>`}
			${matter.link && html`<p><a href=${matter.link}>Look into it</a></p>`}
		</${Problem}>`)}
		${found.length > shown && html`<p class="muted">And ${found.length - shown} more, marked in the list below.</p>`}
	</section>`;
}
