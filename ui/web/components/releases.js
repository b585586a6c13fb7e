import { useState } from '../vendor/hooks.js';
import { commands, hidden } from '../commands.js';
import { copy } from '../clipboard.js';
import { compareReleases } from '../diff.js';
import { duration, known, shortDigest } from '../format.js';
import { html } from '../html.js';
import { openDialog } from '../store.js';
import { Changes } from './changes.js';
import { CopyButton } from './copy-button.js';
import { Icon } from './icon.js';
import { Problem } from './problem.js';
import { Status } from './status.js';
import { Time } from './time.js';

const shownAtFirst = 10;

/** @param {{app: hks.App, releases: hks.Release[]}} props */
export function Releases({ app, releases }) {
	const [all, setAll] = useState(false);
	const shown = all ? releases : releases.slice(0, shownAtFirst);
	return html`<section class="card" aria-labelledby="releases-title">
		<header class="card-head"><h2 id="releases-title">Releases</h2><span class="muted">each one is an image and its settings, kept to come back to</span></header>
		<ol class="releases">${shown.map((release) => html`<${Item} key=${release.number} app=${app} release=${release} before=${releases.find((other) => other.number < release.number)} latest=${release.number === releases[0].number} />`)}</ol>
		${shown.length < releases.length && html`<button type="button" class="button quiet wide" onClick=${() => setAll(true)}>Show all ${releases.length}</button>`}
	</section>`;
}

/** @param {hks.Release} release */
function kind({ kind, from, spec }) {
	if (kind === 'move') return `moved to ${spec.place || 'shared'}`;
	if (!from) return kind;
	return kind === 'promote' ? `promoted from staging #${from}` : `${kind} to #${from}`;
}

/** @param {{app: hks.App, release: hks.Release, before: hks.Release | undefined, latest: boolean}} props */
function Item({ app, release, before, latest }) {
	const { components } = release.spec;
	const failed = release.status === 'failed';
	const [open, setOpen] = useState(failed && latest);
	const serves = release.number === app.release;
	const canReturn = !serves && release.status === 'succeeded' && app.status !== 'deleting';
	const command = commands.rollback(app, release.number);
	return html`<li class="release ${serves ? 'serves' : ''}">
		<div class="release-line">
			<button type="button" class="release-toggle" aria-expanded=${open ? 'true' : 'false'} onClick=${() => setOpen(!open)}>
				<${Icon} name="chevron" /><strong>#${release.number}</strong><span class="hidden">details</span>
			</button>
			<span class="release-what">${components.map((one) => html`<span class="release-image">${components.length > 1 && html`<span class="muted">${one.name} </span>`}<code>${one.image}</code></span>`)}<span class="muted">${kind(release)} by ${release.by}, <${Time} at=${release.createdAt} /></span></span>
			${canReturn
				? html`<span class="split" role="group" aria-label=${`Release ${release.number}`}>
					<button type="button" class="button small" onClick=${() => openDialog({ kind: 'rollback', app, release })}><${Icon} name="rollback" />Roll back</button>
					<button type="button" class="button small twin" aria-label=${`Copy command: ${command}`} data-tip=${command} onClick=${() => copy(command, 'Command')}><${Icon} name="terminal" /></button>
				</span>`
				: html`<${Status} status=${serves && release.status === 'succeeded' ? 'live' : release.status} label=${serves && release.status === 'succeeded' ? 'serving' : release.status} />`}
		</div>
		${open && html`<${Details} release=${release} before=${before} />`}
	</li>`;
}

/** @param {{release: hks.Release, before: hks.Release | undefined}} props */
function Details({ release, before }) {
	const { spec, failure } = release;
	const names = Object.keys(spec.env || {});
	const several = spec.components.length > 1;
	/** @type {[string, any][]} */
	const facts = [
		['Environment', names.length > 0 && html`${names.map((name) => html`<code class="env-name">${name}=${hidden.slice(0, 3)}</code> `)}`],
		['Took', known(release.finishedAt) && duration(Date.parse(String(release.finishedAt)) - Date.parse(release.createdAt))],
	];
	return html`<div class="release-details">
		${failure && html`<${Problem} message=${failure.message} fix=${failure.fix} code=${failure.code}>
			${failure.exitCode !== undefined && !failure.message.includes('exit code') && html`<p class="problem-why">The container ended with exit code <strong>${failure.exitCode}</strong>.</p>`}
		</${Problem}>`}
		${failure?.logs && failure.logs.length > 0 && html`<div class="last-lines">
			<div class="last-lines-head"><span>Its last ${failure.logs.length} lines</span><${CopyButton} text=${failure.logs.join('\n')} what="lines" /></div>
			<pre class="terminal" tabindex="0" role="region" aria-label=${`Last lines of release ${release.number}`}>${failure.logs.join('\n')}</pre>
		</div>`}
		${before && html`<${Changed} release=${release} before=${before} />`}
		${several
			? html`${spec.components.map((one) => html`<div><h3 class="of-component">${one.name}</h3><${Facts} facts=${factsOf(one, release)} /></div>`)}<${Facts} facts=${facts} />`
			: html`<${Facts} facts=${[...factsOf(spec.components[0], release), ...facts]} />`}
	</div>`;
}

/** What a release changed. @param {{release: hks.Release, before: hks.Release}} props */
function Changed({ release, before }) {
	const changes = compareReleases(before, release);
	const label = `Changed since #${before.number}`;
	const nothing = release.kind === 'config' ? 'Only values of variables, which are hidden.' : 'No setting; values of variables are hidden.';
	return html`<div>
		<h3 class="of-component">${label}</h3>
		${changes.length > 0 ? html`<${Changes} changes=${changes} several=${release.spec.components.length > 1} label=${label} />` : html`<p class="muted small">${nothing}</p>`}
	</div>`;
}

/** @param {hks.Component} one @param {hks.Release} release @returns {[string, any][]} */
function factsOf(one, release) {
	const digest = release.digests?.[one.name];
	return [
		['Digest', digest && html`<code title=${digest}>${shortDigest(digest)}</code><${CopyButton} text=${digest} what="digest" />`],
		['Port', one.port],
		['Command', one.command?.length && html`<code>${one.command.join(' ')}</code>`],
		['Before it serves', one.release?.length && html`<code>${one.release.join(' ')}</code>`],
		['CPU limit', one.cpu],
		['Memory limit', one.memory],
		['Host', one.host],
		['Path', one.path],
		['Health check', one.health],
		['Needs', one.secrets?.length && one.secrets.map((name) => html`<code>${name}</code>`)],
	];
}

/** @param {{facts: [string, any][]}} props */
function Facts({ facts }) {
	return html`<dl class="facts">${facts.filter(([, value]) => value).map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}
