import { useEffect, useState } from '../vendor/hooks.js';
import { tell } from '../actions.js';
import { api } from '../api.js';
import { commands } from '../commands.js';
import { html } from '../html.js';
import { putDomain, putDomains, toast, useStore } from '../store.js';
import { Cli } from './cli.js';
import { AddDomainDialog, CertificateDialog, RemoveDomainDialog } from './domain-dialogs.js';
import { Icon } from './icon.js';
import { Problem } from './problem.js';
import { Status } from './status.js';
import { Time } from './time.js';

const period = 10_000; // events tell the changes; this is for what they leave out

/** @typedef {{kind: 'add'} | {kind: 'certificate' | 'remove', domain: hks.Domain}} Open */

/** The hosts of the owner's own that lead to an app. @param {{app: hks.App}} props */
export function DomainsCard({ app }) {
	const all = useStore((state) => state.domains);
	const [open, setOpen] = useState(/** @type {Open | null} */ (null));
	const domains = all?.filter((domain) => domain.app === app.name && domain.environment === app.environment);
	useEffect(() => {
		let gone = false;
		const load = () => !document.hidden && api.domains().then((list) => !gone && putDomains(list || []), () => {}); // what is known stays
		void load();
		const timer = setInterval(load, period);
		return () => {
			gone = true;
			clearInterval(timer);
		};
	}, []);
	const close = () => setOpen(null);
	return html`<section class="card" aria-labelledby="domains-title">
		<header class="card-head">
			<h2 id="domains-title">Domains</h2><span class="muted">hosts of your own, with certificates</span><span class="spacer"></span>
			<button type="button" class="button small" disabled=${app.status === 'deleting'} onClick=${() => setOpen({ kind: 'add' })}><${Icon} name="plus" />Add a domain</button>
		</header>
		${domains?.length === 0 && html`<p class="card-note muted">None yet. DNS and ports are checked before a certificate is asked for, and what is missing is said here.</p>`}
		${domains && domains.length > 0 && html`<ul class="domains">${domains.map((domain) => html`<${Item} key=${domain.host} domain=${domain} open=${setOpen} />`)}</ul>`}
		${open?.kind === 'add' && html`<${AddDomainDialog} app=${app} onClose=${close} />`}
		${open?.kind === 'certificate' && html`<${CertificateDialog} domain=${open.domain} onClose=${close} />`}
		${open?.kind === 'remove' && html`<${RemoveDomainDialog} domain=${open.domain} onClose=${close} />`}
	</section>`;
}

/** @param {{domain: hks.Domain, open: (what: Open) => void}} props */
function Item({ domain, open }) {
	const { host, name, certificate, check, status } = domain;
	const [busy, setBusy] = useState('');
	const act = async (/** @type {'check' | 'retry'} */ what) => {
		setBusy(what);
		try {
			const now = await (what === 'check' ? api.checkDomain(host) : api.retryDomain(host));
			putDomain(host, now);
			if (what === 'check') toast({ kind: 'info', message: check.dns.ok && now.check.dns.ok && now.check.http.ok && now.check.https.ok ? `${name} leads here.` : `Looked at ${name} again.` });
		} catch (error) {
			tell(error);
		}
		setBusy('');
	};
	const looks = /** @type {[string, hks.Look][]} */ ([['DNS', check.dns], ['Port 80', check.http], ['Port 443', check.https]]).filter(([, look]) => look.message);
	const failed = status === 'failed';
	return html`<li class="domain" aria-label=${name}>
		<div class="domain-line">
			${domain.url ? html`<a class="domain-name" href=${domain.url} target="_blank" rel="noopener">${name}<${Icon} name="external" /></a>` : html`<span class="domain-name">${name}</span>`}
			<${Status} status=${status} label=${labels[status]} />
			${domain.component && html`<span class="tag">${domain.component}</span>`}
			${certificate.source && html`<span class="muted">${certificate.source === 'own' ? 'your certificate' : certificate.issuer}, until <${Time} at=${certificate.validUntil} /></span>`}
			${domain.nextTry && html`<span class="muted">asked again <${Time} at=${domain.nextTry} /></span>`}
			<span class="spacer"></span>
			<button type="button" class="button small" disabled=${busy !== ''} onClick=${() => act('check')}>${busy === 'check' ? 'Looking…' : 'Check'}</button>
			${failed && html`<button type="button" class="button small" disabled=${busy !== ''} onClick=${() => act('retry')}>${busy === 'retry' ? 'Asking…' : 'Ask again'}</button>`}
			<button type="button" class="button small" onClick=${() => open({ kind: 'certificate', domain })}>Own certificate</button>
			<button type="button" class="icon-button" aria-label=${`Remove ${name}`} onClick=${() => open({ kind: 'remove', domain })}><${Icon} name="trash" /></button>
		</div>
		${domain.reason && html`<${Problem} message=${domain.reason} fix=${domain.fix} tone=${failed ? 'bad' : 'warn'} />`}
		${looks.length > 0 && html`<details class="looks" open=${status === 'waiting'}>
			<summary class="muted">What was seen <${Time} at=${domain.checkedAt} /></summary>
			<ul>${looks.map(([what, look]) => html`<li key=${what} class=${look.ok ? 'seen' : 'amiss'}><${Icon} name=${look.ok ? 'check' : 'close'} /><strong>${what}</strong><span><span class="hidden">${look.ok ? 'right: ' : 'wrong: '}</span>${look.message}</span></li>`)}</ul>
			<${Cli} command=${commands.domain('check', host)} />
		</details>`}
	</li>`;
}

/** @type {Record<hks.DomainStatus, string>} */
const labels = { checking: 'looking', waiting: 'waiting', asking: 'asking for a certificate', valid: 'valid', failed: 'no certificate' };
