import { useEffect, useState } from '../vendor/hooks.js';
import { tell } from '../actions.js';
import { api, ApiError } from '../api.js';
import { ChannelForm, RemoveChannelDialog, channelKinds } from '../components/channel-dialogs.js';
import { Cli } from '../components/cli.js';
import { Icon } from '../components/icon.js';
import { Problem } from '../components/problem.js';
import { Status } from '../components/status.js';
import { Time } from '../components/time.js';
import { count } from '../format.js';
import { html } from '../html.js';
import { toast, useStore } from '../store.js';
import { useTitle } from '../title.js';

const period = 10_000;

/** Where reports go, how the channels are, and what waits. */
export function NotificationsView() {
	const reported = useStore((state) => state.reported);
	const incidents = useStore((state) => state.incidents);
	const [channels, setChannels] = useState(/** @type {hks.Channel[] | null} */ (null));
	const [reports, setReports] = useState(/** @type {hks.ReportDelivery[]} */ ([]));
	const [error, setError] = useState(/** @type {ApiError | null} */ (null));
	const [form, setForm] = useState(/** @type {hks.Channel | 'new' | null} */ (null));
	const [leaving, setLeaving] = useState(/** @type {hks.Channel | null} */ (null));
	const [busy, setBusy] = useState('');
	useTitle('Notifications');
	const list = () => Promise.all([api.channels(), api.reports()]).then(([found, sent]) => { setChannels(found || []); setReports(sent || []); setError(null); }, (cause) => {
		if (!(cause instanceof ApiError)) throw cause;
		setError(cause);
	});
	useEffect(() => {
		void list();
		const timer = setInterval(() => document.hidden || list(), period);
		return () => clearInterval(timer);
	}, [reported, incidents]);
	const test = async (/** @type {hks.Channel} */ channel) => {
		setBusy(channel.name);
		try {
			await api.testChannel(channel.name);
			toast({ kind: 'success', message: `${channel.name} took the report.` });
		} catch (cause) {
			tell(cause);
		}
		setBusy('');
		await list();
	};
	const retry = async (/** @type {string} */ name) => {
		try {
			const { retried } = await api.retryReports(name);
			toast({ kind: 'info', message: retried ? `${count(retried, 'report')} tried again now.` : 'No report waits.' });
			await list();
		} catch (cause) {
			tell(cause);
		}
	};
	const waiting = reports.filter((report) => report.state !== 'sent');
	return html`
		<header class="page-head">
			<div><h1>Notifications</h1><p class="muted">Where reports of <a href="/incidents">incidents</a> go. A report waits here until its channel took it.</p></div>
			<button type="button" class="button primary" onClick=${() => setForm('new')}><${Icon} name="plus" />Add a channel</button>
		</header>
		${error && html`<${Problem} message=${error.message} fix=${error.fix} code=${error.code} retry=${channels ? undefined : list} />`}
		${(channels || []).map((channel) => html`<section class="card" key=${channel.name} aria-label=${`Channel ${channel.name}`}>
			<header class="card-head">
				<h2>${channel.name}</h2><${Status} status=${channel.failure ? 'failed' : 'ready'} />
				<span class="muted">${channelKinds.find(([kind]) => kind === channel.kind)?.[1] || channel.kind}</span>
				<span class="spacer"></span>
				<button type="button" class="button small" disabled=${busy === channel.name} onClick=${() => test(channel)}>${busy === channel.name ? 'One moment…' : 'Send a test'}</button>
				<button type="button" class="button small" onClick=${() => setForm(channel)}>Edit</button>
				<button type="button" class="button small" onClick=${() => setLeaving(channel)}>Remove</button>
			</header>
			<div class="card-body"><dl class="facts">
				<div><dt>To</dt><dd>${channel.target || channel.to || 'a secret address'}</dd></div>
				<div><dt>Last sent</dt><dd><${Time} at=${channel.lastSent} never="nothing yet" /></dd></div>
				<div><dt>Waiting</dt><dd>${count(channel.waiting, 'report')}</dd></div>
			</dl></div>
			${channel.failure && html`<${Problem} message=${channel.failure} fix=${`When it is mended: hks notify test ${channel.name}`} />`}
		</section>`)}
		${channels && channels.length === 0 && html`<section class="card"><p class="card-note muted">Reports go nowhere yet: incidents show here only.</p><div class="card-body"><${Cli} command="hks notify add team --slack-webhook" /></div></section>`}
		${reports.length > 0 && html`<section class="card" aria-labelledby="queue-title">
			<header class="card-head"><h2 id="queue-title">Reports</h2><span class="muted">${waiting.length > 0 ? `${count(waiting.length, 'report')} not sent` : 'all of them were sent'}</span><span class="spacer"></span>
				${waiting.length > 0 && html`<button type="button" class="button small" onClick=${() => retry('')}><${Icon} name="restart" />Try all again</button>`}</header>
			<table class="plain" role="table" aria-label="Reports">
				<thead role="rowgroup"><tr role="row">${['Report', 'Channel', 'State', 'Tries', 'When'].map((head) => html`<th role="columnheader" scope="col" key=${head}>${head}</th>`)}</tr></thead>
				<tbody role="rowgroup">${reports.map((report) => html`<tr role="row" key=${report.id}>
					<td role="cell" class="cell-name cell-wide">${report.incident ? html`<a class="row-link" href=${`/incidents/${report.incident}`}>${report.kind}</a>` : html`<strong>${report.kind} </strong>`}<span>${report.text}</span>${report.failure && report.state !== 'sent' && html`<span class="why">${report.failure}</span>`}</td>
					<td role="cell" data-label="Channel">${report.channel}</td>
					<td role="cell" data-label="State"><${Status} status=${report.state} /></td>
					<td role="cell" data-label="Tries" class="number">${report.attempts}</td>
					<td role="cell" data-label="When" class="number">${report.state === 'waiting' ? html`next <${Time} at=${report.nextAt} never="now" />` : html`<${Time} at=${report.state === 'sent' ? report.sentAt : report.createdAt} />`}</td>
				</tr>`)}</tbody>
			</table>
		</section>`}
		${form && html`<${ChannelForm} channel=${form === 'new' ? undefined : form} onDone=${list} onClose=${() => setForm(null)} />`}
		${leaving && html`<${RemoveChannelDialog} channel=${leaving} onDone=${list} onClose=${() => setLeaving(null)} />`}`;
}
