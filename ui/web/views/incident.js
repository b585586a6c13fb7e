import { useEffect, useMemo, useState } from '../vendor/hooks.js';
import { tell } from '../actions.js';
import { api, ApiError } from '../api.js';
import { CopyButton } from '../components/copy-button.js';
import { Chart } from '../components/chart.js';
import { Fix } from '../components/fix.js';
import { Icon } from '../components/icon.js';
import { IncidentStatus, SilenceDialog, SubjectLink, subjectName } from '../components/incident-parts.js';
import { Problem } from '../components/problem.js';
import { RemedyDialog } from '../components/remedy-dialog.js';
import { Status } from '../components/status.js';
import { Time } from '../components/time.js';
import { releaseMarks, seriesNamed, seriesPoints } from '../components/usage.js';
import { absolute, count, duration, known } from '../format.js';
import { html } from '../html.js';
import { appLink } from '../router.js';
import { get, goesOn, keyOf, set, toast, useStore } from '../store.js';
import { useTitle } from '../title.js';

/** The figures that show each kind of trouble, by detector. @type {Record<string, [string, string]>} */
const drawn = {
	'memory-leak': ['memory', 'Memory'], 'oom-loop': ['memory', 'Memory'], 'oom-killed': ['memory', 'Memory'], 'node-pressure': ['memory', 'Memory'],
	latency: ['p95', '95 % answered within'], errors: ['errors', 'Errors'], 'volume-full': ['used', 'Disk'], 'disk-full': ['used', 'Disk'],
};
const period = 30_000;

/** One incident: its evidence, its cause, and the ways out. @param {{name: string}} props its number */
export function IncidentView({ name }) {
	const id = Number(name);
	const told = useStore((state) => state.incidents?.find((one) => one.id === id)?.updatedAt);
	const [incident, setIncident] = useState(/** @type {hks.Incident | null} */ (null));
	const [error, setError] = useState(/** @type {ApiError | null} */ (null));
	const [silencing, setSilencing] = useState(false);
	const [remedy, setRemedy] = useState(/** @type {hks.Remedy | null} */ (null));
	useTitle(incident ? incident.title : `Incident ${id}`);
	const load = () => api.incident(id).then((found) => { setIncident(found); setError(null); }, (cause) => {
		if (!(cause instanceof ApiError)) throw cause;
		setError(cause);
	});
	useEffect(() => void load(), [id, told]);
	const back = html`<p><a class="back" href="/incidents"><${Icon} name="back" />Incidents</a></p>`;
	if (!incident) {
		if (!error) return html`${back}<header class="page-head"><h1>Incident ${id}</h1></header>`;
		return html`${back}<${Problem} message=${error.message} fix=${error.fix} code=${error.code} retry=${error.status === 404 ? undefined : load} />`;
	}
	const change = async (/** @type {'ack' | 'resolve' | 'accept'} */ verb, /** @type {string} */ said) => {
		try {
			setIncident(await api.changeIncident(id, verb));
			toast({ kind: 'success', message: said });
		} catch (cause) {
			tell(cause);
		}
	};
	const open = goesOn(incident);
	const aboutMemory = incident.detector === 'memory-leak' || incident.detector === 'oom-loop';
	return html`
		${back}
		<header class="app-head">
			<div class="app-title"><h1>${incident.title}</h1><${IncidentStatus} incident=${incident} /><${Status} status=${incident.severity} /></div>
			<p>${incident.summary}</p>
			<p class="app-facts muted">
				<span>Incident <strong>${incident.id}</strong></span>
				<span><${SubjectLink} subject=${incident.subject} /></span>
				${incident.subject.component && html`<span>component <code>${incident.subject.component}</code></span>`}
				${incident.subject.pod && html`<span>instance <code>${incident.subject.pod}</code></span>`}
				<span>since <${Time} at=${incident.since} /></span>
				${known(incident.resolvedAt) && html`<span>over <${Time} at=${incident.resolvedAt} />, after ${duration(Date.parse(String(incident.resolvedAt)) - Date.parse(incident.openedAt))}</span>`}
				${known(incident.ackedAt) && html`<span>acknowledged by ${incident.ackedBy}, <${Time} at=${incident.ackedAt} /></span>`}
				${open && incident.timeToLimit && html`<span>at its limit in <strong>${duration(incident.timeToLimit / 1e6)}</strong></span>`}
				${incident.confidence && html`<span>${Math.round(incident.confidence * 100)} % sure</span>`}
				${incident.reopened && html`<span>came back ${count(incident.reopened, 'time')}</span>`}
				${incident.quiet && html`<span>nobody was told: ${incident.quiet}</span>`}
			</p>
			${open && html`<div class="actions">
				${!known(incident.ackedAt) && html`<button type="button" class="button" onClick=${() => change('ack', 'Acknowledged: no more reminders.')}><${Icon} name="check" />Acknowledge</button>`}
				<button type="button" class="button" onClick=${() => setSilencing(true)}><${Icon} name="pause" />Silence…</button>
				<button type="button" class="button" onClick=${() => change('resolve', 'The incident is over. It opens again when the trouble comes back.')}>Resolve</button>
				${aboutMemory && html`<button type="button" class="button" onClick=${() => change('accept', 'Remembered: this growth is meant.')}>Not a leak</button>`}
			</div>`}
		</header>
		${incident.cause && html`<p class="problem warn" role="note"><span class="problem-text">It comes from <a href=${`/incidents/${incident.cause}`}>incident ${incident.cause}</a>.</span></p>`}
		<${Figures} incident=${incident} />
		<div class="columns">
			<section class="card" aria-labelledby="evidence-title">
				<header class="card-head"><h2 id="evidence-title">Evidence</h2></header>
				<ul class="evidence">${incident.evidence.map((fact) => html`<li key=${fact.name}><p><span class="muted">${fact.name}</span> <strong>${fact.value}</strong></p>${fact.why && html`<p class="muted">${fact.why}</p>`}</li>`)}</ul>
				${(incident.ruledOut || []).length > 0 && html`<div class="card-body ruled-out"><h3 class="small">Ruled out</h3><ul>${(incident.ruledOut || []).map((one) => html`<li key=${one}>${one}</li>`)}</ul></div>`}
			</section>
			<section class="card" aria-labelledby="remedies-title">
				<header class="card-head"><h2 id="remedies-title">What to do</h2><span class="muted">the safest first</span></header>
				<ol class="evidence">${incident.remedies.map((one) => html`<li key=${one.title}>
					<p><strong>${one.title}</strong></p>
					${one.command && html`<p class="remedy-command"><code>${one.command}</code><${CopyButton} text=${one.command} what="command" /></p>`}
					${one.kubectl && html`<p class="remedy-command muted"><code>${one.kubectl}</code><${CopyButton} text=${one.kubectl} what="kubectl command" /></p>`}
					${one.action && open && html`<p><button type="button" class="button small" aria-label=${`Do it: ${one.title}`} onClick=${() => setRemedy(one)}>Do it…</button></p>`}
				</li>`)}${incident.remedies.length === 0 && html`<li class="muted">There is no known way out.</li>`}</ol>
			</section>
		</div>
		${incident.change && html`<section class="card" aria-labelledby="change-title">
			<header class="card-head"><h2 id="change-title">Changed just before</h2></header>
			<p class="card-note"><a href=${appLink({ name: String(incident.subject.name), environment: String(incident.subject.environment) })}>Release ${incident.change.release}</a>, ${incident.change.why} by ${incident.change.by}, <${Time} at=${incident.change.at} />${incident.change.before ? `; release ${incident.change.before} served before.` : '.'}</p>
		</section>`}
		${incident.explanation && html`<section class="card" aria-labelledby="explanation-title">
			<header class="card-head"><h2 id="explanation-title">In plain words</h2><span class="muted">by a language model, from the evidence above; it may be wrong</span></header>
			<p class="card-note">${incident.explanation}</p>
		</section>`}
		${(incident.logs || []).length > 0 && html`<section class="card" aria-labelledby="lines-title">
			<header class="card-head"><h2 id="lines-title">Last lines</h2></header>
			<pre class="terminal lines" tabindex="0" aria-label="Last lines">${(incident.logs || []).join('\n')}</pre>
			${incident.subject.kind === 'app' && html`<div class="card-body"><${Fix} text=${`More of it: hks logs ${incident.subject.name}${incident.subject.environment === 'production' ? ' --environment production' : ''}`} /></div>`}
		</section>`}
		${(incident.timeline || []).length > 0 && html`<section class="card" aria-labelledby="timeline-title">
			<header class="card-head"><h2 id="timeline-title">Timeline</h2></header>
			<ol class="activity">${(incident.timeline || []).map((note) => html`<li key=${note.at + note.text}><i class="dot" aria-hidden="true"></i><p>${note.text}${note.by ? ` by ${note.by}` : ''}</p><time datetime=${note.at} title=${absolute(note.at)}>${absolute(note.at)}</time></li>`)}</ol>
		</section>`}
		${silencing && html`<${SilenceDialog} incident=${incident} onDone=${load} onClose=${() => setSilencing(false)} />`}
		${remedy && html`<${RemedyDialog} remedy=${remedy} subject=${subjectName(incident.subject)} onClose=${() => setRemedy(null)} />`}`;
}

/** The figures that show the trouble, from a while before it. @param {{incident: hks.Incident}} props */
function Figures({ incident }) {
	const [field, title] = drawn[incident.detector] || [];
	const { subject } = incident;
	const plotted = Boolean(field) && ['app', 'service', 'function', 'node'].includes(subject.kind);
	const [all, setAll] = useState(/** @type {hks.Series[] | null} */ (null));
	const app = { name: subject.name || '', environment: String(subject.environment || '') };
	const releases = useStore((state) => state.releases[keyOf(app)]);
	const limitOfApp = useStore((state) => state.apps?.[keyOf(app)]?.usage?.memoryLimit);
	const over = known(incident.resolvedAt) ? Date.parse(String(incident.resolvedAt)) : 0;
	const age = (Date.now() - Date.parse(incident.since)) / 1000;
	const seconds = [21_600, 86_400, 604_800, 2_592_000].find((one) => one > age * 1.2) || 2_592_000;
	useEffect(() => {
		if (!plotted) return undefined;
		const load = () => void (document.hidden || api.series(subject, `${seconds}s`).then((list) => setAll(list || []), () => setAll((before) => before || []))); // the page says enough without them
		load();
		if (subject.kind === 'app' && !releases) api.releases(app.name, app.environment).then((list) => set({ releases: { ...get().releases, [keyOf(app)]: list || [] } }), () => {});
		if (over) return undefined;
		const timer = setInterval(load, period);
		return () => clearInterval(timer);
	}, [incident.id, seconds, plotted]);
	const points = useMemo(() => seriesPoints(all || [], field), [all, field]);
	const marks = useMemo(() => {
		const change = incident.change && { at: Date.parse(incident.change.at), label: `#${incident.change.release}` };
		const known = releaseMarks(releases).filter((mark) => mark.label !== change?.label);
		const notes = (incident.timeline || []).filter((note) => /\brestart/.test(note.text)).map((note) => ({ at: Date.parse(note.at), label: 'restart' }));
		return [...(over ? [{ at: over, label: 'over' }] : []), { at: Date.parse(incident.openedAt), label: 'opened' }, ...notes, ...(change ? [change] : []), ...known].sort((a, b) => b.at - a.at);
	}, [incident, releases]);
	if (!plotted || !all) return null;
	const series = seriesNamed(all, field);
	const capacity = field === 'used' ? seriesPoints(all, 'capacity').at(-1)?.value : undefined;
	const limit = series?.limit || capacity || (field === 'memory' && limitOfApp) || 0;
	return html`<section class="card" aria-label="Figures"><div class="charts one">
		<${Chart} title=${title} points=${points} unit=${series?.unit || 'bytes'} limit=${limit} seconds=${seconds} marks=${marks} end=${over ? Math.min(Date.now(), over + 3_600_000) : undefined} empty="Nothing is kept of this while." />
	</div></section>`;
}
