import { useState } from '../vendor/hooks.js';
import { copy } from '../clipboard.js';
import { html } from '../html.js';
import { Icon } from './icon.js';

/**
 * An action and its twin on the command line: the left part acts, the right
 * part copies the command.
 * @param {{action: import('../actions.js').Action}} props
 */
export function ActionButton({ action }) {
	const [busy, setBusy] = useState(false);
	const act = async () => {
		setBusy(true);
		await action.run();
		setBusy(false);
	};
	return html`<span class="split ${action.danger ? 'danger' : ''}" role="group" aria-label=${action.label}>
		<button type="button" class="button" disabled=${busy} onClick=${act}><${Icon} name=${action.icon} />${action.label}</button>
		<button type="button" class="button twin" aria-label=${`Copy command: ${action.cli}`} data-tip=${action.cli} onClick=${() => copy(action.cli, 'Command')}>
			<${Icon} name="terminal" />
		</button>
	</span>`;
}
