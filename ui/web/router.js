// Screens by path, with the browser's own history.
import { set } from './store.js';

/** @param {string} path @param {{replace?: boolean}} [options] */
export function navigate(path, options = {}) {
	if (options.replace) history.replaceState(null, '', path);
	else history.pushState(null, '', path);
	set({ path: location.pathname + location.search, dialog: null });
	scrollTo(0, 0);
}

/** Paths that the server answers itself. */
const served = /^\/(api\/|ca\.crt$|metrics$|healthz$)/;

export function listen() {
	addEventListener('popstate', () => set({ path: location.pathname + location.search, dialog: null }));
	document.addEventListener('click', (event) => {
		if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
		const link = event.target instanceof Element ? event.target.closest('a') : null;
		if (!link || link.target || link.hasAttribute('download') || link.origin !== location.origin || served.test(link.pathname)) return;
		event.preventDefault();
		if (link.hash && link.pathname === location.pathname) document.querySelector(link.hash)?.scrollIntoView();
		else navigate(link.pathname + link.search);
	});
}

/** A path to come back to; anything that leads elsewhere is dropped. @param {string | null} path */
export function safeReturn(path) {
	return path && /^\/(?![/\\])/.test(path) && !path.startsWith('/login') && !path.startsWith('/setup') ? path : '/';
}

/** @param {{name: string, environment: string}} app */
export const appLink = (app) => `/apps/${app.name}/${app.environment}`;

/** @param {{id: number}} incident */
export const incidentLink = (incident) => `/incidents/${incident.id}`;

/** @param {hks.Build} build */
export const buildLink = (build) => `/builds/${build.id}`;
