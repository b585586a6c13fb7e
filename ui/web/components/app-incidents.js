import { html } from '../html.js';
import { incidentLink } from '../router.js';
import { goesOn, useStore } from '../store.js';
import { Icon } from './icon.js';
import { Time } from './time.js';

/** The incidents of an app that go on. @param {{app: hks.App}} props */
export function AppIncidents({ app }) {
	const incidents = useStore((state) => state.incidents);
	const own = (incidents || []).filter((incident) => goesOn(incident) && incident.subject.kind === 'app' && incident.subject.name === app.name && incident.subject.environment === app.environment);
	if (own.length === 0) return null;
	return html`<section class="card attention" aria-label="Open incidents"><ul>${own.map((incident) => html`<li key=${incident.id} class=${incident.severity === 'critical' ? 'bad' : 'warn'}>
		<${Icon} name=${incident.severity === 'critical' ? 'error' : 'warning'} />
		<div class="attention-text"><p><strong><a href=${incidentLink(incident)}>${incident.title}</a></strong></p><p class="soft">${incident.summary} Since <${Time} at=${incident.since} />.</p></div>
		<a class="button small" href=${incidentLink(incident)} aria-label=${`Look into it: ${incident.title}`}>Look into it</a>
	</li>`)}</ul></section>`;
}
