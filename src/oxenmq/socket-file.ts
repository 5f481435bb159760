import { lstat, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname } from 'node:path';

/**
 * Whether a unix socket can be bound at `path`: null, or a sentence for the operator. ZeroMQ itself removes whatever
 * is there, a file or the socket of a process that lives; so only what a process that crashed has left behind passes.
 */
export async function socketFileProblem(path: string): Promise<string | null> {
  const directory = dirname(path);
  try {
    if (!(await stat(directory)).isDirectory()) return `${directory} is not a directory`;
  } catch (error) {
    return codeOf(error) === 'ENOENT'
      ? `the directory ${directory} does not exist`
      : `the directory ${directory} cannot be looked at (${codeOf(error)})`;
  }
  try {
    if (!(await lstat(path)).isSocket()) return `${path} exists and is not a socket`;
  } catch (error) {
    return codeOf(error) === 'ENOENT' ? null : `${path} cannot be looked at (${codeOf(error)})`;
  }
  return (await isAnswered(path)) ? `${path} is in use by another process` : null;
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const settle = (answered: boolean): void => {
      socket.destroy();
      resolve(answered);
    };
    socket.on('connect', () => settle(true));
    // Refused: nobody listens. Anything else (no right to connect, a full backlog) means that somebody does.
    socket.on('error', (error) => settle(codeOf(error) !== 'ECONNREFUSED' && codeOf(error) !== 'ENOENT'));
  });
}

export function codeOf(error: unknown): string {
  const code = typeof error === 'object' && error !== null ? (error as { code?: unknown }).code : undefined;
  return typeof code === 'string' ? code : 'unknown error';
}
