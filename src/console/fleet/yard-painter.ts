import type { EndpointJson } from '../../admin/json.ts';
import { firstTokenAt, placeOf, type Train } from './trains.ts';

/** Where one row's track lies on the canvas, in CSS pixels. */
export interface TrackPlace {
  readonly left: number;
  readonly right: number;
  readonly y: number;
}

interface YardScene {
  readonly box: TrackPlace;
  readonly tracks: readonly { readonly endpoint: EndpointJson; readonly place: TrackPlace }[];
  readonly held: number | null;
  readonly trains: ReadonlyMap<string, readonly Train[]>;
  readonly routeSetAtMs: ReadonlyMap<string, number>;
  readonly nowMs: number;
  /** What part of the canvas can be seen. */
  readonly top: number;
  readonly bottom: number;
  readonly colours: YardColours;
}

export interface YardColours {
  readonly track: string;
  readonly route: string;
  readonly ink: string;
  readonly soft: string;
  readonly clear: string;
  readonly caution: string;
  readonly danger: string;
  readonly card: string;
}

const ladderWidth = 46;
const flashMs = 1100;
const trunkInset = 10;
const mostDrawn = 40;

/** Paints the ladder, the tracks and what moves on them. */
export function paintYard(canvas: CanvasRenderingContext2D, scene: YardScene): void {
  const { tracks, top, bottom } = scene;
  canvas.clearRect(0, top, canvas.canvas.width, bottom - top);
  canvas.lineCap = 'round';
  paintLadder(canvas, scene);
  for (const { endpoint, place } of tracks) {
    if (place.y < top - 40 || place.y > bottom + 40) continue;
    paintTrack(canvas, scene, endpoint, place);
    paintTrains(canvas, scene, scene.trains.get(endpoint.name) ?? [], place);
  }
  paintHeld(canvas, scene);
}

function paintLadder(canvas: CanvasRenderingContext2D, { box, tracks, colours, routeSetAtMs, nowMs }: YardScene): void {
  const last = tracks.at(-1);
  if (last === undefined) return;
  const trunk = box.left + trunkInset;
  stroke(canvas, colours.track, 3, () => {
    canvas.moveTo(trunk, box.y);
    canvas.lineTo(trunk, last.place.y - 14);
  });
  for (const { endpoint, place } of tracks) {
    const glow = glowOf(routeSetAtMs.get(endpoint.name), nowMs);
    const path = (): void => turnout(canvas, trunk, place);
    stroke(canvas, colours.track, 3, path);
    if (glow === 0) continue;
    canvas.globalAlpha = glow;
    stroke(canvas, colours.route, 3.5, () => {
      canvas.moveTo(trunk, box.y);
      canvas.lineTo(trunk, place.y - 14);
      turnout(canvas, trunk, place);
      canvas.lineTo(place.left + ladderWidth + (place.right - place.left - ladderWidth) * firstTokenAt, place.y);
    });
    canvas.globalAlpha = 1;
  }
}

function turnout(canvas: CanvasRenderingContext2D, trunk: number, { left, y }: TrackPlace): void {
  canvas.moveTo(trunk, y - 14);
  canvas.bezierCurveTo(trunk, y - 4, trunk + 8, y, left + ladderWidth - 8, y);
}

function paintTrack(
  canvas: CanvasRenderingContext2D,
  { colours }: YardScene,
  endpoint: EndpointJson,
  { left, right, y }: TrackPlace,
): void {
  const start = left + ladderWidth - 8;
  const firstToken = toX(firstTokenAt, left, right);
  if (!endpoint.ready) canvas.setLineDash([5, 7]);
  stroke(canvas, endpoint.ready ? colours.track : colours.danger, 3, () => {
    canvas.moveTo(start, y);
    canvas.lineTo(right, y);
  });
  canvas.setLineDash([]);
  // What is queued before the first token occupies that much of the way to it; two seconds are all of it.
  if (endpoint.queuedPrefillSeconds > 0.005) {
    const length = (firstToken - start) * Math.min(1, endpoint.queuedPrefillSeconds / 2);
    stroke(canvas, colours.caution, 3, () => {
      canvas.moveTo(firstToken - length, y);
      canvas.lineTo(firstToken, y);
    });
  }
  // The board at the first token, and the buffer stop.
  stroke(canvas, colours.soft, 1.5, () => {
    canvas.moveTo(firstToken, y - 7);
    canvas.lineTo(firstToken, y + 7);
  });
  stroke(canvas, colours.track, 3, () => {
    canvas.moveTo(right, y - 4);
    canvas.lineTo(right, y + 4);
  });
}

function paintTrains(
  canvas: CanvasRenderingContext2D,
  { colours, nowMs }: YardScene,
  trains: readonly Train[],
  { left, right, y }: TrackPlace,
): void {
  for (const train of trains.slice(0, mostDrawn)) {
    train.at += (placeOf(train, nowMs) - train.at) * 0.16;
    const x = toX(train.at, left, right);
    const leaving = train.endedAtMs !== null && !train.failed;
    canvas.globalAlpha = leaving ? Math.max(0, 1 - (train.at - 0.9) / 0.14) : 1;
    if (canvas.globalAlpha > 0) paintTrain(canvas, colours, train, x, y);
    canvas.globalAlpha = 1;
  }
  if (trains.length > mostDrawn) {
    canvas.fillStyle = colours.soft;
    canvas.font = '11px system-ui, sans-serif';
    canvas.textAlign = 'right';
    canvas.fillText(`+${trains.length - mostDrawn}`, right - 8, y - 9);
  }
}

/** As long as its prompt (logarithmic), the cached part in green, the part to be computed in the colour of text. */
function paintTrain(canvas: CanvasRenderingContext2D, colours: YardColours, train: Train, x: number, y: number): void {
  const length = lengthOf(train.promptTokens);
  const from = x - length;
  const height = 9;
  canvas.beginPath();
  canvas.roundRect(from, y - height / 2, length, height, 3);
  canvas.fillStyle = train.failed ? colours.danger : train.cachedShare === null ? colours.card : colours.ink;
  canvas.fill();
  if (train.cachedShare !== null && !train.failed && train.cachedShare > 0) {
    canvas.save();
    canvas.clip();
    canvas.fillStyle = colours.clear;
    canvas.fillRect(from, y - height / 2, length * train.cachedShare, height);
    canvas.restore();
  }
  canvas.lineWidth = 1.5;
  canvas.strokeStyle = train.cachedShare === null ? colours.ink : colours.card;
  canvas.stroke();
}

/** Requests that wait in the gateway stand in a siding beside the box. */
function paintHeld(canvas: CanvasRenderingContext2D, { box, held, colours }: YardScene): void {
  const start = box.left + ladderWidth;
  stroke(canvas, colours.track, 3, () => {
    canvas.moveTo(box.left + trunkInset, box.y);
    canvas.lineTo(start + 4, box.y);
  });
  if (held === null || held === 0) return;
  const room = Math.max(1, Math.floor((box.right - start) / 18));
  const drawn = Math.min(held, room);
  stroke(canvas, colours.track, 3, () => {
    canvas.moveTo(start, box.y);
    canvas.lineTo(start + drawn * 18, box.y);
  });
  canvas.fillStyle = colours.caution;
  for (let at = 0; at < drawn; at++) {
    canvas.beginPath();
    canvas.roundRect(start + 2 + at * 18, box.y - 4.5, 14, 9, 3);
    canvas.fill();
  }
}

function toX(at: number, left: number, right: number): number {
  const start = left + ladderWidth;
  return start + at * (right - start);
}

function lengthOf(promptTokens: number): number {
  return 8 + 6 * Math.log10(1 + promptTokens);
}

function glowOf(setAtMs: number | undefined, nowMs: number): number {
  if (setAtMs === undefined) return 0;
  return Math.max(0, 1 - Math.max(0, nowMs - setAtMs) / flashMs);
}

function stroke(canvas: CanvasRenderingContext2D, colour: string, width: number, path: () => void): void {
  canvas.beginPath();
  path();
  canvas.strokeStyle = colour;
  canvas.lineWidth = width;
  canvas.stroke();
}
