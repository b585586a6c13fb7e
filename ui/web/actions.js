// What can be done to an app: asked of the API, told by a toast, and put in
// the store. Nothing is shown as done before the appliance said so.
import { api, ApiError } from './api.js';
import { commands } from './commands.js';
import { scaleOf, sentence } from './format.js';
import { openDialog, putApp, toast } from './store.js';

/**
 * @param {string} message shown when it was accepted
 * @param {() => Promise<hks.App>} call
 */
async function perform(message, call) {
	try {
		putApp(await call());
		toast({ kind: 'success', message });
	} catch (error) {
		tell(error);
	}
}

/** Shows an error where no form can hold it. @param {unknown} error */
export function tell(error) {
	if (!(error instanceof ApiError)) throw error;
	if (error.status === 401) return; // the log-in screen is on its way
	toast({ kind: 'error', message: sentence(error.message), detail: sentence(error.fix) });
}

/** @typedef {{id: string, label: string, icon: string, cli: string, danger?: boolean, run: () => unknown}} Action */

/**
 * The actions that make sense for an app as it is now.
 * @param {hks.App} app
 * @returns {Action[]}
 */
export function actionsOf(app) {
	const { name, environment } = app;
	const asleep = app.status === 'stopped' || app.status === 'stopping';
	/** @type {Action[]} */
	const actions = [];
	if (app.status === 'deleting') return actions;
	if (!asleep) {
		actions.push({
			id: 'restart', label: 'Restart', icon: 'restart', cli: commands.app('restart', app),
			run: () => perform(`Restarting ${name}; the instances are replaced one by one.`, () => api.restart(name, environment)),
		});
		const [first] = app.components;
		const several = app.components.length > 1;
		actions.push({ id: 'scale', label: 'Scale', icon: 'scale', cli: commands.scale(app, scaleOf(first), several ? first.name : ''), run: () => openDialog({ kind: 'scale', app }) });
		actions.push({ id: 'stop', label: 'Stop', icon: 'stop', cli: commands.app('stop', app), run: () => openDialog({ kind: 'stop', app }) });
	} else {
		actions.push({
			id: 'start', label: 'Start', icon: 'play', cli: commands.app('start', app),
			run: () => perform(`Starting ${name}.`, () => api.start(name, environment)),
		});
	}
	if (app.release > 0) actions.push({ id: 'move', label: 'Move to another node', icon: 'promote', cli: commands.move(app, 'dedicated'), run: () => openDialog({ kind: 'move', app }) });
	if (environment === 'staging' && app.release > 0) {
		actions.push({ id: 'promote', label: 'Promote to production', icon: 'promote', cli: commands.promote(app, 'production'), run: () => openDialog({ kind: 'promote', app }) });
	}
	actions.push({ id: 'delete', label: 'Delete', icon: 'trash', cli: commands.app('delete', app), danger: true, run: () => openDialog({ kind: 'delete', app }) });
	return actions;
}

/** @param {hks.App} app */
export function stopApp(app) {
	return perform(`Stopping ${app.name}.`, () => api.stop(app.name, app.environment));
}
