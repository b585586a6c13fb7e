// The beginning: who is here, and which screen.
import { render } from './vendor/preact.js';
import { useEffect } from './vendor/hooks.js';
import { api, ApiError, whenUnauthorized } from './api.js';
import { Dialogs } from './components/dialogs.js';
import { Problem } from './components/problem.js';
import { Shell } from './components/shell.js';
import { Toasts } from './components/toasts.js';
import { html } from './html.js';
import { lazy } from './lazy.js';
import { listen } from './router.js';
import { begin, expired } from './session.js';
import { get, openDialog, set, useStore } from './store.js';
import { DashboardView } from './views/dashboard.js';
import { LoginView } from './views/login.js';
import { NotFoundView } from './views/not-found.js';
import { SetupView } from './views/setup.js';

/** Screens of the owner; all but the first are fetched when they are shown. @type {[RegExp, any][]} */
const screens = [
	[/^\/$/, DashboardView],
	[/^\/apps\/([a-z][-a-z0-9]*)\/(staging|production)$/, lazy(() => import('./views/app.js').then((m) => m.AppView))],
	[/^\/builds$/, lazy(() => import('./views/builds.js').then((m) => m.BuildsView))],
	[/^\/builds\/([1-9]\d*)$/, lazy(() => import('./views/build.js').then((m) => m.BuildView))],
	[/^\/images$/, lazy(() => import('./views/images.js').then((m) => m.ImagesView))],
	[/^\/pipelines$/, lazy(() => import('./views/pipelines.js').then((m) => m.PipelinesView))],
	[/^\/runs\/([1-9]\d*)$/, lazy(() => import('./views/run.js').then((m) => m.RunView))],
	[/^\/functions$/, lazy(() => import('./views/functions.js').then((m) => m.FunctionsView))],
	[/^\/cron$/, lazy(() => import('./views/cron.js').then((m) => m.CronView))],
	[/^\/incidents$/, lazy(() => import('./views/incidents.js').then((m) => m.IncidentsView))],
	[/^\/incidents\/([1-9]\d*)$/, lazy(() => import('./views/incident.js').then((m) => m.IncidentView))],
	[/^\/notifications$/, lazy(() => import('./views/notifications.js').then((m) => m.NotificationsView))],
	[/^\/nodes$/, lazy(() => import('./views/nodes.js').then((m) => m.NodesView))],
	[/^\/services$/, lazy(() => import('./views/market.js').then((m) => m.MarketView))],
	[/^\/services\/([a-z][-a-z0-9]*)$/, lazy(() => import('./views/service.js').then((m) => m.ServiceView))],
	[/^\/settings\/audit$/, lazy(() => import('./views/audit.js').then((m) => m.AuditView))],
	[/^\/settings$/, lazy(() => import('./views/settings.js').then((m) => m.SettingsView))],
];

function Root() {
	const path = useStore((state) => state.path);
	const open = isOpen(path);
	useEffect(() => void boot(open), [open]);
	return html`<${Screen} path=${path} /><${Dialogs} /><${Toasts} />`;
}

/** @param {{path: string}} props */
function Screen({ path }) {
	const identity = useStore((state) => state.identity);
	const problem = useStore((state) => state.problem);
	const { pathname, searchParams } = new URL(path, location.origin);
	if (pathname === '/setup') return html`<${SetupView} token=${searchParams.get('token')} />`;
	if (pathname === '/login') return html`<${LoginView} next=${searchParams.get('next')} />`;
	if (!identity) return problem ? html`<div class="lone"><${Problem} message=${problem.message} fix=${problem.fix} code=${problem.code} retry=${() => boot(false)} /></div>` : html`<${Shell} />`; // the frame, at once
	for (const [pattern, view] of screens) {
		const match = pattern.exec(pathname);
		if (match) return html`<${Shell}><${view} key=${pathname} name=${match[1]} environment=${match[2]} /></${Shell}>`;
	}
	return html`<${Shell}><${NotFoundView} /></${Shell}>`;
}

/** The log-in and a set-up link are for anyone. @param {string} path */
const isOpen = (path) => /^\/(login\b|setup\?)/.test(path);

/** @param {boolean} open */
async function boot(open) {
	set({ problem: null });
	try {
		const [info] = await Promise.all([api.info(), open || get().identity ? undefined : begin().catch(outside)]);
		set({ info });
	} catch (error) {
		if (!(error instanceof ApiError)) throw error;
		set({ problem: error });
	}
}

/** Nobody is logged in: that is a screen of its own. @param {unknown} error */
function outside(error) {
	if (!(error instanceof ApiError) || error.status !== 401) throw error;
	expired();
}

addEventListener('keydown', (event) => {
	if (event.key.toLowerCase() !== 'k' || !(event.ctrlKey || event.metaKey) || !get().identity) return;
	event.preventDefault();
	openDialog({ kind: 'palette' });
});

whenUnauthorized(expired);
listen();
render(html`<${Root} />`, /** @type {HTMLElement} */ (document.getElementById('app')));
