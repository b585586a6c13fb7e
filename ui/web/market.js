// What the screens of the marketplace ask of the API, and the same as commands.
import { useEffect, useState } from './vendor/hooks.js';
import { ApiError, request } from './api.js';
import { isOver } from './store.js';

/** @param {string} name @param {string} [more] */
const at = (name, more = '') => `/api/services/${encodeURIComponent(name)}${more}`;

export const marketApi = {
	/** @returns {Promise<hks.CatalogueEntry[]>} */
	catalogue: () => request('GET', '/api/market'),
	/** @param {string} name @returns {Promise<hks.CatalogueEntry>} */
	entry: (name) => request('GET', `/api/market/${encodeURIComponent(name)}`),
	/** @returns {Promise<hks.Service[]>} */
	services: () => request('GET', '/api/services'),
	/** @param {string} name @returns {Promise<hks.Service>} */
	service: (name) => request('GET', at(name)),
	/** @param {string} name @param {string} chart @param {Record<string, any>} values @returns {Promise<hks.ServiceJob>} */
	install: (name, chart, values) => request('POST', '/api/services', { name, chart, values }),
	/** @param {string} name @param {{values?: Record<string, any>, latest?: boolean}} change @returns {Promise<hks.ServiceJob>} */
	upgrade: (name, change) => request('POST', at(name, '/upgrade'), change),
	/** @param {string} name @param {boolean} purge @returns {Promise<hks.ServiceJob>} */
	uninstall: (name, purge) => request('DELETE', at(name, `?purge=${purge}`)),
	/** @param {string} name @returns {Promise<hks.ServiceJob>} */
	rotate: (name) => request('POST', at(name, '/rotate')),
	/** @param {string} name @returns {Promise<hks.Credentials>} */
	credentials: (name) => request('POST', at(name, '/credentials')),
	/** @param {string} name @param {string} app @param {string} environment @returns {Promise<hks.Binding>} */
	bind: (name, app, environment) => request('POST', at(name, '/bindings'), { app, environment }),
	/** @param {hks.Binding} binding @returns {Promise<hks.Binding>} */
	unbind: ({ service, app, environment }) => request('DELETE', at(service, `/bindings/${encodeURIComponent(app)}/${environment}`)),
	/** @param {string} name @returns {Promise<hks.Backup[]>} */
	backups: (name) => request('GET', at(name, '/backups')),
	/** @param {string} name @returns {Promise<hks.ServiceJob>} */
	backUp: (name) => request('POST', at(name, '/backups')),
	/** @param {string} name @param {number} id @param {'verify' | 'restore'} verb @returns {Promise<hks.ServiceJob>} */
	withBackup: (name, id, verb) => request('POST', at(name, `/backups/${id}/${verb}`), undefined, { deadline: 300_000 }),
	/** @returns {Promise<hks.BackupTarget>} */
	backupTarget: () => request('GET', '/api/backup-target'),
	/** @param {hks.BackupTarget} target @returns {Promise<hks.BackupTarget>} */
	setBackupTarget: (target) => request('PUT', '/api/backup-target', target, { deadline: 60_000 }),
	/** @param {string} name @param {number} id */
	deleteBackup: (name, id) => request('DELETE', at(name, `/backups/${id}`)),
};

/** @param {string} text */
const word = (text) => (/^[A-Za-z0-9_=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);

/** @param {Record<string, any>} values @param {string} [path] @returns {string[]} */
const sets = (values, path = '') => Object.entries(values).flatMap(([name, value]) =>
	value !== null && typeof value === 'object' ? sets(value, `${path}${name}.`) : [`--set ${word(`${path}${name}=${value}`)}`]);

/** @param {string} app @param {string} environment */
const of = (app, environment) => (environment === 'staging' ? app : `${app}/${environment}`);

export const marketCommands = {
	/** @param {hks.BackupTarget} target */
	target: ({ endpoint, bucket, region, prefix, accessKey }) => ['hks backup target --endpoint', word(endpoint || 'ADDRESS'), '--bucket', word(bucket || 'BUCKET'),
		...(region ? ['--region', word(region)] : []), ...(prefix ? ['--prefix', word(prefix)] : []), '--access-key', word(accessKey || 'KEY'), '--secret-from-file -'].join(' '),
	/** @param {string} name @param {string} chart @param {Record<string, any>} values */
	install: (name, chart, values) => ['hks market install', chart, name || 'NAME', ...sets(values)].join(' '),
	/** @param {string} name @param {Record<string, any>} values */
	upgrade: (name, values) => ['hks market upgrade', name, ...sets(values)].join(' '),
	/** @param {string} name @param {string} app @param {string} environment */
	bind: (name, app, environment) => `hks bind ${of(app || 'APP', environment)} ${name}`,
	/** @param {hks.Binding} binding */
	unbind: ({ service, app, environment }) => `hks unbind ${of(app, environment)} ${service}`,
};

/** @param {hks.Service | null} service */
export const atWork = (service) => Boolean(service?.job && !isOver(service.job.status));

/**
 * Loads something again and again: soon while work is under way, seldom else.
 * @template T
 * @param {() => Promise<T>} load
 * @param {(value: T) => boolean} busy
 * @param {string} key of what is loaded
 * @returns {{value: T | null, error: ApiError | null, again: () => void}}
 */
export function useKeptFresh(load, busy, key) {
	const [value, setValue] = useState(/** @type {T | null} */ (null));
	const [error, setError] = useState(/** @type {ApiError | null} */ (null));
	const [turn, setTurn] = useState(0);
	useEffect(() => {
		let over = false;
		/** @type {ReturnType<typeof setTimeout> | undefined} */
		let timer;
		const look = async () => {
			let soon = false;
			try {
				const now = await load();
				if (over) return;
				soon = busy(now);
				setValue(now);
				setError(null);
			} catch (cause) {
				if (!(cause instanceof ApiError)) throw cause;
				if (over) return;
				setError(cause);
			}
			timer = setTimeout(look, document.hidden ? 20_000 : soon ? 1_000 : 8_000);
		};
		void look();
		return () => {
			over = true;
			clearTimeout(timer);
		};
	}, [key, turn]);
	return { value, error, again: () => setTurn(turn + 1) };
}
