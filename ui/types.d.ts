// The JSON of the API, as package agent defines it. Global, so that JSDoc can
// name hks.App without an import.
declare namespace hks {
	type Environment = 'staging' | 'production';
	type AppStatus = 'pending' | 'deploying' | 'running' | 'updating' | 'stopping' | 'stopped' | 'error' | 'deleting';
	type ReleaseStatus = 'pending' | 'deploying' | 'succeeded' | 'failed' | 'cancelled';
	type RunStatus = 'pending' | 'running' | 'succeeded' | 'failed' | 'cancelled';
	type WorkspaceStatus = 'creating' | 'ready' | 'renaming' | 'failed';

	interface Usage { cpu: number; memory: number; cpuLimit: number; memoryLimit: number; sampledAt: string }
	interface Instance { name: string; component: string; release: number; node: string; phase: string; reason?: string; restarts: number; usage: Usage; startedAt: string }
	interface App {
		name: string; environment: Environment; status: AppStatus; reason?: string; fix?: string; url: string;
		release: number; target?: number; image: string; digest?: string; replicas: number; ready: number;
		usage: Usage; maintenance?: Maintenance; components: ComponentState[]; instances?: Instance[]; createdAt: string; updatedAt: string;
	}
	interface Maintenance { on: boolean; message?: string; since: string; by: string; applied: boolean }
	type DomainStatus = 'checking' | 'waiting' | 'asking' | 'valid' | 'failed';
	interface Look { ok: boolean; message?: string }
	interface DomainCheck { cname?: string; addresses?: string[]; expected?: string[]; dns: Look; http: Look; https: Look }
	interface Certificate { source?: 'acme' | 'own'; issuer?: string; names?: string[]; serial?: string; validFrom?: string; validUntil?: string; renewAt?: string }
	interface Domain {
		host: string; name: string; app: string; environment: Environment; component?: string; url?: string; status: DomainStatus; reason?: string; fix?: string;
		check: DomainCheck; certificate: Certificate; tries?: number; nextTry?: string; checkedAt?: string; createdAt: string; by: string;
	}
	interface Volume {
		name: string; id: string; class: string; sizeBytes: number; askedBytes?: number; usedBytes: number; freeBytes: number; fullInSeconds?: number; status: string; message?: string;
		app?: string; environment?: Environment; component?: string; service?: string; keptUntil?: string; createdAt: string;
	}
	interface ComponentState { name: string; image: string; digest?: string; url?: string; port?: number; replicas: number; ready: number; usage: Usage; autoscale?: Autoscale }
	interface Autoscale { min: number; max: number; cpu: number; now?: number; reason?: string }
	type Scale = number | { min: number; max: number; cpu: number }
	interface Component {
		name: string; image: string; port?: number; path?: string; host?: string; env?: Record<string, string>; secrets?: string[];
		command?: string[]; release?: string[]; cpu?: string; memory?: string; health?: string; volumes?: { name: string; path: string; size: string }[];
	}
	interface Spec { components: Component[]; env?: Record<string, string>; place?: string }
	interface Deploy { components?: Component[]; change?: Partial<Component>[]; env?: Record<string, string>; replicas?: Record<string, Scale> }
	interface Change { component?: string; field: string; from: string; to: string }
	interface Failure { code: string; message: string; fix?: string; exitCode?: number; logs?: string[] }
	interface Release {
		app: string; environment: Environment; number: number; spec: Spec; digests?: Record<string, string>; kind: string; from?: number; by: string;
		status: ReleaseStatus; failure?: Failure; createdAt: string; finishedAt?: string;
	}
	interface Progress { time: string; step: string; message: string; release?: Release; done?: boolean }
	interface LogLine { time: string; instance: string; text: string }
	interface BuildComponent { name: string; from: string; image?: string; digest?: string; tested?: boolean }
	interface Build {
		id: number; app: string; environment: Environment; status: RunStatus; components: BuildComponent[] | null; release?: number; by: string;
		failure?: Failure; createdAt: string; startedAt?: string; finishedAt?: string;
	}
	interface BuildLine { place?: number; time: string; component?: string; kind: string; step?: string; text?: string; build?: Build }
	interface Point { time: string; cpu: number; memory: number }
	interface Deletion { removed: string[]; kept?: string[] }

	interface Plan {
		name: string; workspaces: number; functions: number; cronJobs: number; storageBytes: number; dedicatedNodes: number;
		backupDays: number; pods: number; cpuPercent: number; memoryPercent: number;
	}
	interface Resource { name: string; unit: 'cores' | 'bytes' | 'count'; used: number; limit: number }
	interface Workspace {
		name: string; status: WorkspaceStatus; step?: string; reason?: string; fix?: string; plan: Plan; podSecurity: string;
		resources: Resource[]; createdAt: string;
	}

	type ServiceStatus = 'installing' | 'running' | 'updating' | 'error' | 'deleting' | 'removed';
	interface CatalogueEntry {
		name: string; title: string; description: string; version: string; appVersion?: string; own?: boolean; engine?: string; env?: string[];
		schema?: ValueSchema; values?: Record<string, any>;
	}
	interface ValueSchema { properties?: Record<string, { type?: string; title?: string; description?: string; pattern?: string; default?: any }> }
	interface Binding { service: string; app: string; environment: Environment; prefix?: string; names: string[]; release: number; createdAt: string }
	interface ServiceJob {
		id: number; service: string; kind: string; status: RunStatus; steps: { time: string; text: string }[]; backup?: number; failure?: Failure; by: string;
		createdAt: string; startedAt?: string; finishedAt?: string;
	}
	interface Verification { backup: number; at: string; good: boolean; message: string }
	interface Backup {
		id: number; service: string; engine: string; appVersion: string; trigger: string; by: string; bytes: number; sha256: string;
		tables: { name: string; rows: number; checksum?: string }[]; remote?: string; verified?: Verification; createdAt: string;
	}
	interface Service {
		name: string; chart: string; title: string; version: string; appVersion?: string; latest?: string; engine?: string; status: ServiceStatus;
		reason?: string; fix?: string; host: string; port?: number; user?: string; values: Record<string, any>; storageBytes: number; instance?: string;
		bindings: Binding[]; job?: ServiceJob; lastBackup?: Backup; verified?: Verification;
		schedule?: { everyHours: number; keep: number; next: string }; createdAt: string; keptUntil?: string;
	}
	interface Credentials { env: Record<string, string>; url?: string; client?: string[] }

	interface Identity { name: string; via: string; id?: string }
	interface Token { id: string; name: string; secret?: string; createdAt: string; usedAt?: string; expiresAt?: string }
	interface Session { id: string; createdAt: string; usedAt: string; expiresAt: string; current?: boolean }
	interface AuditEntry { id: number; time: string; who: string; via: string; token?: string; address: string; method: string; route: string; target?: string; status: number; code?: string }
	interface Update { enabled: boolean; current: string; latest?: string; available: boolean; notes?: string; checkedAt?: string; failure?: string }
	interface ApplianceDrill { backup: number; at: string; good: boolean; message: string; checked: string[] }
	interface ApplianceBackup {
		id: number; file: string; bytes: number; sha256: string; trigger: string; by: string; remote?: string; remoteFailure?: string; drill?: ApplianceDrill; createdAt: string;
		contents: { version: string; files: number; bytes: number; rows: Record<string, number>; images: number; leftOut: string[] };
	}
	interface ApplianceJob { id: number; kind: 'backup' | 'drill'; status: RunStatus; steps: { time: string; text: string }[]; backup?: number; failure?: Failure; by: string; createdAt: string; finishedAt?: string }
	interface ApplianceBackups {
		schedule: { source: string; everyMins: number; keep: number; volumes: boolean; drillMins: number; next?: string; nextDrill?: string };
		backups: ApplianceBackup[]; bytes: number; folder: string; target?: string; running?: ApplianceJob; last?: ApplianceJob; drill?: ApplianceDrill; keyShownAt?: string;
	}
	interface Info { product: string; version: string; setUp: boolean; fingerprint: string; domain: string }
	interface Part { name: string; healthy: boolean; version?: string; message?: string }
	interface System { parts: Part[] }
	interface FunctionSpec { name: string; runtime: string; entry: string; signature: string; public: boolean; memory: number; timeout: number; triggers?: { cron?: string; timeZone?: string; payload?: string; event?: string }[] }
	interface FunctionState { name: string; url: string; spec: FunctionSpec; version: number; variables: string[]; missing?: string[]; instances: number; waiting: number; dead: number; key?: string; createdAt: string }
	interface FunctionVersion { function: string; number: number; status: 'pending' | 'building' | 'trying' | 'ready' | 'failed'; spec: FunctionSpec; failure?: Failure; by: string; createdAt: string }
	interface FunctionAnswer { status: number; headers: Record<string, string>; body: string; cold: boolean; millis: number }
	interface GitHub { connected: boolean; url?: string; login?: string; hookUrl?: string; checkedAt?: string; app?: { id: number; slug?: string; installUrl?: string; account?: string } }
	interface GitPermission { name: string; for: string; granted: boolean; why?: string }
	interface PipelineVariable { name: string; value?: string; secret?: boolean }
	interface TestCase { component?: string; suite?: string; name: string; outcome: 'passed' | 'failed' | 'skipped'; seconds: number; message?: string; flaky?: string }
	interface GitRepository { name: string; branch: string; private: boolean }
	interface Pipeline { name: string; repository: string; branch: string; folder?: string; skipTests?: boolean; test?: string[]; reports?: string; paths?: string[]; pullRequests?: boolean; previews?: number; previewDays?: number; promoteTags?: string; variables?: PipelineVariable[];
		remote?: string; password?: string; deployKey?: string; hostKey?: string; hostPrint?: string; head?: string; hookId?: number; hookNote?: string; pollNote?: string; createdAt: string }
	interface PipelineRun {
		id: number; pipeline: string; repository: string; branch: string; commit: { sha: string; message?: string; author?: string; url?: string }; trigger: string; status: RunStatus;
		pull?: { number: number; title?: string; url?: string; fork?: boolean }; approval?: string; app?: string; before?: string; of?: number; slow?: boolean; tests?: { passed: number; failed: number; skipped: number; flaky?: number };
		steps: { name: string; status: RunStatus; startedAt?: string; finishedAt?: string }[]; build: number; release?: number; by: string; note?: string; failure?: Failure; createdAt: string; startedAt?: string; finishedAt?: string;
	}
	interface Delivery { id: string; pipeline: string; event: string; outcome: string; why?: string; at: string }
	interface CronTarget { function?: string; payload?: string; image?: string; app?: string; environment?: string; component?: string; command?: string[] }
	interface CronJob {
		name: string; schedule: string; timeZone: string; target: CronTarget; concurrency: string; catchUp: string; deadline: number; timeout: number;
		paused?: boolean; next: string[]; last?: CronRun; by: string; createdAt: string; updatedAt: string;
	}
	interface CronRun { id: number; job: string; slot: string; manual?: boolean; status: RunStatus; message?: string; exitCode?: number; by?: string; startedAt?: string; finishedAt?: string }
	interface PlanUsage { name: string; unit: 'count' | 'bytes'; used: number; limit: number }
	interface PlanState { plan: Plan; applying?: boolean; reason?: string; usage: PlanUsage[]; plans: Plan[] }
	interface Capacity { allocatable: number; requested: number }
	interface NodeStep { name: string; state: 'running' | 'done' | 'failed'; message?: string; fix?: string; at: string }
	interface Node {
		name: string; pool: string; status: 'provisioning' | 'ready' | 'draining' | 'removing' | 'failed'; message?: string; fix?: string; cordoned?: boolean; own?: boolean;
		address?: string; version?: string; skewed?: boolean; lastHeard?: string; createdAt?: string; cpu: Capacity; memory: Capacity;
		pods: { name: string; app?: string; environment?: string; ready: boolean }[]; steps?: NodeStep[];
		invite?: { command: string; cloudInit: string; expiresAt: string };
	}
	interface MovePlan { from: string; to: string; fits: boolean; reason?: string; needs: { cpu: number; memory: number }; free: { cpu: number; memory: number }; nodes: string[]; expected: string[]; volumes?: { node?: string; volumes?: string[]; bytes?: number }; pauseSeconds?: number }
	interface ImageUse { app: string; environment: string; release: number }
	interface Image { name: string; digest: string; sizeBytes: number; createdAt: string; storedAt: string; usedBy?: ImageUse[] }
	interface BackupTarget { endpoint: string; bucket: string; region?: string; prefix?: string; accessKey: string; secretKey: string }
	interface ImageUsage { usedBytes: number; budgetBytes: number; prunedAt?: string }
	interface ImagePrune { dryRun: boolean; removed: Image[]; freedBytes: number; beforeBytes: number; afterBytes: number; budgetBytes: number }

	type Severity = 'warning' | 'critical';
	interface IncidentSubject { kind: string; name?: string; environment?: Environment; component?: string; pod?: string; container?: string; node?: string }
	interface RemedyAction { kind: 'rollback' | 'restart' | 'memory'; app: string; environment: Environment; component?: string; release?: number; memory?: string }
	interface Remedy { title: string; command?: string; kubectl?: string; action?: RemedyAction }
	interface Incident {
		id: number; fingerprint: string; detector: string; severity: Severity; status: 'pending' | 'firing' | 'resolved'; subject: IncidentSubject; title: string; summary: string;
		evidence: { name: string; value: string; why?: string }[]; ruledOut?: string[]; change?: { release: number; before?: number; why: string; by: string; at: string }; remedies: Remedy[];
		logs?: string[]; explanation?: string; confidence?: number; timeToLimit?: number; reopened?: number; cause?: number; quiet?: string; accepted?: boolean; ackedBy?: string; ackedAt?: string;
		since: string; openedAt: string; updatedAt: string; resolvedAt?: string; timeline?: { at: string; text: string; by?: string }[];
	}
	interface Silence { id: number; subject?: string; detector?: string; fingerprint?: string; reason?: string; by: string; createdAt: string; until: string }
	interface NewSilence { incident?: number; subject?: string; detector?: string; reason?: string; for: number }
	interface Attention { severity: Severity; subject: string; text: string; fix?: string; incident?: number; since: string }
	interface SeriesPoint { time: string; min: number; mean: number; max: number }
	interface Series { name: string; unit: string; of?: string; step: number; limit?: number; points: SeriesPoint[] }
	type ChannelKind = 'slack-bot' | 'slack-webhook' | 'webhook' | 'email';
	interface Channel {
		name: string; kind: ChannelKind; url?: string; token?: string; target?: string; api?: string; server?: string; username?: string; password?: string; from?: string; to?: string;
		security?: string; failure?: string; waiting: number; lastSent?: string; createdAt?: string;
	}
	interface ReportDelivery {
		id: number; channel: string; kind: string; incident?: number; text: string; state: 'waiting' | 'sent' | 'failed'; attempts: number; failure?: string; createdAt: string; nextAt?: string; sentAt?: string;
	}

	interface Event { id: number; time: string; kind: string; subject: string; object?: any }
	interface Activity { time: string; level: 'info' | 'warning' | 'error'; subject: string; message: string; by?: string }
}
