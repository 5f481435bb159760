import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import initSqlJs, { type Database, type SqlValue } from 'sql.js';

export const uwpxChannel = (token: string): string => `https://db5p.notify.windows.com/?token=${token}`;

/** As the original makes it, and UWPX itself. Source: spec uwpx-push, 5.2. */
export const bareJidHash = (deviceId: string, bareJid: string): string =>
  createHash('sha256')
    .update(deviceId + bareJid)
    .digest('hex');

/** 171 characters. */
export const uwpxNode = (seed: string): string =>
  Buffer.from(createHash('sha512').update(seed).digest('hex').padEnd(128, '0').slice(0, 128))
    .toString('base64url')
    .slice(0, 171);

/** 256 hex digits. */
export const uwpxSecret = (seed: string): string =>
  createHash('sha512').update(`secret ${seed}`).digest('hex').repeat(2);

const tables = (withTime: boolean): string => `
  CREATE TABLE "channeluri" ("id" INTEGER NOT NULL PRIMARY KEY, "deviceId" TEXT NOT NULL, "channelUri" TEXT NOT NULL
    ${withTime ? ', "timeStamp" DATETIME NOT NULL' : ''});
  CREATE UNIQUE INDEX "channeluri_deviceId" ON "channeluri" ("deviceId");
  CREATE TABLE "pushaccount" ("id" INTEGER NOT NULL PRIMARY KEY, "channelUri_id" INTEGER NOT NULL,
    "bareJidHash" TEXT NOT NULL, "domainPart" TEXT NOT NULL, "node" TEXT NOT NULL, "secret" TEXT NOT NULL,
    FOREIGN KEY ("channelUri_id") REFERENCES "channeluri" ("id"));
  CREATE TABLE "wnstokenmodel" ("id" INTEGER NOT NULL PRIMARY KEY, "token" TEXT NOT NULL, "tokenType" TEXT NOT NULL,
    "expires" DATETIME NOT NULL);
`;

/** A store of the UWPX push server in Python. Source: spec uwpx-push, 5.2. */
export class UwpxPythonFile {
  private constructor(
    private readonly database: Database,
    private readonly withTime: boolean,
  ) {}

  static async create(withTime = true): Promise<UwpxPythonFile> {
    const sqlite = await initSqlJs();
    const database = new sqlite.Database();
    database.exec(tables(withTime));
    return new UwpxPythonFile(database, withTime);
  }

  /** As `set_channel_uri` does it: the device's row is replaced, and has another id then. Answers that. */
  setChannel(
    deviceId: SqlValue,
    channelUri: SqlValue,
    time: SqlValue = uwpxTime(Date.now() - 60_000),
  ): number {
    const values = this.withTime ? [deviceId, channelUri, time] : [deviceId, channelUri];
    const columns = this.withTime ? '("deviceId", "channelUri", "timeStamp")' : '("deviceId", "channelUri")';
    this.database.run(
      `REPLACE INTO "channeluri" ${columns} VALUES (${values.map(() => '?').join()})`,
      values,
    );
    return Number(this.database.exec('SELECT last_insert_rowid()')[0]?.values[0]?.[0]);
  }

  /** Answers its row. */
  addAccount(
    channelRow: number,
    hash: SqlValue,
    { domain = 'xmpp.example', node = uwpxNode(String(hash)), secret = uwpxSecret(String(hash)) } = {},
  ): number {
    this.database.run(
      'INSERT INTO "pushaccount" ("channelUri_id", "bareJidHash", "domainPart", "node", "secret") VALUES (?, ?, ?, ?, ?)',
      [channelRow, hash, domain, node, secret],
    );
    return Number(this.database.exec('SELECT last_insert_rowid()')[0]?.values[0]?.[0]);
  }

  run(sql: string): void {
    this.database.exec(sql);
  }

  async write(path: string): Promise<string> {
    await writeFile(path, Buffer.from(this.database.export()));
    return path;
  }
}

/** `2021-06-01 12:00:00.123456+0000`. */
export const uwpxTime = (ms: number): string =>
  new Date(ms).toISOString().replace('T', ' ').replace('Z', '000+0000');
