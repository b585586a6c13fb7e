import { tell } from '../actions.js';
import { applianceApi } from '../appliance.js';
import { html } from '../html.js';
import { useKeptFresh } from '../market.js';
import { Problem } from './problem.js';
import { Time } from './time.js';

/** The browsers that are logged in. */
export function Sessions() {
	const { value: sessions, error, again } = useKeptFresh(() => applianceApi.sessions().then((list) => list || []), () => false, 'sessions');
	return html`<section class="card" aria-labelledby="sessions-title">
		<header class="card-head"><h2 id="sessions-title">Browsers</h2><span class="muted">logged in with the password</span></header>
		${error && html`<${Problem} message=${error.message} fix=${error.fix} code=${error.code} retry=${again} />`}
		${sessions && html`<ul class="files">${sessions.map((one) => html`<li key=${one.id}>
			<div><strong>${one.current ? 'This browser' : 'Another browser'}</strong><p class="muted">since <${Time} at=${one.createdAt} />, used <${Time} at=${one.usedAt} />, until <${Time} at=${one.expiresAt} /></p></div>
			${!one.current && html`<button type="button" class="button small" onClick=${() => applianceApi.endSession(one.id).then(again, tell)}>Log out</button>`}
		</li>`)}</ul>`}
	</section>`;
}
