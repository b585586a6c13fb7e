import { useState } from '../vendor/hooks.js';
import { commands, hidden } from '../commands.js';
import { copy } from '../clipboard.js';
import { duration, known, shortDigest } from '../format.js';
import { html } from '../html.js';
import { openDialog } from '../store.js';
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
		<ol class="releases">${shown.map((release) => html`<${Item} key=${release.number} app=${app} release=${release} latest=${release.number === releases[0].number} />`)}</ol>
		${shown.length < releases.length && html`<button type="button" class="button quiet wide" onClick=${() => setAll(true)}>Show all ${releases.length}</button>`}
	</section>`;
}

/** @param {hks.Release} release */
const kind = (release) => (release.kind === 'rollback' && release.from ? `rollback to #${release.from}` : release.kind);

/** @param {{app: hks.App, release: hks.Release, latest: boolean}} props */
function Item({ app, release, latest }) {
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
			<span class="release-what"><code>${release.spec.image}</code><span class="muted">${kind(release)} by ${release.by}, <${Time} at=${release.createdAt} /></span></span>
			${canReturn
				? html`<span class="split" role="group" aria-label=${`Release ${release.number}`}>
					<button type="button" class="button small" onClick=${() => openDialog({ kind: 'rollback', app, release })}><${Icon} name="rollback" />Roll back</button>
					<button type="button" class="button small twin" aria-label=${`Copy command: ${command}`} data-tip=${command} onClick=${() => copy(command, 'Command')}><${Icon} name="terminal" /></button>
				</span>`
				: html`<${Status} status=${serves && release.status === 'succeeded' ? 'live' : release.status} label=${serves && release.status === 'succeeded' ? 'serving' : release.status} />`}
		</div>
		${open && html`<${Details} release=${release} />`}
	</li>`;
}

/** @param {{release: hks.Release}} props */
function Details({ release }) {
	const { spec, failure } = release;
	const names = Object.keys(spec.env || {});
	/** @type {[string, any][]} */
	const facts = [
		['Digest', release.digest && html`<code title=${release.digest}>${shortDigest(release.digest)}</code><${CopyButton} text=${release.digest} what="digest" />`],
		['Port', spec.port],
		['Command', spec.command?.length && html`<code>${spec.command.join(' ')}</code>`],
		['Environment', names.length > 0 && html`${names.map((name) => html`<code class="env-name">${name}=${hidden.slice(0, 3)}</code> `)}`],
		['CPU limit', spec.cpu],
		['Memory limit', spec.memory],
		['Host', spec.host],
		['Path', spec.path],
		['Health check', spec.health],
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
		<dl class="facts">${facts.filter(([, value]) => value).map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
	</div>`;
}
