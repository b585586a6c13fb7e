import { hidden } from '../commands.js';
import { html } from '../html.js';
import { openDialog } from '../store.js';
import { Icon } from './icon.js';
import { Status } from './status.js';

/**
 * The variables of an app. Values are never shown: the appliance does not tell
 * them.
 * @param {{app: hks.App, release: hks.Release}} props
 */
export function EnvCard({ app, release }) {
	const { spec } = release;
	const set = spec.env || {};
	const wanted = spec.components.flatMap((one) => one.secrets || []);
	const names = [...new Set([...Object.keys(set), ...wanted])].sort();
	const neededBy = (/** @type {string} */ name) => spec.components.filter((one) => one.secrets?.includes(name)).map((one) => one.name).join(', ');
	const frozen = app.status === 'deleting';
	const open = (/** @type {string} */ kind, /** @type {string} */ variable) => openDialog({ kind, app, release, variable });
	return html`<section class="card" aria-labelledby="env-title">
		<header class="card-head">
			<h2 id="env-title">Environment and secrets</h2><span class="muted">sealed; a change makes a release</span><span class="spacer"></span>
			<button type="button" class="button small" disabled=${frozen} onClick=${() => open('set-env', '')}><${Icon} name="plus" />Set a variable</button>
		</header>
		${names.length === 0 && html`<p class="card-note muted">No variables are set.</p>`}
		<ul class="vars">
			${names.map((name) => html`<li key=${name}>
				<code class="var-name">${name}</code>
				${name in set ? html`<span class="muted" aria-label="hidden value">${hidden}</span>` : html`<${Status} status="pending" label="not set" />`}
				${neededBy(name) && html`<span class="muted">needed by ${neededBy(name)}</span>`}
				<span class="spacer"></span>
				<button type="button" class="button small" aria-label=${`${name in set ? 'Change' : 'Set'} ${name}`} disabled=${frozen} onClick=${() => open('set-env', name)}>${name in set ? 'Change' : 'Set'}</button>
				${name in set && html`<button type="button" class="button small" aria-label=${`Unset ${name}`} disabled=${frozen} onClick=${() => open('unset-env', name)}>Unset</button>`}
			</li>`)}
			${spec.components.flatMap((one) => Object.entries(one.env || {}).map(([name, value]) => html`<li key=${`${one.name} ${name}`}>
				<code class="var-name">${name}</code><code class="breaks">${value}</code><span class="muted">of ${one.name}, from the project's file</span>
			</li>`))}
		</ul>
	</section>`;
}
