// What the screens know, in one place. Views read it with useStore and are
// drawn again only when the part they read changed.
import { useEffect, useReducer, useRef } from './vendor/hooks.js';

/**
 * @typedef {{id: number, kind: 'info' | 'success' | 'error', message: string, detail?: string, action?: {label: string, run: () => void}}} Toast
 * @typedef {{kind: string, app?: hks.App, release?: hks.Release, build?: hks.Build, component?: string, variable?: string, image?: hks.Image, plan?: hks.ImagePrune, node?: hks.Node, onDone?: () => unknown}} Dialog
 * @typedef {{
 *   info: hks.Info | null,
 *   identity: hks.Identity | null,
 *   connection: 'connecting' | 'live' | 'reconnecting',
 *   workspace: hks.Workspace | null,
 *   apps: Record<string, hks.App> | null,
 *   system: hks.System | null,
 *   activity: hks.Activity[] | null,
 *   builds: hks.Build[] | null,
 *   domains: hks.Domain[] | null,
 *   incidents: hks.Incident[] | null,
 *   attention: hks.Attention[] | null,
 *   reported: number,
 *   releases: Record<string, hks.Release[]>,
 *   samples: Record<string, hks.Point[]>,
 *   problem: import('./api.js').ApiError | null,
 *   toasts: Toast[],
 *   dialog: Dialog | null,
 *   path: string,
 *   now: number,
 * }} State
 */

/** @returns {State} */
const empty = () => ({
	info: null, identity: null, connection: 'connecting', workspace: null, apps: null, system: null, activity: null,
	builds: null, domains: null, incidents: null, attention: null, reported: 0, releases: {}, samples: {}, problem: null, toasts: [], dialog: null, path: location.pathname + location.search, now: Date.now(),
});

/** @type {State} */
let state = empty();
/** @type {Set<() => void>} */
const listeners = new Set();
let queued = false;

export const get = () => state;

/** @param {Partial<State>} patch */
export function set(patch) {
	state = { ...state, ...patch };
	if (queued) return;
	queued = true;
	queueMicrotask(() => {
		queued = false;
		for (const listener of [...listeners]) listener();
	});
}

/** Forgets all that belongs to the session that ended. */
export function forget() {
	const { info, toasts, path } = state;
	set({ ...empty(), info, toasts, path });
}

/**
 * @template T
 * @param {(state: State) => T} select must return the same value for the same state
 * @returns {T}
 */
export function useStore(select) {
	const [, redraw] = useReducer((/** @type {number} */ n) => n + 1, 0);
	const current = useRef(/** @type {{select: (state: State) => T, value: T} | null} */ (null));
	current.current = { select, value: select(state) };
	useEffect(() => {
		const check = () => {
			const seen = current.current;
			if (seen && !Object.is(seen.select(state), seen.value)) redraw(0);
		};
		listeners.add(check);
		check();
		return () => void listeners.delete(check);
	}, []);
	return current.current.value;
}

/** @param {{name: string, environment: string}} app */
export const keyOf = (app) => `${app.name}/${app.environment}`;

const sameJSON = (/** @type {unknown} */ a, /** @type {unknown} */ b) => JSON.stringify(a) === JSON.stringify(b);
const samplesKept = 60;

/** Keeps the objects that did not change, so that their rows are not drawn again. @param {hks.App[]} list */
export function putApps(list) {
	const old = state.apps || {};
	/** @type {Record<string, hks.App>} */
	const apps = {};
	for (const app of list) {
		const key = keyOf(app);
		const merged = old[key]?.instances && !app.instances ? { ...app, instances: old[key].instances } : app;
		apps[key] = old[key] && sameJSON(old[key], merged) ? old[key] : merged;
		addSample(key, app.usage);
	}
	set({ apps });
}

/** @param {hks.App} app */
export function putApp(app) {
	const key = keyOf(app);
	const old = state.apps?.[key];
	const merged = old?.instances && !app.instances ? { ...app, instances: old.instances } : app;
	addSample(key, app.usage);
	if (!old || !sameJSON(old, merged)) set({ apps: { ...state.apps, [key]: merged } });
}

/** @param {string} key such as web/staging */
export function dropApp(key) {
	const apps = { ...state.apps };
	const releases = { ...state.releases };
	delete apps[key];
	delete releases[key];
	set({ apps, releases });
}

/** @param {string} key @param {hks.Usage | undefined} usage */
function addSample(key, usage) {
	if (!usage || usage.sampledAt.startsWith('0001')) return;
	const samples = state.samples[key] || [];
	if (samples.at(-1) && Date.parse(samples[samples.length - 1].time) >= Date.parse(usage.sampledAt)) return;
	putSamples(key, [...samples, { time: usage.sampledAt, cpu: usage.cpu, memory: usage.memory }]);
}

/** @param {string} key @param {hks.Point[]} samples oldest first */
export function putSamples(key, samples) {
	set({ samples: { ...state.samples, [key]: samples.slice(-samplesKept) } });
}

/** @param {hks.Release} release */
export function putRelease(release) {
	const key = `${release.app}/${release.environment}`;
	const known = state.releases[key];
	if (!known) return; // nobody looks at them
	const others = known.filter((other) => other.number !== release.number);
	const list = [...others, release].sort((a, b) => b.number - a.number);
	set({ releases: { ...state.releases, [key]: list } });
}

/** @param {hks.RunStatus} status */
export const isOver = (status) => status !== 'pending' && status !== 'running';

/** Newest first; what has ended does not begin again. @param {hks.Build} build */
export function putBuild(build) {
	const builds = state.builds || [];
	const known = builds.find((other) => other.id === build.id);
	if (known && isOver(known.status) && !isOver(build.status)) return;
	set({ builds: [...builds.filter((other) => other !== known), build].sort((a, b) => b.id - a.id) });
}

/** By host. @param {hks.Domain[]} domains */
export const putDomains = (domains) => set({ domains });

/** @param {string} host @param {hks.Domain | undefined} domain undefined: it is gone */
export function putDomain(host, domain) {
	if (!state.domains) return; // nobody looks at them
	const others = state.domains.filter((other) => other.host !== host);
	set({ domains: (domain ? [...others, domain] : others).sort((a, b) => a.host.localeCompare(b.host)) });
}

/** Those that go on come first, then the newest. @param {hks.Incident} incident */
export function putIncident(incident) {
	if (!state.incidents) return; // nobody looks at them yet
	const others = state.incidents.filter((other) => other.id !== incident.id);
	set({ incidents: [...others, incident].sort((a, b) => Number(goesOn(b)) - Number(goesOn(a)) || b.id - a.id) });
}

/** @param {hks.Incident} incident */
export const goesOn = (incident) => incident.status !== 'resolved';

/** @param {hks.Activity} activity */
export function putActivity(activity) {
	if (!state.activity) return;
	set({ activity: [activity, ...state.activity].slice(0, 100) });
}

let toastNumber = 0;

/** @param {Omit<Toast, 'id'>} toast */
export function toast(toast) {
	const id = ++toastNumber;
	set({ toasts: [...state.toasts, { id, ...toast }].slice(-4) });
	if (!toast.action) setTimeout(() => dismiss(id), toast.kind === 'error' ? 12_000 : 5_000);
}

/** @param {number} id */
export function dismiss(id) {
	set({ toasts: state.toasts.filter((other) => other.id !== id) });
}

/** @param {Dialog} dialog */
export function openDialog(dialog) {
	set({ dialog });
}

export function closeDialog() {
	set({ dialog: null });
}

// One clock for every relative time on the screen.
setInterval(() => {
	if (!document.hidden) set({ now: Date.now() });
}, 5_000);
document.addEventListener('visibilitychange', () => !document.hidden && set({ now: Date.now() }));
