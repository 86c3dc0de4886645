import { createHmac, randomBytes, randomInt } from 'node:crypto';
import type { RequestListener, Server } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { createAdmin } from '../admin/admin.ts';
import type { OtherWorkers } from '../admin/other-workers.ts';
import { BodyRoom } from '../api/body-room.ts';
import type { ChainState } from '../base/block-hash.ts';
import { isLoopback } from '../base/address.ts';
import { wallClock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { LoopLoad } from '../base/loop-load.ts';
import type { Family } from '../base/metrics.ts';
import { seededRandom } from '../base/random.ts';
import { SharedRows } from '../base/shared-rows.ts';
import { OwnPlugins } from '../configuration/own-plugins.ts';
import { Dispatch } from '../dispatch/dispatch.ts';
import { areSecure, endpointFromUrl } from '../fleet/discovery/endpoint-url.ts';
import type { Discovery, FoundEndpoint } from '../fleet/discovery/discovery.ts';
import { discoverByDns, dnsNameOf } from '../fleet/discovery/dns.ts';
import { discoverFromFile, watchFile, type FileWatch } from '../fleet/discovery/endpoints-file.ts';
import type { KubernetesSource } from '../fleet/discovery/kubernetes.ts';
import { Fleet, type ServedModel } from '../fleet/fleet.ts';
import type { ConfiguredSource } from '../fleet/kv-events/event-source.ts';
import { KvEvents } from '../fleet/kv-events/kv-events.ts';
import { PromptTokens } from '../fleet/tokens/prompt-tokens.ts';
import { getterLimits, HttpGetter } from '../fleet/http-get.ts';
import { follow, LeadingFleet, type Telling } from '../fleet/following.ts';
import { Ranks } from '../fleet/ranks.ts';
import { FleetWatch } from '../fleet/watch.ts';
import { readKeyFile } from '../keys/key-file.ts';
import { keyFamilies } from '../keys/key-metrics.ts';
import { Keys } from '../keys/keys.ts';
import { JournalFiles } from '../journal/journal-files.ts';
import { Journal } from '../journal/journal.ts';
import { connectUpstream } from '../proxy/http-engine.ts';
import type { HttpEngine } from '../proxy/http-engines.ts';
import { drain, listen } from '../proxy/listen.ts';
import type { Security } from '../proxy/upstream.ts';
import { roleLabel, type Endpoint } from '../scheduler/endpoint.ts';
import { policyShape } from '../scheduler/policy-shape.ts';
import type { Policy } from '../scheduler/policy.ts';
import type { ClusterObjects } from './cluster-objects.ts';
import type { Sharing } from '../sharing/sharing.ts';
import { sharingFamilies } from '../sharing/sharing-metrics.ts';
import { dispatchFamilies } from './dispatch-metrics.ts';
import { descriptorFamilies } from './descriptor-metrics.ts';
import { writeEppLog } from './epp-log.ts';
import { configurationFamilies, type ReloadOutcome } from './configuration-metrics.ts';
import { InferenceObjects, readInferenceObjects, type InferenceObject } from './inference-objects.ts';
import { DoorMetrics } from './metrics.ts';
import { decisionIds, type WorkerPlace } from './worker-place.ts';
import { loadPolicy, namedPolicy, type PolicySource } from './policy-source.ts';
import { reliabilityFamilies } from './reliability-metrics.ts';
import { readSecretFile } from './secret-file.ts';
import { Sessions } from './sessions.ts';
import { readEngineFiles, watchTlsFiles } from './tls-files.ts';
import { createTraces, type Traces } from './traces.ts';

/** Above this share of its time at work, the process has none left for shadows. */
const busyShare = 0.8;
const readyPollMs = 10;
/** So often a thread looks at what the others have on its way, beside every time it decides. */
const siblingsEveryMs = 20;
const defaultJournalBytes = 32 * 1024 * 1024;
const defaultJournalFolderBytes = 256 * 1024 * 1024;
/** What is made of bodies (copies with members added, prompts) takes about as much again. */
const defaultMaxTotalBodyBytes = 256 * 1024 * 1024;

/** What every front door that serves requests is told. */
export interface CoreOptions {
  readonly host?: string;
  /** Where the admin API listens; `host` when left out. */
  readonly adminHost?: string;
  /** Engines' URLs (`http://host:port`). */
  readonly endpoints?: readonly string[];
  /** URLs of engines that compute prompts for those, which then only decode. */
  readonly prefillEndpoints?: readonly string[];
  /** A file that lists endpoints and is watched. */
  readonly endpointsFile?: string;
  /** Names that DNS knows the endpoints by: `host:port`, or those of SRV records. */
  readonly endpointsDns?: readonly string[];
  /** Where DNS is asked (`ip:port`) instead of where the system says. */
  readonly dnsServers?: readonly string[];
  /** Files of InferenceObjectives and InferenceModelRewrites, watched. */
  readonly objectsFiles?: readonly string[];
  /** Pods of a cluster, and the InferenceObjectives and InferenceModelRewrites beside them. */
  readonly kubernetes?: KubernetesSource;
  /** Ask for a token of the cluster on the admin port. */
  readonly metricsAuth?: boolean;
  readonly policy?: PolicySource;
  /** Policies that decide in shadow: presets' names or files. */
  readonly shadows?: readonly string[];
  /** Where the EPP's log goes (`-` is stdout), and down to which verbosity. */
  readonly eppLog?: string;
  readonly verbosity?: number;
  /** Pod and namespace names, as they stand in logs and metrics. */
  readonly name?: string;
  /** The pool whose InferenceObjectives and InferenceModelRewrites count; all do where it has no name. */
  readonly poolName?: string;
  readonly namespace?: string;
  readonly sessionKeyFile?: string;
  /** Engines speak TLS, as they do where their URLs say https. */
  readonly endpointTls?: boolean;
  readonly endpointCa?: string;
  readonly endpointCertPath?: string;
  /** A file with what the admin API asks for. */
  readonly adminTokenFile?: string;
  /** A Valkey or Redis where replicas share what they know and do, and which of those on it share. */
  readonly share?: string;
  readonly shareGroup?: string;
  /** Who may send requests; watched. Everybody may without one. */
  readonly keysFile?: string;
  /** Where engines publish KV events that do not say so themselves. */
  readonly kvEvents?: ConfiguredSource;
  /** Memory for recent Decisions. */
  readonly journalBytes?: number;
  /** A folder to append Decisions to, and how much it may hold. */
  readonly journalFolder?: string;
  readonly journalFolderBytes?: number;
  /** An endpoint that was out must answer one token before it is used again. */
  readonly canary?: boolean;
  /** Memory for the bodies of all requests together. */
  readonly maxTotalBodyBytes?: number;
  /** What speaks HTTP; our own by default. */
  readonly httpEngine?: HttpEngine;
  /** False where no traces are to be written although the environment names a collector. */
  readonly tracing?: boolean;
  /** Of several threads that serve together, the one that this is; bounds on memory are divided among them. */
  readonly place?: WorkerPlace;
}

interface AdminPort {
  /** The front door that the admin API speaks for. */
  readonly door: Parameters<typeof createAdmin>[0]['door'];
  readonly port: number;
  readonly portFlag: string;
  /** A socket that was handed down, in place of the port. */
  readonly descriptor?: number | null;
  /** What is shown at /metrics, given what this core has; just that without it. */
  families?(own: Family[]): Family[];
  /** What is served below other paths than its own (`/pools/NAME`), by how they begin. */
  readonly mounts?: ReadonlyMap<string, RequestListener>;
}

interface CoreEvents {
  /** TLS to engines has begun, or its files have changed. */
  security?(security: Security): void;
  /** The endpoints were replaced; these addresses are what is left. */
  addresses?(addresses: ReadonlySet<string>): void;
}

/** What a thread that follows has seen of endpoints, by slot. */
export interface Observed {
  /** To be looked at. */
  readonly suspects: readonly number[];
  /** When they were last heard. */
  readonly heard: readonly (readonly [slot: number, atMs: number])[];
}

/** What whoever watches the endpoints tells threads that follow. */
export interface Lead {
  readonly tellings?: readonly Telling[];
  readonly objects?: readonly InferenceObject[];
}

/** Whatever is behind a front door: fleet, journal and dispatch, kept up to date from files and from the engines. */
export class Core {
  readonly fleet: Fleet;
  readonly journal: Journal;
  readonly dispatch: Dispatch;
  readonly metrics: DoorMetrics;
  readonly sessions: Sessions;
  readonly bodies: BodyRoom;
  /** Null where nobody asks for traces. */
  readonly traces: Traces | null;
  readonly #options: CoreOptions;
  readonly #source: PolicySource;
  readonly #plugins: Plugins;
  readonly #pluginFiles = new Map<string, FileWatch>();
  readonly #log: Logger;
  readonly #events: CoreEvents;
  readonly kvEvents: KvEvents;
  readonly tokens: PromptTokens;
  readonly objects: InferenceObjects;
  /** InferenceObjectives and InferenceModelRewrites by where they are from. */
  readonly #foundObjects: Record<'files' | 'cluster', readonly InferenceObject[]> = { files: [], cluster: [] };
  readonly #clusterObjects: ClusterObjects | null;
  /** Null where everybody may send requests. */
  readonly keys: Keys | null;
  readonly #discoveries: readonly Discovery[];
  /** What each discovery has found; the first are the endpoints that were named. */
  readonly #found: (readonly FoundEndpoint[])[];
  /** For small requests to engines. */
  readonly #http: HttpGetter;
  /** TLS to engines; null where there is none. */
  #security: Security | null = null;
  readonly #watch: FleetWatch;
  /** The fleet as it is watched, here or elsewhere. */
  readonly #watched: Fleet;
  /** Null where no other thread follows this one. */
  readonly #leading: LeadingFleet | null;
  /** Hears what is learned of endpoints, for threads that follow. */
  onLead: ((lead: Lead) => void) | null = null;
  /** Threads that the admin API speaks for as well. */
  others: OtherWorkers | null = null;
  #isLed = false;
  readonly #toldHeardMs = new Map<number, number>();
  readonly #ranks = new Ranks();
  readonly #files: FileWatch[] = [];
  #closeAdmin: (() => Promise<void>) | null = null;
  readonly #closing: (() => void | Promise<void>)[] = [];
  #sharing: Sharing | null = null;
  #generation = 1;
  #isWatching = false;
  #reloading: Promise<void> = Promise.resolve();
  #lastReload: ReloadOutcome | null = null;
  readonly #reloads: Record<ReloadOutcome['outcome'], number> = { applied: 0, unchanged: 0, rejected: 0 };

  private constructor(
    options: CoreOptions,
    source: PolicySource,
    plugins: Plugins,
    dispatch: (core: Core) => Dispatch,
    sessionKey: Buffer,
    discoveries: readonly Discovery[],
    objects: ClusterObjects | null,
    traces: Traces | null,
    seed: ChainState,
    log: Logger,
    events: CoreEvents,
  ) {
    this.#options = options;
    const { place } = options;
    this.fleet = new Fleet({
      prefixSeed: seed,
      ...(place === undefined ? {} : { siblings: new SharedRows(place.requests, place.rank) }),
    });
    this.#leading =
      place?.rank === 0 ? new LeadingFleet(this.fleet, (telling) => this.onLead?.({ tellings: [telling] })) : null;
    this.#watched = this.#leading?.watched ?? this.fleet;
    this.#source = source;
    this.#plugins = plugins;
    this.#log = log;
    this.#events = events;
    const share = 1 / (place?.count ?? 1);
    this.bodies = new BodyRoom(Math.ceil((options.maxTotalBodyBytes ?? defaultMaxTotalBodyBytes) * share));
    this.traces = traces;
    if (traces !== null) this.#closing.push(() => traces.close());
    this.#http = new HttpGetter(connectUpstream(options.httpEngine ?? 'own', null, getterLimits));
    const { fleet } = this;
    this.tokens = new PromptTokens({ fleet, clock: wallClock, http: this.#http, log });
    this.kvEvents = new KvEvents({ fleet, clock: wallClock, http: this.#http, log, configured: options.kvEvents });
    this.journal = new Journal((options.journalBytes ?? defaultJournalBytes) * share);
    this.#watch = new FleetWatch(this.#watched, wallClock, this.#http, options.canary ?? false, (address, ranks) => {
      if (this.#ranks.learn(address, ranks)) this.#replaceEndpoints();
    });
    this.metrics = new DoorMetrics(this.fleet, this.journal, options.name ?? 'default');
    this.dispatch = dispatch(this);
    this.sessions = new Sessions({ key: sessionKey, clock: wallClock, rule: () => this.dispatch.policy.sessions });
    this.#discoveries = discoveries;
    this.#clusterObjects = objects;
    this.#found = [namedEndpoints(options).map((endpoint) => ({ ...endpoint, ready: true }))];
    this.objects = new InferenceObjects(seededRandom(randomInt(2 ** 32)));
    this.keys = options.keysFile === undefined ? null : new Keys(wallClock, sharedKeys(place));
  }

  /** Reads the policy; nothing runs yet. @throws SignalboxError when what it was told is wrong. */
  static async create(options: CoreOptions, log: Logger, events: CoreEvents = {}): Promise<Core> {
    const source: PolicySource = options.policy ?? { environment: process.env };
    const plugins = ownPlugins(log);
    const { policy, warnings } = await loadPolicy(source, plugins.live);
    for (const warning of warnings) log.warn(warning);
    const random = seededRandom(randomInt(2 ** 32));
    const load = new LoopLoad();
    const shadows = {
      policies: await shadowsOf(options, plugins),
      isBusy: () => load.share > busyShare,
    };
    const { sessionKeyFile } = options;
    const secret = sessionKeyFile === undefined ? null : await readSecretFile('--session-key-file', sessionKeyFile);
    const dispatch = ({ fleet, journal, metrics }: Core): Dispatch =>
      new Dispatch({
        ...{ clock: wallClock, random, fleet, journal, policy, shadows, probe: metrics.probe },
        ...(options.place === undefined ? {} : { ids: decisionIds(options.place) }),
      });
    const discoveries = await discoveriesOf(options, log);
    const objects = await clusterObjectsOf(options, log);
    const traces = options.tracing === false ? null : await createTraces(process.env);
    const seed = prefixSeed(options, secret);
    const core = new Core(
      options,
      source,
      plugins,
      dispatch,
      secret ?? Buffer.from(options.place?.secret ?? randomBytes(32)),
      discoveries,
      objects,
      traces,
      seed,
      log,
      events,
    );
    await core.#reloadObjects();
    await core.#reloadKeys();
    await core.#secure();
    return core;
  }

  /** What it has to show at /metrics. */
  families(): Family[] {
    return [
      ...this.metrics.families(),
      ...configurationFamilies(this.#generation, this.#reloads, this.#plugins.live.health),
      ...this.objects.families(),
      ...this.sessions.families(),
      ...dispatchFamilies(this.dispatch, this.#options.name ?? 'default'),
      ...(this.keys === null ? [] : keyFamilies(this.keys)),
      ...reliabilityFamilies(this.dispatch, this.bodies),
      ...(this.#options.share === undefined ? [] : sharingFamilies(() => this.#sharing)),
    ];
  }

  /** Serves the admin API. Bound before anything is watched, so that a taken port leaves nothing behind. */
  async serveAdmin({ door, port, portFlag, descriptor = null, families, mounts }: AdminPort): Promise<Server> {
    const host = this.#adminHost;
    const own = await this.adminListener(door, families);
    const handle = mounts === undefined ? own : mounted(mounts, own);
    const server = await listen(await this.#guarded(handle, host), { host, port, portFlag, descriptor });
    const before = this.#closeAdmin;
    this.#closeAdmin = async () => {
      await before?.();
      await drain(server, 0);
    };
    return server;
  }

  get #adminHost(): string {
    return this.#options.adminHost ?? this.#options.host ?? '127.0.0.1';
  }

  /** The admin API without a port of its own. */
  async adminListener(door: AdminPort['door'], families?: AdminPort['families']): Promise<RequestListener> {
    const { createAdmin } = await import('../admin/admin.ts');
    const admin = createAdmin({
      door,
      dispatch: this.dispatch,
      kvEvents: this.kvEvents,
      tokens: this.tokens,
      metrics: { families: () => [...(families?.(this.families()) ?? this.families()), ...descriptorFamilies()] },
      keys: this.keys,
      bodies: this.bodies,
      sharing: () => this.#sharing,
      others: this.others,
      host: this.#adminHost,
      reload: () => this.reload(),
      configuration: () => ({
        name: this.dispatch.policy.name,
        hash: this.dispatch.policy.hash,
        ...policyShape(this.dispatch.policy),
        generation: this.#generation,
        lastReload: this.#lastReload,
        plugins: this.#plugins.live.health,
      }),
    });
    const before = this.#closeAdmin;
    this.#closeAdmin = async () => {
      admin.close();
      await before?.();
    };
    return admin.handle;
  }

  /** Leaves the admin port to others. */
  async closeAdmin(): Promise<void> {
    const close = this.#closeAdmin;
    this.#closeAdmin = null;
    await close?.();
  }

  /** Resolves when a request would be placed, at the latest after `limitMs`. */
  async untilReady(limitMs: number): Promise<void> {
    const endMs = wallClock.nowMs() + limitMs;
    while (!this.ready && wallClock.nowMs() < endMs) await sleep(readyPollMs);
  }

  /**
   * Whether a request would be placed. With pods as endpoints also when it would be refused for good reason, because none
   * is wanted or none is ready: a gateway that Kubernetes takes out of service could not say so.
   */
  get ready(): boolean {
    const { fleet } = this;
    if (fleet.anyReady) return true;
    const { kubernetes, place } = this.#options;
    const isTold = this.#follows ? this.#isLed : this.#found.length > this.#discoveries.length;
    return (
      (kubernetes !== undefined || place?.ofCluster === true) &&
      isTold &&
      !fleet.slots.some((slot) => fleet.isDeclaredReady(slot))
    );
  }

  /** Begins to watch files and engines, and to write the EPP's log. */
  start(): void {
    const { eppLog, verbosity, namespace } = this.#options;
    if (!this.#follows) this.#discover();
    for (const file of this.#options.objectsFiles ?? []) {
      this.#files.push(
        watchFile(
          file,
          this.#orKeep(() => this.#reloadObjects()),
        ),
      );
    }
    if (this.#security !== null) {
      const { endpointCa, endpointCertPath } = this.#options;
      this.#files.push(...watchTlsFiles({ endpointCa, endpointCertPath }, () => this.#secure(), this.#log));
    }
    if (this.#options.keysFile !== undefined) {
      this.#files.push(
        watchFile(
          this.#options.keysFile,
          this.#orKeep(() => this.#reloadKeys()),
        ),
      );
    }
    if (this.#source.configFile !== undefined) {
      const read = this.#orKeep(() => this.#reloadPolicy());
      this.#files.push(watchFile(this.#source.configFile, read));
    }
    this.#isWatching = true;
    this.#watchPlugins();
    this.#clusterObjects?.start((objects) => this.#replaceObjects('cluster', objects));
    if (!this.#follows) this.#watch.start();
    this.kvEvents.start();
    this.#appendJournal();
    this.tokens.start();
    void this.#startSharing();
    if (eppLog === undefined) return;
    const log = writeEppLog(this.journal, {
      target: eppLog,
      verbosity: verbosity ?? 4,
      namespace: namespace ?? 'default',
    });
    this.#closing.push(() => log.close());
  }

  /** Whether another thread watches the endpoints for this one. */
  get #follows(): boolean {
    return (this.#options.place?.rank ?? 0) > 0;
  }

  #discover(): void {
    this.#replaceEndpoints();
    for (const [index, discovery] of this.#discoveries.entries()) {
      discovery.start((endpoints) => {
        this.#found[index + 1] = endpoints;
        this.#replaceEndpoints();
      });
    }
  }

  /** Reads the policy and the endpoints file again; what does not validate changes nothing. @throws SignalboxError */
  async reload(): Promise<void> {
    try {
      await this.#reloadPolicy();
      await this.#reloadObjects();
      await this.#reloadKeys();
      for (const discovery of this.#discoveries) await discovery.reload?.();
    } catch (error) {
      this.#log.error(`${messageOf(error)} (what was there before stays)`);
      throw error;
    }
  }

  /** What files, names and clusters say from here on is of no interest. */
  stopWatching(): void {
    for (const discovery of this.#discoveries) discovery.close();
    this.#clusterObjects?.close();
    for (const file of [...this.#files, ...this.#pluginFiles.values()]) file.close();
    this.#pluginFiles.clear();
    this.#isWatching = false;
  }

  /** Ends all of it. Requests should have ended before. */
  async close(): Promise<void> {
    this.stopWatching();
    this.#watch.stop();
    this.kvEvents.close();
    this.tokens.close();
    this.#http.close();
    await this.closeAdmin();
    for (const step of this.#closing) await step();
  }

  #appendJournal(): void {
    const { journalFolder: folder, journalFolderBytes: limitBytes = defaultJournalFolderBytes } = this.#options;
    if (folder === undefined) return;
    const { place } = this.#options;
    const files = new JournalFiles(this.journal, {
      folder,
      limitBytes: limitBytes / (place?.count ?? 1),
      writer: place?.rank ?? 0,
      onError: (error) => this.#log.error(`the journal cannot be written to ${folder}: ${messageOf(error)}`),
    });
    this.metrics.journalFiles = files;
    this.#closing.push(() => files.close());
  }

  async #secure(): Promise<void> {
    const { endpoints = [], prefillEndpoints = [], endpointTls = false } = this.#options;
    if (!areSecure([...endpoints, ...prefillEndpoints]) && !endpointTls) return;
    this.#security = await readEngineFiles(this.#options);
    this.#http.setSecurity(this.#security);
    this.#events.security?.(this.#security);
  }

  /** Whoever may read it may send requests and see what others have sent. */
  async #guarded(handle: RequestListener, host: string): Promise<RequestListener> {
    const { adminTokenFile, metricsAuth } = this.#options;
    if (metricsAuth === true) return this.#authenticated(handle);
    if (adminTokenFile !== undefined) {
      const { withToken } = await import('../admin/token.ts');
      const token = await readSecretFile('--admin-token-file', adminTokenFile);
      return withToken(handle, token.toString().trim());
    }
    if (!isLoopback(host)) this.#log.warn(`the admin API on ${host} asks nobody who they are (--admin-token-file)`);
    return handle;
  }

  /** Not waited for: requests are served whether or not there is anybody to share with. */
  async #startSharing(): Promise<void> {
    const { share: url, shareGroup: group = 'default', name = 'signalbox', place } = this.#options;
    if (place !== undefined) return this.#shareWithSiblings(place);
    if (url === undefined) return;
    const [{ Sharing: Shared }, { ValkeyLink }] = await Promise.all([
      import('../sharing/sharing.ts'),
      import('../sharing/link.ts'),
    ]);
    if (!this.#isWatching) return;
    const { dispatch, keys } = this;
    const sharing = new Shared({
      connect: (handlers) => new ValkeyLink(url, group, handlers),
      ...{ name, instance: randomBytes(4).toString('hex'), dispatch, keys, clock: wallClock, log: this.#log },
    });
    this.#sharing = sharing;
    this.#closing.push(() => sharing.close());
  }

  /** What need not be known at once goes from thread to thread as it goes from replica to replica. */
  async #shareWithSiblings({ id, rank }: WorkerPlace): Promise<void> {
    const [{ Sharing: Shared }, { ThreadLink }] = await Promise.all([
      import('../sharing/sharing.ts'),
      import('../sharing/thread-link.ts'),
    ]);
    const { dispatch, keys, fleet } = this;
    // That it begins is no news where it is always so.
    const log = this.#log.child({}, { level: 'warn' });
    const sharing = new Shared({
      connect: (handlers) => new ThreadLink(`signalbox ${id}`, handlers),
      isSibling: () => true,
      ...{ name: 'worker', instance: String(rank), dispatch, keys: null, clock: wallClock, log },
    });
    const look = setInterval(() => {
      const nowMs = wallClock.nowMs();
      for (const slot of fleet.slots) fleet.queuedPrefillSecondsAt(slot, nowMs);
      keys?.tellAgain();
      dispatch.placeHeld();
    }, siblingsEveryMs);
    this.#closing.push(() => clearInterval(look));
    this.#closing.push(() => sharing.close());
  }

  /** What a thread that knows nothing yet has to be told. */
  lead(): Lead {
    return { tellings: [...(this.#leading?.everything(wallClock.nowMs()) ?? [])], objects: this.#foundObjects.cluster };
  }

  /** Learns what the thread that watches the endpoints was told. */
  follow({ tellings = [], objects }: Lead): void {
    const { fleet } = this;
    this.#isLed = true;
    for (const telling of tellings) follow(fleet, telling);
    if (objects !== undefined) this.#replaceObjects('cluster', objects);
    if (tellings.some(([name]) => name === 'add' || name === 'remove')) {
      this.#events.addresses?.(new Set(fleet.slots.map((slot) => fleet.endpointAt(slot)!.address)));
    }
    this.dispatch.placeHeld();
  }

  /** What whoever watches should know of; null when there is nothing new. */
  observed(): Observed | null {
    const { fleet } = this;
    const suspects = fleet.takeSuspects();
    const heard = fleet.slots.flatMap((slot): [number, number][] => {
      const atMs = fleet.heardAtMs(slot);
      if (atMs === -Infinity || this.#toldHeardMs.get(slot) === atMs) return [];
      this.#toldHeardMs.set(slot, atMs);
      return [[slot, atMs]];
    });
    return suspects.length + heard.length === 0 ? null : { suspects, heard };
  }

  /** Another thread has seen it. */
  observe({ suspects, heard }: Observed): void {
    for (const [slot, atMs] of heard) this.fleet.heard(slot, atMs);
    for (const slot of suspects) this.fleet.suspect(slot);
  }

  async #authenticated(handle: RequestListener): Promise<RequestListener> {
    const [{ clusterAccess }, { KubernetesClient }, { TokenCheck }, { authenticated }] = await Promise.all([
      import('../kubernetes/access.ts'),
      import('../kubernetes/client.ts'),
      import('../kubernetes/token-check.ts'),
      import('../admin/authenticated.ts'),
    ]);
    const client = new KubernetesClient(await clusterAccess());
    const tokens = new TokenCheck(client);
    this.#closing.push(() => client.close());
    return authenticated(handle, (authorization) => tokens.allowed(authorization));
  }

  #replaceEndpoints(): void {
    const fleet = this.#watched;
    const found = this.#found.flat();
    const addresses = new Set(found.map(({ address }) => address));
    this.#ranks.keepOnly(addresses);
    const all = found.flatMap((endpoint) => this.#ranks.endpointsOf(endpoint));
    const names = new Set(all.map(({ name }) => name));
    // What an address serves, all of its ranks serve: one that answered goes on answering when they are told apart.
    const served = new Map<string, readonly ServedModel[]>();
    for (const slot of fleet.slots) {
      const { name, address } = fleet.endpointAt(slot)!;
      if (names.has(name)) continue;
      if (fleet.isReady(slot)) served.set(address, [...fleet.modelsAt(slot).values()]);
      fleet.remove(name);
    }
    for (const { ready, ...endpoint } of all) {
      const isNew = fleet.slotOf(endpoint.name) === null;
      const slot = fleet.add(endpoint, ready);
      const models = served.get(endpoint.address);
      if (isNew && models !== undefined) fleet.setModels(slot, models);
    }
    this.#events.addresses?.(addresses);
    this.#watch.refresh();
  }

  async #reloadObjects(): Promise<void> {
    const { objectsFiles } = this.#options;
    if (objectsFiles !== undefined) this.#replaceObjects('files', await readInferenceObjects(objectsFiles));
  }

  /** Objects of another pool are left out where this one has been given a name. */
  #replaceObjects(from: 'files' | 'cluster', objects: readonly InferenceObject[]): void {
    this.#foundObjects[from] = objects;
    const { files, cluster } = this.#foundObjects;
    this.objects.replace([...files, ...cluster], this.#options.poolName ?? null);
    if (from === 'cluster') this.onLead?.({ objects });
  }

  async #reloadKeys(): Promise<void> {
    const { keysFile } = this.#options;
    if (keysFile !== undefined) await this.keys?.replace(await readKeyFile(keysFile));
  }

  /** One after the other: two at once would load the same plugins twice. */
  #reloadPolicy(): Promise<void> {
    const next = this.#reloading.then(() => this.#reloadPolicyNow());
    this.#reloading = next.catch(() => undefined);
    return next;
  }

  async #reloadPolicyNow(): Promise<void> {
    const generation = this.#generation;
    try {
      await this.#readPolicy();
      this.#reloaded(this.#generation > generation ? 'applied' : 'unchanged', null);
    } catch (error) {
      this.#reloaded('rejected', messageOf(error));
      throw error;
    } finally {
      this.#watchPlugins();
    }
  }

  async #readPolicy(): Promise<void> {
    const { policy, warnings } = await loadPolicy(this.#source, this.#plugins.live);
    const shadows = await shadowsOf(this.#options, this.#plugins);
    const hashesOf = (policies: readonly { readonly hash: string }[]): string =>
      policies.map(({ hash }) => hash).join();
    if (hashesOf(shadows) !== hashesOf(this.dispatch.shadows.policies)) this.dispatch.shadows.restart(shadows);
    if (policy.hash === this.dispatch.policy.hash) return;
    for (const warning of warnings) this.#log.warn(warning);
    this.dispatch.setPolicy(policy);
    this.#generation++;
    this.#log.info({ policy: policy.name, hash: policy.hash, generation: this.#generation }, 'policy replaced');
  }

  #reloaded(outcome: ReloadOutcome['outcome'], error: string | null): void {
    this.#reloads[outcome] += 1;
    this.#lastReload = { outcome, error, time: new Date(wallClock.epochMs()).toISOString() };
  }

  /** Of all files that plugins consist of, those that are there now. */
  #watchPlugins(): void {
    if (!this.#isWatching) return;
    const files = new Set([this.#plugins.live, ...this.#plugins.shadows].flatMap((each) => [...each.files]));
    for (const [file, watch] of this.#pluginFiles) {
      if (files.has(file)) continue;
      watch.close();
      this.#pluginFiles.delete(file);
    }
    const read = this.#orKeep(() => this.#reloadPolicy());
    for (const file of files) if (!this.#pluginFiles.has(file)) this.#pluginFiles.set(file, watchFile(file, read));
  }

  #orKeep(step: () => Promise<void>): () => void {
    return () => {
      step().catch((error: unknown) => this.#log.error(`${messageOf(error)} (what was there before stays)`));
    };
  }
}

/** Takes off how the path begins, and hands on to who serves what is below. */
function mounted(mounts: ReadonlyMap<string, RequestListener>, rest: RequestListener): RequestListener {
  return (request, response) => {
    const url = request.url ?? '/';
    for (const [path, listener] of mounts) {
      if (url !== path && !url.startsWith(`${path}/`)) continue;
      request.url = url.slice(path.length) || '/';
      return listener(request, response);
    }
    rest(request, response);
  };
}

async function discoveriesOf(options: CoreOptions, log: Logger): Promise<Discovery[]> {
  const { endpointsFile, endpointsDns = [], dnsServers, kubernetes } = options;
  const discoveries = endpointsDns.map((name) => discoverByDns(dnsNameOf(name), log, dnsServers));
  if (endpointsFile !== undefined) discoveries.push(discoverFromFile(endpointsFile, log));
  if (kubernetes !== undefined) {
    const { discoverInKubernetes } = await import('../fleet/discovery/kubernetes.ts');
    discoveries.push(await discoverInKubernetes(kubernetes, log));
  }
  return discoveries;
}

async function clusterObjectsOf({ kubernetes }: CoreOptions, log: Logger): Promise<ClusterObjects | null> {
  if (kubernetes === undefined) return null;
  const { clusterObjects } = await import('./cluster-objects.ts');
  return clusterObjects(kubernetes, log);
}

/** Each policy's own plugins: a shadow's do not share health with those that decide. */
interface Plugins {
  readonly live: OwnPlugins;
  readonly shadows: OwnPlugins[];
  readonly report: (text: string) => void;
}

function ownPlugins(log: Logger): Plugins {
  const report = (text: string): void => log.error(text);
  return { live: new OwnPlugins(report), shadows: [], report };
}

async function shadowsOf({ shadows = [] }: CoreOptions, plugins: Plugins): Promise<Policy[]> {
  const read = shadows.map(async (name, at) => {
    const own = (plugins.shadows[at] ??= new OwnPlugins(plugins.report));
    return (await namedPolicy(name, own)).policy;
  });
  return Promise.all(read);
}

function namedEndpoints({ endpoints = [], prefillEndpoints = [] }: CoreOptions): Endpoint[] {
  if (prefillEndpoints.length === 0) return endpoints.map(endpointFromUrl);
  const withRole = (urls: readonly string[], role: string): Endpoint[] =>
    urls.map((url) => ({ ...endpointFromUrl(url), labels: { [roleLabel]: role } }));
  return [...withRole(endpoints, 'decode'), ...withRole(prefillEndpoints, 'prefill')];
}

/**
 * Where chains of blocks start: by chance, so that nobody outside can make two prompts look alike. Replicas that share,
 * and threads of one process, have the same start, made of a secret that they share.
 */
function prefixSeed({ share, place }: CoreOptions, secret: Buffer | null): ChainState {
  const common = share === undefined ? place?.secret : (secret ?? share);
  const bytes = common === undefined ? randomBytes(8) : createHmac('sha256', common).update('prefix blocks').digest();
  return { low: bytes.readUInt32LE(0), high: bytes.readUInt32LE(4) };
}

function sharedKeys(place: WorkerPlace | undefined): ConstructorParameters<typeof Keys>[1] {
  if (place === undefined || place.keys === null) return null;
  const { count, rank, keys: memory } = place;
  return { memory, threads: { count, rank } };
}
