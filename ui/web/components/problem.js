import { sentence } from '../format.js';
import { html } from '../html.js';
import { Fix } from './fix.js';
import { Icon } from './icon.js';

/**
 * What went wrong, why, and what to do.
 * @param {{message: string, fix?: string, code?: string, tone?: 'bad' | 'warn', retry?: () => void, children?: any}} props
 */
export function Problem({ message, fix, code, tone = 'bad', retry, children }) {
	return html`<div class="problem ${tone}" role="alert">
		<${Icon} name=${tone === 'bad' ? 'error' : 'warning'} />
		<div class="problem-text">
			<p class="problem-message">${sentence(message)}${code && html` <span class="code-tag">${code}</span>`}</p>
			${children}
			${fix && html`<${Fix} text=${fix} />`}
		</div>
		${retry && html`<button type="button" class="button small" onClick=${retry}><${Icon} name="restart" />Try again</button>`}
	</div>`;
}
