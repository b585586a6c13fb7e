import { sentence } from '../format.js';
import { html } from '../html.js';
import { Status } from './status.js';

/** @param {{parts: hks.Part[]}} props */
export function SystemParts({ parts }) {
	return html`<ul class="parts">
		${parts.map((part) => html`<li key=${part.name}>
			<strong>${part.name}</strong>
			<${Status} status=${part.healthy ? 'healthy' : 'unhealthy'} />
			<span class="muted">${part.message ? sentence(part.message) : part.version || ''}</span>
		</li>`)}
	</ul>`;
}
