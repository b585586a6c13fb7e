// Numbers and times in words for people.

const steps = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** @param {number} bytes */
export function bytes(bytes) {
	if (!bytes) return '0 MiB';
	let step = 0;
	let value = bytes;
	while (value >= 1024 && step < steps.length - 1) {
		value /= 1024;
		step++;
	}
	return `${number(value)} ${steps[step]}`;
}

/** Three figures are enough to compare. @param {number} value */
export function number(value) {
	if (value === 0) return '0';
	const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
	return String(Number(value.toFixed(digits)));
}

/** @param {number} value */
export const cores = (value) => (value > 0 && value < 0.005 ? '<0.01' : value.toFixed(2));

/** @param {number} value @param {string} unit */
export function quantity(value, unit) {
	if (unit === 'bytes') return bytes(value);
	if (unit === 'cores') return `${number(value)} ${value === 1 ? 'core' : 'cores'}`;
	return number(value);
}

/** A value of a chart in its unit. @param {number} value @param {string} unit */
export function figure(value, unit) {
	if (unit === 'bytes') return bytes(value);
	if (unit === 'cores') return `${cores(value)} cores`;
	return unit === 'per minute' ? `${number(value)}/min` : `${number(value)} ${unit}`;
}

/** @param {number} count @param {string} one @param {string} [many] */
export const count = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;

/** Go's zero time means never. @param {string | undefined} time */
export const known = (time) => Boolean(time) && !String(time).startsWith('0001');

/** No process takes no memory: such a sample is none. @param {hks.Usage | undefined} usage */
export const sampled = (usage) => known(usage?.sampledAt) && Number(usage?.memory) > 0;

/** @param {number} milliseconds */
export function duration(milliseconds) {
	const seconds = Math.max(0, Math.round(milliseconds / 1000));
	if (seconds < 60) return `${seconds} s`;
	if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
	return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

/** How long a build has been at work; empty when it has not begun. @param {{startedAt?: string, finishedAt?: string}} build @param {number} now */
export const took = ({ startedAt, finishedAt }, now) => (known(startedAt) ? duration((known(finishedAt) ? Date.parse(String(finishedAt)) : now) - Date.parse(String(startedAt))) : '');

/** @param {number} then @param {number} now */
export function relative(then, now) {
	const seconds = Math.round((now - then) / 1000);
	if (seconds < -45) return `in ${span(-seconds)}`;
	if (seconds < 10) return 'just now';
	return `${span(seconds)} ago`;
}

/** @param {number} seconds */
function span(seconds) {
	if (seconds < 60) return `${seconds} s`;
	if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
	if (seconds < 86_400) return `${Math.round(seconds / 3600)} h`;
	return count(Math.round(seconds / 86_400), 'day');
}

const clockFormat = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });
const absoluteFormat = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'long' });

/** @param {string | number} time */
export const clock = (time) => clockFormat.format(new Date(time));

/** @param {string | number} time */
export const absolute = (time) => absoluteFormat.format(new Date(time));

/** @param {string | undefined} digest */
export const shortDigest = (digest) => (digest || '').replace(/^sha256:/, '').slice(0, 12);

/** The API's sentences begin small, so that commands can continue them; commands and the name of a component stay so. @param {string} text */
export const sentence = (text) => (/^(hks|sudo)\b|^[-a-z0-9]+: /.test(text) ? text : text.charAt(0).toUpperCase() + text.slice(1));

/** The host part of a URL, and its path when it is more than "/". @param {string} url */
export function shortURL(url) {
	try {
		const { host, pathname } = new URL(url);
		return host + (pathname === '/' ? '' : pathname);
	} catch {
		return url;
	}
}

/** Terminal colours mean nothing here. @param {string} text */
export const plain = (text) => text.replace(/\u001b\[[0-9;?]*[ -/]*[@-~]/g, '');

/** How many instances were asked for, as the API takes it. @param {hks.ComponentState} one @returns {hks.Scale} */
export const scaleOf = ({ autoscale, replicas }) => (autoscale ? { min: autoscale.min, max: autoscale.max, cpu: autoscale.cpu } : replicas);

/** @param {hks.Scale} scale */
export const scaleWords = (scale) => (typeof scale === 'number' ? count(scale, 'replica') : `${scale.min} to ${scale.max} replicas, as the load needs`);
