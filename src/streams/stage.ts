import { Observable, type OperatorFunction } from 'rxjs';

/**
 * One synchronous step of the pipeline: what it returns goes on, null ends here. A fault in a step is reported and
 * costs the one item that caused it; without this, a single throw would end the stream for good.
 */
export function stage<In, Out>(
  name: string,
  run: (item: In) => Out | null,
  onFault: (stageName: string, error: unknown) => void,
): OperatorFunction<In, Out> {
  return (source) =>
    new Observable<Out>((subscriber) =>
      source.subscribe({
        next(item) {
          let result: Out | null;
          try {
            result = run(item);
          } catch (error) {
            onFault(name, error);
            return;
          }
          if (result !== null) subscriber.next(result);
        },
        error: (error: unknown) => subscriber.error(error),
        complete: () => subscriber.complete(),
      }),
    );
}
