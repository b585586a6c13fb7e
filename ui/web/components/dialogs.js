import { html } from '../html.js';
import { lazy } from '../lazy.js';
import { useStore } from '../store.js';
import { Palette } from './palette.js';

const apps = () => import('./app-dialogs.js');
const env = () => import('./env-dialogs.js');
const images = () => import('./image-dialogs.js');

/** @type {Record<string, any>} */
const kinds = {
	deploy: lazy(() => import('./deploy-dialog.js').then((m) => m.DeployDialog)),
	scale: lazy(() => import('./scale-dialog.js').then((m) => m.ScaleDialog)),
	stop: lazy(() => apps().then((m) => m.StopDialog)),
	delete: lazy(() => apps().then((m) => m.DeleteDialog)),
	rollback: lazy(() => apps().then((m) => m.RollbackDialog)),
	promote: lazy(() => import('./promote-dialog.js').then((m) => m.PromoteDialog)),
	move: lazy(() => import('./move-dialog.js').then((m) => m.MoveDialog)),
	'cancel-build': lazy(() => import('./cancel-build-dialog.js').then((m) => m.CancelBuildDialog)),
	pruneImages: lazy(() => images().then((m) => m.PruneDialog)),
	deleteImage: lazy(() => images().then((m) => m.DeleteImageDialog)),
	'set-env': lazy(() => env().then((m) => m.SetEnvDialog)),
	'unset-env': lazy(() => env().then((m) => m.UnsetEnvDialog)),
	palette: Palette,
};

/** The one window that may be open. */
export function Dialogs() {
	const dialog = useStore((state) => state.dialog);
	if (!dialog || !kinds[dialog.kind]) return null;
	return html`<${kinds[dialog.kind]} key=${dialog.kind} ...${dialog} />`;
}
