import { useState } from '../vendor/hooks.js';
import { tell } from '../actions.js';
import { applianceApi } from '../appliance.js';
import { known } from '../format.js';
import { html } from '../html.js';
import { useKeptFresh } from '../market.js';
import { useStore } from '../store.js';
import { Status } from './status.js';
import { Time } from './time.js';

/** The version that runs, a newer one, and the certificates of domains. */
export function VersionCard() {
	const domains = useStore((state) => state.domains);
	const { value: update, again } = useKeptFresh(applianceApi.update, () => false, 'update');
	const [busy, setBusy] = useState(false);
	const look = () => {
		setBusy(true);
		void applianceApi.lookForUpdate().then(again, tell).then(() => setBusy(false));
	};
	return html`<section class="card" aria-labelledby="version-title">
		<header class="card-head"><h2 id="version-title">Version and certificates</h2><span class="spacer"></span>
			${update?.enabled && html`<button type="button" class="button small" disabled=${busy} onClick=${look}>${busy ? 'Looking…' : 'Look for a newer one'}</button>`}</header>
		${update && html`<div class="card-body">
			<p>${update.available
				? html`<${Status} status="updating" label=${`${update.latest} is there`} /> hks ${update.current} runs. ${update.notes && html`<a href=${update.notes} rel="noreferrer">What is new</a>`}`
				: html`hks ${update.current} runs${update.latest ? `; the newest is ${update.latest}` : ''}.`}
				${update.enabled
					? known(update.checkedAt) && html` <span class="muted">Looked <${Time} at=${update.checkedAt} />.</span>`
					: html` <span class="muted">Nobody is asked for newer ones: <code>update.url</code> in config.yaml says whom.</span>`}</p>
			${update.failure && html`<p class="muted">The last look failed: ${update.failure}</p>`}
		</div>`}
		${domains && domains.length > 0 ? html`<ul class="files" aria-label="Certificates">${domains.map((domain) => html`<li key=${domain.host}>
			<div><strong>${domain.name}</strong><p class="muted">${known(domain.certificate?.validUntil) ? html`valid until <${Time} at=${domain.certificate.validUntil} />, from ${domain.certificate.source}` : domain.reason || 'none yet'}</p></div>
			<a class="button small" href=${`/apps/${domain.app}/${domain.environment}`}>To its app</a>
		</li>`)}</ul>` : html`<p class="card-note muted">No domain of your own, so no certificate but the appliance's.</p>`}
	</section>`;
}
