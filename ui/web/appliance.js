// What the settings screens ask of the API about the appliance itself.
import { request } from './api.js';

const backups = '/api/appliance/backups';

export const applianceApi = {
	/** @returns {Promise<hks.ApplianceBackups>} */
	backups: () => request('GET', backups),
	/** @param {boolean} volumes @returns {Promise<hks.ApplianceJob>} */
	backUp: (volumes) => request('POST', backups, { volumes }),
	/** @param {number} id @returns {Promise<hks.ApplianceJob>} */
	drill: (id) => request('POST', `${backups}/${id}/drill`),
	/** @param {number} id */
	deleteBackup: (id) => request('DELETE', `${backups}/${id}`, undefined, { deadline: 300_000 }),
	/** @param {number} id */
	archive: (id) => `${backups}/${id}/archive`,
	/** @returns {Promise<{key: string, recipient: string}>} */
	recoveryKey: () => request('POST', '/api/appliance/recovery-key'),
	/** @returns {Promise<hks.Update>} */
	update: () => request('GET', '/api/appliance/update'),
	/** @returns {Promise<hks.Update>} */
	lookForUpdate: () => request('POST', '/api/appliance/update'),
	/** @returns {Promise<hks.Session[]>} */
	sessions: () => request('GET', '/api/sessions'),
	/** @param {string} id */
	endSession: (id) => request('DELETE', `/api/sessions/${encodeURIComponent(id)}`),
	/** @param {{text?: string, failed?: boolean, before?: number, limit: number}} query @returns {Promise<hks.AuditEntry[]>} */
	audit: ({ text = '', failed = false, before = 0, limit }) => request('GET', `/api/audit?${new URLSearchParams({ text, failed: String(failed), before: String(before), limit: String(limit) })}`),
};
