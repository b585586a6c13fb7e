import { toast } from './store.js';

/** Copies text and says so. @param {string} text @param {string} what */
export async function copy(text, what) {
	try {
		await navigator.clipboard.writeText(text);
		toast({ kind: 'success', message: `${what} copied.` });
		return true;
	} catch {
		toast({ kind: 'error', message: 'The browser does not allow copying here.', detail: text });
		return false;
	}
}
