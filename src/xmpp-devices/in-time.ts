/** What the work resolves with, or `late` when that takes longer; the work goes on all the same. Rejects as the work does. */
export function inTime<Answer>(work: Promise<Answer>, patienceMs: number, late: Answer): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(late), patienceMs);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
