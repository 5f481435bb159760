import { parseServiceName, type ServiceName } from '../domain/ids.js';
import { clientServiceOf, type Brand } from '../legacy/brand.js';
import type { LegacyPushType } from '../legacy/statistics.js';

type Services = Readonly<Record<LegacyPushType, ServiceName>>;

/** The brand's notifiers by the type of a device; looked up once for each brand. */
export function createServicesOf(): (brand: Pick<Brand, 'services'>) => Services {
  const known = new WeakMap<object, Services>();
  const serviceOf = (brand: Pick<Brand, 'services'>, type: LegacyPushType): ServiceName => {
    const service = parseServiceName(brand.services[clientServiceOf[type]]);
    if (service === null) throw new Error('a brand without a name for one of its services');
    return service;
  };
  return (brand) => {
    let services = known.get(brand);
    if (services === undefined) {
      services = {
        ios: serviceOf(brand, 'ios'),
        android: serviceOf(brand, 'android'),
        huawei: serviceOf(brand, 'huawei'),
      };
      known.set(brand, services);
    }
    return services;
  };
}
