import { useEffect, useState } from '../vendor/hooks.js';
import { api, ApiError } from '../api.js';
import { known } from '../format.js';
import { html } from '../html.js';
import { toast } from '../store.js';
import { CopyButton } from './copy-button.js';
import { Dialog } from './dialog.js';
import { Field } from './field.js';
import { Icon } from './icon.js';
import { Problem } from './problem.js';
import { Time } from './time.js';

/** Tokens of the command and of scripts. */
export function Tokens() {
	const [tokens, setTokens] = useState(/** @type {hks.Token[] | null} */ (null));
	const [made, setMade] = useState(/** @type {hks.Token | null} */ (null));
	const [name, setName] = useState('');
	const [doomed, setDoomed] = useState(/** @type {hks.Token | null} */ (null));
	const [error, setError] = useState(/** @type {ApiError | null} */ (null));

	const list = () => api.tokens().then((tokens) => { setTokens(tokens || []); setError(null); }, setError);
	useEffect(() => void list(), []);
	const create = async (/** @type {Event} */ event) => {
		event.preventDefault();
		if (name.trim() === '') return;
		await attempt(async () => {
			setMade(await api.createToken(name.trim()));
			setName('');
		});
	};
	const revoke = (/** @type {hks.Token} */ token) => attempt(async () => {
		await api.revokeToken(token.id);
		if (made?.id === token.id) setMade(null);
		setDoomed(null);
		toast({ kind: 'success', message: `The token ${token.name} is revoked.` });
	});
	const attempt = async (/** @type {() => Promise<void>} */ change) => {
		try {
			await change();
			await list();
		} catch (cause) {
			if (!(cause instanceof ApiError)) throw cause;
			setDoomed(null);
			setError(cause);
		}
	};
	return html`<section class="card" aria-labelledby="tokens-title">
		<header class="card-head"><h2 id="tokens-title">API tokens</h2><span class="muted">for the command and for scripts</span></header>
		<div class="card-body">
			${error && html`<${Problem} message=${error.message} fix=${error.fix} code=${error.code} retry=${tokens ? undefined : list} />`}
			${made && html`<div class="secret" role="status"><p>The token <strong>${made.name}</strong>. It is shown this once; keep it now.</p>
				<div class="cli"><code>${made.secret}</code><${CopyButton} text=${made.secret || ''} what="token" /></div></div>`}
			<form class="rename" onSubmit=${create}>
				<${Field} label="New token" value=${name} onValue=${setName} input=${{ placeholder: 'who uses it, such as laptop', maxLength: 100 }} />
				<button type="submit" class="button" disabled=${name.trim() === ''}><${Icon} name="plus" />Create</button>
			</form>
		</div>
		${tokens && (tokens.length === 0 ? html`<p class="card-note muted">None. <code>hks login</code> makes one by itself.</p>` : html`<ul class="files">
			${tokens.map((token) => html`<li key=${token.id}>
				<div><strong>${token.name}</strong><p class="muted">made <${Time} at=${token.createdAt} />, ${known(token.usedAt) ? html`used <${Time} at=${token.usedAt} />` : 'never used'}</p></div>
				<button type="button" class="button small" onClick=${() => setDoomed(token)}>Revoke</button>
			</li>`)}
		</ul>`)}
		${doomed && html`<${Dialog} title=${`Revoke ${doomed.name}?`} onClose=${() => setDoomed(null)}>
			<p>Whoever uses this token is locked out at once.</p>
			<footer class="dialog-foot">
				<button type="button" class="button" onClick=${() => setDoomed(null)}>Cancel</button>
				<button type="button" class="button destroy" onClick=${() => revoke(doomed)}>Revoke</button>
			</footer>
		</${Dialog}>`}
	</section>`;
}
