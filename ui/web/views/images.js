import { useEffect, useRef, useState } from '../vendor/hooks.js';
import { tell } from '../actions.js';
import { api, ApiError } from '../api.js';
import { commands } from '../commands.js';
import { Cli } from '../components/cli.js';
import { CopyButton } from '../components/copy-button.js';
import { Icon } from '../components/icon.js';
import { Meter } from '../components/meter.js';
import { Problem } from '../components/problem.js';
import { Time } from '../components/time.js';
import { bytes, shortDigest } from '../format.js';
import { html } from '../html.js';
import { openDialog, toast } from '../store.js';
import { useTitle } from '../title.js';

/** @typedef {{name: string, size: number, part: number, cancel: () => void}} Upload */

/** What the appliance's own registry holds. */
export function ImagesView() {
	const [images, setImages] = useState(/** @type {hks.Image[] | null} */ (null));
	const [usage, setUsage] = useState(/** @type {hks.ImageUsage | null} */ (null));
	const [error, setError] = useState(/** @type {ApiError | null} */ (null));
	const [loading, setLoading] = useState(/** @type {Upload | null} */ (null));
	const [over, setOver] = useState(false);
	const input = useRef(/** @type {HTMLInputElement | null} */ (null));
	useTitle('Images');

	const list = () => Promise.all([api.images(), api.imageUsage()])
		.then(([images, usage]) => { setImages(images || []); setUsage(usage); setError(null); }, setError);
	const prune = async () => {
		try {
			const plan = await api.pruneImages(true);
			if (plan.removed.length === 0 && plan.freedBytes === 0) toast({ kind: 'success', message: 'There is nothing to remove: releases need all images, or they are new.' });
			else openDialog({ kind: 'pruneImages', plan, onDone: list });
		} catch (cause) {
			tell(cause);
		}
	};
	useEffect(() => void list(), []);

	const load = async (/** @type {File | undefined} */ file) => {
		if (!file || loading) return;
		const cancelled = new AbortController();
		setError(null);
		setLoading({ name: file.name, size: file.size, part: 0, cancel: () => cancelled.abort() });
		try {
			const made = await api.loadImage(file, (part) => setLoading((now) => now && { ...now, part }), cancelled.signal);
			toast({ kind: 'success', message: `${made.map((image) => image.name).join(', ')} loaded.` });
			await list();
		} catch (cause) {
			if (!(cause instanceof ApiError)) throw cause;
			if (cause.code !== 'CANCELLED') setError(cause);
		}
		setLoading(null);
	};
	const drop = (/** @type {DragEvent} */ event) => {
		event.preventDefault();
		setOver(false);
		void load(event.dataTransfer?.files[0]);
	};
	return html`
		<header class="page-head"><div><h1>Images</h1><p class="muted">Held by the appliance's own registry. A short name such as <code>web:1</code> is looked up here first.</p></div></header>
		${error && html`<${Problem} message=${error.message} fix=${error.fix} code=${error.code} retry=${images ? undefined : list} />`}
		<section class="card drop ${over ? 'over' : ''}" aria-label="Load an image"
			onDragOver=${(/** @type {DragEvent} */ event) => { event.preventDefault(); setOver(true); }} onDragLeave=${() => setOver(false)} onDrop=${drop}>
			${loading
				? html`<div class="upload">
					<p><strong>${loading.name}</strong> <span class="muted">${bytes(loading.size)}</span></p>
					<progress class="bar" max="1" value=${loading.part} aria-label="Upload"></progress>
					<p class="muted">${loading.part < 1 ? `${Math.round(loading.part * 100)} % sent` : 'Sent. The layers are being checked and kept…'}</p>
					<button type="button" class="button small" onClick=${loading.cancel}>Cancel</button>
				</div>`
				: html`<${Icon} name="upload" />
					<p><strong>Drop a tar file here</strong>, of <code>docker save</code> or an OCI layout, up to 4 GiB</p>
					<button type="button" class="button" onClick=${() => input.current?.click()}>Choose a file</button>
					<input ref=${input} type="file" class="hidden" accept=".tar,application/x-tar" aria-label="Image file" tabindex="-1"
						onChange=${(/** @type {any} */ event) => { void load(event.target.files[0]); event.target.value = ''; }} />
					<${Cli} command="hks image load FILE.tar" />`}
		</section>
		${images && html`<section class="card" aria-labelledby="images-title">
			<header class="card-head">
				<h2 id="images-title">In the registry</h2><span class="muted">${images.length}</span>
				<span class="spacer"></span>
				<${Cli} command=${commands.pruneImages} />
				<button type="button" class="button small" onClick=${prune}>Prune</button>
			</header>
			${usage && html`<${Meter} resource=${{ name: 'Images', unit: 'bytes', used: usage.usedBytes, limit: usage.budgetBytes }} />`}
			${images.length === 0 ? html`<p class="card-note muted">None yet. Images from other registries need not be loaded: deploy them by their full name.</p>` : html`<${Table} images=${images} onDone=${list} />`}
		</section>`}`;
}

/** The apps that need an image, each once. @param {hks.Image} image */
const users = (image) => [...new Set((image.usedBy || []).map((use) => `${use.app}/${use.environment}`))];

/** @param {{images: hks.Image[], onDone: () => unknown}} props */
function Table({ images, onDone }) {
	return html`<table class="plain" role="table" aria-label="Images">
		<thead role="rowgroup"><tr role="row">${['Name', 'Digest', 'Size', 'Stored', 'Used by', ''].map((title) => html`<th role="columnheader" scope="col">${title}</th>`)}</tr></thead>
		<tbody role="rowgroup">${images.map((image) => html`<tr role="row" key=${image.name}>
			<td role="cell" class="cell-wide mono">${image.name}<${CopyButton} text=${image.name} what="name" /></td>
			<td role="cell" data-label="Digest" class="mono muted" title=${image.digest}>${shortDigest(image.digest)}</td>
			<td role="cell" data-label="Size" class="number">${bytes(image.sizeBytes)}</td>
			<td role="cell" data-label="Stored"><${Time} at=${image.storedAt} never="–" /></td>
			<td role="cell" data-label="Used by">${users(image).map((app) => html`<span class="tag" key=${app}>${app}</span> `)}${users(image).length === 0 && html`<span class="muted">nobody</span>`}</td>
			<td role="cell">${users(image).length === 0 && html`<button type="button" class="icon-button" aria-label=${`Remove ${image.name}`} onClick=${() => openDialog({ kind: 'deleteImage', image, onDone })}><${Icon} name="trash" /></button>`}</td>
		</tr>`)}</tbody>
	</table>`;
}
