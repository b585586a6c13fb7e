import { useState } from '../vendor/hooks.js';
import { api } from '../api.js';
import { hidden } from '../commands.js';
import { html } from '../html.js';
import { toast } from '../store.js';
import { count } from '../format.js';
import { Field } from './field.js';
import { FormDialog } from './form-dialog.js';

/** @type {[hks.ChannelKind, string, string][]} */
export const channelKinds = [
	['slack-webhook', 'Slack, by an incoming webhook', 'Text only. Slack gives the address when you add the app Incoming Webhooks to a channel.'],
	['slack-bot', 'Slack, by an app of your own', 'With charts, edits and threads. The app needs the rights chat:write and files:write, and an invitation to the channel.'],
	['email', 'E-mail', 'By a mail server that takes mail from here.'],
	['webhook', 'A webhook', 'Each report as JSON, posted to an address.'],
];

/** @param {hks.Channel | undefined} channel */
const draftOf = (channel) => ({
	name: channel?.name || '', kind: channel?.kind || 'slack-webhook', url: channel?.url || '', token: channel?.token || '', target: channel?.target || '', api: channel?.api || '', server: channel?.server || '',
	username: channel?.username || '', password: channel?.password || '', from: channel?.from || '', to: channel?.to || '', security: channel?.security || 'starttls',
});

/** Only what belongs to the kind is kept. @type {Record<hks.ChannelKind, string[]>} */
const belongs = { 'slack-webhook': ['url'], 'slack-bot': ['token', 'target', 'api'], webhook: ['url'], email: ['server', 'username', 'password', 'from', 'to', 'security'] };

/** @param {ReturnType<typeof draftOf>} form */
function twinOf(form) {
	const words = [`hks notify add ${form.name || 'NAME'} --${form.kind}`];
	if (form.kind === 'slack-bot') words.push(`--channel ${form.target || 'ID'}`);
	if (form.kind === 'email') words.push(`--smtp ${form.server || 'HOST:PORT'} --from ${form.from || 'ADDRESS'} --to ${form.to || 'ADDRESS'}${form.username ? ` --username ${form.username}` : ''}${form.security !== 'starttls' ? ` --security ${form.security}` : ''}`);
	return words.join(' ');
}

/** Adds a channel, or changes one; a secret that is left alone stays. @param {{channel?: hks.Channel, onDone: () => unknown, onClose: () => void}} props */
export function ChannelForm({ channel, onDone, onClose }) {
	const [form, setForm] = useState(draftOf(channel));
	const put = (/** @type {string} */ key) => (/** @type {string} */ value) => setForm((now) => ({ ...now, [key]: value }));
	const bind = (/** @type {'name' | 'url' | 'token' | 'target' | 'api' | 'server' | 'username' | 'password' | 'from' | 'to'} */ key) => ({ value: form[key], onValue: put(key) });
	const secret = (/** @type {'url' | 'token' | 'password'} */ key, /** @type {string} */ label, /** @type {string} */ hint, optional = false) => html`<${Field} label=${label} ...${bind(key)} type="password" optional=${optional}
		hint=${form[key] === hidden ? 'It is kept as it is unless you write another.' : hint} input=${{ autocomplete: 'new-password', onFocus: (/** @type {any} */ event) => event.target.value === hidden && event.target.select() }} />`;
	const run = async () => {
		/** @type {Record<string, string>} */
		const wanted = { name: form.name, kind: form.kind };
		for (const key of belongs[form.kind]) {
			const value = /** @type {any} */ (form)[key];
			if (value && !(key === 'password' && !form.username)) wanted[key] = value;
		}
		await api.putChannel(/** @type {Partial<hks.Channel>} */ (wanted));
		toast({ kind: 'success', message: `Reports go to ${form.name}.`, detail: 'Send a test to see one arrive.' });
		await onDone();
	};
	const complete = { 'slack-webhook': form.url, 'slack-bot': form.token && form.target, webhook: form.url, email: form.server && form.from && form.to && (!form.username || form.password) }[form.kind];
	return html`<${FormDialog} title=${channel ? `Edit ${channel.name}` : 'Add a channel'} action=${channel ? 'Save' : 'Add'} command=${`${twinOf(form)}${channel ? ' --replace' : ''}`} run=${run} onClose=${onClose} ready=${Boolean(form.name && complete)}>
		${!channel && html`<${Field} label="Name" ...${bind('name')} hint="Lower-case letters, digits and dashes, such as team." input=${{ autofocus: true }} />
			<div class="field"><label for="channel-kind">Kind</label>
				<select id="channel-kind" value=${form.kind} aria-describedby="channel-kind-told" onChange=${(/** @type {any} */ event) => put('kind')(event.target.value)}>${channelKinds.map(([kind, label]) => html`<option key=${kind} value=${kind}>${label}</option>`)}</select>
				<p id="channel-kind-told" class="field-hint">${channelKinds.find(([kind]) => kind === form.kind)?.[2]}</p></div>`}
		${belongs[form.kind].includes('url') && secret('url', 'Address', form.kind === 'webhook' ? 'It begins with https:// and is kept as a secret.' : 'It begins with https://hooks.slack.com/ and is kept as a secret.')}
		${form.kind === 'slack-bot' && html`${secret('token', 'Bot token', 'It begins with xoxb- and is kept as a secret.')}
			<${Field} label="Channel id" ...${bind('target')} hint="At the end of the channel's details in Slack, such as C0123456789." />
			<${Field} label="Address of the API" ...${bind('api')} optional hint="Only where Slack is reached by another one." />`}
		${form.kind === 'email' && html`<${Field} label="Mail server" ...${bind('server')} hint="Host and port, such as mail.example.com:587." />
			<div class="field"><label for="channel-security">Security</label>
				<select id="channel-security" value=${form.security} onChange=${(/** @type {any} */ event) => put('security')(event.target.value)}>${[['starttls', 'STARTTLS'], ['tls', 'TLS from the first byte'], ['none', 'none']].map(([value, label]) => html`<option key=${value} value=${value}>${label}</option>`)}</select></div>
			<${Field} label="From" ...${bind('from')} type="email" /><${Field} label="To" ...${bind('to')} type="email" />
			<${Field} label="User name" ...${bind('username')} optional />
			${form.username && secret('password', 'Password', 'It is kept as a secret.')}`}
	</${FormDialog}>`;
}

/** @param {{channel: hks.Channel, onDone: () => unknown, onClose: () => void}} props */
export function RemoveChannelDialog({ channel, onDone, onClose }) {
	const [typed, setTyped] = useState('');
	const run = async () => {
		await api.deleteChannel(channel.name);
		toast({ kind: 'success', message: `No more reports go to ${channel.name}.` });
		await onDone();
	};
	return html`<${FormDialog} title=${`Remove ${channel.name}?`} action="Remove" danger command=${`hks notify remove ${channel.name}`} run=${run} onClose=${onClose} ready=${typed === channel.name}>
		<p>Its secret is forgotten${channel.waiting ? `, and ${count(channel.waiting, 'report')} that wait for it are not sent` : ''}.</p>
		<${Field} label=${`Type ${channel.name} to confirm`} value=${typed} onValue=${setTyped} />
	</${FormDialog}>`;
}
