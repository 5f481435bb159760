import { fail, ok, type Result } from '../domain/result.js';
import { parsePublicKey } from '../oxenmq/address.js';
import type { KeyPair, OxenmqDoor } from '../oxenmq/port.js';
import type { HiveOptions } from './options.js';

type DoorOptions = Pick<HiveOptions, 'listen' | 'listenCurve' | 'listenCurveAdmin' | 'listenCurveAdmins'>;

/**
 * Which doors to open, and who may come in. The original decides by the key of each client what it may do, on one
 * port. We cannot: ZeroMQ's binding does not tell which key a message came from, and the routing id is whatever the
 * client says (spec oxenmq, 1.2 and 5.1). So each level has a port of its own, and the key decides at the handshake:
 *
 *   listen                                     plain     admin   every peer: the file's rights are the lock
 *   listenCurve, no admins                     CURVE     none    everybody
 *   listenCurve, admins, no listenCurveAdmin   CURVE     admin   the admins, nobody else
 *   listenCurve, listenCurveAdmin              CURVE     none    everybody
 *   listenCurveAdmin                           CURVE     admin   the admins, nobody else
 */
export function planDoors(options: DoorOptions, keyPair: KeyPair): Result<readonly OxenmqDoor[], string> {
  const { listen, listenCurve, listenCurveAdmin } = options;
  const admins: Buffer[] = [];
  for (const text of options.listenCurveAdmins) {
    const key = parsePublicKey(text);
    if (key === null) return fail('session.listenCurveAdmins: a key that is not 64 hex digits');
    admins.push(key);
  }
  if (listenCurveAdmin !== null && admins.length === 0) {
    return fail('session.listenCurveAdmin: nobody could come in, session.listenCurveAdmins is empty');
  }
  const adminDoor = (name: string, address: string): OxenmqDoor => ({
    name,
    address,
    level: 'admin',
    curve: { keyPair, admits: admins },
  });

  const doors: OxenmqDoor[] = [];
  if (listen !== null) doors.push({ name: 'session.listen', address: listen, level: 'admin', curve: null });
  if (listenCurve !== null) {
    const isForAdmins = admins.length > 0 && listenCurveAdmin === null;
    doors.push(
      isForAdmins
        ? adminDoor('session.listenCurve', listenCurve)
        : {
            name: 'session.listenCurve',
            address: listenCurve,
            level: 'none',
            curve: { keyPair, admits: null },
          },
    );
  }
  if (listenCurveAdmin !== null) doors.push(adminDoor('session.listenCurveAdmin', listenCurveAdmin));
  return ok(doors);
}
