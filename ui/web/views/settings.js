import { ApplianceBackups } from '../components/appliance-backups.js';
import { CopyButton } from '../components/copy-button.js';
import { Cli } from '../components/cli.js';
import { Icon } from '../components/icon.js';
import { PlanCard } from '../components/plan-card.js';
import { SystemParts } from '../components/system-parts.js';
import { Sessions } from '../components/sessions.js';
import { Tokens } from '../components/tokens.js';
import { VersionCard } from '../components/version-card.js';
import { html } from '../html.js';
import { logOut } from '../session.js';
import { useStore } from '../store.js';
import { useTitle } from '../title.js';

/** Ways in, and what proves that this is the right machine. */
export function SettingsView() {
	const info = useStore((state) => state.info);
	const workspace = useStore((state) => state.workspace);
	const system = useStore((state) => state.system);
	useTitle('Settings');
	return html`
		<header class="page-head"><div><h1>Settings</h1><p class="muted">Ways in, and what proves that this is your machine.</p></div>
			<a class="button" href="/settings/audit">Audit log</a><a class="button" href="/notifications">Notifications</a>
			<button type="button" class="button" onClick=${logOut}><${Icon} name="user" />Log out</button></header>
		<${PlanCard} />
		<${ApplianceBackups} />
		<${VersionCard} />
		<${Tokens} />
		<${Sessions} />
		<section class="card" aria-labelledby="access-title">
			<header class="card-head"><h2 id="access-title">From another machine</h2></header>
			<div class="card-body">
				<p>The command trusts this appliance by its certificate's fingerprint. It asks for the password once and keeps a token.</p>
				<${Cli} command=${`hks login ${location.origin}`} />
				${info && html`<dl class="facts one"><div><dt>Fingerprint</dt><dd><code class="breaks">${info.fingerprint}</code><${CopyButton} text=${info.fingerprint} what="fingerprint" /></dd></div></dl>`}
			</div>
		</section>
		<section class="card" aria-labelledby="files-title">
			<header class="card-head"><h2 id="files-title">Files</h2></header>
			<ul class="files">
				<li><div><strong>Root certificate of the apps</strong><p class="muted">Import it where browsers should trust the apps' addresses over HTTPS.</p></div><a class="button" href="/ca.crt" download="hks-ca.crt"><${Icon} name="download" />ca.crt</a></li>
				<li><div><strong>Kubeconfig of the workspace</strong><p class="muted">For kubectl and other tools. It reaches ${workspace ? html`<code>${workspace.name}</code>` : 'the workspace'} and nothing else.</p></div>
					<a class="button" href="/api/workspace/kubeconfig" download="hks-kubeconfig.yaml"><${Icon} name="download" />kubeconfig</a></li>
			</ul>
		</section>
		${system && html`<section class="card" aria-labelledby="system-title">
			<header class="card-head"><h2 id="system-title">The appliance's parts</h2></header>
			<${SystemParts} parts=${system.parts} />
		</section>`}`;
}
