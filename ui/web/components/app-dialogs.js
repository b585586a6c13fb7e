import { useState } from '../vendor/hooks.js';
import { api, ApiError } from '../api.js';
import { commands } from '../commands.js';
import { compareReleases, imagesOf } from '../diff.js';
import { count } from '../format.js';
import { html } from '../html.js';
import { navigate } from '../router.js';
import { dropApp, get, keyOf, putApp, putRelease, toast } from '../store.js';
import { Changes } from './changes.js';
import { Field } from './field.js';
import { FormDialog } from './form-dialog.js';
import { Time } from './time.js';

/** @param {{app: hks.App}} props */
export function StopDialog({ app }) {
	const run = async () => {
		putApp(await api.stop(app.name, app.environment));
		toast({ kind: 'success', message: `Stopping ${app.name}.` });
	};
	return html`<${FormDialog} title=${`Stop ${app.name}?`} action="Stop" command=${commands.app('stop', app)} run=${run}>
		<p>All instances in ${app.environment} end${app.url && html`, and <strong>${app.url}</strong> stops answering`}. Releases, settings and the number of replicas stay; Start brings it back as it was.</p>
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
		<p>This removes its instances, ${app.url && html`its route <strong>${app.url}</strong> `}and ${app.release ? `all releases up to #${app.release}` : 'all releases'}, with their settings. It can't be undone.</p>
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
	const serving = get().releases[keyOf(app)]?.find((one) => one.number === app.release);
	const changes = serving ? compareReleases(serving, release) : [];
	const images = imagesOf(release.spec);
	return html`<${FormDialog} title=${`Roll back to release ${release.number}?`} action=${`Roll back to #${release.number}`} command=${commands.rollback(app, release.number)} run=${run}>
		<p>${app.name} in ${app.environment} goes from <strong>#${app.release}</strong> back to the ${images.length > 1 ? 'images' : 'image'} and settings of <strong>#${release.number}</strong>. It becomes a new release; no request is dropped.</p>
		<dl class="facts">
			<div><dt>${images.length > 1 ? 'Images' : 'Image'}</dt><dd>${images.map((image) => html`<code>${image}</code>`)}</dd></div>
			<div><dt>Released</dt><dd><${Time} at=${release.createdAt} /> by ${release.by}</dd></div>
		</dl>
		${changes.length > 0 && html`<${Changes} changes=${changes} several=${release.spec.components.length > 1} label="What changes" />`}
	</${FormDialog}>`;
}
