import { html } from '../html.js';

/** What a status means for the eye. @type {Record<string, string>} */
const tones = {
	running: 'good', ready: 'good', succeeded: 'good', healthy: 'good', live: 'good', valid: 'good', resolved: 'good', sent: 'good',
	deploying: 'busy', updating: 'busy', creating: 'busy', renaming: 'busy', stopping: 'busy', deleting: 'busy', pulling: 'busy', starting: 'busy', checking: 'busy', asking: 'busy',
	provisioning: 'busy', installing: 'busy', draining: 'busy', removing: 'busy',
	pending: 'warn', waiting: 'warn', warning: 'warn', acknowledged: 'warn', maintenance: 'warn', reconnecting: 'warn', connecting: 'busy',
	error: 'bad', failed: 'bad', crashed: 'bad', unhealthy: 'bad', critical: 'bad', open: 'bad',
};

/** @param {{status: string, label?: string}} props */
export function Status({ status, label = status }) {
	return html`<span class="pill ${tones[status] || 'idle'}"><i class="dot" aria-hidden="true"></i>${label}</span>`;
}

/** A build that runs is not at its end, as an app is. @param {{status: hks.RunStatus}} props */
export const BuildStatus = ({ status }) => html`<${Status} status=${status === 'running' ? 'updating' : status} label=${status} />`;
