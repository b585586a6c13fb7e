// What the tests drive: the appliance that the environment names, else a
// double of its API, made for the run.
//
//   HKS_SETUP_URL   the one-time link of an appliance that nobody owns yet
//   HKS_IMAGE       an image it holds that serves HTTP on HKS_PORT (8080)
//   HKS_IMAGE_2     another version of it
//   HKS_PASSWORD    the owner's password to set
//   HKS_FINGERPRINT the certificate's, as printed; checked where given
//   HKS_KEEP_NAME   leave the workspace's name as it is
//   HKS_APIDOUBLE   a built double, so that Go need not build one
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const repository = fileURLToPath(new URL('../../../', import.meta.url));
export const password = process.env.HKS_PASSWORD || 'correct horse battery staple 7';

/**
 * @typedef {{
 *   real: boolean, url: string, setupLink: string, fingerprint: string, images: [string, string], port: string,
 *   stop: () => Promise<void>,
 * }} Target
 */

/** Whether an appliance was given. */
export const given = Boolean(process.env.HKS_SETUP_URL);

/** @returns {Promise<Target>} */
export async function target() {
	const link = process.env.HKS_SETUP_URL;
	if (!link) return double(['-speed', '4']);
	return {
		real: true, url: process.env.HKS_URL || new URL(link).origin, setupLink: link, fingerprint: process.env.HKS_FINGERPRINT || '',
		images: [process.env.HKS_IMAGE || 'page:1', process.env.HKS_IMAGE_2 || 'page:2'], port: process.env.HKS_PORT || '8080',
		stop: async () => {},
	};
}

/** Starts a double. @param {string[]} flags @param {string} [listen] @returns {Promise<Target & {kill: () => Promise<void>}>} */
export async function double(flags, listen = '127.0.0.1:0') {
	const built = process.env.HKS_APIDOUBLE;
	const [command, args] = built ? [built, flags] : ['go', ['run', './test/apidouble', ...flags]];
	const child = spawn(command, [...args, '-listen', listen], { cwd: repository, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
	const ended = new Promise((resolve) => child.once('exit', resolve));
	const end = (/** @type {NodeJS.Signals} */ signal) => async () => {
		if (child.exitCode === null && child.signalCode === null && child.pid) process.kill(-child.pid, signal);
		await ended;
	};
	let printed = '';
	let complaints = '';
	child.stderr.on('data', (chunk) => { complaints += chunk; });
	await new Promise((resolve, reject) => {
		child.stdout.on('data', (chunk) => {
			printed += chunk;
			if (/^socket .*\n/m.test(printed)) resolve(undefined);
		});
		child.once('exit', () => reject(new Error(`the double ended: ${complaints}`)));
		child.once('error', reject);
	});
	const value = (/** @type {string} */ key) => new RegExp(`^${key} (.*)$`, 'm').exec(printed)?.[1] || '';
	return {
		real: false, url: value('url'), setupLink: value('setup-link'), fingerprint: value('fingerprint'),
		images: ['hello:1', 'hello:2'], port: '8080', stop: end('SIGTERM'), kill: end('SIGKILL'),
	};
}
