// The command line's twin of each action, so that what is done here can be
// done in a script.

/** Quotes for a POSIX shell where needed. @param {string | number} word */
function quote(word) {
	const text = String(word);
	return /^[A-Za-z0-9_@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** @param {string | undefined} environment */
const inEnvironment = (environment) => (environment && environment !== 'staging' ? ` --environment ${environment}` : '');

/** @typedef {{name: string, environment: string}} Target */

export const commands = {
	/** @param {string} verb @param {Target} app */
	app: (verb, app) => `hks app ${verb} ${quote(app.name)}${inEnvironment(app.environment)}`,
	/** @param {Target} app @param {number | string} replicas */
	scale: (app, replicas) => `hks app scale ${quote(app.name)} ${replicas}${inEnvironment(app.environment)}`,
	/** @param {Target} app @param {number} release */
	rollback: (app, release) => `hks rollback ${quote(app.name)} ${release}${inEnvironment(app.environment)}`,
	/** @param {Target} app @param {{follow: boolean, previous: boolean}} query */
	logs: (app, query) => `hks app logs${query.previous ? ' --previous' : query.follow ? ' -f' : ''} ${quote(app.name)}${inEnvironment(app.environment)}`,
	pruneImages: 'hks image prune',
	/** @param {string} name */
	deleteImage: (name) => `hks image delete ${quote(name)}`,
	/** @param {Target} app @param {Partial<hks.Deploy>} deploy */
	deploy(app, deploy) {
		const words = ['hks deploy', `--name ${quote(app.name || 'NAME')}`, `--image ${quote(deploy.image || 'IMAGE')}`, `--port ${quote(deploy.port || 'PORT')}`];
		if (app.environment !== 'staging') words.push(`--environment ${app.environment}`);
		for (const [key, value] of Object.entries(deploy.env || {})) {
			if (value !== hidden) words.push(`--env ${quote(`${key}=${value}`)}`);
		}
		if (deploy.replicas !== undefined) words.push(`--replicas ${deploy.replicas}`);
		for (const flag of /** @type {const} */ (['cpu', 'memory', 'host', 'path', 'health'])) {
			if (deploy[flag]) words.push(`--${flag} ${quote(String(deploy[flag]))}`);
		}
		return words.join(' ');
	},
};

/** Stands where the API keeps a value back. */
export const hidden = '••••••';
