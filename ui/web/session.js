// The owner's session in this browser.
import { tell } from './actions.js';
import { api, ApiError } from './api.js';
import { refresh, start, stop } from './live.js';
import { navigate } from './router.js';
import { forget, get, set } from './store.js';

/** Finds out who is here, and loads what they may see. */
export async function begin() {
	const identity = await api.whoami();
	set({ identity });
	await enter();
}

/** After a log-in or the set-up. */
export async function enter() {
	if (!get().identity) set({ identity: await api.whoami() });
	start();
	await refresh();
}

/** Keeps the place, so that the log-in leads back to it. */
export function expired() {
	if (get().path.startsWith('/login') || get().path.startsWith('/setup')) return;
	const next = get().path;
	stop();
	forget();
	navigate(next === '/' ? '/login' : `/login?next=${encodeURIComponent(next)}`, { replace: true });
}

export async function logOut() {
	try {
		await api.logout();
	} catch (error) {
		if (!(error instanceof ApiError && error.status === 401)) return tell(error);
	}
	stop();
	forget();
	navigate('/login');
}
