/** W6: runs `act` on every item, in their order, at most `limit` at once. It rejects only after all that was begun is over. */
export async function concurrently<Item, Result>(
  items: readonly Item[],
  limit: number,
  act: (item: Item, index: number) => Promise<Result>,
): Promise<Result[]> {
  const results = new Array<Result>(items.length);
  let next = 0;
  const lane = async () => {
    for (let index = next++; index < items.length; index = next++)
      results[index] = await act(items[index] as Item, index);
  };
  const lanes = await Promise.allSettled(Array.from({ length: Math.min(limit, items.length) }, lane));
  const failed = lanes.find((one) => one.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return results;
}

/** Pods that are patched at once in one round. */
export const PATCHES_AT_ONCE = 32;
