/** `llm_d_epp_NAME`, and what it was called when the EPP was the extension's own. */
export function epp(name: string, older?: string): readonly string[] {
  return [`llm_d_epp_${name}`, ...(older === undefined ? [] : [older])];
}
