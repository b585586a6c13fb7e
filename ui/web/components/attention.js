import { sentence } from '../format.js';
import { html } from '../html.js';
import { appLink, buildLink, incidentLink } from '../router.js';
import { Fix } from './fix.js';
import { Icon } from './icon.js';

/**
 * @typedef {{key: string, tone: 'bad' | 'warn', title: string, message?: string, fix?: string, link?: string, command?: string}} Matter
 */

/**
 * All that waits for the owner, worst first.
 * @param {import('../store.js').State} state
 * @returns {Matter[]}
 */
export function matters({ apps, builds, domains, workspace, system, attention }) {
	/** @type {Matter[]} */
	const found = [];
	for (const part of system?.parts || []) {
		if (!part.healthy) found.push({ key: `part/${part.name}`, tone: 'bad', title: `The ${part.name} is not healthy`, message: part.message });
	}
	if (workspace?.status === 'failed') {
		found.push({ key: 'workspace', tone: 'bad', title: `The workspace ${workspace.name} could not be made`, message: workspace.reason, fix: workspace.fix, link: '/setup' });
	}
	const explained = new Set();
	for (const one of attention || []) {
		if (one.subject.startsWith('domain ')) continue; // told below, with its app
		if (one.incident) explained.add(one.subject);
		found.push({
			key: `attention/${one.subject}/${one.text}`, tone: one.severity === 'critical' ? 'bad' : 'warn', title: one.text, fix: one.fix,
			link: one.incident ? incidentLink({ id: one.incident }) : one.subject.startsWith('channel ') ? '/notifications' : undefined, ...(!one.incident && { title: `The ${one.subject}: ${one.text}` }),
		});
	}
	for (const app of Object.values(apps || {})) {
		if (app.status !== 'error' && app.status !== 'pending' || explained.has(`app ${app.name}/${app.environment}`)) continue;
		found.push({
			key: `app/${app.name}/${app.environment}`, tone: app.status === 'error' ? 'bad' : 'warn', link: appLink(app),
			title: `${app.name} in ${app.environment} ${app.status === 'pending' ? 'waits' : app.ready > 0 ? 'kept its old release: the new one failed' : 'does not run'}`, message: app.reason, fix: app.fix,
		});
	}
	for (const build of newest(builds || [])) {
		if (build.status !== 'failed' || gone(build, apps || {}, builds || [])) continue;
		found.push({
			key: `build/${build.id}`, tone: 'bad', title: `Build ${build.id} of ${build.app} in ${build.environment} failed`,
			message: build.failure?.message, fix: build.failure?.fix, link: buildLink(build),
		});
	}
	for (const domain of domains || []) {
		if (!domain.reason) continue;
		found.push({
			key: `domain/${domain.host}`, tone: domain.status === 'failed' ? 'bad' : 'warn', link: appLink({ name: domain.app, environment: domain.environment }),
			title: `${domain.name}, a domain of ${domain.app} in ${domain.environment}, ${troubles[domain.status] || 'waits'}`, message: domain.reason, fix: domain.fix,
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

/** @type {Partial<Record<hks.DomainStatus, string>>} */
const troubles = { failed: 'has no certificate', valid: 'needs a look' };

/** The newest build of each app. @param {hks.Build[]} builds newest first */
const newest = (builds) => builds.filter((build, i) => builds.findIndex((other) => isSame(other, build)) === i);

/** @param {hks.Build} a @param {hks.Build} b */
const isSame = (a, b) => a.app === b.app && a.environment === b.environment;

/** Whether the app of a build was there once and is deleted. @param {hks.Build} build @param {Record<string, hks.App>} apps @param {hks.Build[]} builds */
const gone = (build, apps, builds) => !apps[`${build.app}/${build.environment}`] && builds.some((other) => other.release && isSame(other, build));

const shown = 5;

/** The first thing on the dashboard. @param {{found: Matter[]}} props */
export function Attention({ found }) {
	if (found.length === 0) return null;
	return html`<section class="card attention" aria-label="Needs attention">
		<ul>${found.slice(0, shown).map((matter) => html`<li key=${matter.key} class=${matter.tone}>
			<${Icon} name=${matter.tone === 'bad' ? 'error' : 'warning'} />
			<div class="attention-text">
				<p><strong>${matter.link ? html`<a href=${matter.link}>${matter.title}</a>` : matter.title}</strong></p>
				${matter.message && html`<p class="soft">${sentence(matter.message)}</p>`}
				${matter.fix && html`<${Fix} text=${matter.fix} />`}
			</div>
			${matter.link && html`<a class="button small" href=${matter.link} aria-label=${`Look into it: ${matter.title}`}>Look into it</a>`}
		</li>`)}</ul>
		${found.length > shown && html`<p class="card-note muted">And ${found.length - shown} more, marked in the list below.</p>`}
	</section>`;
}
