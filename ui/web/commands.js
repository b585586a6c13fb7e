// The command line's twin of each action, so that what is done here can be
// done in a script.

import { isOver } from './store.js';
import { looksSecret } from './validate.js';

/** Quotes for a POSIX shell where needed. @param {string | number} word */
function quote(word) {
	const text = String(word);
	return /^[A-Za-z0-9_@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** @param {string | undefined} environment */
const inEnvironment = (environment) => (environment && environment !== 'staging' ? ` --environment ${environment}` : '');

/** @param {string | undefined} component */
const ofComponent = (component) => (component ? ` --component ${quote(component)}` : '');

/** @typedef {{name: string, environment: string}} Target */

export const commands = {
	/** @param {string} verb @param {Target} app */
	app: (verb, app) => `hks app ${verb} ${quote(app.name)}${inEnvironment(app.environment)}`,
	/** @param {Target} app @param {hks.Scale} to @param {string} [component] */
	scale: (app, to, component) => `hks app scale ${quote(app.name)} ${typeof to === 'number' ? to : `--min ${to.min} --max ${to.max} --cpu ${to.cpu}`}${ofComponent(component)}${inEnvironment(app.environment)}`,
	/** @param {Target} app @param {string} key @param {string} value */
	setEnv: (app, key, value) => `hks env set ${quote(app.name)} ${quote(`${key}=${looksSecret(key) ? '...' : value}`)}${inEnvironment(app.environment)}`,
	/** @param {Target} app @param {string} key */
	unsetEnv: (app, key) => `hks env unset ${quote(app.name)} ${quote(key)}${inEnvironment(app.environment)}`,
	/** @param {Target} app @param {string} to */
	promote: (app, to) => `hks promote ${quote(app.name)} --from ${app.environment} --to ${to}`,
	/** @param {Target} app @param {string} to */
	move: (app, to) => `hks app move ${quote(app.name)} --to ${quote(to)}${inEnvironment(app.environment)}`,
	/** @param {Target} app @param {number} release */
	rollback: (app, release) => `hks rollback ${quote(app.name)} ${release}${inEnvironment(app.environment)}`,
	/** @param {Target} app @param {{follow: boolean, previous: boolean, component?: string}} query */
	logs: (app, query) => `hks logs${query.previous ? ' --previous' : query.follow ? ' -f' : ''} ${quote(app.name)}${ofComponent(query.component)}${inEnvironment(app.environment)}`,
	/** @param {string} environment */
	deployProject: (environment) => `hks deploy${inEnvironment(environment)}`,
	/** @param {hks.Build} build */
	buildLogs: ({ id, status }) => `hks build logs ${id}${isOver(status) ? '' : ' -f'}`,
	/** @param {hks.Build} build */
	cancelBuild: ({ id }) => `hks build cancel ${id}`,
	/** @param {boolean} on @param {Target} app @param {string} [message] */
	maintenance: (on, app, message) => `hks app maintenance ${on ? 'on' : 'off'} ${quote(app.name)}${inEnvironment(app.environment)}${on && message ? ` --message ${quote(message)}` : ''}`,
	/** @param {Target} app @param {string} host @param {string} component */
	addDomain: (app, host, component) => `hks domains add ${quote(app.name)} ${quote(host || 'HOST')}${ofComponent(component)}${inEnvironment(app.environment)}`,
	/** @param {string} verb @param {string} host */
	domain: (verb, host) => `hks domains ${verb} ${quote(host)}`,
	/** @param {string} host */
	certificate: (host) => `hks domains cert ${quote(host)} --cert FILE --key FILE`,
	pruneImages: 'hks image prune',
	/** @param {string} name */
	deleteImage: (name) => `hks image delete ${quote(name)}`,
	/** @param {Target} app @param {hks.Deploy} deploy of one component */
	deploy(app, deploy) {
		const [component = {}] = deploy.change || [];
		const words = ['hks deploy', `--name ${quote(app.name || 'NAME')}${ofComponent(component.name)}`, `--image ${quote(component.image || 'IMAGE')}`];
		if (component.port !== undefined) words.push(`--port ${quote(component.port || 'PORT')}`);
		if (app.environment !== 'staging') words.push(`--environment ${app.environment}`);
		for (const [key, value] of Object.entries(deploy.env || {})) {
			if (value !== hidden) words.push(`--env ${quote(`${key}=${looksSecret(key) ? '...' : value}`)}`);
		}
		for (const replicas of Object.values(deploy.replicas || {})) words.push(`--replicas ${replicas}`);
		for (const flag of /** @type {const} */ (['cpu', 'memory', 'host', 'path', 'health'])) {
			if (component[flag]) words.push(`--${flag} ${quote(String(component[flag]))}`);
		}
		return words.join(' ');
	},
};

/** Stands where the API keeps a value back. */
export const hidden = '••••••';
