export function ComparePage() {
  return <p class="empty">…</p>;
}
