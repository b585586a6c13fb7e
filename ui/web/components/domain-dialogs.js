import { useState } from '../vendor/hooks.js';
import { api } from '../api.js';
import { commands } from '../commands.js';
import { html } from '../html.js';
import { putDomain, toast } from '../store.js';
import { Choice } from './choice.js';
import { Field } from './field.js';
import { FormDialog } from './form-dialog.js';

const every = 'all of it';

/** @param {{app: hks.App, onClose: () => void}} props */
export function AddDomainDialog({ app, onClose }) {
	const [host, setHost] = useState('');
	const [component, setComponent] = useState(every);
	const listening = app.components.filter((one) => one.port);
	const chosen = component === every ? '' : component;
	const run = async () => {
		const made = await api.addDomain(app.name, app.environment, host.trim(), chosen);
		putDomain(made.host, made);
		toast({ kind: 'success', message: `${made.name} leads to ${app.name}. Its certificate comes by itself.` });
	};
	return html`<${FormDialog} title="Add a domain" action="Add" command=${commands.addDomain(app, host.trim(), chosen)} run=${run} ready=${host.trim() !== ''} onClose=${onClose}>
		<p>A host of your own that leads to ${app.name} in ${app.environment}. Point it to this appliance at your DNS provider, before or after: it is looked at again and again.</p>
		<${Field} label="Host" value=${host} onValue=${setHost} hint="Such as www.example.com; *.example.com needs a certificate of your own." input=${{ autofocus: true, placeholder: 'www.example.com', inputMode: 'url' }} />
		${listening.length > 1 && html`<${Choice} label="Leads to" value=${component} onValue=${setComponent} options=${[every, ...listening.map((one) => one.name)]} />`}
	</${FormDialog}>`;
}

/** @param {{domain: hks.Domain, onClose: () => void}} props */
export function CertificateDialog({ domain, onClose }) {
	const [certificate, setCertificate] = useState('');
	const [key, setKey] = useState('');
	const own = domain.certificate.source === 'own';
	const run = async () => {
		const now = await api.putCertificate(domain.host, certificate, key);
		putDomain(now.host, now);
		toast({ kind: 'success', message: `${now.name} has your certificate.` });
	};
	const drop = async () => {
		const now = await api.dropCertificate(domain.host);
		putDomain(now.host, now);
		onClose();
	};
	const take = (/** @type {(text: string) => void} */ set) => async (/** @type {any} */ event) => set(await event.target.files[0]?.text() || '');
	return html`<${FormDialog} title=${`A certificate of your own for ${domain.name}`} action="Use it" command=${commands.certificate(domain.host)} run=${run} ready=${certificate !== '' && key !== ''} onClose=${onClose}>
		<p>PEM files: the certificate first, then its chain, and the key that belongs to it. The key is sealed and never shown again. You renew it; hks warns two weeks before it ends.</p>
		<div class="field"><label for="own-certificate">Certificate and chain</label><input id="own-certificate" type="file" accept=".pem,.crt,.cer" onChange=${take(setCertificate)} /></div>
		<div class="field"><label for="own-key">Key</label><input id="own-key" type="file" accept=".pem,.key" onChange=${take(setKey)} /></div>
		${own && html`<p><button type="button" class="button small" onClick=${drop}>Let go of the one in use</button></p>`}
	</${FormDialog}>`;
}

/** @param {{domain: hks.Domain, onClose: () => void}} props */
export function RemoveDomainDialog({ domain, onClose }) {
	const [typed, setTyped] = useState('');
	const run = async () => {
		await api.removeDomain(domain.host);
		putDomain(domain.host, undefined);
		toast({ kind: 'success', message: `${domain.name} no longer leads to ${domain.app}.` });
	};
	return html`<${FormDialog} title=${`Remove ${domain.name}?`} action="Remove" danger command=${commands.domain('remove', domain.host)} run=${run} ready=${typed === domain.name} onClose=${onClose}>
		<p>It stops leading to ${domain.app} in ${domain.environment} at once. The app and its other hosts stay as they are.</p>
		<${Field} label=${html`Type <strong>${domain.name}</strong> to confirm`} value=${typed} onValue=${setTyped} input=${{ autofocus: true }} />
	</${FormDialog}>`;
}
