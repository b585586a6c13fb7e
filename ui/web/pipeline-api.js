import { request } from './api.js';

/** Calls that only the screens of pipelines make; the first screen does without them. */
const at = (/** @type {string} */ name) => `/api/pipelines/${encodeURIComponent(name)}`;

/** @param {hks.PipelineRun} run */
export const waits = (run) => run.approval === 'needed' && run.status === 'pending';

/** @param {number} id @returns {Promise<hks.PipelineRun>} */
export const getRun = (id) => request('GET', `/api/runs/${id}`);
/** @param {string} pipeline @returns {Promise<hks.PipelineRun[]>} */
export const getRuns = (pipeline) => request('GET', `/api/runs?pipeline=${encodeURIComponent(pipeline)}`);
/** @param {number} id @returns {Promise<hks.TestCase[]>} */
export const getTests = (id) => request('GET', `/api/runs/${id}/tests`);
/** @param {number} id @returns {Promise<hks.PipelineRun>} */
export const approveRun = (id) => request('POST', `/api/runs/${id}/approve`);
/** @param {number} id @returns {Promise<hks.PipelineRun>} */
export const rerunFailed = (id) => request('POST', `/api/runs/${id}/rerun?failed=true`);
/** @param {Partial<hks.Pipeline> & {name: string}} pipeline @returns {Promise<hks.Pipeline>} */
export const editPipeline = (pipeline) => request('PUT', at(pipeline.name), pipeline);
/** @param {string} name @param {{set?: Record<string, string>, secrets?: Record<string, string>, unset?: string[]}} env @returns {Promise<hks.Pipeline>} */
export const setVariables = (name, env) => request('PATCH', `${at(name)}/env`, env);
/** @param {string} repository @returns {Promise<hks.GitPermission[]>} */
export const permissions = (repository) => request('GET', `/api/github/permissions?repository=${encodeURIComponent(repository)}`);
/** @param {{origin: string, organization?: string, hookUrl?: string, url?: string}} start @returns {Promise<{page: string}>} */
export const startApp = (start) => request('POST', '/api/github/app', start);
/** @param {string} account @returns {Promise<hks.GitHub>} */
export const checkApp = (account) => request('POST', '/api/github/app/check', { account });
