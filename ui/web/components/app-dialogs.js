import { useState } from '../vendor/hooks.js';
import { api, ApiError } from '../api.js';
import { commands } from '../commands.js';
import { count } from '../format.js';
import { html } from '../html.js';
import { navigate } from '../router.js';
import { dropApp, keyOf, putApp, putRelease, toast } from '../store.js';
import { Field } from './field.js';
import { FormDialog } from './form-dialog.js';
import { Icon } from './icon.js';
import { Time } from './time.js';

const mostReplicas = 100;

/** @param {{app: hks.App}} props */
export function ScaleDialog({ app }) {
	const [value, setValue] = useState(String(app.replicas));
	const replicas = Number(value);
	const ready = /^\d+$/.test(value) && replicas >= 1 && replicas <= mostReplicas;
	const step = (/** @type {number} */ by) => setValue(String(Math.min(mostReplicas, Math.max(1, (replicas || 0) + by))));
	const run = async () => {
		putApp(await api.scale(app.name, app.environment, replicas));
		toast({ kind: 'success', message: `${app.name} goes from ${app.replicas} to ${count(replicas, 'replica')}.` });
	};
	return html`<${FormDialog} title=${`Scale ${app.name}`} action="Scale" command=${commands.scale(app, ready ? replicas : app.replicas)} run=${run} ready=${ready}>
		<p>How many instances serve ${app.name} in ${app.environment}. Releases and rollbacks keep the number.</p>
		<div class="stepper">
			<button type="button" class="button" aria-label="One less" onClick=${() => step(-1)}><${Icon} name="minus" /></button>
			<${Field} label="Replicas" value=${value} onValue=${setValue} problem=${ready ? '' : `From 1 to ${mostReplicas}; to have none, stop the app.`} input=${{ inputMode: 'numeric', autofocus: true }} />
			<button type="button" class="button" aria-label="One more" onClick=${() => step(1)}><${Icon} name="plus" /></button>
		</div>
	</${FormDialog}>`;
}

/** @param {{app: hks.App}} props */
export function StopDialog({ app }) {
	const run = async () => {
		putApp(await api.stop(app.name, app.environment));
		toast({ kind: 'success', message: `Stopping ${app.name}.` });
	};
	return html`<${FormDialog} title=${`Stop ${app.name}?`} action="Stop" command=${commands.app('stop', app)} run=${run}>
		<p>All instances in ${app.environment} end, and <strong>${app.url || 'its address'}</strong> stops answering. Releases, settings and the number of replicas stay; Start brings it back as it was.</p>
	</${FormDialog}>`;
}

/**
 * Deletes an app. It takes a while, and when the answer is lost on its way,
 * what became of the app can still be asked.
 * @param {hks.App} app
 * @returns {Promise<Partial<hks.Deletion>>}
 */
async function remove(app) {
	try {
		return await api.deleteApp(app.name, app.environment);
	} catch (error) {
		if (error instanceof ApiError && error.status === 0 && await isGone(app)) return {};
		throw error;
	}
}

const looks = 40;
const pause = 1_000;

/** Looks until the app is not being deleted any more. @param {hks.App} app */
async function isGone(app) {
	for (let look = 0; look < looks; look++) {
		try {
			const now = await api.app(app.name, app.environment);
			if (now.status !== 'deleting') return false;
		} catch (error) {
			if (error instanceof ApiError && error.status === 404) return true;
		}
		await new Promise((resolve) => setTimeout(resolve, pause));
	}
	return false;
}

/** @param {{app: hks.App}} props */
export function DeleteDialog({ app }) {
	const [typed, setTyped] = useState('');
	const run = async () => {
		const { removed, kept } = await remove(app);
		dropApp(keyOf(app));
		navigate('/');
		toast({
			kind: 'success', message: `${app.name} in ${app.environment} is deleted${removed ? `: ${count(removed.length, 'object')} removed` : ''}.`,
			detail: kept && kept.length > 0 ? `Kept: ${kept.join(', ')}.` : undefined,
		});
	};
	return html`<${FormDialog} title=${`Delete ${app.name} in ${app.environment}?`} action="Delete for good" danger command=${commands.app('delete', app)} run=${run} ready=${typed === app.name}>
		<p>This removes its instances, its route <strong>${app.url}</strong> and ${app.release ? `all releases up to #${app.release}` : 'all releases'}, with their settings. It can't be undone.</p>
		<${Field} label=${html`Type <strong>${app.name}</strong> to confirm`} value=${typed} onValue=${setTyped} input=${{ autofocus: true }} />
	</${FormDialog}>`;
}

/** @param {{app: hks.App, release: hks.Release}} props */
export function RollbackDialog({ app, release }) {
	const run = async () => {
		const made = await api.rollback(app.name, app.environment, release.number);
		putRelease(made);
		toast({ kind: 'info', message: `Release ${made.number} brings back release ${release.number}.` });
	};
	return html`<${FormDialog} title=${`Roll back to release ${release.number}?`} action=${`Roll back to #${release.number}`} command=${commands.rollback(app, release.number)} run=${run}>
		<p>${app.name} in ${app.environment} goes from <strong>#${app.release}</strong> back to the image and settings of <strong>#${release.number}</strong>. It becomes a new release; no request is dropped.</p>
		<dl class="facts">
			<div><dt>Image</dt><dd><code>${release.spec.image}</code></dd></div>
			<div><dt>Released</dt><dd><${Time} at=${release.createdAt} /> by ${release.by}</dd></div>
		</dl>
	</${FormDialog}>`;
}
