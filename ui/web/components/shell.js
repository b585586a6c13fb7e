import { html } from '../html.js';
import { count } from '../format.js';
import { goesOn, openDialog, useStore } from '../store.js';
import { Icon } from './icon.js';
import { Logo } from './logo.js';

const links = [
	{ path: '/', label: 'Dashboard', within: /^\/($|apps\/)/ },
	{ path: '/incidents', label: 'Incidents', within: /^\/(incidents|notifications)/ },
	{ path: '/pipelines', label: 'Pipelines', within: /^\/pipelines/ },
	{ path: '/builds', label: 'Builds', within: /^\/builds/ },
	{ path: '/services', label: 'Services', within: /^\/services/ },
	{ path: '/images', label: 'Images', within: /^\/images/ },
	{ path: '/functions', label: 'Functions', within: /^\/functions/ },
	{ path: '/cron', label: 'Cron', within: /^\/cron/ },
	{ path: '/nodes', label: 'Nodes', within: /^\/nodes/ },
	{ path: '/settings', label: 'Settings', within: /^\/settings/ },
];

const onMac = navigator.platform.startsWith('Mac');

/** The frame around every screen of the owner. @param {{children?: any}} props */
export function Shell({ children }) {
	const path = useStore((state) => state.path.split('?')[0]);
	return html`
		<a class="skip" href="#main">Skip to the content</a>
		<header class="top">
			<div class="top-inner">
				<a class="brand" href="/" aria-label="hks, to the dashboard"><${Logo} /><span>hks</span></a>
				<nav aria-label="Screens">
					${links.map((link) => html`<a href=${link.path} aria-current=${link.within.test(path) ? 'page' : undefined}>${link.label}${link.path === '/incidents' && html`<${Badge} />`}</a>`)}
				</nav>
				<div class="top-end">
					<${Connection} />
					<button type="button" class="search-button" title="Command palette" aria-keyshortcuts="Control+K Meta+K" onClick=${() => openDialog({ kind: 'palette' })}>
						<${Icon} name="search" /><span>Go to or do</span><kbd aria-hidden="true">${onMac ? '⌘' : 'Ctrl'} K</kbd>
					</button>
				</div>
			</div>
		</header>
		<main id="main" tabindex="-1">${children}</main>
		<${Footer} />`;
}

/** How many incidents go on. */
function Badge() {
	const incidents = useStore((state) => state.incidents);
	const open = (incidents || []).filter(goesOn);
	if (open.length === 0) return null;
	const worst = open.some((incident) => incident.severity === 'critical') ? 'bad' : 'warn';
	return html`<span class="badge ${worst}" aria-label=${`${count(open.length, 'incident')} open`} role="status">${open.length}</span>`;
}

const words = {
	live: { label: 'Live', title: 'What you see is what is.' },
	connecting: { label: 'Connecting', title: 'The event stream is being opened.' },
	reconnecting: { label: 'Reconnecting', title: 'The event stream is cut; what you see may be old. It comes back by itself.' },
};

function Connection() {
	const connection = useStore((state) => state.connection);
	return html`<span class="connection ${connection}" role="status" title=${words[connection].title}>
		<i class="dot" aria-hidden="true"></i><span>${words[connection].label}</span>
	</span>`;
}

function Footer() {
	const info = useStore((state) => state.info);
	const system = useStore((state) => state.system);
	const engine = system?.parts.find((part) => part.name === 'engine');
	return html`<footer class="foot">
		${info && html`<span>hks ${info.version}</span>`}
		${engine?.version && html`<span>engine ${engine.version}</span>`}
		${info && html`<span>domain ${info.domain}</span>`}
	</footer>`;
}
