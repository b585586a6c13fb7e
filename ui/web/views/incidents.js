import { useEffect, useState } from '../vendor/hooks.js';
import { tell } from '../actions.js';
import { api, ApiError } from '../api.js';
import { IncidentStatus, SilenceDialog, subjectName } from '../components/incident-parts.js';
import { Problem } from '../components/problem.js';
import { Status } from '../components/status.js';
import { Time } from '../components/time.js';
import { html } from '../html.js';
import { incidentLink } from '../router.js';
import { goesOn, toast, useStore } from '../store.js';
import { useTitle } from '../title.js';

const pendingPeriod = 15_000;

/** @type {['open' | 'pending' | 'resolved', string, string][]} */
const groups = [
	['open', 'Open', 'Nothing is wrong. What is found to be wrong shows here, and is reported to the channels.'],
	['pending', 'Not sure yet', 'Nothing looks as if it could become an incident.'],
	['resolved', 'Over', 'There has been no incident yet.'],
];

/** @param {hks.Silence} silence a fingerprint is app/web/production|workload|container|memory-leak */
function silenceName({ fingerprint, detector, subject }) {
	const parts = (fingerprint || '').split('|');
	return fingerprint ? `${parts[parts.length - 1]} of ${parts[0]}` : [detector, subject].filter(Boolean).join(' of ');
}

/** What went wrong, what could, and what is over. */
export function IncidentsView() {
	const known = useStore((state) => state.incidents);
	const [all, setAll] = useState(/** @type {hks.Incident[] | null} */ (null));
	const [silences, setSilences] = useState(/** @type {hks.Silence[]} */ ([]));
	const [error, setError] = useState(/** @type {ApiError | null} */ (null));
	const [group, setGroup] = useState(groups[0][0]);
	const [silencing, setSilencing] = useState(false);
	useTitle('Incidents');
	const list = () => Promise.all([api.incidents(true), api.silences()]).then(([found, quiet]) => { setAll(found || []); setSilences(quiet || []); setError(null); }, (cause) => {
		if (!(cause instanceof ApiError)) throw cause;
		setError(cause);
	});
	useEffect(() => {
		void list(); // the event stream tells of each change, but not of what is not sure yet
		const timer = setInterval(() => document.hidden || list(), pendingPeriod);
		return () => clearInterval(timer);
	}, [known]);
	const inGroup = (/** @type {hks.Incident} */ incident, /** @type {string} */ name) => (name === 'pending' ? incident.status === 'pending' : name === 'open' ? goesOn(incident) && incident.status !== 'pending' : !goesOn(incident));
	const shown = (all || []).filter((incident) => inGroup(incident, group));
	const end = async (/** @type {hks.Silence} */ silence) => {
		try {
			await api.unsilence(silence.id);
			toast({ kind: 'success', message: 'Reports are sent again.' });
			await list();
		} catch (cause) {
			tell(cause);
		}
	};
	return html`
		<header class="page-head">
			<div><h1>Incidents</h1><p class="muted">What went wrong, why, and what to do about it.</p></div>
			<div class="actions"><button type="button" class="button" onClick=${() => setSilencing(true)}>Silence…</button><a class="button" href="/notifications">Notifications</a></div>
		</header>
		${error && html`<${Problem} message=${error.message} fix=${error.fix} code=${error.code} retry=${all ? undefined : list} />`}
		<section class="card" aria-label="Incidents">
			<header class="card-head">
				<div class="segments small" role="group" aria-label="Which incidents">
					${groups.map(([name, label]) => html`<button type="button" key=${name} aria-pressed=${name === group ? 'true' : 'false'} onClick=${() => setGroup(name)}>${label}${all ? ` (${all.filter((incident) => inGroup(incident, name)).length})` : ''}</button>`)}
				</div>
			</header>
			${all && shown.length === 0 && html`<p class="card-note muted">${groups.find(([name]) => name === group)?.[2]}</p>`}
			${shown.length > 0 && html`<table class="plain" role="table" aria-label="Incidents">
				<thead role="rowgroup"><tr role="row">${['Incident', 'State', 'Severity', 'Since', group === 'resolved' ? 'Over' : 'Told'].map((head) => html`<th role="columnheader" scope="col" key=${head}>${head}</th>`)}</tr></thead>
				<tbody role="rowgroup">${shown.map((incident) => html`<tr role="row" key=${incident.fingerprint + incident.id}>
					<td role="cell" class="cell-name cell-wide">${incident.id ? html`<a class="row-link" href=${incidentLink(incident)}>${incident.title}</a>` : html`<strong>${incident.title}</strong>`}<span class="about">${subjectName(incident.subject)} · ${incident.summary}</span></td>
					<td role="cell" data-label="State" class="cell-wide"><${IncidentStatus} incident=${incident} /></td>
					<td role="cell" data-label="Severity"><${Status} status=${incident.severity} /></td>
					<td role="cell" data-label="Since" class="number"><${Time} at=${incident.since} /></td>
					<td role="cell" data-label=${group === 'resolved' ? 'Over' : 'Told'}>${group === 'resolved' ? html`<${Time} at=${incident.resolvedAt} never="–" />` : incident.quiet || (incident.status === 'pending' ? 'not yet' : 'yes')}</td>
				</tr>`)}</tbody>
			</table>`}
		</section>
		${silences.length > 0 && html`<section class="card" aria-labelledby="silences-title">
			<header class="card-head"><h2 id="silences-title">Silences</h2><span class="muted">no reports are sent of these</span></header>
			<ul class="files">${silences.map((silence) => html`<li key=${silence.id}>
				<div><strong>${silenceName(silence)}</strong><p class="muted">ends <${Time} at=${silence.until} />, by ${silence.by}${silence.reason ? `: ${silence.reason}` : ''}</p></div>
				<button type="button" class="button small" aria-label=${`End the silence of ${silenceName(silence)}`} onClick=${() => end(silence)}>End it</button>
			</li>`)}</ul>
		</section>`}
		${silencing && html`<${SilenceDialog} onDone=${list} onClose=${() => setSilencing(false)} />`}`;
}
