// What differs between two configurations, in the words of the appliance.

/** Of an app's component, always in this order. @type {(keyof hks.Component)[]} */
const fields = ['image', 'port', 'host', 'path', 'health', 'cpu', 'memory', 'command', 'release', 'secrets'];

/** @param {hks.Component | undefined} component @param {keyof hks.Component} field */
function text(component, field) {
	const value = component?.[field];
	if (Array.isArray(value)) return value.join(field === 'secrets' ? ', ' : ' ');
	return value ? String(value) : '';
}

/** @param {Record<string, any>[]} maps */
const names = (...maps) => [...new Set(maps.flatMap((map) => Object.keys(map)))].sort();

/** @param {string} component @param {string} field @param {string} from @param {string} to @returns {hks.Change[]} */
const change = (component, field, from, to) => (from === to ? [] : [{ component, field, from, to }]);

/**
 * A value of the app's environment is never known here: such a variable shows
 * when it comes or goes, not when it gets another value.
 * @param {hks.Spec | undefined} from @param {hks.Spec} to
 * @returns {hks.Change[]}
 */
export function compare(from, to) {
	const before = Object.fromEntries((from?.components || []).map((one) => [one.name, one]));
	const after = Object.fromEntries(to.components.map((one) => [one.name, one]));
	const changes = names(before, after).flatMap((name) => {
		const was = before[name];
		const is = after[name];
		if (!is) return change(name, 'component', 'there', '');
		return [
			...(was ? [] : change(name, 'component', '', 'new')),
			...fields.flatMap((field) => change(name, field, text(was, field), text(is, field))),
			...names(was?.env || {}, is.env || {}).flatMap((key) => change(name, `env ${key}`, was?.env?.[key] || '', is.env?.[key] || '')),
		];
	});
	const had = from?.env || {};
	const has = to.env || {};
	return [...changes, ...names(had, has).flatMap((key) => change('', `env ${key}`, had[key] || '', has[key] || ''))];
}

/**
 * The same, and the images that moved behind an unchanged name.
 * @param {hks.Release | undefined} from @param {hks.Release} to
 */
export function compareReleases(from, to) {
	const moved = Object.entries(to.digests || {}).flatMap(([name, digest]) => {
		const was = from?.digests?.[name];
		const sameName = imageOf(from, name) === imageOf(to, name);
		return was && sameName ? change(name, 'digest', was, digest) : [];
	});
	return [...compare(from?.spec, to.spec), ...moved];
}

/** @param {hks.Release | undefined} release @param {string} component */
const imageOf = (release, component) => release?.spec.components.find((one) => one.name === component)?.image;

/**
 * What promoting a configuration makes of that of another environment: hosts
 * and variables stay its own.
 * @param {hks.Spec} source @param {hks.Spec | undefined} target @returns {hks.Spec}
 */
export function promoted(source, target) {
	const host = (/** @type {string} */ name) => target?.components.find((one) => one.name === name)?.host;
	return { components: source.components.map((one) => ({ ...one, host: host(one.name) })), env: target?.env };
}

/** Each image once. @param {hks.Spec} spec */
export const imagesOf = (spec) => [...new Set(spec.components.map((one) => one.image))];
