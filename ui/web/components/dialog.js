import { useId, useLayoutEffect, useRef } from '../vendor/hooks.js';
import { html } from '../html.js';
import { closeDialog } from '../store.js';
import { Icon } from './icon.js';

/**
 * A modal window: the browser's own, which keeps the focus inside, closes on
 * Esc and gives the focus back.
 * @param {{title: string, children?: any, onClose?: () => void, size?: 'wide' | ''}} props
 */
export function Dialog({ title, children, onClose = closeDialog, size = '' }) {
	const ref = useRef(/** @type {HTMLDialogElement | null} */ (null));
	const id = useId();
	useLayoutEffect(() => {
		const dialog = ref.current;
		const before = document.activeElement;
		dialog?.showModal();
		return () => {
			dialog?.close();
			if (before instanceof HTMLElement && before.isConnected) before.focus();
		};
	}, []);
	const outside = (/** @type {MouseEvent} */ event) => event.target === ref.current && onClose();
	return html`<dialog ref=${ref} class="dialog ${size}" aria-labelledby=${id} onCancel=${onClose} onMouseDown=${outside}>
		<div class="dialog-body">
			<header class="dialog-head">
				<h2 id=${id}>${title}</h2>
				<button type="button" class="icon-button" aria-label="Close" onClick=${onClose}><${Icon} name="close" /></button>
			</header>
			${children}
		</div>
	</dialog>`;
}
