import { api } from '../api.js';
import { commands } from '../commands.js';
import { bytes, count } from '../format.js';
import { html } from '../html.js';
import { toast } from '../store.js';
import { FormDialog } from './form-dialog.js';
import { Time } from './time.js';

/** @param {{plan: hks.ImagePrune, onDone: () => unknown}} props */
export function PruneDialog({ plan, onDone }) {
	const run = async () => {
		const done = await api.pruneImages(false);
		toast({ kind: 'success', message: `${count(done.removed.length, 'image')} removed, ${bytes(done.freedBytes)} freed.` });
		await onDone();
	};
	return html`<${FormDialog} title="Remove what nobody needs?" action="Remove" command=${commands.pruneImages} run=${run} danger>
		<p>${plan.removed.length > 0 ? html`No kept release points to these images:` : 'Only remains of earlier images go, which have no name any more.'}</p>
		${plan.removed.length > 0 && html`<ul class="files" aria-label="Images that go">
			${plan.removed.map((image) => html`<li key=${image.name}><code>${image.name}</code> <span class="muted">${bytes(image.sizeBytes)}, stored <${Time} at=${image.storedAt} never="–" /></span></li>`)}
		</ul>`}
		<p>This frees <strong>${bytes(plan.freedBytes)}</strong>. Images of kept releases, the appliance's base images and all of the last 24 hours stay.</p>
	</${FormDialog}>`;
}

/** @param {{image: hks.Image, onDone: () => unknown}} props */
export function DeleteImageDialog({ image, onDone }) {
	const run = async () => {
		const done = await api.deleteImage(image.name);
		toast({ kind: 'success', message: `${image.name} removed, ${bytes(done.freedBytes)} freed.` });
		await onDone();
	};
	return html`<${FormDialog} title=${`Remove ${image.name}?`} action="Remove" command=${commands.deleteImage(image.name)} run=${run} danger>
		<p>No kept release points to it. It takes up to ${bytes(image.sizeBytes)}, less what other images share with it.</p>
	</${FormDialog}>`;
}
