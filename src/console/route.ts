import { useLayoutEffect, useState } from 'preact/hooks';

/** Where somebody is: everything that a shared address carries. */
interface Route {
  readonly path: string;
  readonly query: URLSearchParams;
}

const moved = 'signalbox:moved';

export function currentRoute(): Route {
  return { path: location.pathname, query: new URLSearchParams(location.search) };
}

/** Goes to an address of the console. `replace` leaves no step to go back to. */
export function go(address: string, how: 'push' | 'replace' = 'push'): void {
  if (address === location.pathname + location.search) return;
  if (how === 'push') history.pushState(null, '', address);
  else history.replaceState(null, '', address);
  dispatchEvent(new Event(moved));
}

/** The same page with other parameters; null takes one out. */
export function setQuery(changes: Readonly<Record<string, string | null>>): void {
  const { path, query } = currentRoute();
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === '') query.delete(name);
    else query.set(name, value);
  }
  const text = query.toString();
  go(text === '' ? path : `${path}?${text}`, 'replace');
}

/** Where somebody is, from the moment that the page can be seen: a key pressed at once is not missed. */
export function useRoute(): Route {
  const [route, setRoute] = useState(currentRoute);
  useLayoutEffect(() => {
    const follow = (): void => setRoute(currentRoute());
    addEventListener('popstate', follow);
    addEventListener(moved, follow);
    return () => {
      removeEventListener('popstate', follow);
      removeEventListener(moved, follow);
    };
  }, []);
  return route;
}

/** Plain clicks on the console's own links change the page without loading it again. */
export function followLinks(event: MouseEvent): void {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
  const link = event.target instanceof Element ? event.target.closest('a') : null;
  if (link === null || link.target !== '' || link.origin !== location.origin) return;
  if (link.hasAttribute('data-raw') || link.hasAttribute('download')) return;
  event.preventDefault();
  go(link.pathname + link.search);
  scrollTo(0, 0);
}
