import { tell } from './actions.js';
import { api } from './api.js';
import { set } from './store.js';

/** Makes the workspace, or tries again after a failure. @param {string} name */
export async function retryWorkspace(name) {
	try {
		set({ workspace: await api.createWorkspace(name) });
	} catch (error) {
		tell(error);
	}
}
