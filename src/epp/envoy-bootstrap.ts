import { stringify } from 'yaml';
import { subsetNamespace } from './candidates.ts';
import { poolMetadata } from './pools.ts';
import { destinationName, destinationNamespace, servedName } from './wire/ext-proc.ts';

/** TLS to the EPP. */
interface EppTls {
  /** File of the authority that must have signed the EPP's certificate; any will do without. */
  readonly ca?: string;
  /** Folder with `tls.crt` and `tls.key` to show to the EPP. */
  readonly certPath?: string;
}

interface EnvoyBootstrapOptions {
  /** Where clients connect. */
  readonly listen: { readonly host: string; readonly port: number };
  readonly adminPort: number | null;
  readonly epp: { readonly host: string; readonly port: number; readonly tls: EppTls | null };
  /**
   * The pool, where Envoy is to know it: it can then retry on the EPP's fallbacks. Null: it hears of it from the EPP, which
   * must be ours. Empty: it goes wherever the EPP says.
   */
  readonly endpoints: readonly { readonly host: string; readonly port: number }[] | null;
  /** Whether requests go on, spread by load, when the EPP is gone. Needs to know the pool. */
  readonly failOpen: boolean;
  /** Which of the EPP's pools the requests are for; null leaves it to their models. */
  readonly pool?: string | null;
}

/** How long a request may wait for its place, at most. */
const placeLimit = '600s';

/**
 * An Envoy for a pool: ext_proc asks the EPP, the request goes to the address in the header that it sets. No timeouts on
 * the way: streams last as long as they last.
 *
 * With endpoints the header's list is followed by the `override_host` policy, and a retry takes its next address. Without
 * knowing them the cluster is an ORIGINAL_DST, which takes one address and no list (run `signalbox epp --fallbacks 0`).
 */
export function envoyBootstrap(options: EnvoyBootstrapOptions): string {
  const { listen, adminPort, epp, endpoints, failOpen, pool = null } = options;
  const bootstrap = {
    ...(endpoints === null ? { node: { id: 'signalbox', cluster: 'signalbox' } } : {}),
    ...(adminPort === null ? {} : { admin: { address: socketAddress('127.0.0.1', adminPort) } }),
    static_resources: {
      listeners: [
        {
          name: 'requests',
          address: socketAddress(listen.host, listen.port),
          // ext_proc streams bodies of any length; this is what may wait in between.
          per_connection_buffer_limit_bytes: 1048576,
          filter_chains: [{ filters: [connectionManager(failOpen, pool)] }],
        },
      ],
      clusters: [endpointsCluster(endpoints), eppCluster(epp)],
    },
  };
  return stringify(bootstrap, { lineWidth: 0, aliasDuplicateObjects: false });
}

function socketAddress(address: string, port: number): object {
  return { socket_address: { address, port_value: port } };
}

function typed(type: string, config: object): object {
  return { '@type': `type.googleapis.com/${type}`, ...config };
}

function connectionManager(failOpen: boolean, pool: string | null): object {
  const manager = 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';
  const route = {
    cluster: 'endpoints',
    timeout: '0s',
    idle_timeout: '0s',
    // As our own gateway does: until the first byte of an answer another endpoint is tried. An endpoint that was killed
    // resets what was sent to it; the routing proxy of one whose engine is gone says 503.
    retry_policy: { retry_on: 'connect-failure,refused-stream,reset,gateway-error', num_retries: 3 },
  };
  return {
    name: 'envoy.filters.network.http_connection_manager',
    typed_config: typed(manager, {
      stat_prefix: 'requests',
      codec_type: 'AUTO',
      stream_idle_timeout: '0s',
      request_timeout: '0s',
      route_config: {
        name: 'pool',
        virtual_hosts: [
          {
            name: 'pool',
            domains: ['*'],
            routes: [{ match: { prefix: '/' }, route, typed_per_filter_config: wholeExchange() }],
          },
        ],
      },
      http_filters: [externalProcessing(failOpen, pool), router()],
    }),
  };
}

function externalProcessing(failOpen: boolean, pool: string | null): object {
  return {
    name: 'envoy.filters.http.ext_proc',
    typed_config: typed('envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor', {
      grpc_service: {
        envoy_grpc: { cluster_name: 'epp', retry_policy: { num_retries: 2 } },
        timeout: placeLimit,
        ...(pool === null ? {} : { initial_metadata: [{ key: poolMetadata, value: pool }] }),
      },
      // The bodies of most streamed answers need not pass the EPP. Envoy lets it say so only where the filter's own mode
      // is another than FULL_DUPLEX_STREAMED, which is therefore the route's.
      processing_mode: { request_header_mode: 'SEND', response_header_mode: 'SEND' },
      allow_mode_override: true,
      message_timeout: placeLimit,
      failure_mode_allow: failOpen,
      metadata_options: {
        forwarding_namespaces: { untyped: [destinationNamespace, subsetNamespace] },
        receiving_namespaces: { untyped: [destinationNamespace] },
      },
    }),
  };
}

/** Headers, bodies and trailers, both ways. */
function wholeExchange(): object {
  return {
    'envoy.filters.http.ext_proc': typed('envoy.extensions.filters.http.ext_proc.v3.ExtProcPerRoute', {
      overrides: {
        processing_mode: {
          request_header_mode: 'SEND',
          response_header_mode: 'SEND',
          request_body_mode: 'FULL_DUPLEX_STREAMED',
          response_body_mode: 'FULL_DUPLEX_STREAMED',
          request_trailer_mode: 'SEND',
          response_trailer_mode: 'SEND',
        },
      },
    }),
  };
}

function router(): object {
  return {
    name: 'envoy.filters.http.router',
    typed_config: typed('envoy.extensions.filters.http.router.v3.Router', {}),
  };
}

function endpointsCluster(endpoints: EnvoyBootstrapOptions['endpoints']): object {
  if (endpoints === null) return overriddenHost({ type: 'EDS', eds_cluster_config: fromEpp() });
  if (endpoints.length === 0) return originalDestination();
  return overriddenHost({ type: 'STRICT_DNS', load_assignment: assignment('endpoints', endpoints) });
}

/** Endpoint discovery by the EPP itself. Envoy listens once it has heard of endpoints, or after a while. */
function fromEpp(): object {
  return {
    eds_config: {
      resource_api_version: 'V3',
      initial_fetch_timeout: '5s',
      api_config_source: {
        api_type: 'GRPC',
        transport_api_version: 'V3',
        grpc_services: [{ envoy_grpc: { cluster_name: 'epp' } }],
      },
    },
  };
}

function originalDestination(): object {
  return {
    name: 'endpoints',
    type: 'ORIGINAL_DST',
    lb_policy: 'CLUSTER_PROVIDED',
    connect_timeout: '2s',
    original_dst_lb_config: { use_http_header: true, http_header_name: destinationName },
    outlier_detection: outliers(),
    circuit_breakers: unlimited(),
  };
}

/**
 * Where connections fail again and again, Envoy stops trying for a while, half of the endpoints at most. An engine's own
 * errors are the EPP's to judge.
 */
function outliers(): object {
  return {
    split_external_local_origin_errors: true,
    consecutive_local_origin_failure: 5,
    enforcing_consecutive_5xx: 0,
    enforcing_success_rate: 0,
    enforcing_local_origin_success_rate: 0,
    base_ejection_time: '2s',
    max_ejection_time: '30s',
    max_ejection_percent: 50,
  };
}

/** Admission is the EPP's; Envoy's own limit of 1,024 requests would only hide it. */
function unlimited(): object {
  const limit = 4294967295;
  // A pool in trouble must not get a multiple of its load.
  const retries = { budget_percent: { value: 50 }, min_retry_concurrency: 16 };
  return {
    thresholds: [{ max_connections: limit, max_pending_requests: limit, max_requests: limit, retry_budget: retries }],
  };
}

function http2Options(): object {
  const options = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
  return { [options]: typed(options, { explicit_http_config: { http2_protocol_options: {} } }) };
}

function eppCluster({ host, port, tls }: EnvoyBootstrapOptions['epp']): object {
  return {
    name: 'epp',
    type: 'STRICT_DNS',
    connect_timeout: '1s',
    dns_refresh_rate: '1s',
    // A Service that is made anew has another address; the old one goes at once, whatever was last heard of its health.
    ignore_health_on_host_removal: true,
    load_assignment: assignment('epp', [{ host, port }]),
    typed_extension_protocol_options: http2Options(),
    // Where the EPP is known to be gone, ext_proc fails before it has taken the body: then a request can go on without.
    // One check that gets lost, as an EPP is replaced by another, does not count.
    health_checks: [
      {
        ...{
          timeout: '1s',
          interval: '0.5s',
          no_traffic_interval: '0.5s',
          unhealthy_threshold: 2,
          healthy_threshold: 1,
          // One that was opened before a new Service's address led anywhere would be tried for two minutes.
          reuse_connection: false,
        },
        grpc_health_check: { service_name: 'liveness' },
      },
    ],
    common_lb_config: { healthy_panic_threshold: { value: 0 } },
    circuit_breakers: unlimited(),
    ...(tls === null ? {} : { transport_socket: tlsSocket(tls) }),
  };
}

/** The EPP's certificate is its own unless told otherwise. */
function tlsSocket({ ca, certPath }: EppTls): object {
  const shown = {
    certificate_chain: { filename: `${certPath}/tls.crt` },
    private_key: { filename: `${certPath}/tls.key` },
  };
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: typed('envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext', {
      common_tls_context: {
        alpn_protocols: ['h2'],
        ...(certPath === undefined ? {} : { tls_certificates: [shown] }),
        ...(ca === undefined ? {} : { validation_context: { trusted_ca: { filename: ca } } }),
      },
    }),
  };
}

/** Where Envoy knows the pool: the EPP's list is followed, one address a try. */
function overriddenHost(known: object): object {
  const overrideHost = {
    override_host_sources: [{ header: destinationName }],
    // Tells the EPP who answered in the end.
    selected_host_key: { key: destinationNamespace, path: [{ key: servedName }] },
    fallback_policy: { policies: [policy('least_request', 'LeastRequest', {})] },
  };
  return {
    name: 'endpoints',
    ...known,
    connect_timeout: '2s',
    load_balancing_policy: {
      policies: [policy('override_host', 'OverrideHost', overrideHost)],
    },
    outlier_detection: outliers(),
    circuit_breakers: unlimited(),
  };
}

function policy(name: string, message: string, config: object): object {
  const typedConfig = typed(`envoy.extensions.load_balancing_policies.${name}.v3.${message}`, config);
  return { typed_extension_config: { name, typed_config: typedConfig } };
}

function assignment(cluster: string, endpoints: readonly { readonly host: string; readonly port: number }[]): object {
  const each = endpoints.map(({ host, port }) => ({ endpoint: { address: socketAddress(host, port) } }));
  return { cluster_name: cluster, endpoints: [{ lb_endpoints: each }] };
}
