import type { Span } from '@opentelemetry/api';
import type { Decision, ProfileRecord } from '../scheduler/decision.ts';

type Headers = Readonly<Record<string, string | string[] | undefined>>;

/** One request as a trace, from its arrival on. */
export interface RequestTrace {
  /** It goes to an endpoint: the W3C headers to hand on, so that the engine's spans hang below ours. */
  placed(decision: Decision): Record<string, string>;
  /** It has ended; `decision` is null when there was none. Later calls do nothing. */
  ended(status: number, decision: Decision | null): void;
}

/** OpenTelemetry traces, where the environment asks for them. Span names are llm-d's. */
export interface Traces {
  begin(requestId: string, path: string, headers: Headers): RequestTrace;
  close(): Promise<void>;
}

/**
 * Set up by OpenTelemetry's own variables (`OTEL_EXPORTER_OTLP_ENDPOINT` or `…_TRACES_ENDPOINT`; sampling, headers,
 * resource and batches too); null, and nothing loaded, without an endpoint.
 */
export async function createTraces(environment: Readonly<Record<string, string | undefined>>): Promise<Traces | null> {
  const isAsked =
    (environment['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'] ?? environment['OTEL_EXPORTER_OTLP_ENDPOINT'] ?? '') !== '';
  const isOff = environment['OTEL_SDK_DISABLED'] === 'true' || environment['OTEL_TRACES_EXPORTER'] === 'none';
  if (!isAsked || isOff) return null;
  const [{ ROOT_CONTEXT, SpanKind, SpanStatusCode, trace }, sdk, { OTLPTraceExporter }, resources] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/sdk-trace-base'),
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('@opentelemetry/resources'),
  ]);
  const named = resources.resourceFromAttributes({ 'service.name': 'signalbox' });
  const given = resources.detectResources({ detectors: [resources.envDetector] });
  const provider = new sdk.BasicTracerProvider({
    resource: resources.defaultResource().merge(named).merge(given),
    spanProcessors: [new sdk.BatchSpanProcessor(new OTLPTraceExporter())],
  });
  const tracer = provider.getTracer('signalbox');

  const begin: Traces['begin'] = (requestId, path, headers) => {
    const remote = remoteContext(headers);
    const parent = remote === null ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, remote);
    const root = tracer.startSpan(
      'gateway.request',
      { kind: SpanKind.SERVER, attributes: { 'http.route': path, 'signalbox.request_id': requestId } },
      parent,
    );
    const inside = trace.setSpan(parent, root);
    const orchestration = tracer.startSpan('gateway.request_orchestration', {}, inside);
    let forward: Span | null = null;
    let isOver = false;

    const decided = (decision: Decision): void => {
      orchestration.setAttributes(decisionAttributes(decision));
      const within = trace.setSpan(inside, orchestration);
      const endMs = decision.epochMs;
      const startTime = endMs - 1000 * decision.schedulerSeconds;
      for (const profile of decision.profiles) {
        const attributes = profileAttributes(decision, profile);
        tracer.startSpan('run_scheduler_profile', { startTime, attributes }, within).end(endMs);
      }
      orchestration.end();
    };
    return {
      placed(decision) {
        decided(decision);
        forward = tracer.startSpan('forward_request', { kind: SpanKind.CLIENT }, inside);
        const { traceId, spanId, traceFlags, traceState } = forward.spanContext();
        const state = traceState?.serialize() ?? textOf(headers['tracestate']);
        return {
          traceparent: `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`,
          ...(state === null || remote === null ? {} : { tracestate: state }),
        };
      },
      ended(status, decision) {
        if (isOver) return;
        isOver = true;
        root.setAttribute('http.response.status_code', status);
        if (status >= 500) root.setStatus({ code: SpanStatusCode.ERROR });
        if (decision !== null) root.setAttributes(outcomeAttributes(decision));
        if (forward !== null && decision !== null) {
          forward.setAttribute('server.address', decision.attempts.at(-1)?.endpoint ?? '');
          for (const { endpoint, status: answered, reason } of decision.attempts) {
            forward.addEvent('attempt', { endpoint, reason, ...(answered === null ? {} : { status: answered }) });
          }
          forward.end();
        } else if (decision !== null) decided(decision);
        else orchestration.end();
        root.end();
      },
    };
  };
  return { begin, close: () => provider.shutdown().catch(() => undefined) };
}

/** The caller's span, by W3C Trace Context level 1; null when it names none. */
function remoteContext(
  headers: Headers,
): { traceId: string; spanId: string; traceFlags: number; isRemote: true } | null {
  const [, traceId = '', spanId = '', flags = ''] =
    /^(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})/.exec(textOf(headers['traceparent']) ?? '') ?? [];
  if (/^0*$/.test(traceId) || /^0*$/.test(spanId)) return null;
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
}

function textOf(header: string | string[] | undefined): string | null {
  return header === undefined ? null : String(header);
}

type Attributes = Record<string, string | number | boolean | string[]>;

function known(attributes: Readonly<Record<string, string | number | boolean | null>>): Attributes {
  const kept = Object.entries(attributes).filter(([, value]) => value !== null && !Number.isNaN(value));
  return Object.fromEntries(kept) as Attributes;
}

function decisionAttributes(decision: Decision): Attributes {
  const { predicted, candidates, picked } = decision;
  return known({
    'gen_ai.request.model': decision.model,
    'signalbox.decision': decision.id,
    'signalbox.policy': decision.policy.name,
    'signalbox.policy_hash': decision.policy.hash,
    'signalbox.verdict': decision.admission.verdict,
    'signalbox.queued_seconds': decision.admission.queuedSeconds,
    'signalbox.prompt_tokens': decision.promptTokens,
    'signalbox.candidates': candidates.length,
    'signalbox.picked': candidates[picked]?.endpoint ?? null,
    'signalbox.reason': decision.reason,
    'signalbox.predicted.cached_tokens': predicted.cachedTokens,
    'signalbox.predicted.ttft_seconds': predicted.ttftSeconds,
  });
}

const listedScores = 16;

function profileAttributes({ candidates }: Decision, profile: ProfileRecord): Attributes {
  const nameOf = (index: number): string => candidates[index]!.endpoint;
  const dropped = profile.filters.flatMap((filter) => filter.dropped);
  const scores = Array.from(profile.scored.subarray(0, listedScores), (index, at) => {
    const parts = profile.scorers.map(({ plugin, scores: column, weight }) => `${plugin} ${column[at]}x${weight}`);
    return `${nameOf(index)}: ${profile.totals[at]} = ${parts.join(' + ')}`;
  });
  return {
    'signalbox.profile': profile.name,
    'signalbox.dropped': dropped
      .slice(0, listedScores)
      .map(({ candidate, reason }) => `${nameOf(candidate)}: ${reason}`),
    'signalbox.scores': scores,
    'signalbox.picked': Array.from(profile.picker.picked, nameOf),
    'signalbox.tied': profile.picker.tied.length,
  };
}

function outcomeAttributes({ model, outcome }: Decision): Attributes {
  if (outcome === null) return { 'gen_ai.request.model': model };
  return known({
    'gen_ai.request.model': model,
    'gen_ai.usage.input_tokens': outcome.promptTokens ?? null,
    'gen_ai.usage.output_tokens': outcome.completionTokens,
    'gen_ai.latency.time_to_first_token': outcome.ttftSeconds,
    'signalbox.endpoint': outcome.endpoint,
    'signalbox.cached_tokens': outcome.cachedTokens,
    'signalbox.e2e_seconds': outcome.e2eSeconds,
  });
}
