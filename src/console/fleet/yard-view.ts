import type { EndpointJson } from '../../admin/json.ts';
import { feed } from '../live/feed.ts';
import { colourOf, watchColours } from '../parts/colours.ts';
import { Trains } from './trains.ts';
import { paintYard, type TrackPlace, type YardColours } from './yard-painter.ts';

const frameMs = 33;

/** Keeps the yard's canvas as large as the yard, and painted while something moves. */
export class YardView {
  readonly #root: HTMLElement;
  readonly #canvas: HTMLCanvasElement;
  readonly #trains = new Trains();
  readonly #places = new Map<string, TrackPlace>();
  readonly #stops: (() => void)[] = [];
  #endpoints: readonly EndpointJson[] = [];
  #held: number | null = null;
  #colours = readColours();
  #frame = 0;
  #paintedAtMs = 0;

  constructor(root: HTMLElement) {
    this.#root = root;
    this.#canvas = root.querySelector('canvas')!;
    this.#trains.take(feed.decisions.open, feed.nowMs());
    const observer = new ResizeObserver(() => this.#measure());
    observer.observe(root);
    const repaint = (): void => this.#wake();
    addEventListener('scroll', repaint, { passive: true });
    this.#stops.push(
      () => observer.disconnect(),
      () => removeEventListener('scroll', repaint),
      watchColours(() => {
        this.#colours = readColours();
        this.#wake();
      }),
      feed.watchRows((rows) => {
        this.#trains.take(rows, feed.nowMs());
        this.#wake();
      }),
    );
  }

  show(endpoints: readonly EndpointJson[], held: number | null): void {
    const isNew = endpoints.some(({ name }, at) => name !== this.#endpoints[at]?.name);
    const isAnotherLength = endpoints.length !== this.#endpoints.length;
    this.#endpoints = endpoints;
    this.#held = held;
    this.#trains.keepOpen((id) => feed.decisions.find(id)?.status === null);
    if (isNew || isAnotherLength) this.#measure();
    this.#wake();
  }

  close(): void {
    cancelAnimationFrame(this.#frame);
    for (const stop of this.#stops) stop();
  }

  #measure(): void {
    const { clientWidth, clientHeight } = this.#root;
    const scale = devicePixelRatio;
    this.#canvas.width = Math.round(clientWidth * scale);
    this.#canvas.height = Math.round(clientHeight * scale);
    this.#canvas.style.width = `${clientWidth}px`;
    this.#canvas.style.height = `${clientHeight}px`;
    const own = this.#root.getBoundingClientRect();
    this.#places.clear();
    for (const track of this.#root.querySelectorAll<HTMLElement>('[data-track]')) {
      const { left, right, top, height } = track.getBoundingClientRect();
      this.#places.set(track.dataset['track']!, {
        left: left - own.left,
        right: right - own.left - 8,
        y: Math.round(top - own.top + height / 2),
      });
    }
    this.#wake();
  }

  #wake(): void {
    if (this.#frame === 0) this.#frame = requestAnimationFrame((atMs) => this.#paint(atMs));
  }

  #paint(atMs: number): void {
    this.#frame = 0;
    const nowMs = feed.nowMs();
    const trains = this.#trains.byEndpoint(nowMs);
    if (atMs - this.#paintedAtMs >= frameMs) {
      this.#paintedAtMs = atMs;
      this.#draw(trains, nowMs);
    }
    const isFlashing = [...this.#trains.routeSetAtMs.values()].some((setAtMs) => nowMs - setAtMs < 1500);
    // Who wants no motion gets a picture for each piece of news.
    const isStill = matchMedia('(prefers-reduced-motion: reduce)').matches;
    if (!isStill && (trains.size > 0 || isFlashing)) this.#wake();
  }

  #draw(trains: ReturnType<Trains['byEndpoint']>, nowMs: number): void {
    const canvas = this.#canvas.getContext('2d');
    const box = this.#places.get('');
    if (canvas === null || box === undefined) return;
    const { top } = this.#root.getBoundingClientRect();
    canvas.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    paintYard(canvas, {
      box,
      tracks: this.#endpoints.flatMap((endpoint) => {
        const place = this.#places.get(endpoint.name);
        return place === undefined ? [] : [{ endpoint, place }];
      }),
      held: this.#held,
      trains,
      routeSetAtMs: this.#trains.routeSetAtMs,
      nowMs,
      top: Math.max(0, -top),
      bottom: Math.max(0, innerHeight - top),
      colours: this.#colours,
    });
  }
}

function readColours(): YardColours {
  return {
    track: colourOf('--track'),
    route: colourOf('--route'),
    ink: colourOf('--ink'),
    soft: colourOf('--soft'),
    clear: colourOf('--clear'),
    caution: colourOf('--caution'),
    danger: colourOf('--danger'),
    card: colourOf('--card'),
  };
}
