import { useState } from '../vendor/hooks.js';
import { ApiError } from '../api.js';
import { html } from '../html.js';
import { closeDialog } from '../store.js';
import { Cli } from './cli.js';
import { Dialog } from './dialog.js';
import { Problem } from './problem.js';

/**
 * Asks, acts, and stays open with the reason when it did not work.
 * @param {{title: string, action: string, command: string, run: () => Promise<unknown>, danger?: boolean, ready?: boolean, onClose?: () => void, children?: any}} props
 */
export function FormDialog({ title, action, command, run, danger, ready = true, onClose = closeDialog, children }) {
	const [busy, setBusy] = useState(false);
	const [error, setError] = useState(/** @type {ApiError | null} */ (null));
	const submit = async (/** @type {Event} */ event) => {
		event.preventDefault();
		if (!ready || busy) return;
		setBusy(true);
		setError(null);
		try {
			await run();
			onClose();
		} catch (cause) {
			setBusy(false);
			if (!(cause instanceof ApiError)) throw cause;
			setError(cause);
		}
	};
	return html`<${Dialog} title=${title} onClose=${onClose}>
		<form onSubmit=${submit} noValidate>
			${children}
			${error && html`<${Problem} message=${error.message} fix=${error.fix} code=${error.code} />`}
			<footer class="dialog-foot">
				<${Cli} command=${command} />
				<button type="button" class="button" onClick=${onClose}>Cancel</button>
				<button type="submit" class="button ${danger ? 'destroy' : 'primary'}" disabled=${busy || !ready}>${busy ? 'One moment…' : action}</button>
			</footer>
		</form>
	</${Dialog}>`;
}
