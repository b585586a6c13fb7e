// Keeps the store true: loads what the screens show, then follows the event
// stream, which the browser resumes by itself after the last event it saw.
import { api, ApiError } from './api.js';
import { dropApp, get, putActivity, putApp, putApps, putBuild, putDomain, putIncident, putRelease, set, toast } from './store.js';

/** @type {EventSource | null} */
let source = null;
let opened = false;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let late;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let retry;
/** @type {ReturnType<typeof setInterval> | undefined} */
let sampling;
let wait = 1_000;

/** @type {ReturnType<typeof setTimeout> | undefined} */
let attending;
const attentionPause = 200;
const samplingPeriod = 10_000; // use changes without an event
const activityKept = 50;

/** Loads everything the dashboard shows; a part that fails leaves the others. */
export async function refresh() {
	const parts = [
		api.apps().then((apps) => putApps(apps || [])),
		api.workspace().then((workspace) => set({ workspace })).catch(absent),
		api.activity(activityKept).then((activity) => set({ activity: activity || [] })),
		api.builds().then((builds) => set({ builds: builds || [] })),
		api.domains().then((domains) => set({ domains: domains || [] })),
		api.system().then((system) => set({ system })),
		api.incidents(false).then((incidents) => set({ incidents: incidents || [] })).catch(unwatched),
		loadAttention().catch(unwatched),
	];
	const failed = (await Promise.allSettled(parts)).find((result) => result.status === 'rejected');
	const reason = failed?.reason;
	if (reason && !(reason instanceof ApiError)) throw reason;
	set({ problem: reason || null });
}

/** No workspace is a state, not a failure. @param {unknown} error */
function absent(error) {
	if (!(error instanceof ApiError) || error.status !== 404) throw error;
	set({ workspace: null });
}

/** An appliance may have no assistant. @param {unknown} error */
function unwatched(error) {
	if (!(error instanceof ApiError) || error.status !== 404) throw error;
}

const loadAttention = () => api.attention().then((attention) => set({ attention: attention || [] }));

/** Several changes ask once. */
function attend() {
	clearTimeout(attending);
	attending = setTimeout(() => void loadAttention().catch(() => {}), attentionPause); // the next change asks again
}

/** Follows the appliance until stop. */
export function start() {
	if (source) return;
	connect();
	sampling = setInterval(() => {
		if (document.hidden || get().connection !== 'live') return;
		api.apps().then((apps) => putApps(apps || [])).catch(() => {}); // the stream tells of trouble
		api.workspace().then((workspace) => set({ workspace })).catch(() => {});
	}, samplingPeriod);
}

export function stop() {
	source?.close();
	source = null;
	opened = false;
	clearTimeout(late);
	clearTimeout(retry);
	clearTimeout(attending);
	clearInterval(sampling);
}

function connect() {
	source = new EventSource('/api/events');
	source.onopen = () => {
		clearTimeout(late);
		wait = 1_000;
		const again = opened;
		opened = true;
		set({ connection: 'live' });
		void refresh(); // what changed between the first load and now
		if (again) void checkVersion();
	};
	source.onerror = () => {
		clearTimeout(late);
		late = setTimeout(() => set({ connection: 'reconnecting' }), 800); // a short gap is not worth a word
		if (source?.readyState === EventSource.CLOSED) void reconnect();
	};
	source.addEventListener('reset', () => void refresh());
	for (const kind of ['app', 'release', 'build', 'domain', 'workspace', 'system', 'activity', 'incident', 'channel']) {
		source.addEventListener(kind, (message) => apply(JSON.parse(message.data)));
	}
}

/** The browser gave up: either the session is over or the appliance refused for now. */
async function reconnect() {
	source?.close();
	try {
		await api.whoami();
	} catch (error) {
		if (error instanceof ApiError && error.status === 401) {
			await api.apps().catch(() => {}); // says so to everyone
			return;
		}
	}
	retry = setTimeout(connect, wait);
	wait = Math.min(wait * 2, 15_000);
}

async function checkVersion() {
	const info = await api.info().catch(() => null);
	const known = get().info;
	if (info && known && info.version !== known.version) {
		toast({ kind: 'info', message: `hks ${info.version} is here.`, action: { label: 'Reload', run: () => location.reload() } });
	}
	if (info) set({ info });
}

/** @param {hks.Event} event */
function apply(event) {
	const { kind, subject, object } = event;
	switch (kind) {
		case 'app':
			if (object) putApp(object);
			else dropApp(subject);
			break;
		case 'release':
			if (object) putRelease(object);
			break;
		case 'build':
			if (object) putBuild(object);
			break;
		case 'domain':
			putDomain(subject, object);
			break;
		case 'workspace':
			set({ workspace: object || null });
			break;
		case 'system':
			if (object) set({ system: object });
			break;
		case 'activity':
			if (object) putActivity(object);
			break;
		case 'incident':
			if (object) putIncident(object);
			attend();
			break;
		case 'channel':
			set({ reported: get().reported + 1 });
			attend();
	}
}
