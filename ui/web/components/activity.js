import { html } from '../html.js';
import { Time } from './time.js';

/** @param {{activity: hks.Activity[], limit: number}} props */
export function ActivityList({ activity, limit }) {
	if (activity.length === 0) return html`<p class="card-note muted">Nothing has happened yet.</p>`;
	return html`<ol class="activity">
		${activity.slice(0, limit).map((entry) => html`<li key=${entry.time + entry.subject + entry.message} class=${entry.level}>
			<i class="dot" aria-hidden="true"></i>
			<p>${subject(entry.subject)} ${entry.message}${entry.by && html`<span class="muted"> by ${entry.by}</span>`}</p>
			<${Time} at=${entry.time} />
		</li>`)}
	</ol>`;
}

/** @param {string} subject */
function subject(subject) {
	if (/^[a-z][-a-z0-9]*\/(staging|production)$/.test(subject)) return html`<a href=${`/apps/${subject}`}>${subject}</a>`;
	return subject && html`<strong>${subject}</strong>`;
}
