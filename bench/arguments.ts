/** `--name=7` on the command line, to make a scenario shorter or harder. */
export function numberArgument(name: string, standard: number): number {
  const prefix = `--${name}=`;
  const given = process.argv.find((argument) => argument.startsWith(prefix));
  if (given === undefined) return standard;
  const value = Number(given.slice(prefix.length));
  if (!Number.isFinite(value) || value <= 0) throw new Error(`${prefix} wants a positive number`);
  return value;
}
