/**
 * How many rows of each service go when `excess` rows must: those of the services that have most, down to one level, so
 * that a notifier which is down for days takes no room from the others' pushes. Services that lose nothing are left out.
 */
export function evictionShares(
  waiting: ReadonlyMap<string, number>,
  excess: number,
): ReadonlyMap<string, number> {
  const services = [...waiting].sort(([, left], [, right]) => right - left);
  const total = services.reduce((sum, [, rows]) => sum + rows, 0);
  let toGo = Math.min(excess, total);
  const shares = new Map<string, number>();
  if (toGo <= 0) return shares;
  // The first `count` services come down to the level of the next one, as long as that is not enough.
  let count = 1;
  let held = services[0]?.[1] ?? 0;
  while (count < services.length && held - toGo < count * (services[count]?.[1] ?? 0)) {
    held += services[count]?.[1] ?? 0;
    count += 1;
  }
  const level = Math.ceil((held - toGo) / count);
  for (const [service, rows] of services.slice(0, count)) {
    const share = Math.min(rows - level, toGo);
    if (share > 0) shares.set(service, share);
    toGo -= share;
  }
  // What rounding has left over, from the largest ones.
  for (const [service, rows] of services.slice(0, count)) {
    if (toGo <= 0) break;
    const share = shares.get(service) ?? 0;
    if (share >= rows) continue;
    shares.set(service, share + 1);
    toGo -= 1;
  }
  return shares;
}
