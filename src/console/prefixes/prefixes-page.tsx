export function PrefixesPage() {
  return <p class="empty">…</p>;
}
