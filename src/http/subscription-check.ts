import {
  parseElement,
  parseIdentity,
  parseSubscribeDetails,
  parseTarget,
  subscribeTimeProblem,
  unsubscribeTimeProblem,
  type JsonObject,
  type RequestIdentity,
  type RequestTarget,
} from '../codec/subscribe-request.js';
import {
  accountKeyProblem,
  monitorText,
  signatureProblem,
  unsubscribeText,
} from '../crypto/swarm-signature.js';
import { nowSeconds, type Clock } from '../domain/clock.js';
import type { Device } from '../domain/device.js';
import {
  badValue,
  clientError,
  clientErrorCode,
  PROCESSING_ERROR_MESSAGE,
  type ClientError,
} from '../domain/errors.js';
import { parseServiceId, SERVICE_DATA_MAX_BYTES } from '../domain/ids.js';
import { fail, ok, type Result } from '../domain/result.js';
import type { Subscription, SubscriptionKey } from '../domain/subscription.js';
import type { Notifier } from '../notifiers/port.js';
import { prefixProblem, type SubscriptionBrand, type SubscriptionBrands } from './subscription-brands.js';

/** The part of a notifier that a subscribe needs. */
export type DeviceValidator = Pick<Notifier, 'service' | 'validate'>;

/** Undefined when no such service is registered. */
export type NotifierLookup = (service: string) => DeviceValidator | undefined;

export interface CheckContext {
  readonly clock: Clock;
  readonly notifier: NotifierLookup;
  readonly brands: SubscriptionBrands;
  readonly namespacesMax: number;
}

/**
 * One element of a subscribe, through every check of spec session-push-v2, 4.2; the first failure decides. `brand`:
 * whose door it came by; null where all brands share one, then the account tells.
 */
export async function checkSubscribe(
  context: CheckContext,
  brand: SubscriptionBrand | null,
  element: unknown,
): Promise<Result<Subscription, ClientError>> {
  const common = checkCommon(context, brand, element);
  if (!common.ok) return common;
  const { request, identity, target, notifier } = common.value;

  const details = parseSubscribeDetails(request, context.namespacesMax);
  if (!details.ok) return details;
  const { encryptionKey, namespaces, wantData } = details.value;

  const timeProblem = subscribeTimeProblem(target.signedAtSeconds, nowSeconds(context.clock));
  if (timeProblem !== null) return fail(timeProblem);

  const text = monitorText(identity.account, target.signedAtSeconds, wantData, namespaces);
  const badSignature = signatureProblem(identity, text);
  if (badSignature !== null) return fail(badSignature);

  const device = checkDevice(await notifier.validate(target.serviceInfo, 'subscribe'));
  if (!device.ok) return device;
  return ok({
    account: identity.account,
    service: notifier.service,
    serviceId: device.value.serviceId,
    namespaces,
    wantData,
    encryptionKey,
    serviceData: device.value.serviceData,
    authorisation: {
      ed25519Key: identity.ed25519Key,
      subaccount: identity.subaccount,
      signature: identity.signature,
      signedAtSeconds: target.signedAtSeconds,
    },
  });
}

/** Section 5: the device is checked before the time, the signature comes last. */
export async function checkUnsubscribe(
  context: CheckContext,
  brand: SubscriptionBrand | null,
  element: unknown,
): Promise<Result<SubscriptionKey, ClientError>> {
  const common = checkCommon(context, brand, element);
  if (!common.ok) return common;
  const { identity, target, notifier } = common.value;

  const device = checkDevice(await notifier.validate(target.serviceInfo, 'unsubscribe'));
  if (!device.ok) return device;

  const timeProblem = unsubscribeTimeProblem(target.signedAtSeconds, nowSeconds(context.clock));
  if (timeProblem !== null) return fail(timeProblem);

  const badSignature = signatureProblem(identity, unsubscribeText(identity.account, target.signedAtSeconds));
  if (badSignature !== null) return fail(badSignature);
  return ok({
    account: identity.account,
    service: notifier.service,
    serviceId: device.value.serviceId,
  });
}

interface Common {
  readonly request: JsonObject;
  readonly identity: RequestIdentity;
  readonly target: RequestTarget;
  readonly notifier: DeviceValidator;
}

/** Steps 1 to 8. */
function checkCommon(
  context: CheckContext,
  doorBrand: SubscriptionBrand | null,
  element: unknown,
): Result<Common, ClientError> {
  const { brands } = context;
  const request = parseElement(element);
  if (!request.ok) return request;
  const identity = parseIdentity(request.value, brands.userPrefixes);
  if (!identity.ok) return identity;
  const { account, ed25519Key } = identity.value;
  const brand = doorBrand ?? brands.ofAccount(account);
  const keyProblem =
    prefixProblem(brand, account, ed25519Key) ?? accountKeyProblem(account, ed25519Key, brands.userPrefixes);
  if (keyProblem !== null) return fail(keyProblem);
  const target = parseTarget(request.value);
  if (!target.ok) return target;
  const word = target.value.service;
  const notifier = context.notifier(brand.services.get(word) ?? word);
  if (notifier === undefined) {
    return fail(
      clientError(
        clientErrorCode.serviceNotAvailable,
        `${word} notification service not currently available`,
      ),
    );
  }
  return ok({ request: request.value, identity: identity.value, target: target.value, notifier });
}

/** Step 13 with the limits of 8.2, which hold for every notifier whatever it thinks of the device. */
function checkDevice(device: Result<Device, ClientError>): Result<Device, ClientError> {
  if (!device.ok) return device;
  const { serviceId, serviceData } = device.value;
  const fits =
    parseServiceId(serviceId) !== null &&
    !unstorable.test(serviceId) &&
    (serviceData === null || serviceData.length <= SERVICE_DATA_MAX_BYTES);
  return fits ? device : fail(badValue(PROCESSING_ERROR_MESSAGE));
}

/** A database cannot hold NUL in a text, and half a surrogate pair comes back as another character. */
const unstorable = /[\0\p{Surrogate}]/u;
