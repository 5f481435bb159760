export interface Schedule {
  /** Runs the task now, or right after the run in progress. */
  hurry(): void;
  /** No further run; settles when the one in progress has ended. */
  stop(): Promise<void>;
}

/**
 * Runs `task` again and again, never twice at once, `intervalMs` after the end of the last run. A failure is reported
 * and changes nothing: the next run comes as ever.
 */
export function every(
  intervalMs: number,
  task: () => Promise<unknown>,
  onFailure: (error: unknown) => void,
): Schedule {
  let isStopped = false;
  let timer: NodeJS.Timeout | null = null;
  let running: Promise<void> | null = null;
  let isHurried = false;

  const run = async (): Promise<void> => {
    timer = null;
    try {
      await task();
    } catch (error) {
      onFailure(error);
    }
    running = null;
    if (isStopped) return;
    timer = setTimeout(start, isHurried ? 0 : intervalMs);
    isHurried = false;
  };
  const start = (): void => {
    running = run();
  };
  timer = setTimeout(start, intervalMs);

  return {
    hurry() {
      if (isStopped) return;
      if (running !== null) isHurried = true;
      else if (timer !== null) {
        clearTimeout(timer);
        start();
      }
    },
    async stop() {
      isStopped = true;
      if (timer !== null) clearTimeout(timer);
      await running;
    },
  };
}
