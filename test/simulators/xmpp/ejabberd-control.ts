import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { eventually } from '../eventually.js';

/**
 * Erlang that answers each line of stdin: an expression in base64, to be evaluated. The answer is a line of stdout with
 * `@reply`, ok or failed, and the value as JSON, again in base64. When stdin ends, so does the virtual machine.
 */
export const CONTROL_LOOP = `
  Answer = fun(Line) ->
    {ok, Tokens, _} = erl_scan:string(binary_to_list(base64:decode(string:trim(Line)))),
    {ok, Expressions} = erl_parse:parse_exprs(Tokens),
    {value, Value, _} = erl_eval:exprs(Expressions, []),
    base64:encode(jiffy:encode(Value))
  end,
  Loop = fun Next() ->
    case io:get_line("") of
      Line when is_list(Line) ->
        try Answer(Line) of
          Text -> io:format("~n@reply ok ~s~n", [Text])
        catch _:Why ->
          io:format("~n@reply failed ~s~n", [base64:encode(iolist_to_binary(io_lib:format("~0p", [Why])))])
        end,
        Next();
      _ -> erlang:halt()
    end
  end,
  Loop().
`;

/** The other end of `CONTROL_LOOP`, for one run of the virtual machine. */
export class EjabberdControl {
  readonly #waiting: { resolve: (value: unknown) => void; reject: (error: Error) => void }[] = [];

  constructor(private readonly child: ChildProcess) {
    if (child.stdout === null) throw new Error('ejabberd is talked to over its stdin and stdout');
    createInterface({ input: child.stdout }).on('line', (line) => this.#take(line));
    child.once('exit', () => {
      for (const { reject } of this.#waiting.splice(0)) reject(new Error('ejabberd has ended'));
    });
  }

  /** The value of an Erlang expression (with its full stop) of which jiffy can make JSON. */
  evaluate(expression: string): Promise<unknown> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) {
      return Promise.reject(new Error('ejabberd is not running'));
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.child.stdin?.write(`${Buffer.from(expression).toString('base64')}\n`);
    });
  }

  /** Waits until the expression is `true`. */
  async until(expression: string, what: string): Promise<void> {
    await eventually(async () => (await this.evaluate(expression)) === true, { what });
  }

  #take(line: string): void {
    const [, state, text] = /^@reply (ok|failed) (\S*)$/.exec(line) ?? [];
    if (state === undefined || text === undefined) return;
    const value = Buffer.from(text, 'base64').toString('utf8');
    const waiting = this.#waiting.shift();
    if (state === 'ok') waiting?.resolve(JSON.parse(value));
    else waiting?.reject(new Error(`ejabberd could not evaluate: ${value}`));
  }
}

/** Text as an Erlang binary, whatever characters are in it. */
export const binary = (text: string): string =>
  `base64:decode("${Buffer.from(text, 'utf8').toString('base64')}")`;
