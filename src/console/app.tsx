import type { ComponentType } from 'preact';
import { useEffect, useLayoutEffect, useState } from 'preact/hooks';
import { ApiKeysPage } from './api-keys/api-keys-page.tsx';
import { ComparePage } from './compare/compare-page.tsx';
import { DecisionsPage } from './decisions/decisions-page.tsx';
import { FleetPage } from './fleet/fleet-page.tsx';
import { Help } from './help.tsx';
import { pressKey, useShortcuts } from './keys.ts';
import { feed } from './live/feed.ts';
import { useHasAnswered } from './live/use-feed.ts';
import { Status } from './live/status.tsx';
import { PlaygroundPage } from './playground/playground-page.tsx';
import { PrefixesPage } from './prefixes/prefixes-page.tsx';
import { RequestPage } from './request/request-page.tsx';
import { followLinks, go, useRoute } from './route.ts';
import { chosenTheme, nextTheme } from './theme-choice.ts';

interface Page {
  readonly path: string;
  readonly title: string;
  readonly View: ComponentType;
}

const pages: readonly Page[] = [
  { path: '/', title: 'Fleet', View: FleetPage },
  { path: '/decisions', title: 'Decisions', View: DecisionsPage },
  { path: '/prefixes', title: 'Prefixes', View: PrefixesPage },
  { path: '/compare', title: 'Compare', View: ComparePage },
  { path: '/playground', title: 'Playground', View: PlaygroundPage },
  { path: '/keys', title: 'API keys', View: ApiKeysPage },
];

export function App() {
  const { path } = useRoute();
  const [theme, setTheme] = useState(chosenTheme);
  const [helping, setHelping] = useState(false);
  const hasAnswered = useHasAnswered();
  useLayoutEffect(() => {
    feed.start();
    addEventListener('keydown', pressKey);
    document.addEventListener('click', followLinks);
  }, []);
  useShortcuts([
    ...pages.map(({ path: to, title }, at) => ({ keys: [String(at + 1)], does: title, run: () => go(to) })),
    { keys: ['t'], does: 'light, dark, or as the system', run: () => setTheme(nextTheme()) },
    { keys: ['?'], does: 'these keys', run: () => setHelping(!helping) },
    ...(helping ? [{ keys: ['Escape'], does: 'close this', run: () => setHelping(false) }] : []),
  ]);

  const requestId = /^\/requests\/([^/]+)$/.exec(path)?.[1];
  const page = pages.find((one) => one.path === path) ?? (requestId === undefined ? pages[0]! : pages[1]!);
  useEffect(() => {
    document.title = requestId === undefined ? `${page.title} · Signalbox` : 'Request · Signalbox';
  });
  return (
    <>
      <header class="top">
        <a class="plate" href="/">
          Signalbox
        </a>
        <nav aria-label="Pages">
          {pages.map(({ path: to, title }, at) => (
            <a key={to} href={to} aria-current={page.path === to ? 'page' : undefined}>
              <Lever />
              <span>{title}</span>
              <kbd>{at + 1}</kbd>
            </a>
          ))}
        </nav>
        <div class="tools">
          <Status />
          <button
            type="button"
            class="theme"
            aria-label={`Theme: ${theme}. Change it`}
            title={`Theme: ${theme} (t)`}
            onClick={() => setTheme(nextTheme())}
          >
            {{ system: '◐', light: '○', dark: '●' }[theme]}
          </button>
          <button type="button" aria-label="Keyboard shortcuts" title="Keys (?)" onClick={() => setHelping(true)}>
            ?
          </button>
        </div>
      </header>
      <main>
        {!hasAnswered && <p class="empty">Asking the gateway …</p>}
        {hasAnswered && requestId === undefined && <page.View />}
        {hasAnswered && requestId !== undefined && <RequestPage key={requestId} id={decodeURIComponent(requestId)} />}
      </main>
      {helping && <Help onClose={() => setHelping(false)} />}
    </>
  );
}

/** Of a lever frame: the one pulled is the page one is on. */
function Lever() {
  return (
    <svg class="lever" viewBox="0 0 10 18" aria-hidden="true">
      <path d="M5 17V5" />
      <rect x="2.6" y="1" width="4.8" height="6" rx="1.6" />
      <path d="M1 17h8" />
    </svg>
  );
}
