// The one door to the HTTP API, the same that the command uses.

/** What went wrong, and the next thing to do. */
export class ApiError extends Error {
	/**
	 * @param {number} status HTTP status; 0 when nothing answered
	 * @param {{code?: string, message?: string, fix?: string, details?: Record<string, any>}} body
	 */
	constructor(status, body) {
		super(body.message || `The appliance answered with status ${status}.`);
		this.status = status;
		this.code = body.code || 'INTERNAL';
		this.fix = body.fix || '';
		this.details = body.details || {};
	}
}

/** Called when the session is over. @type {() => void} */
let onUnauthorized = () => {};

/** @param {() => void} callback */
export function whenUnauthorized(callback) {
	onUnauthorized = callback;
}

const deadline = 30_000;
const patience = 65_000; // for what waits until instances have ended
const longPatience = 900_000; // for what removes gigabytes

/** @param {unknown} cause */
function unreachable(cause) {
	const late = cause instanceof DOMException && cause.name === 'TimeoutError';
	return new ApiError(0, {
		code: 'UNREACHABLE',
		message: late ? 'The appliance took too long to answer.' : 'The appliance does not answer.',
		fix: 'Check that the machine is up and hks-agent runs on it, then try again.',
	});
}

/**
 * A browser drops its connections when the machine's network changes, as each
 * new instance makes it do on the appliance itself. What does no harm twice is
 * asked again.
 * @param {string} path @param {RequestInit} init @param {boolean} again
 * @returns {Promise<Response>}
 */
async function ask(path, init, again) {
	try {
		return await fetch(path, init);
	} catch (cause) {
		if (!again || init.signal?.aborted) throw cause;
		await new Promise((resolve) => setTimeout(resolve, 300));
		return ask(path, init, false);
	}
}

/** @param {Response} response @param {boolean} expectLogin */
async function failure(response, expectLogin) {
	const body = await response.json().catch(() => ({}));
	const error = new ApiError(response.status, body.error || {});
	if (response.status === 401 && !expectLogin) onUnauthorized();
	return error;
}

/**
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body] sent as JSON
 * @param {{signal?: AbortSignal, expectLogin?: boolean, deadline?: number, again?: boolean, text?: boolean}} [options]
 *   expectLogin: a 401 is an answer, not the end of the session; again: asking twice is the same as asking once; text: the answer is no JSON
 * @returns {Promise<any>}
 */
export async function request(method, path, body, options = {}) {
	const signals = [AbortSignal.timeout(options.deadline || deadline)];
	if (options.signal) signals.push(options.signal);
	/** @type {RequestInit} */
	const init = { method, signal: AbortSignal.any(signals), headers: { Accept: 'application/json' } };
	if (body !== undefined) {
		init.body = JSON.stringify(body);
		init.headers = { ...init.headers, 'Content-Type': 'application/json' };
	}
	const response = await ask(path, init, method === 'GET' || Boolean(options.again)).catch((cause) => {
		throw options.signal?.aborted ? cause : unreachable(cause);
	});
	if (!response.ok) throw await failure(response, Boolean(options.expectLogin));
	const text = await response.text();
	if (options.text) return text;
	return text === '' ? undefined : JSON.parse(text);
}

/**
 * Reads an event stream that ends, such as progress or logs, until it ends or
 * the signal aborts it.
 * @param {string} path
 * @param {AbortSignal} signal
 * @param {(name: string, data: any) => void} onEvent
 */
export async function stream(path, signal, onEvent) {
	let response;
	try {
		response = await fetch(path, { signal, headers: { Accept: 'text/event-stream' } });
	} catch (cause) {
		if (signal.aborted) return;
		throw unreachable(cause);
	}
	if (!response.ok || !response.body) throw await failure(response, false);
	const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
	let rest = '';
	try {
		for (;;) {
			const { value, done } = await reader.read();
			if (done) throw unreachable(null); // a stream that is over says so
			const frames = (rest + value).split('\n\n');
			rest = frames.pop() || '';
			for (const frame of frames) if (deliver(frame, onEvent)) return;
		}
	} catch (cause) {
		if (signal.aborted) return;
		throw cause instanceof ApiError ? cause : unreachable(cause);
	}
}

/** @param {string} frame @param {(name: string, data: any) => void} onEvent @returns {boolean} whether it was the last */
function deliver(frame, onEvent) {
	let name = 'message';
	const data = [];
	for (const line of frame.split('\n')) {
		if (line.startsWith('event:')) name = line.slice(6).trim();
		if (line.startsWith('data:')) data.push(line.slice(5).replace(/^ /, ''));
	}
	if (name === 'end') return true;
	if (data.length === 0) return false; // a heartbeat
	const value = JSON.parse(data.join('\n'));
	if (name === 'failure') throw new ApiError(200, value.error);
	onEvent(name, value);
	return false;
}

/**
 * Sends a file and tells how far it is; fetch can't tell that yet.
 * @param {string} path
 * @param {Blob} file
 * @param {(part: number) => void} onProgress from 0 to 1
 * @param {AbortSignal} signal
 * @returns {Promise<any>}
 */
export function upload(path, file, onProgress, signal) {
	return new Promise((resolve, reject) => {
		const call = new XMLHttpRequest();
		call.open('POST', path);
		call.setRequestHeader('Content-Type', 'application/x-tar');
		call.upload.onprogress = (event) => onProgress(event.total ? event.loaded / event.total : 0);
		call.onerror = () => reject(unreachable(null));
		call.onabort = () => reject(new ApiError(0, { code: 'CANCELLED', message: 'The upload was cancelled.' }));
		call.onload = () => {
			let body = {};
			try {
				body = JSON.parse(call.responseText);
			} catch {
				// not JSON: the status says enough
			}
			if (call.status >= 200 && call.status < 300) return resolve(body);
			if (call.status === 401) onUnauthorized();
			reject(new ApiError(call.status, /** @type {any} */ (body).error || {}));
		};
		signal.addEventListener('abort', () => call.abort());
		call.send(file);
	});
}

/** @param {string} name @param {string} environment */
const appPath = (name, environment) => `/api/apps/${encodeURIComponent(name)}/${encodeURIComponent(environment)}`;

/** @param {string} host */
const domainPath = (host) => `/api/domains/${encodeURIComponent(host)}`;

// One function for each thing the screens ask for.
export const api = {
	/** @returns {Promise<hks.Info>} */
	info: () => request('GET', '/api/info'),
	/** @returns {Promise<hks.Identity>} */
	whoami: () => request('GET', '/api/whoami', undefined, { expectLogin: true }),
	/** @param {string} token @returns {Promise<{valid: boolean, expiresAt?: string}>} */
	setupLink: (token) => request('GET', `/api/setup?token=${encodeURIComponent(token)}`, undefined, { expectLogin: true }),
	/** @param {string} token @param {string} password */
	setup: (token, password) => request('POST', '/api/setup', { token, password }, { expectLogin: true }),
	/** @param {string} password */
	login: (password) => request('POST', '/api/login', { password }, { expectLogin: true, again: true }),
	logout: () => request('POST', '/api/logout', undefined, { again: true }),

	/** @returns {Promise<hks.Token[]>} */
	tokens: () => request('GET', '/api/tokens'),
	/** @param {string} name @returns {Promise<hks.Token>} */
	createToken: (name) => request('POST', '/api/tokens', { name }),
	/** @param {string} id */
	revokeToken: (id) => request('DELETE', `/api/tokens/${encodeURIComponent(id)}`),

	/** @returns {Promise<hks.Workspace>} */
	workspace: () => request('GET', '/api/workspace'),
	/** @param {string} name @returns {Promise<hks.Workspace>} */
	createWorkspace: (name) => request('POST', '/api/workspace', { name }),
	/** @param {string} name @returns {Promise<hks.Workspace>} */
	renameWorkspace: (name) => request('PATCH', '/api/workspace', { name }),

	/** @returns {Promise<hks.App[]>} */
	apps: () => request('GET', '/api/apps'),
	/** @param {string} name @param {string} environment @returns {Promise<hks.App>} */
	app: (name, environment) => request('GET', appPath(name, environment)),
	/** @param {string} name @param {string} environment @returns {Promise<hks.Deletion>} */
	deleteApp: (name, environment) => request('DELETE', appPath(name, environment), undefined, { deadline: patience }),
	/** @param {string} name @param {string} environment @param {hks.Deploy} deploy @returns {Promise<hks.Release>} */
	deploy: (name, environment, deploy) => request('POST', `${appPath(name, environment)}/releases`, deploy),
	/** @param {string} name @param {string} environment @returns {Promise<hks.Release[]>} */
	releases: (name, environment) => request('GET', `${appPath(name, environment)}/releases`),
	/** @param {string} name @param {string} environment @param {number} number @returns {Promise<hks.Release>} */
	release: (name, environment, number) => request('GET', `${appPath(name, environment)}/releases/${number}`),
	/** @param {string} name @param {string} environment @param {number} release @returns {Promise<hks.Release>} */
	rollback: (name, environment, release) => request('POST', `${appPath(name, environment)}/rollback`, { release }),
	/** @param {string} name @param {string} environment @returns {Promise<hks.App>} */
	restart: (name, environment) => request('POST', `${appPath(name, environment)}/restart`),
	/** @param {string} name @param {string} from @param {string} to @returns {Promise<hks.Release>} */
	promote: (name, from, to) => request('POST', `${appPath(name, to)}/promote`, { from }),
	/** @param {string} name @param {string} environment @param {string} component @param {hks.Scale} replicas @returns {Promise<hks.App>} */
	scale: (name, environment, component, replicas) => request('POST', `${appPath(name, environment)}/scale`, { component, replicas }, { again: true }),
	/** @param {string} name @param {string} environment @returns {Promise<hks.App>} */
	stop: (name, environment) => request('POST', `${appPath(name, environment)}/stop`, undefined, { again: true }),
	/** @param {string} name @param {string} environment @returns {Promise<hks.App>} */
	start: (name, environment) => request('POST', `${appPath(name, environment)}/start`, undefined, { again: true }),
	/** @param {string} name @param {string} environment @param {string} since @returns {Promise<hks.Point[]>} */
	metrics: (name, environment, since) => request('GET', `${appPath(name, environment)}/metrics?since=${since}`),
	/** @param {string} name @param {string} environment @param {boolean} on @param {string} message @returns {Promise<hks.App>} */
	maintenance: (name, environment, on, message) => request('POST', `${appPath(name, environment)}/maintenance`, on ? { on, message } : { on }, { again: true }),
	/** @returns {Promise<hks.Domain[]>} */
	domains: () => request('GET', '/api/domains'),
	/** @returns {Promise<hks.Volume[]>} */
	volumes: () => request('GET', '/api/volumes'),
	/** @param {string} name @param {string} environment @param {string} host @param {string} component @returns {Promise<hks.Domain>} */
	addDomain: (name, environment, host, component) => request('POST', `${appPath(name, environment)}/domains`, { host, component }),
	/** @param {string} host @returns {Promise<hks.Domain>} */
	checkDomain: (host) => request('POST', `${domainPath(host)}/check`, undefined, { again: true }),
	/** @param {string} host @returns {Promise<hks.Domain>} */
	retryDomain: (host) => request('POST', `${domainPath(host)}/retry`, undefined, { again: true }),
	/** @param {string} host @param {string} certificate @param {string} key both PEM @returns {Promise<hks.Domain>} */
	putCertificate: (host, certificate, key) => request('PUT', `${domainPath(host)}/certificate`, { certificate, key }, { again: true }),
	/** @param {string} host @returns {Promise<hks.Domain>} */
	dropCertificate: (host) => request('DELETE', `${domainPath(host)}/certificate`, undefined, { again: true }),
	/** @param {string} host */
	removeDomain: (host) => request('DELETE', domainPath(host)),
	/**
	 * @param {string} name @param {string} environment @param {number} number
	 * @param {AbortSignal} signal @param {(progress: hks.Progress) => void} onProgress
	 */
	progress: (name, environment, number, signal, onProgress) =>
		stream(`${appPath(name, environment)}/releases/${number}/progress`, signal, (_, data) => onProgress(data)),
	/**
	 * @param {string} name @param {string} environment @param {{follow: boolean, previous: boolean, tail: number, component: string}} query
	 * @param {AbortSignal} signal @param {(line: hks.LogLine) => void} onLine
	 */
	logs: (name, environment, query, signal, onLine) =>
		stream(`${appPath(name, environment)}/logs?follow=${query.follow}&previous=${query.previous}&tail=${query.tail}${query.component && `&component=${query.component}`}`, signal,
			(event, data) => event === 'log' && onLine(data)),

	/** @returns {Promise<hks.Build[]>} */
	builds: () => request('GET', '/api/builds'),
	/** @param {number} id @returns {Promise<hks.Build>} */
	build: (id) => request('GET', `/api/builds/${id}`),
	/** @param {number} id @returns {Promise<hks.Build>} */
	cancelBuild: (id) => request('POST', `/api/builds/${id}/cancel`),
	/** @param {number} id @param {AbortSignal} signal @param {(line: hks.BuildLine) => void} onLine */
	buildLog: (id, signal, onLine) => stream(`/api/builds/${id}/log?follow=true`, signal, (_, data) => onLine(data)),

	/** @returns {Promise<hks.FunctionState[]>} */
	functions: () => request('GET', '/api/functions'),
	/** @param {{spec: Record<string, any>, files: Record<string, string>}} deploy @returns {Promise<hks.FunctionVersion>} */
	deployFunction: (deploy) => request('POST', '/api/functions', deploy, { deadline: patience }),
	/** @param {string} name @returns {Promise<void>} */
	deleteFunction: (name) => request('DELETE', `/api/functions/${encodeURIComponent(name)}`, undefined, { deadline: patience }),
	/** @param {string} name @returns {Promise<hks.FunctionVersion[]>} */
	functionVersions: (name) => request('GET', `/api/functions/${encodeURIComponent(name)}/versions`),
	/** @param {string} name @param {number} version @returns {Promise<{spec: Record<string, any>, files: Record<string, string>}>} */
	functionSource: (name, version) => request('GET', `/api/functions/${encodeURIComponent(name)}/versions/${version}`),
	/** @param {string} name @param {{set: Record<string, string>, unset: string[]}} change @returns {Promise<hks.FunctionState>} */
	setFunctionEnv: (name, change) => request('POST', `/api/functions/${encodeURIComponent(name)}/env`, change, { deadline: patience }),
	/** @param {string} name @param {number} version @returns {Promise<hks.FunctionVersion>} */
	rollbackFunction: (name, version) => request('POST', `/api/functions/${encodeURIComponent(name)}/rollback`, { version }, { deadline: patience }),
	/** @param {string} name @param {{payload: string, headers: Record<string, string>}} call @returns {Promise<hks.FunctionAnswer>} */
	invokeFunction: (name, call) => request('POST', `/api/functions/${encodeURIComponent(name)}/invoke`, call, { deadline: longPatience }),
	/** @param {string} name @returns {Promise<void>} */
	redriveFunction: (name) => request('POST', `/api/functions/${encodeURIComponent(name)}/letters/redrive`),

	/** @returns {Promise<hks.GitHub>} */
	github: () => request('GET', '/api/github'),
	/** @param {{token: string, url?: string, hookUrl?: string}} connect @returns {Promise<hks.GitHub>} */
	connectGitHub: (connect) => request('PUT', '/api/github', connect),
	/** @returns {Promise<void>} */
	disconnectGitHub: () => request('DELETE', '/api/github'),
	/** @returns {Promise<hks.GitRepository[]>} */
	repositories: () => request('GET', '/api/github/repositories'),
	/** @returns {Promise<hks.Pipeline[]>} */
	pipelines: () => request('GET', '/api/pipelines'),
	/** @param {Partial<hks.Pipeline>} pipeline @returns {Promise<hks.Pipeline>} */
	createPipeline: (pipeline) => request('POST', '/api/pipelines', pipeline, { deadline: patience }),
	/** @param {string} name @returns {Promise<void>} */
	deletePipeline: (name) => request('DELETE', `/api/pipelines/${encodeURIComponent(name)}`, undefined, { deadline: patience }),
	/** @param {string} name @returns {Promise<hks.PipelineRun>} */
	runPipeline: (name) => request('POST', `/api/pipelines/${encodeURIComponent(name)}/run`),
	/** @param {string} name @returns {Promise<hks.Delivery[]>} */
	deliveries: (name) => request('GET', `/api/pipelines/${encodeURIComponent(name)}/deliveries`),
	/** @returns {Promise<hks.PipelineRun[]>} */
	pipelineRuns: () => request('GET', '/api/runs'),
	/** @param {number} id @returns {Promise<hks.PipelineRun>} */
	cancelPipelineRun: (id) => request('POST', `/api/runs/${id}/cancel`),
	/** @param {number} id @returns {Promise<hks.PipelineRun>} */
	rerunPipeline: (id) => request('POST', `/api/runs/${id}/rerun`),

	/** @returns {Promise<hks.CronJob[]>} */
	cronJobs: () => request('GET', '/api/cron'),
	/** @param {Partial<hks.CronJob>} job @returns {Promise<hks.CronJob>} */
	createCronJob: (job) => request('POST', '/api/cron', job),
	/** @param {string} name @param {Partial<hks.CronJob>} job @returns {Promise<hks.CronJob>} */
	editCronJob: (name, job) => request('PUT', `/api/cron/${encodeURIComponent(name)}`, job),
	/** @param {string} name @returns {Promise<void>} */
	deleteCronJob: (name) => request('DELETE', `/api/cron/${encodeURIComponent(name)}`, undefined, { deadline: patience }),
	/** @param {string} name @returns {Promise<hks.CronJob>} */
	pauseCronJob: (name) => request('POST', `/api/cron/${encodeURIComponent(name)}/pause`),
	/** @param {string} name @returns {Promise<hks.CronJob>} */
	resumeCronJob: (name) => request('POST', `/api/cron/${encodeURIComponent(name)}/resume`),
	/** @param {string} name @returns {Promise<hks.CronRun>} */
	runCronJob: (name) => request('POST', `/api/cron/${encodeURIComponent(name)}/run`),
	/** @param {string} schedule @param {string} timeZone @returns {Promise<string[]>} */
	previewCron: (schedule, timeZone) => request('POST', '/api/cron-preview', { schedule, timeZone }, { again: true }),
	/** @param {string} name @returns {Promise<hks.CronRun[]>} */
	cronRuns: (name) => request('GET', `/api/cron/${encodeURIComponent(name)}/runs`),
	/** @param {number} id @returns {Promise<hks.CronRun>} */
	cancelCronRun: (id) => request('POST', `/api/cron-runs/${id}/cancel`, undefined, { deadline: patience }),
	/** @param {number} id @returns {Promise<string>} */
	cronOutput: (id) => request('GET', `/api/cron-runs/${id}/output`, undefined, { text: true }),

	/** @param {boolean} pending @returns {Promise<hks.Incident[]>} */
	incidents: (pending) => request('GET', `/api/incidents?limit=200&pending=${pending}`),
	/** @param {number} id @returns {Promise<hks.Incident>} */
	incident: (id) => request('GET', `/api/incidents/${id}`),
	/** @param {number} id @param {'ack' | 'resolve' | 'accept'} verb @returns {Promise<hks.Incident>} */
	changeIncident: (id, verb) => request('POST', `/api/incidents/${id}/${verb}`),
	/** @returns {Promise<hks.Silence[]>} */
	silences: () => request('GET', '/api/silences'),
	/** @param {hks.NewSilence} silence @returns {Promise<hks.Silence>} */
	silence: (silence) => request('POST', '/api/silences', silence),
	/** @param {number} id @returns {Promise<void>} */
	unsilence: (id) => request('DELETE', `/api/silences/${id}`),
	/** @returns {Promise<hks.Attention[]>} */
	attention: () => request('GET', '/api/attention'),
	/** @param {hks.IncidentSubject} subject @param {string} since @returns {Promise<hks.Series[]>} */
	series: ({ kind, name = '', environment }, since) => request('GET', `/api/series?${new URLSearchParams({ kind, name, ...(environment ? { environment } : {}), since })}`),
	/** @returns {Promise<hks.Channel[]>} */
	channels: () => request('GET', '/api/channels'),
	/** @param {Partial<hks.Channel>} channel @returns {Promise<hks.Channel>} */
	putChannel: (channel) => request('PUT', `/api/channels/${encodeURIComponent(channel.name || '')}`, channel),
	/** @param {string} name @returns {Promise<void>} */
	deleteChannel: (name) => request('DELETE', `/api/channels/${encodeURIComponent(name)}`),
	/** @param {string} name @returns {Promise<void>} */
	testChannel: (name) => request('POST', `/api/channels/${encodeURIComponent(name)}/test`, undefined, { deadline: patience }),
	/** @returns {Promise<hks.ReportDelivery[]>} */
	reports: () => request('GET', '/api/reports?limit=100'),
	/** @param {string} channel @returns {Promise<{retried: number}>} */
	retryReports: (channel) => request('POST', '/api/reports/retry', { channel }),

	/** @returns {Promise<hks.PlanState>} */
	plan: () => request('GET', '/api/plan'),
	/** @param {string} plan @returns {Promise<hks.PlanState>} */
	changePlan: (plan) => request('POST', '/api/plan', { plan }),

	/** @returns {Promise<hks.Node[]>} */
	nodes: () => request('GET', '/api/nodes'),
	/** @param {string} name @returns {Promise<hks.Node>} */
	node: (name) => request('GET', `/api/nodes/${encodeURIComponent(name)}`),
	/** @param {string} name @returns {Promise<hks.Node>} */
	inviteNode: (name) => request('POST', '/api/nodes', { name }),
	/** @param {string} name @returns {Promise<hks.Node>} */
	drainNode: (name) => request('POST', `/api/nodes/${encodeURIComponent(name)}/drain`),
	/** @param {string} name @returns {Promise<hks.Node>} */
	resumeNode: (name) => request('POST', `/api/nodes/${encodeURIComponent(name)}/resume`),
	/** @param {string} name @returns {Promise<hks.Node>} */
	removeNode: (name) => request('DELETE', `/api/nodes/${encodeURIComponent(name)}`),
	/** @param {string} name @param {string} environment @param {string} to @returns {Promise<hks.MovePlan>} */
	planMove: (name, environment, to) => request('POST', `${appPath(name, environment)}/move/plan`, { to }, { again: true }),
	/** @param {string} name @param {string} environment @param {string} to @returns {Promise<hks.Release>} */
	move: (name, environment, to) => request('POST', `${appPath(name, environment)}/move`, { to }),

	/** @returns {Promise<hks.Image[]>} */
	images: () => request('GET', '/api/images'),
	/** @returns {Promise<hks.ImageUsage>} */
	imageUsage: () => request('GET', '/api/images/usage'),
	/** @param {boolean} dryRun @returns {Promise<hks.ImagePrune>} */
	pruneImages: (dryRun) => request('POST', `/api/images/prune?dryRun=${dryRun}`, undefined, { deadline: longPatience, again: dryRun }),
	/** @param {string} name @returns {Promise<hks.ImagePrune>} */
	deleteImage: (name) => request('DELETE', `/api/images/${name.split('/').map(encodeURIComponent).join('/')}`, undefined, { deadline: longPatience }),
	/** @param {Blob} file @param {(part: number) => void} onProgress @param {AbortSignal} signal @returns {Promise<hks.Image[]>} */
	loadImage: (file, onProgress, signal) => upload('/api/images', file, onProgress, signal),

	/** @param {number} limit @returns {Promise<hks.Activity[]>} */
	activity: (limit) => request('GET', `/api/activity?limit=${limit}`),
	/** @returns {Promise<hks.System>} */
	system: () => request('GET', '/api/system'),
};
