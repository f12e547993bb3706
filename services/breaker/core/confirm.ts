/**
 * V3: whether a pod that is anomalous now was so in enough of the last evaluations. `history`: the outcomes before this one,
 * oldest first, `1` anomalous. What is not known counts as good, so a leader that forgot breaks later, never sooner.
 */
export function isConfirmed(history: string, { anomalous, of }: { anomalous: number; of: number }): boolean {
  const before = of > 1 ? history.slice(-(of - 1)) : '';
  return 1 + [...before].filter((bit) => bit === '1').length >= anomalous;
}
