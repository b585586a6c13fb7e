import { html } from '../html.js';
import { useStore } from '../store.js';
import { DeleteDialog, RollbackDialog, ScaleDialog, StopDialog } from './app-dialogs.js';
import { DeployDialog } from './deploy-dialog.js';
import { DeleteImageDialog, PruneDialog } from './image-dialogs.js';
import { Palette } from './palette.js';

/** @type {Record<string, any>} */
const kinds = { deploy: DeployDialog, scale: ScaleDialog, stop: StopDialog, delete: DeleteDialog, rollback: RollbackDialog, pruneImages: PruneDialog, deleteImage: DeleteImageDialog, palette: Palette };

/** The one window that may be open. */
export function Dialogs() {
	const dialog = useStore((state) => state.dialog);
	if (!dialog) return null;
	return html`<${kinds[dialog.kind]} key=${dialog.kind} ...${dialog} />`;
}
