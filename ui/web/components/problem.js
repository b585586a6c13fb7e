import { html } from '../html.js';
import { Icon } from './icon.js';

/** Parts in backquotes are commands. @param {string} text */
function withCommands(text) {
	return text.split('`').map((part, i) => (i % 2 ? html`<code>${part}</code>` : part));
}

/**
 * What went wrong, why, and what to do.
 * @param {{message: string, fix?: string, code?: string, tone?: 'bad' | 'warn', retry?: () => void, children?: any}} props
 */
export function Problem({ message, fix, code, tone = 'bad', retry, children }) {
	return html`<div class="problem ${tone}" role="alert">
		<${Icon} name=${tone === 'bad' ? 'error' : 'warning'} />
		<div class="problem-text">
			<p class="problem-message">${withCommands(message)}${code && html` <span class="code-tag">${code}</span>`}</p>
			${fix && html`<p class="problem-fix">${withCommands(fix)}</p>`}
			${children}
		</div>
		${retry && html`<button type="button" class="button small" onClick=${retry}><${Icon} name="restart" />Try again</button>`}
	</div>`;
}
