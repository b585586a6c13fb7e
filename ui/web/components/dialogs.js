import { html } from '../html.js';
import { useStore } from '../store.js';
import { DeleteDialog, RollbackDialog, ScaleDialog, StopDialog } from './app-dialogs.js';
import { CancelBuildDialog } from './cancel-build-dialog.js';
import { DeployDialog } from './deploy-dialog.js';
import { SetEnvDialog, UnsetEnvDialog } from './env-dialogs.js';
import { DeleteImageDialog, PruneDialog } from './image-dialogs.js';
import { Palette } from './palette.js';
import { PromoteDialog } from './promote-dialog.js';

/** @type {Record<string, any>} */
const kinds = {
	deploy: DeployDialog, scale: ScaleDialog, stop: StopDialog, delete: DeleteDialog, rollback: RollbackDialog, promote: PromoteDialog,
	'cancel-build': CancelBuildDialog, pruneImages: PruneDialog, deleteImage: DeleteImageDialog,
	'set-env': SetEnvDialog, 'unset-env': UnsetEnvDialog, palette: Palette,
};

/** The one window that may be open. */
export function Dialogs() {
	const dialog = useStore((state) => state.dialog);
	if (!dialog) return null;
	return html`<${kinds[dialog.kind]} key=${dialog.kind} ...${dialog} />`;
}
