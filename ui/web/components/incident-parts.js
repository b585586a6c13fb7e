import { useState } from '../vendor/hooks.js';
import { api } from '../api.js';
import { known } from '../format.js';
import { html } from '../html.js';
import { appLink } from '../router.js';
import { toast } from '../store.js';
import { Field } from './field.js';
import { FormDialog } from './form-dialog.js';
import { Status } from './status.js';

/** How an incident stands. @param {{incident: hks.Incident}} props */
export function IncidentStatus({ incident }) {
	return html`<${Status} status=${incident.status === 'firing' ? (known(incident.ackedAt) ? 'acknowledged' : 'open') : incident.status} />`;
}

/** @param {hks.IncidentSubject} subject as the commands name it */
export const subjectName = ({ kind, name, environment }) => `${kind}${name ? ` ${name}` : ''}${environment ? `/${environment}` : ''}`;

/** What an incident is about, with the way there. @param {{subject: hks.IncidentSubject}} props */
export function SubjectLink({ subject }) {
	const { kind, name = '', environment = '' } = subject;
	const words = subjectName(subject);
	if (kind === 'app') return html`<a href=${appLink({ name, environment })}>${words}</a>`;
	if (kind === 'service') return html`<a href=${`/services/${name}`}>${words}</a>`;
	/** @type {Record<string, string>} */
	const screens = { function: '/functions', cron: '/cron', pipeline: '/pipelines', node: '/nodes' };
	return screens[kind] ? html`<a href=${screens[kind]}>${words}</a>` : words;
}

const hour = 3600e9; // durations are in nanoseconds

/** @type {[string, number][]} */
const whiles = [['1 hour', hour], ['24 hours', 24 * hour], ['7 days', 168 * hour], ['30 days', 720 * hour]];

/** The command's words for a while. @param {number} length */
const spoken = (length) => (length > 24 * hour ? `${length / hour / 24}d` : `${length / hour}h`);

/**
 * Sends no reports for a while: of one incident, or of what is named.
 * @param {{incident?: hks.Incident, onDone: () => unknown, onClose: () => void}} props
 */
export function SilenceDialog({ incident, onDone, onClose }) {
	const [subject, setSubject] = useState('');
	const [detector, setDetector] = useState('');
	const [reason, setReason] = useState('');
	const [length, setLength] = useState(24 * hour);
	const run = async () => {
		await api.silence({ ...(incident ? { incident: incident.id } : { subject, detector }), reason, for: length });
		toast({ kind: 'success', message: 'No reports of it for a while. It is still shown here.' });
		await onDone();
	};
	const words = incident ? ` ${incident.id}` : `${subject && ` --subject '${subject}'`}${detector && ` --detector ${detector}`}`;
	return html`<${FormDialog} title=${incident ? `Silence incident ${incident.id}?` : 'Silence'} action="Silence" run=${run} onClose=${onClose} ready=${Boolean(incident || subject || detector)}
		command=${`hks incidents silence${words} --for ${spoken(length)}${reason && ` --reason '${reason.replaceAll("'", `'\\''`)}'`}`}>
		<p>${incident ? html`No reports of <strong>${incident.title}</strong> are sent. It stays on the screens.` : 'No reports of what is named are sent. Incidents are still opened and shown.'}</p>
		${!incident && html`<${Field} label="Subject" value=${subject} onValue=${setSubject} optional hint="Such as app web/production, service db, node hks." />
			<${Field} label="Kind of trouble" value=${detector} onValue=${setDetector} optional hint="Such as memory-leak, crash-loop, latency." />`}
		<div class="field"><label for="silence-for">For</label>
			<select id="silence-for" value=${String(length)} onChange=${(/** @type {any} */ event) => setLength(Number(event.target.value))}>${whiles.map(([label, value]) => html`<option key=${value} value=${String(value)}>${label}</option>`)}</select></div>
		<${Field} label="Why" value=${reason} onValue=${setReason} optional hint="For whoever reads it later." />
	</${FormDialog}>`;
}
