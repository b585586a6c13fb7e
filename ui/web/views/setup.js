import { useEffect, useState } from '../vendor/hooks.js';
import { api, ApiError } from '../api.js';
import { Fingerprint } from '../components/fingerprint.js';
import { Field } from '../components/field.js';
import { NewLink } from '../components/new-link.js';
import { Outside } from '../components/outside.js';
import { Problem } from '../components/problem.js';
import { WorkspaceSteps } from '../components/workspace-steps.js';
import { sentence } from '../format.js';
import { html } from '../html.js';
import { navigate } from '../router.js';
import { enter } from '../session.js';
import { get, set, useStore } from '../store.js';
import { useTitle } from '../title.js';
import { shortestPassword, strength } from '../validate.js';

/** First the owner's password, then the workspace. @param {{token: string | null}} props */
export function SetupView({ token }) {
	const identity = useStore((state) => state.identity);
	useTitle('Set up');
	if (token) return html`<${LinkStep} token=${token} />`;
	if (identity) {
		return html`<${Outside} title="Your workspace" step="2 of 2"><${WorkspaceSteps} /></${Outside}>`;
	}
	return html`<${Outside} title="Set up">
		<p>The set-up begins with the one-time link that was printed when the appliance started. For a new one, as root on the machine:</p>
		<${NewLink} />
		<p><a href="/login">To the log-in</a></p>
	</${Outside}>`;
}

/** @param {{token: string}} props */
function LinkStep({ token }) {
	const [link, setLink] = useState(/** @type {{valid: boolean, expiresAt?: string} | null} */ (null));
	const [error, setError] = useState(/** @type {ApiError | null} */ (null));
	const [attempt, setAttempt] = useState(0);
	const info = useStore((state) => state.info);
	useEffect(() => {
		setError(null);
		api.setupLink(token).then(setLink, (cause) => {
			if (cause instanceof ApiError && cause.code === 'SETUP_LINK_INVALID') setLink({ valid: false });
			else setError(cause);
		});
	}, [token, attempt]);

	if (error) return html`<${Outside} title="Set up"><${Problem} message=${error.message} fix=${error.fix} code=${error.code} retry=${() => setAttempt(attempt + 1)} /></${Outside}>`;
	if (!link || !info) return html`<${Outside} title="Set up"><p class="muted">Looking at the link…</p></${Outside}>`;
	if (link.valid) return html`<${PasswordStep} token=${token} expiresAt=${link.expiresAt} />`;
	if (info.setUp) {
		return html`<${Outside} title="This link was used">
			<${Problem} tone="warn" message="A set-up link works once, and the appliance has its owner." fix="If that was not you, reinstall the appliance before anything is put on it." />
			<a class="button primary wide" href="/">To the dashboard</a>
		</${Outside}>`;
	}
	return html`<${Outside} title="This link has expired">
		<${Problem} tone="warn" message="The link is no longer good, or a newer one took its place." fix="Make a new one, as root on the machine:" />
		<${NewLink} />
	</${Outside}>`;
}

/** @param {{token: string, expiresAt?: string}} props */
function PasswordStep({ token, expiresAt }) {
	const [password, setPassword] = useState('');
	const [again, setAgain] = useState('');
	const [error, setError] = useState(/** @type {ApiError | null} */ (null));
	const [busy, setBusy] = useState(false);
	const info = useStore((state) => state.info);
	const minutes = useStore((state) => (expiresAt ? Math.max(0, Math.ceil((Date.parse(expiresAt) - state.now) / 60_000)) : 0));
	const { level, words } = strength(password);
	const differs = again !== '' && again !== password;
	const ready = password.length >= shortestPassword && again === password;

	const submit = async (/** @type {Event} */ event) => {
		event.preventDefault();
		if (!ready) return;
		setBusy(true);
		setError(null);
		try {
			await api.setup(token, password);
			const { info } = get();
			const to = info?.setUp ? '/' : '/setup';
			set({ info: info && { ...info, setUp: true } });
			await enter();
			navigate(to, { replace: true }); // the link is spent: out of the history
		} catch (cause) {
			setBusy(false);
			if (!(cause instanceof ApiError)) throw cause;
			setError(cause);
		}
	};
	const anew = info?.setUp;
	return html`<${Outside} title=${anew ? 'A new password' : 'Make it yours'} step=${anew ? undefined : '1 of 2'}>
		<p>${anew ? "Choose the owner's new password. It ends all sessions." : "Choose the owner's password. There is no other account, and no default."}</p>
		<form onSubmit=${submit} noValidate>
			<input type="text" class="hidden" name="username" value="owner" autocomplete="username" tabindex="-1" aria-hidden="true" readonly />
			<${Field} label="Password" type="password" value=${password} onValue=${setPassword} input=${{ autocomplete: 'new-password', autofocus: true }}
				hint=${html`<meter class="strength" min="0" max="3" low="1.5" high="2.5" optimum="3" value=${level} aria-label="Strength"></meter>${words}`}
				problem=${error?.details.field === 'password' ? sentence(error.message) : ''} />
			<${Field} label="Password again" type="password" value=${again} onValue=${setAgain} input=${{ autocomplete: 'new-password' }} problem=${differs ? 'The two differ.' : ''} />
			${error && (error.details.field === 'password' ? html`<p class="field-hint">${sentence(error.fix)}</p>` : html`<${Problem} message=${error.message} fix=${error.fix} code=${error.code} />`)}
			<button type="submit" class="button primary wide" disabled=${busy || !ready}>${busy ? 'One moment…' : 'Set the password'}</button>
		</form>
		${minutes > 0 && html`<p class="muted small">The link is good for ${minutes} more ${minutes === 1 ? 'minute' : 'minutes'}, and for one use.</p>`}
		${info && html`<${Fingerprint} value=${info.fingerprint} />`}
	</${Outside}>`;
}
